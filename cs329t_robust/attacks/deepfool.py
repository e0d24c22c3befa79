"""DeepFool: walk to the nearest boundary of the linearised model, again and again, until it is crossed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.borrowing import borrowed, full_precision
from ..contract.inputs import Model, check_count, check_finite, check_inputs, check_logits, check_number
from ..threat import rowwise, unit
from ..threat.projections import onto_hyperplane
from .engine.gradient import logits_of, slope
from .engine.shrinking import batched, looking, rivals, select, worth_leaving
from .nearest import BALLS, Nearest, across, clearance

ENOUGH = 0.999  # share of a gap that a step has to close, for rounding
PATIENCE = 25  # steps after which a search must be stuck where the box cuts its steps short
OVERSHOOT = 0.02


@dataclass
class State:
    """The images still on the right side; every tensor has n rows."""

    row: Tensor
    x: Tensor
    y: Tensor
    now: Tensor
    rivals: Tensor


@batched
def deepfool(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    norm: str = "L2",
    steps: int = 50,
    candidates: int = 10,
    keep: int = 3,
    overshoot: float = OVERSHOOT,
) -> Tensor:
    """Find a near adversarial example of each image by linearising the model at every step.

    Parameters
    ----------
    model, x, y
        As in `pgd`. An image that is not classified as `y` comes back unchanged.
    norm : "L2" or "Linf"
        What is to be small.
    steps : int >= 1
    candidates : int >= 2
        Classes considered, by descending logit; the paper's 10.
    keep : int >= 1
        Of the other classes, how many are still considered after the first step: those with the nearest boundaries. 9
        for the paper's algorithm, which finds no nearer images and takes more than twice the time.
    overshoot : float >= 0
        Each step goes this share beyond the linear boundary.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]. Images that could not be moved across come back at the last point tried, still
        classified as `y`: count successes by classifying the result.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    Unlike the paper's each step is clipped to [0, 1], so the result is an image. What the clipping takes away may leave
    a search stuck: after 25 steps the pixels that the box leaves free go so much the farther. The overshoot is part of
    each step, where the paper applies it once to the sum of all; at the end the radius at which an image is projected
    back towards x is bisected, by ten more forward passes, which takes it back. One forward pass and one backward pass
    per candidate class serve the whole batch; images leave it once they have crossed.

    References
    ----------
    Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool", arXiv:1511.04599, algorithm 2 (and section 3.3 for p = inf).
    """
    x, y = check_inputs(model, x, y)
    check_count("steps", steps, 1)
    check_count("candidates", candidates, 2)
    check_count("keep", keep, 1)
    if not isinstance(norm, str) or norm not in ("L2", "Linf"):
        raise ValueError(f"norm: expected 'L2' or 'Linf', got {norm!r}")
    check_number("overshoot", overshoot, 0)
    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        done, fallen = x.clone(), torch.zeros_like(y, dtype=torch.bool)
        s = State(torch.arange(len(x), device=x.device), x, y, x, y[:, None])
        for step in range(steps + 1):
            now = s.now.detach().requires_grad_()
            logits = logits_of(model, now)
            if step == 0:
                check_logits(logits, now, y)
            logits = logits.to(x.dtype)
            standing = ~across(logits, s.y, False) if step else logits.argmax(1) == y  # x is classified as it stands
            standing &= ~fallen[s.row]  # who was wrong by a hair at x is not asked to be clear of the boundary
            done[s.row], fallen[s.row] = s.now, ~standing
            if step == steps or (looking(x.device, step) and not bool(standing.any())):
                break
            if step == 0:
                s.rivals = rivals(logits.detach(), y, candidates - 1)
            gaps, slopes = _boundaries(model, logits, now, s.y, s.rivals)
            away = _distances(gaps, slopes, norm)
            ways = _straight(away, slopes, norm) if step < PATIENCE else _inside(s.now, gaps, slopes, norm)
            moved = _go(s.now, _of_each(ways, away.argmin(1)), overshoot)
            s.now = torch.where(rowwise(standing, x), moved, s.now)
            s.rivals = s.rivals.gather(1, away.argsort(stable=True, dim=1)[:, :keep])
            if worth_leaving(standing, step, steps - step):
                s = select(s, standing)
        ball, best = BALLS[norm](0.0), Nearest(x)
        best.offer(done, ball.distance(x, done), fallen)
        best.pull(model, x, y, ball)
    return check_finite(torch.where(rowwise(fallen, x), best.x, done))


def to_nearest_boundary(model: Model, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Return the nearest images past one of the linear boundaries to nine other classes, and a little farther."""
    now = x.detach().requires_grad_()
    logits = logits_of(model, now).to(x.dtype)
    gaps, slopes = _boundaries(model, logits, now, y, rivals(logits.detach(), y, 9))
    steps = _inside(x, gaps, slopes, norm)
    each = steps.flatten(0, 1)
    away = BALLS[norm](0.0).distance(torch.zeros_like(each), each).view_as(gaps)
    away = away.where(-(steps * slopes).flatten(2).sum(2) >= ENOUGH * gaps, torch.inf)
    return _go(x, _of_each(steps, away.argmin(1)), OVERSHOOT)


def _boundaries(model: Model, logits: Tensor, now: Tensor, y: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far each of these classes (n, m) is from leading, (n, m), and the slopes of those gaps, (n, m, …)."""

    def gaps_in(logits: Tensor) -> Tensor:
        return logits.gather(1, y[:, None]) - logits.gather(1, classes)

    gaps, m = gaps_in(logits), classes.shape[1]
    try:
        slopes = [slope(gaps[:, j].sum(), now, again=j < m - 1) for j in range(m)]
    except RuntimeError:  # a compiled model goes back only once, so it is asked anew for each class
        slopes = [slope(gaps_in(logits_of(model, now).to(now.dtype))[:, j].sum(), now) for j in range(m)]
    clear = 2 * clearance(logits.gather(1, y[:, None]), logits.gather(1, classes))
    return (gaps + clear).detach(), torch.stack(slopes, 1)


def _distances(gaps: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """Return how far each linear boundary is away in the norm, (n, m), if no box is in the way."""
    flat = slopes.flatten(2)
    size = flat.norm(dim=2) if norm == "L2" else flat.abs().sum(2)
    return gaps / size.clamp_min(torch.finfo(gaps.dtype).tiny)


def _straight(away: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """Return the shortest step to each linear boundary, (n, m, …), wherever it leads."""
    away = away.clamp_max(slopes[0, 0].numel())  # a level model is infinitely far
    way = unit(slopes.flatten(0, 1)).view_as(slopes) if norm == "L2" else slopes.sign()
    return -away.view(*away.shape, *[1] * (slopes.ndim - 2)) * way


def _inside(now: Tensor, gaps: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """Return the shortest step to each linear boundary that stays in the box, (n, m, …), or as far as the box goes."""
    here, way = now.flatten(1).repeat_interleave(gaps.shape[1], 0), -slopes.flatten(2).flatten(0, 1)
    step = onto_hyperplane(here, way, gaps.flatten(), norm) - here
    return (step + 0 * way).view_as(slopes)  # NaN where a slope is no number


def _go(now: Tensor, step: Tensor, overshoot: float) -> Tensor:
    return (now + (1 + overshoot) * step).clamp(0, 1)


def _of_each(values: Tensor, which: Tensor) -> Tensor:
    """Return one of the m values of each row."""
    return values[torch.arange(len(values), device=values.device), which]
