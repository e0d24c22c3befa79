"""d(x, x′): norms and measures that claim to see like a person, and what people notice."""

from .distances import feature_maps, in_features, l0, l1, l2, linf, lpips, shift, ssim, transport
from .norm_table import (
    ANY,
    NEAREST,
    NORMS,
    SAME,
    Pairs,
    Share,
    Table,
    measure,
    measures,
    nearest_in_each_norm,
    pairs,
    radius_of_half,
    scaled_to,
)
from .semantics import Redrawn, meaningless, neighbours_say, redrawn
from .staircase import TRIALS, Observer, Staircase, Threshold

__all__ = [
    "ANY",
    "NEAREST",
    "NORMS",
    "SAME",
    "TRIALS",
    "Observer",
    "Pairs",
    "Redrawn",
    "Share",
    "Staircase",
    "Table",
    "Threshold",
    "feature_maps",
    "in_features",
    "l0",
    "l1",
    "l2",
    "linf",
    "lpips",
    "meaningless",
    "measure",
    "measures",
    "nearest_in_each_norm",
    "neighbours_say",
    "pairs",
    "radius_of_half",
    "redrawn",
    "scaled_to",
    "shift",
    "ssim",
    "transport",
]
