"""The exercises of lesson 08: features, not bugs."""

from .inversion import INVERT
from .relabelling import PUSH, SHUFFLED
from .use import ROBUST_USE, USE

EXERCISES = [USE, ROBUST_USE, PUSH, SHUFFLED, INVERT]
