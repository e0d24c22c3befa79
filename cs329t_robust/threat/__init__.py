"""What the adversary may change: the set Δ of the lecture, one frozen dataclass for each kind.

A threat answers four questions: how far (`distance`), back into Δ (`project`), the steepest step (`ascend`), a random
member (`sample`). The rest of it serves batches and measuring. Nearly every norm-dependent branch is in this folder.
"""

from .base import Threat, is_number, per_image, radii, rowwise, unit
from .masked import Masked, allowed_places
from .norms import L0, L1, L2, Ball, Linf
from .spatial import Spatial, sampling_grid, turn_back, warp

__all__ = [
    "L0",
    "L1",
    "L2",
    "Ball",
    "Linf",
    "Masked",
    "Spatial",
    "Threat",
    "allowed_places",
    "is_number",
    "per_image",
    "radii",
    "rowwise",
    "sampling_grid",
    "turn_back",
    "unit",
    "warp",
]
