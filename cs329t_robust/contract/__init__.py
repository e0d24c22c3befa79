"""What every function that takes a model promises: bad input is refused in clear words, the model is left as found."""

from .input_validation import (
    NO_THREAT,
    check_count,
    check_finite,
    check_flag,
    check_function,
    check_images,
    check_inputs,
    check_labels,
    check_logits,
    check_losses,
    check_model,
    check_number,
    fitting,
    module_of,
)
from .model_state import borrowed, full_precision, reduced

__all__ = [
    "NO_THREAT",
    "borrowed",
    "check_count",
    "check_finite",
    "check_flag",
    "check_function",
    "check_images",
    "check_inputs",
    "check_labels",
    "check_logits",
    "check_losses",
    "check_model",
    "check_number",
    "fitting",
    "full_precision",
    "module_of",
    "reduced",
]
