"""What Auto-PGD remembers: of each climb where it is and how far it came, of each image the best that was found."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.inputs import Model
from ..threat import Threat
from .engine.shrinking import confirmed, first_rows


@dataclass
class State:
    """What APGD knows of each climb; every tensor has as many rows as there are climbs (an image may have several)."""

    image: Tensor  # whose climb it is
    x: Tensor
    y: Tensor
    target: Tensor
    threat: Threat
    now: Tensor  # x^(k)
    last: Tensor  # x^(k−1)
    step: Tensor  # η
    best: Tensor  # x_max
    best_loss: Tensor  # f_max
    best_grad: Tensor  # the gradient at x_max
    won: Tensor  # whether `best` is a success
    sure: Tensor  # whether that was confirmed
    loss: Tensor  # f(x^(k))
    rises: Tensor  # how many steps raised f since the last look back
    halved: Tensor  # whether η was halved there; at first as if it was
    best_before: Tensor  # f_max there
    support: Tensor  # L1 alone: how many values the best point changed at the last look


class Found:
    """The outcome for each image: its highest success, else the highest loss met.

    Attributes
    ----------
    x_adv : Tensor (n, c, h, w)
    score : Tensor (n,)
        Infinite once a success was met, else the loss of `x_adv`.
    before : Tensor (n,)
        The score before the climb that is running.
    won : Tensor (n,)
        The loss of the success that `x_adv` is; −inf without one.
    """

    def __init__(self, x: Tensor) -> None:
        self.x_adv, self.score = x.clone(), x.new_full((len(x),), -torch.inf)
        self.before, self.won = self.score.clone(), self.score.clone()

    def succeed(self, s: State, broken: Tensor) -> None:
        """Call the images of these rows broken from now on."""
        high = torch.where(broken, torch.inf, -torch.inf).to(self.score)
        self.score = self.score.scatter_reduce(0, s.image, high, "amax")

    def record(self, model: Model, s: State, targeted: bool) -> None:
        """Keep each image's highest success. Called where rows leave, not at each step: a host would wait."""
        claimed = s.won & ~s.sure
        sure = confirmed(model, s.best, s.y, claimed, targeted)
        if sure is not claimed:
            unsure = s.image[claimed & ~sure]
            self.score[unsure] = self.before[unsure]
        s.won = s.sure = s.sure | sure
        rows = highest(s, s.sure, self.won)
        self.x_adv[s.image[rows]], self.won[s.image[rows]] = s.best[rows], s.best_loss[rows]
        self.score = self.score.masked_fill(self.won > -torch.inf, torch.inf)

    def fail(self, s: State) -> None:
        """Keep the best climb of each image that still stands, if it beats what was found before."""
        rows = highest(s, torch.ones_like(s.won), self.score)
        self.x_adv[s.image[rows]], self.score[s.image[rows]] = s.best[rows], s.best_loss[rows]


def highest(s: State, chosen: Tensor, above: Tensor) -> Tensor:
    """Return, for each image that has one, the chosen row of the highest loss above the image's own limit."""
    loss = s.best_loss.where(chosen, -torch.inf)
    top = above.scatter_reduce(0, s.image, loss, "amax")
    return first_rows(s.image, (loss == top[s.image]) & (loss > above[s.image]), len(above))
