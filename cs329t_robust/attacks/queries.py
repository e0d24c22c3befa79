"""The one number that black-box attacks ask a model for."""

import torch
from torch import Tensor

from ..contract import Model, check_logits
from ..losses import margin
from .captured import Repeated


def check_share(share: float) -> None:
    """Raise a ValueError unless `share` is a part of the whole, above 0 and up to 1."""
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number above 0 and up to 1, got {share!r}")


@torch.no_grad()
def lead(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return how far past the boundary each image is, (n,): above 0 it is broken (at its target, if `targeted`)."""
    logits = model(x.clone())
    if check:
        check_logits(logits, x, y)
    value = margin(logits, y).to(x.dtype)
    return -value if targeted else value


def asking(model: Model, y: Tensor, targeted: bool, calls: int) -> Repeated:
    """Return `lead` for one batch with labels `y`, to be asked up to `calls` times; its answer is a tuple of one."""
    return Repeated(model, lambda x, check: (lead(model, x, y, targeted, check=check),), calls, True)
