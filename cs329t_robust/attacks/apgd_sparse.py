"""What Auto-PGD does otherwise in L1: sparse steps, whose length and sparsity follow the best point.

Croce & Hein 2021, "Mind the box", arXiv:2103.01208, algorithm 1.
"""

import torch
from torch import Tensor

from ..threat import Masked, radii, rowwise
from .apgd_state import APGDState, support

EVERY, SPARSER, SHORTEST = 0.04, 1.5, 0.1  # how often it looks back, by how much η shrinks there, and to what share
WIDER = ((3, 0.3), (2, 0.3))  # first of all, a run spends these shares of its steps at so many times the radius


def sparse_step(s: APGDState) -> Tensor:
    """Return a step of L1 length η along the signs of the steepest values: fewer than the best point changed."""
    grad = s.grad.where(s.threat.mask, 0) if isinstance(s.threat, Masked) else s.grad
    steep = grad.abs().flatten(1)
    place = (steep.shape[1] - s.support / SPARSER).long().clamp_min(0)
    least = steep.sort(1).values.gather(1, place[:, None])
    sign = grad.sign().where(grad == grad, grad) * (grad.abs() >= rowwise(least, grad))
    count = sign.abs().flatten(1).sum(1, dtype=torch.float32).clamp_min(1)
    return sign * rowwise((s.step_size / count).to(s.step_size), grad)


def look_at_support(s: APGDState) -> None:
    """Shrink η, unless x_max has become sparser: then start again from it with the full η."""
    now = support(s.x, s.best)
    sparser, full = now / s.support < 0.95, radii(s.threat.eps, s.x)
    s.step_size = torch.where(sparser, full, (s.step_size / SPARSER).maximum(SHORTEST * full))
    s.support = now
    s.x_adv = torch.where(rowwise(sparser, s.x), s.best, s.x_adv)
    s.grad = torch.where(rowwise(sparser, s.x), s.best_grad, s.grad)
