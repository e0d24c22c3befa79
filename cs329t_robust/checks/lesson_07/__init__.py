"""The exercises of lesson 07: robustness and accuracy."""

from .errors import FIT, ROBUST_ERROR
from .features import BOUND, SAMPLE, WORST
from .training import ROBUST_LOSS

EXERCISES = [ROBUST_ERROR, FIT, SAMPLE, WORST, BOUND, ROBUST_LOSS]
