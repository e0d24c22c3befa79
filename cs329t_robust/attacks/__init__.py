"""The inner maximum: functions ``(model, x, y, *, threat, …) -> x_adv`` that search a threat for the worst case."""

from .apgd import apgd, apgd_t
from .autoattack import autoattack
from .deepfool import deepfool
from .engine.gradient import input_gradient
from .fab import fab_t
from .fgsm import fgsm
from .fmn import fmn
from .penalty import cw, penalty
from .pgd import pgd
from .physical import Placements, Views, glasses, outline, physical, place, share_seen_as, train_patch
from .sparse_rs import sparse_rs
from .spatial import spatial
from .square import square
from .transfer import transfer

__all__ = [
    "Placements",
    "Views",
    "apgd",
    "apgd_t",
    "autoattack",
    "cw",
    "deepfool",
    "fab_t",
    "fgsm",
    "fmn",
    "glasses",
    "input_gradient",
    "outline",
    "penalty",
    "pgd",
    "physical",
    "place",
    "share_seen_as",
    "sparse_rs",
    "spatial",
    "square",
    "train_patch",
    "transfer",
]
