"""Auto-PGD: PGD with momentum that halves each image's own step when the loss stops rising. No step size to tune."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import Loss, Model, borrowed, check_count, check_finite, check_inputs
from ..losses import cross_entropy
from ..randomness import ImageRandom
from ..threat import Ball, rowwise
from .gradient import input_gradient
from .rows import COMPACT, select

MOMENTUM, RISES = 0.75, 0.75  # alpha and rho of the paper


@dataclass
class State:
    """What APGD knows of each image; every tensor has n rows."""

    row: Tensor
    x: Tensor
    y: Tensor
    threat: Ball
    now: Tensor
    last: Tensor
    step: Tensor
    best: Tensor
    best_loss: Tensor
    best_grad: Tensor
    loss: Tensor
    rises: Tensor
    halved: Tensor
    best_before: Tensor


def apgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Ball,
    steps: int = 100,
    restarts: int = 1,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    drop_broken: bool = False,
    seed: int = 0,
) -> Tensor:
    """Climb the loss with Auto-PGD.

    Parameters
    ----------
    model, x, y, threat, targeted, loss, drop_broken, seed
        As in `pgd`.
    steps : int >= 1
        Gradients of each restart; 100 as published.
    restarts : int >= 1

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: a success where one was met, else the highest loss.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", arXiv:2003.01690, algorithm 1.
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("steps", steps, 1)
    check_count("restarts", restarts, 1)
    check_count("seed", seed, 0)
    sign = -1 if targeted else 1
    with borrowed(model):
        result, score = x.clone(), x.new_full((len(x),), -torch.inf)
        todo, random = torch.arange(len(x), device=x.device), ImageRandom(seed, x)
        for _ in range(restarts):
            near = threat.select(todo)
            start = near.sample(x[todo], random)
            found, found_score = _climb(model, x[todo], y[todo], start, near, steps, loss, sign, drop_broken)
            better = found_score > score[todo]
            result[todo[better]], score[todo[better]] = found[better], found_score[better]
            if drop_broken:
                standing = score[todo] < torch.inf
                todo, random = todo[standing], random.select(standing)
                if not len(todo):
                    break
    return check_finite(result)


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which APGD looks back: 0.22, 0.41, 0.57, … of the budget (the paper's section 3.1)."""
    before, now, marks = 0.0, 0.22, []
    while now < 1:
        marks.append(max(1, round(now * steps + 0.499)))
        before, now = now, now + max(now - before - 0.03, 0.06)
    return marks


def _climb(
    model: Model, x: Tensor, y: Tensor, start: Tensor, threat: Ball, steps: int, loss: Loss, sign: int, drop: bool
) -> tuple[Tensor, Tensor]:
    n = len(x)
    eps = torch.as_tensor(threat.eps, dtype=x.dtype, device=x.device).expand(n)
    found, found_score = start.clone(), x.new_full((n,), -torch.inf)
    no = torch.zeros(n, dtype=torch.bool, device=x.device)
    low = x.new_full((n,), -torch.inf)
    s = State(
        row=torch.arange(n, device=x.device), x=x, y=y, threat=threat, now=start, last=start, step=2 * eps,
        best=start, best_loss=low, best_grad=torch.zeros_like(x), loss=low, rises=torch.zeros_like(eps),
        halved=~no, best_before=low,
    )  # fmt: skip
    marks, since = set(checkpoints(steps)), 0
    for i in range(steps):
        grad, logits = input_gradient(model, s.now, s.y, loss, check=i == 0)
        grad, value = sign * grad, sign * loss(logits, s.y).to(x.dtype)
        broken = (logits.argmax(1) == s.y) == (sign < 0)
        first = broken & (found_score[s.row] < torch.inf)
        found[s.row[first]], found_score[s.row[first]] = s.now[first], torch.inf
        s.rises = s.rises + (value > s.loss)
        s.loss = value
        better = value > s.best_loss
        s.best = torch.where(rowwise(better, x), s.now, s.best)
        s.best_grad = torch.where(rowwise(better, x), grad, s.best_grad)
        s.best_loss = torch.where(better, value, s.best_loss)
        since += 1
        if i in marks:
            grad = _look_back(s, since, grad)
            since = 0
        if drop:
            keep = found_score[s.row] < torch.inf
            if int(keep.sum()) <= (1 - COMPACT) * len(s.row):
                s, grad = select(s, keep), grad[keep]
            if not len(s.row):
                return found, found_score
        ahead = s.threat.project(s.x, s.threat.ascend(s.x, s.now, grad, s.step))
        if i:
            ahead = s.threat.project(s.x, s.now + MOMENTUM * (ahead - s.now) + (1 - MOMENTUM) * (s.now - s.last))
        s.last, s.now = s.now, ahead
    standing = found_score[s.row] < torch.inf
    found[s.row[standing]], found_score[s.row[standing]] = s.best[standing], s.best_loss[standing]
    return found, found_score


def _look_back(s: State, since: int, grad: Tensor) -> Tensor:
    """Halve the step of images that stopped rising, and put them back to their best point."""
    stuck = (s.rises < RISES * since) | (~s.halved & (s.best_loss <= s.best_before))
    s.step = torch.where(stuck, s.step / 2, s.step)
    s.now = torch.where(rowwise(stuck, s.x), s.best, s.now)
    s.halved, s.best_before, s.rises = stuck, s.best_loss, torch.zeros_like(s.rises)
    return torch.where(rowwise(stuck, s.x), s.best_grad, grad)
