"""What a minimum-norm attack remembers, the nearest adversarial image so far, and how it pulls that nearer still."""

import torch
from torch import Tensor

from ..contract.input_validation import Model
from ..losses import adversarial_margin
from ..threat import L0, L1, L2, Ball, Linf, rowwise
from .engine.gradient import logits_of
from .engine.shrinking import Batch, Found
from .engine.success import is_clearly_adversarial

BALLS = {"L2": L2, "Linf": Linf, "L1": L1, "L0": L0}  # what is to be small
BISECTIONS = 10


class Nearest(Found):
    """The nearest adversarial image met so far and its distance; infinite where none was.

    Attributes
    ----------
    x_adv : Tensor (n, c, h, w)
    distance : Tensor (n,)
    """

    def __init__(self, x: Tensor) -> None:
        self.x_adv, self.distance = x, x.new_full((len(x),), torch.inf)

    @property
    def adversarial(self) -> Tensor:
        """Of which images one was met, (n,)."""
        return self.distance.isfinite()

    def count(self, s: Batch) -> int:
        """Return how many images are adversarial so far."""
        return int(self.adversarial.sum())

    def offer(self, x_adv: Tensor, distance: Tensor, adversarial: Tensor) -> None:
        """Keep `x_adv` where it is adversarial and nearer."""
        nearer = adversarial & (distance < self.distance)
        self.x_adv = torch.where(rowwise(nearer, x_adv), x_adv, self.x_adv)
        self.distance = torch.where(nearer, distance, self.distance)

    @torch.no_grad()
    def pull(
        self, model: Model, x: Tensor, y: Tensor, ball: Ball, targeted: bool = False, confidence: float = 0.0
    ) -> None:
        """Bisect the radius at which each image is projected back towards x: never to a worse one."""
        low, high, end = torch.zeros_like(self.distance), self.distance, self.x_adv
        met = self.adversarial
        for _ in range(BISECTIONS):
            middle = ((low + high) / 2).where(met, 0)
            point = ball.at(middle).project(x, end)
            logits = logits_of(model, point).to(x.dtype)
            adversarial = met & is_clearly_adversarial(logits, y, targeted)
            adversarial &= adversarial_margin(logits, y, targeted) >= confidence
            self.offer(point, ball.distance(x, point), adversarial)
            low, high = torch.where(adversarial, low, middle), torch.where(adversarial, middle, high)
