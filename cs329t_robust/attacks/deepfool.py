"""DeepFool: walk to the nearest boundary of the linearised model, again and again, until it is crossed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import (
    Model,
    borrowed,
    check_count,
    check_finite,
    check_inputs,
    check_logits,
    check_number,
    full_precision,
)
from ..threat import L2, Linf, rowwise, unit
from .gradient import logits_of, slope
from .nearest import Nearest, across, clearance
from .rows import batched, looking, rivals, select, worth_leaving

NORMS = {"L2": L2, "Linf": Linf}
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
    Unlike the paper's code each step is clipped to [0, 1], so the result is an image, and the radius at which it is
    projected back towards x is bisected at the end: ten more forward passes that take the overshoot back, which is part
    of each step here, where the paper applies it once to the sum of all. One forward
    pass and one backward pass per candidate class serve the whole batch; images leave it once they have crossed.

    References
    ----------
    Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool", arXiv:1511.04599, algorithm 2 (and section 3.3 for p = inf).
    """
    x, y = check_inputs(model, x, y)
    check_count("steps", steps, 1)
    check_count("candidates", candidates, 2)
    check_count("keep", keep, 1)
    if not isinstance(norm, str) or norm not in NORMS:
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
            done[s.row], fallen[s.row] = s.now, ~standing
            if step == steps or (looking(x.device, step) and not bool(standing.any())):
                break
            if step == 0:
                s.rivals = rivals(logits.detach(), y, candidates - 1)
            gaps, slopes = _boundaries(logits, now, s.y, s.rivals)
            away = _distances(gaps, slopes, norm)
            moved = _cross(s.now, slopes, away, norm, overshoot)
            s.now = torch.where(rowwise(standing, x), moved, s.now)
            s.rivals = s.rivals.gather(1, away.argsort(stable=True, dim=1)[:, :keep])
            if worth_leaving(standing, step, steps - step):
                s = select(s, standing)
        ball, best = NORMS[norm](0.0), Nearest(x)
        best.offer(done, ball.distance(x, done), fallen)
        best.pull(model, x, y, ball)
    return check_finite(torch.where(rowwise(fallen, x), best.x, done))


def to_nearest_boundary(model: Model, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Return images one step further: past the nearest of the linear boundaries to nine other classes."""
    now = x.detach().requires_grad_()
    logits = logits_of(model, now).to(x.dtype)
    gaps, slopes = _boundaries(logits, now, y, rivals(logits.detach(), y, 9))
    return _cross(x, slopes, _distances(gaps, slopes, norm), norm, OVERSHOOT)


def _boundaries(logits: Tensor, now: Tensor, y: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far each of these classes (n, m) is from leading, (n, m), and the slopes of those gaps, (n, m, …)."""
    own, others, m = logits.gather(1, y[:, None]), logits.gather(1, classes), classes.shape[1]
    gaps = own - others
    slopes = [slope(gaps[:, j].sum(), now, again=j < m - 1) for j in range(m)]
    return (gaps + 2 * clearance(own, others)).detach(), torch.stack(slopes, 1)


def _distances(gaps: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """Return how far each linear boundary is away in the norm, (n, m)."""
    flat = slopes.flatten(2)
    size = flat.norm(dim=2) if norm == "L2" else flat.abs().sum(2)
    return gaps / size.clamp_min(torch.finfo(gaps.dtype).tiny)


def _cross(now: Tensor, slopes: Tensor, away: Tensor, norm: str, overshoot: float) -> Tensor:
    """Step to the nearest of the linear boundaries, and a little beyond, inside the image box."""
    rows, which = torch.arange(len(now), device=now.device), away.argmin(1)
    steepest, far = slopes[rows, which], away[rows, which].clamp_max(now[0].numel())  # a level model is infinitely far
    way = unit(steepest) if norm == "L2" else steepest.sign()
    return (now - (1 + overshoot) * rowwise(far, now) * way).clamp(0, 1)
