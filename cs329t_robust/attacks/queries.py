"""The one number that black-box attacks ask a model for."""

import torch
from torch import Tensor

from ..contract import Model, check_logits, full_precision, reduced
from ..losses import past
from .captured import Repeated
from .gradient import logits_of


@torch.no_grad()
def lead(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return how far past the boundary each image is, (n,): above 0 it is broken (at its target, if `targeted`)."""
    logits = logits_of(model, x)
    if check:
        check_logits(logits, x, y)
    return past(logits.to(x.dtype), y, targeted)


def leads(model: Model, y: Tensor, targeted: bool, calls: int) -> Repeated:
    """Return `lead` for one batch with labels `y`, to be asked up to `calls` times; its answer is a tuple of one."""
    return Repeated(model, lambda x, check: (lead(model, x, y, targeted, check=check),), calls, True)


def confirmed_lead(model: Model, x_adv: Tensor, y: Tensor, value: Tensor, targeted: bool) -> Tensor:
    """Return `value`, the leads that a search found; under a reduced precision successes are asked again without it."""
    rows = (value > 0).nonzero().flatten() if reduced(x_adv.device) else ()
    if not len(rows):
        return value
    with full_precision(x_adv.device):
        return value.index_copy(0, rows, lead(model, x_adv[rows], y[rows], targeted))
