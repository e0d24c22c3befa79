"""The one number that black-box attacks ask a model for."""

import torch
from torch import Tensor

from ..contract import Model, check_logits
from ..losses import margin


@torch.no_grad()
def lead(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return how far past the boundary each image is, (n,): above 0 it is broken (at its target, if `targeted`)."""
    logits = model(x.clone())
    if check:
        check_logits(logits, x, y)
    value = margin(logits, y).to(x.dtype)
    return -value if targeted else value
