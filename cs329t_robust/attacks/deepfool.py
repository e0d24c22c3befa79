"""DeepFool: step to the nearest boundary of the linearised model, again and again, until it is crossed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite, check_inputs, check_number
from ..contract.model_state import borrowed, full_precision
from ..threat import rowwise, unit
from ..threat.projections import onto_hyperplane
from .engine.batches import batched
from .engine.gradient import gradient_of, logits_of
from .engine.search import Search
from .engine.shrinking import Batch
from .engine.success import clearance, is_adversarial, is_clearly_adversarial, rivals
from .minimum_norm import BALLS, Nearest

ENOUGH = 0.999  # share of a gap that a step has to close, for rounding
PATIENCE = 25  # steps after which a search must be stuck where the box cuts its steps short
OVERSHOOT = 0.02


@dataclass(kw_only=True)
class DeepFoolState(Batch):
    """The images that are still robust."""

    rivals: Tensor  # (n, m): the other classes that are still considered


@batched()
def deepfool(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    norm: str = "L2",
    steps: int = 50,
    candidates: int = 10,
    nearest: int = 3,
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
    nearest : int >= 1
        Of the other classes, how many are still considered after the first step: those with the nearest boundaries. 9
        for the paper's algorithm, which finds no nearer images and takes more than twice the time.
    overshoot : float >= 0
        Each step goes this share beyond the linear boundary.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]. Images that stayed robust come back at the last point tried, still
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
    check_count("nearest", nearest, 1)
    if not isinstance(norm, str) or norm not in ("L2", "Linf"):
        raise ValueError(f"norm: expected 'L2' or 'Linf', got {norm!r}")
    check_number("overshoot", overshoot, 0)
    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        s = DeepFoolState(x=x, y=y, x_adv=x, rivals=y[:, None])
        search = Search(model, s, drop=True)
        for step in search.steps(steps + 1):
            point = s.x_adv.detach().requires_grad_()
            logits = search.logits(point).to(x.dtype)
            # x is judged as it is: who is wrong by a hair there is not asked to be clear of the boundary
            adversarial = is_clearly_adversarial(logits, s.y) if step else is_adversarial(logits, y)
            s.adversarial = s.adversarial | adversarial
            if step == steps or search.all_adversarial():
                break
            if step == 0:
                s.rivals = rivals(logits.detach(), y, candidates - 1)
            gaps, gradients = _boundaries(model, logits, point, s.y, s.rivals)
            away = _distances(gaps, gradients, norm)
            ways = _straight(away, gradients, norm) if step < PATIENCE else _inside(s.x_adv, gaps, gradients, norm)
            search.move(_go(s.x_adv, _of_each(ways, away.argmin(1)), overshoot))
            s.rivals = s.rivals.gather(1, away.argsort(stable=True, dim=1)[:, :nearest])
            search.shrink_to(~s.adversarial)
        found = search.finish()
        ball, best = BALLS[norm](0.0), Nearest(x)
        best.offer(found.x_adv, ball.distance(x, found.x_adv), found.adversarial)
        best.pull(model, x, y, ball)
    return check_finite(torch.where(rowwise(found.adversarial, x), best.x_adv, found.x_adv))


def to_nearest_boundary(model: Model, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Return the nearest images beyond one of the linear boundaries to nine other classes, and a little farther."""
    now = x.detach().requires_grad_()
    logits = logits_of(model, now).to(x.dtype)
    gaps, gradients = _boundaries(model, logits, now, y, rivals(logits.detach(), y, 9))
    steps = _inside(x, gaps, gradients, norm)
    each = steps.flatten(0, 1)
    away = BALLS[norm](0.0).distance(torch.zeros_like(each), each).view_as(gaps)
    away = away.where(-(steps * gradients).flatten(2).sum(2) >= ENOUGH * gaps, torch.inf)
    return _go(x, _of_each(steps, away.argmin(1)), OVERSHOOT)


def _boundaries(model: Model, logits: Tensor, now: Tensor, y: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return by how much each of these classes (n, m) is behind, (n, m), and the gradients of those gaps."""

    def gaps_in(logits: Tensor) -> Tensor:
        return logits.gather(1, y[:, None]) - logits.gather(1, classes)

    gaps, m = gaps_in(logits), classes.shape[1]
    try:
        gradients = [gradient_of(gaps[:, j].sum(), now, again=j < m - 1) for j in range(m)]
    except RuntimeError:  # a compiled model goes back only once, so it is asked anew for each class
        gradients = [gradient_of(gaps_in(logits_of(model, now).to(now.dtype))[:, j].sum(), now) for j in range(m)]
    clear = 2 * clearance(logits.gather(1, y[:, None]), logits.gather(1, classes))
    return (gaps + clear).detach(), torch.stack(gradients, 1)


def _distances(gaps: Tensor, gradients: Tensor, norm: str) -> Tensor:
    """Return how far each linear boundary is away in the norm, (n, m), if no box is in the way."""
    flat = gradients.flatten(2)
    size = flat.norm(dim=2) if norm == "L2" else flat.abs().sum(2)
    return gaps / size.clamp_min(torch.finfo(gaps.dtype).tiny)


def _straight(away: Tensor, gradients: Tensor, norm: str) -> Tensor:
    """Return the shortest step to each linear boundary, (n, m, …), wherever it leads."""
    away = away.clamp_max(gradients[0, 0].numel())  # a level model is infinitely far
    way = unit(gradients.flatten(0, 1)).view_as(gradients) if norm == "L2" else gradients.sign()
    return -away.view(*away.shape, *[1] * (gradients.ndim - 2)) * way


def _inside(now: Tensor, gaps: Tensor, gradients: Tensor, norm: str) -> Tensor:
    """Return the shortest step to each linear boundary that stays in the box, (n, m, …), or as far as the box goes."""
    here, way = now.flatten(1).repeat_interleave(gaps.shape[1], 0), -gradients.flatten(2).flatten(0, 1)
    step = onto_hyperplane(here, way, gaps.flatten(), norm) - here
    return (step + 0 * way).view_as(gradients)  # NaN where a gradient is no number


def _go(now: Tensor, step: Tensor, overshoot: float) -> Tensor:
    return (now + (1 + overshoot) * step).clamp(0, 1)


def _of_each(values: Tensor, which: Tensor) -> Tensor:
    """Return one of the m values of each row."""
    return values[torch.arange(len(values), device=values.device), which]
