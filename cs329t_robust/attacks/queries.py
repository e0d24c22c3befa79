"""The one number that black-box attacks ask a model for."""

import torch
from torch import Tensor

from ..contract import Model, check_logits, full_precision, reduced
from ..losses import margin
from .captured import Repeated
from .gradient import ask


def check_share(share: float) -> None:
    """Raise a ValueError unless `share` is a part of the whole, above 0 and up to 1."""
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number above 0 and up to 1, got {share!r}")


@torch.no_grad()
def lead(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return how far past the boundary each image is, (n,): above 0 it is broken (at its target, if `targeted`)."""
    logits = ask(model, x)
    if check:
        check_logits(logits, x, y)
    value = margin(logits.to(x.dtype), y)
    return -value if targeted else value


def asking(model: Model, y: Tensor, targeted: bool, calls: int) -> Repeated:
    """Return `lead` for one batch with labels `y`, to be asked up to `calls` times; its answer is a tuple of one."""
    return Repeated(model, lambda x, check: (lead(model, x, y, targeted, check=check),), calls, True)


def sure(model: Model, x_adv: Tensor, y: Tensor, value: Tensor, targeted: bool) -> Tensor:
    """Return `value`, the leads that a search found; under a reduced precision successes are asked again without it."""
    rows = (value > 0).nonzero().flatten() if reduced(x_adv.device) else ()
    if not len(rows):
        return value
    with full_precision(x_adv.device):
        return value.index_copy(0, rows, lead(model, x_adv[rows], y[rows], targeted))
