"""What a minimum-norm attack remembers: the nearest adversarial image so far."""

import torch
from torch import Tensor

from ..threat import rowwise


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
