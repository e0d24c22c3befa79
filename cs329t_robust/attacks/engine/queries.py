"""The one number that black-box attacks ask a model for: the margin by which an image is adversarial."""

import torch
from torch import Tensor

from ...contract.input_validation import Model, check_logits
from ...contract.model_state import full_precision, reduced
from ...losses import adversarial_margin
from .gradient import logits_of
from .success import is_adversarial


@torch.no_grad()
def query(model: Model, x: Tensor, y: Tensor, targeted: bool, *, check: bool = False) -> Tensor:
    """Return the margin by which each image is adversarial, (n,): above 0 it is (classified as `y`, if `targeted`).

    `check` is for the images as they were given, where also a tie that the model decides against `y` is adversarial.
    """
    logits = logits_of(model, x)
    if check or logits.ndim != 2:  # a `squeeze()` in the model takes the batch away where one image is left
        check_logits(logits, x, y)
    margin = adversarial_margin(logits.to(x.dtype), y, targeted)
    if not check:
        return margin
    return torch.where(is_adversarial(logits, y, targeted), margin.clamp_min(torch.finfo(x.dtype).tiny), margin)


def confirmed_margin(model: Model, x_adv: Tensor, y: Tensor, margin: Tensor, targeted: bool) -> Tensor:
    """Return the margins that a search found; under a reduced precision it asks again for those above 0, without it."""
    rows = (margin > 0).nonzero().flatten() if reduced(x_adv.device) else ()
    if not len(rows):
        return margin
    with full_precision(x_adv.device):
        return margin.index_copy(0, rows, query(model, x_adv[rows], y[rows], targeted))


def check_margin(margin: Tensor) -> None:
    """Raise a ValueError if the model's answer to a proposal was no number: it could pass for robustness."""
    if bool(margin.isnan().any()):
        raise ValueError(f"model: expected finite logits, got NaN for {int(margin.isnan().sum())} images in the attack")
