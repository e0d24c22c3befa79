"""Where each file that data/ ships comes from: the code that makes it, behind the command that its card names."""

from .dense import train_dense
from .digits import train_mnist
from .generalization import gain, measure, measured, shipped, subset, summary, trained
from .glasses_and_patch import (
    HELD_OUT,
    Worn,
    as_row,
    backgrounds,
    class_number,
    head,
    make_patch,
    patch_success,
    save,
    shipped_glasses,
    shipped_patch,
    shipped_targets,
    wear,
)
from .signs import train_signs

__all__ = [
    "HELD_OUT",
    "Worn",
    "as_row",
    "backgrounds",
    "class_number",
    "gain",
    "head",
    "make_patch",
    "measure",
    "measured",
    "patch_success",
    "save",
    "shipped",
    "shipped_glasses",
    "shipped_patch",
    "shipped_targets",
    "subset",
    "summary",
    "train_dense",
    "train_mnist",
    "train_signs",
    "trained",
    "wear",
]
