"""The exercises of lesson 05: robust training."""

from .collapse import FAST, FIRST_COLLAPSE
from .gaussian_noise import NOISY
from .inner import INNER_MAX
from .outer import OUTER_MIN
from .trades import TRADES_LOSS

EXERCISES = [NOISY, INNER_MAX, OUTER_MIN, FIRST_COLLAPSE, FAST, TRADES_LOSS]
