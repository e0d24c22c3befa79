"""The exercises of lesson 08: features, not bugs."""

from .datasets import PUSH, SHUFFLED
from .inversion import INVERT
from .use import ROBUST_USE, USE

EXERCISES = [USE, ROBUST_USE, PUSH, SHUFFLED, INVERT]
