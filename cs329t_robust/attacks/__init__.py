"""The inner maximum: functions ``(model, x, y, *, threat, …) -> x_adv`` that search a threat for the worst case."""

from .fgsm import fgsm
from .pgd import pgd

__all__ = ["fgsm", "pgd"]
