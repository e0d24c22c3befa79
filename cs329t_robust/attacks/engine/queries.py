"""The one number that black-box attacks ask a model for."""

import torch
from torch import Tensor

from ...contract.borrowing import full_precision, reduced
from ...contract.inputs import Model, check_logits
from ...losses import past
from .cuda_graph import Repeated
from .gradient import logits_of
from .shrinking import broken


@torch.no_grad()
def lead(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return how far past the boundary each image is, (n,): above 0 it is broken (at its target, if `targeted`).

    `check` is for the images as they were given, where also a tie that the model decides against `y` is broken.
    """
    logits = logits_of(model, x)
    if check or logits.ndim != 2:  # a `squeeze()` in the model takes the batch away where one image is left
        check_logits(logits, x, y)
    value = past(logits.to(x.dtype), y, targeted)
    if not check:
        return value
    return torch.where(broken(logits, y, targeted), value.clamp_min(torch.finfo(x.dtype).tiny), value)


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


def check_lead(value: Tensor) -> None:
    """Raise a ValueError if the model's answer to a proposal was no number: it could pass for robustness."""
    if bool(value.isnan().any()):
        raise ValueError(f"model: expected finite logits, got NaN for {int(value.isnan().sum())} images in the attack")
