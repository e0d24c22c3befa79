"""The exercises of lesson 06: measuring robustness."""

from .boxes import INTERVAL_LINEAR
from .certificates import CERTIFIED_RADIUS, VOTE
from .margins import MARGIN_LOSS
from .red_flags import RED_FLAGS
from .worst import WORST_CASE

EXERCISES = [WORST_CASE, MARGIN_LOSS, INTERVAL_LINEAR, CERTIFIED_RADIUS, VOTE, RED_FLAGS]
