"""The exercises of lesson 03: physical attacks."""

from .expectation import EOT
from .pasting import PASTE, WEAR
from .poses import WORST
from .printing import PRINTED
from .winning import NET_SUCCESS

EXERCISES = [WEAR, NET_SUCCESS, EOT, PRINTED, PASTE, WORST]
