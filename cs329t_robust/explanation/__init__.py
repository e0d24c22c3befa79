"""How does it predict? Attributions, how well they agree with what a person sees, and how easily they are forged."""

from .attributions import (
    alignment,
    forge,
    integrated_gradients,
    object_area,
    on_object,
    saliency,
    similarity,
    smooth_grad,
    softened,
)
from .human_alignment import (
    Forged,
    Mean,
    RobustAndAligned,
    digit_models,
    forged,
    gradient_measures,
    ink_area,
    others,
    read_as,
    robust_and_aligned,
    synthesise,
)

__all__ = [
    "Forged",
    "Mean",
    "RobustAndAligned",
    "alignment",
    "digit_models",
    "forge",
    "forged",
    "gradient_measures",
    "ink_area",
    "integrated_gradients",
    "object_area",
    "on_object",
    "others",
    "read_as",
    "robust_and_aligned",
    "saliency",
    "similarity",
    "smooth_grad",
    "softened",
    "synthesise",
]
