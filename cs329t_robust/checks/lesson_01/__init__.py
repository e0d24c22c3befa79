"""The exercises of lesson 01: the size of a change, an FGSM step, aiming at a target, success, eight bits."""

from .pixels import LINF_255, TO_8BIT
from .steps import FGSM_STEP
from .target import SUCCESS_RATE, TARGETED_STEP

EXERCISES = [LINF_255, FGSM_STEP, TARGETED_STEP, SUCCESS_RATE, TO_8BIT]
