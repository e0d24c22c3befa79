"""What Auto-PGD remembers: of each run where it is and how far it came, of each image the best that was found."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_finite
from ..threat import Threat, rowwise
from .engine.shrinking import Batch, Found, first_rows
from .engine.success import confirmed


@dataclass(kw_only=True)
class APGDState(Batch):
    """What APGD knows of each run; an image may have several, one for each target. `x_adv` is the paper's x^(k)."""

    target: Tensor
    previous: Tensor  # x^(k−1)
    step_size: Tensor  # η
    loss: Tensor  # f(x^(k))
    grad: Tensor  # its gradient
    best: Tensor  # x_max; `adversarial` says whether that one is
    best_loss: Tensor  # f_max
    best_grad: Tensor  # the gradient at x_max
    is_confirmed: Tensor  # whether x_max was confirmed to be adversarial
    rises: Tensor  # how many steps raised f since the last look back
    halved: Tensor  # whether η was halved there; at first as if it was
    best_before: Tensor  # f_max there
    support: Tensor  # L1 alone: how many values x_max changed at the last look

    @classmethod
    def start(
        cls, image: Tensor, x: Tensor, y: Tensor, target: Tensor, threat: Threat, x_adv: Tensor, step_size: Tensor
    ) -> "APGDState":
        """Return what is known at the first point of each run."""
        lowest, no = torch.full_like(step_size, -torch.inf), torch.zeros_like(y, dtype=torch.bool)
        zero = torch.zeros_like(x)
        return cls(
            image=image, x=x, y=y, target=target, threat=threat, x_adv=x_adv, previous=x_adv, step_size=step_size,
            loss=-lowest,  # the start is no rise
            grad=zero, best=x_adv, best_loss=lowest, best_grad=zero, adversarial=no, is_confirmed=no,
            rises=torch.zeros_like(step_size), halved=~no, best_before=lowest, support=support(x, x_adv),
        )  # fmt: skip


def support(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return how many values of each image differ, but at least 1, (n,): in float32, since float16 ends at 65,504."""
    return (x_adv != x).flatten(1).sum(1).clamp_min(1).float()


class APGDFound(Found):
    """Of each image its adversarial point of the highest loss, else the point of the highest loss.

    Attributes
    ----------
    x_adv : Tensor (n, c, h, w)
    score : Tensor (n,)
        Infinite once an adversarial point was met, else the loss of `x_adv`.
    score_before : Tensor (n,)
        The score before the restart that is running.
    adversarial_loss : Tensor (n,)
        The loss of the adversarial point that `x_adv` is; −inf without one.
    """

    def __init__(self, model: Model, x: Tensor, targeted: bool = False) -> None:
        self.model, self.targeted = model, targeted
        self.x_adv, self.score = x.clone(), x.new_full((len(x),), -torch.inf)
        self.score_before, self.adversarial_loss = self.score.clone(), self.score.clone()

    @property
    def adversarial(self) -> Tensor:
        """Of which images an adversarial point was met, (n,)."""
        return self.score == torch.inf

    def count(self, s: APGDState) -> int:
        """Return how many images are adversarial so far."""
        return int(self.adversarial.sum())

    def observe(self, s: APGDState, loss: Tensor, adversarial: Tensor, drop: bool) -> None:
        """Update f_max and x_max; an adversarial point gives way only to a higher one.

        With `drop` it gives way to none, and once an image has one its other runs can have no more.
        """
        loss = loss.to(s.x.dtype).nan_to_num(nan=torch.finfo(s.x.dtype).min)  # a point counts also without a number
        adversarial = adversarial & (self.score[s.image] < torch.inf) if drop else adversarial
        first, robust = adversarial & ~s.adversarial, ~s.adversarial
        better = first | ((loss > s.best_loss) & (robust if drop else robust | adversarial))
        s.rises, s.loss = s.rises + (loss > s.loss), loss
        s.adversarial, s.is_confirmed = s.adversarial | adversarial, s.is_confirmed & ~better
        score = torch.where(adversarial, torch.inf, -torch.inf).to(self.score)
        self.score = self.score.scatter_reduce(0, s.image, score, "amax")
        s.best = torch.where(rowwise(better, s.x), s.x_adv, s.best)
        s.best_grad = torch.where(rowwise(better, s.x), s.grad, s.best_grad)
        s.best_loss = torch.where(better, loss, s.best_loss)

    def take(self, s: APGDState) -> None:
        """Keep each image's highest adversarial point. Called where rows leave, not at each step: a host would wait."""
        check_finite(s.x_adv, "runs")  # a model's answer to NaN may pass for robustness
        self.confirm(s)

    def confirm(self, s: APGDState) -> None:
        """Keep each image's highest adversarial point, of those that are so in full precision."""
        claimed = s.adversarial & ~s.is_confirmed
        certain = confirmed(self.model, s.best, s.y, claimed, self.targeted)
        if certain is not claimed:
            refuted = s.image[claimed & ~certain]
            self.score[refuted] = self.score_before[refuted]
        s.adversarial = s.is_confirmed = s.is_confirmed | certain
        rows = self._highest(s, s.is_confirmed, self.adversarial_loss)
        self.x_adv[s.image[rows]], self.adversarial_loss[s.image[rows]] = s.best[rows], s.best_loss[rows]
        self.score = self.score.masked_fill(self.adversarial_loss > -torch.inf, torch.inf)

    def take_best(self, s: APGDState) -> None:
        """Keep the highest point of each image that is still robust, if it is above what was found before."""
        rows = self._highest(s, torch.ones_like(s.adversarial), self.score)
        self.x_adv[s.image[rows]], self.score[s.image[rows]] = s.best[rows], s.best_loss[rows]

    def _highest(self, s: APGDState, chosen: Tensor, above: Tensor) -> Tensor:
        """Return, for each image that has one, the chosen row of the highest loss above the image's own limit."""
        loss = s.best_loss.where(chosen, -torch.inf)
        top = above.scatter_reduce(0, s.image, loss, "amax")
        return first_rows(s.image, (loss == top[s.image]) & (loss > above[s.image]), len(above))
