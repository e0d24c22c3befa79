"""The exercises of lesson 04: norms and perception."""

from .agreeing import AGREEMENT
from .measuring import DISTANCE
from .moving import MOVE_DOWN
from .scaling import RESCALED
from .sparse import SPARSE_STEP
from .stairs import NEXT_LEVEL

EXERCISES = [MOVE_DOWN, DISTANCE, AGREEMENT, RESCALED, SPARSE_STEP, NEXT_LEVEL]
