"""What a minimum-norm attack remembers, the nearest adversarial image so far, and how it pulls that nearer still."""

import torch
from torch import Tensor

from ..contract.inputs import Model
from ..losses import bounded, margin, past
from ..threat import L0, L1, L2, Ball, Linf, rowwise
from .engine.gradient import logits_of

BALLS = {"L2": L2, "Linf": Linf, "L1": L1, "L0": L0}  # what is to be small
CLEAR = 32  # by how many roundings of the two logits a boundary must be crossed, so that another batch cannot undo it
BISECTIONS = 10


class Nearest:
    """The nearest adversarial image met so far and its distance; infinite where none was.

    Attributes
    ----------
    x : Tensor (n, c, h, w)
    distance : Tensor (n,)
    """

    def __init__(self, x: Tensor) -> None:
        self.x, self.distance = x, x.new_full((len(x),), torch.inf)

    def offer(self, x_adv: Tensor, distance: Tensor, valid: Tensor) -> None:
        """Keep `x_adv` where it is valid and nearer."""
        nearer = valid & (distance < self.distance)
        self.x = torch.where(rowwise(nearer, x_adv), x_adv, self.x)
        self.distance = torch.where(nearer, distance, self.distance)

    @torch.no_grad()
    def pull(
        self, model: Model, x: Tensor, y: Tensor, ball: Ball, targeted: bool = False, confidence: float = 0.0
    ) -> None:
        """Bisect the radius at which each image is projected back towards x: never to a worse one."""
        low, high, end = torch.zeros_like(self.distance), self.distance, self.x
        reached = self.distance.isfinite()
        for _ in range(BISECTIONS):
            middle = ((low + high) / 2).where(reached, 0)
            point = ball.at(middle).project(x, end)
            logits = logits_of(model, point).to(x.dtype)
            valid = reached & across(logits, y, targeted) & (past(logits, y, targeted) >= confidence)
            self.offer(point, ball.distance(x, point), valid)
            low, high = torch.where(valid, low, middle), torch.where(valid, middle, high)


def across(logits: Tensor, y: Tensor, targeted: bool) -> Tensor:
    """Return which images are past the boundary, and clear of it, (n,)."""
    logits = bounded(logits)
    own, ahead = logits.gather(1, y[:, None]).squeeze(1), margin(logits, y)
    return (-ahead if targeted else ahead) > clearance(own, own + ahead)


def clearance(one: Tensor, other: Tensor) -> Tensor:
    """Return how far apart two logits must be for their order to be certain."""
    return CLEAR * torch.finfo(one.dtype).eps * torch.maximum(one.abs(), other.abs())
