"""The exercises of lesson 02: attacks as optimization."""

from .fgsm import FGSM, GRADIENT
from .nearest import NEAREST
from .penalty import PENALTY
from .pgd import PGD, PGD_L2
from .projections import PROJECT_L2, PROJECT_LINF

EXERCISES = [PENALTY, GRADIENT, FGSM, PROJECT_LINF, PROJECT_L2, PGD, PGD_L2, NEAREST]
