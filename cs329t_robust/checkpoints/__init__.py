"""Where each file that data/ ships comes from: the code that makes it, behind the command that its card names."""

from .digits import train_mnist
from .generalization import gain, measured, shipped, summary, trained
from .glasses_and_patch import HELD_OUT, class_number, shipped_glasses, shipped_patch, shipped_targets
from .signs import train_signs
from .small_dense import train_dense

__all__ = [
    "HELD_OUT",
    "class_number",
    "gain",
    "measured",
    "shipped",
    "shipped_glasses",
    "shipped_patch",
    "shipped_targets",
    "summary",
    "train_dense",
    "train_mnist",
    "train_signs",
    "trained",
]
