"""What counts as adversarial: the one place that says it, of logits, clear of rounding, or in full precision."""

import torch
from torch import Tensor

from ...contract.input_validation import Model, check_logits
from ...contract.model_state import full_precision, reduced
from ...losses import bounded, margin

CLEAR = 32  # by how many roundings of the two logits a boundary must be crossed, so that another batch cannot undo it


def is_adversarial(logits: Tensor, y: Tensor, targeted: bool = False) -> Tensor:
    """Return which images are adversarial, (n,): those not classified as `y`, or those that are, if `targeted`."""
    return (logits.argmax(1) == y) == targeted


def is_clearly_adversarial(logits: Tensor, y: Tensor, targeted: bool = False) -> Tensor:
    """Return which images are adversarial by more than rounding could undo, (n,)."""
    logits = bounded(logits)
    own, lead = logits.gather(1, y[:, None]).squeeze(1), margin(logits, y)
    return (-lead if targeted else lead) > clearance(own, own + lead)


def clearance(one: Tensor, other: Tensor) -> Tensor:
    """Return how far apart two logits must be for their order to be certain."""
    return CLEAR * torch.finfo(one.dtype).eps * torch.maximum(one.abs(), other.abs())


def confirmed(model: Model, x_adv: Tensor, y: Tensor, claimed: Tensor, targeted: bool) -> Tensor:
    """Return which of the images that a search claims to be adversarial are; in full precision, all of them.

    Where the search runs below it, they are asked once more, in full precision.
    """
    if not reduced(x_adv.device):
        return claimed
    rows, adversarial = claimed.nonzero().flatten(), claimed.clone()
    if len(rows):
        with torch.no_grad(), full_precision(x_adv.device):
            adversarial[rows] = is_adversarial(model(x_adv[rows]), y[rows], targeted)
    return adversarial


def rivals(logits: Tensor, y: Tensor, m: int) -> Tensor:
    """Return the m classes other than `y` with the largest logits, (n, m), or all of them if there are fewer.

    In place of a class that the model rules out, with a logit of -inf, the strongest is named once more.
    """
    top = logits.scatter(1, y[:, None], -torch.inf).topk(min(m, logits.shape[1] - 1), dim=1)
    return top.indices.where(top.values > -torch.inf, top.indices[:, :1])


def rivals_at(model: Model, x: Tensor, y: Tensor, m: int) -> Tensor:
    """Return the `rivals` of each image's label as the model sees the image, (n, m)."""
    logits = model(x.clone())
    check_logits(logits, x, y)
    return rivals(logits, y, m)
