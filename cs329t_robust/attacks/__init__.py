"""The inner maximum: functions ``(model, x, y, *, threat, …) -> x_adv`` that search a threat for the worst case."""

from .apgd import apgd
from .deepfool import deepfool
from .fgsm import fgsm
from .fmn import fmn
from .pgd import pgd

__all__ = ["apgd", "deepfool", "fgsm", "fmn", "pgd"]
