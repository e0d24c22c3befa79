"""The lecture's relaxation, min d(x, x') + λ·penalty, and Carlini & Wagner's search for the λ of each image."""

import math
from numbers import Real

import torch
from torch import Tensor

from ..contract import Loss, Model, borrowed, check_count, check_finite, check_inputs, full_precision
from ..losses import margin, squared_penalty
from ..progress import section, tick
from ..threat import Linf, rowwise
from .captured import gradients
from .nearest import Nearest
from .rows import batched


@batched
def penalty(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    weight: float | Tensor = 1.0,
    loss: Loss = squared_penalty,
    steps: int = 200,
    step_size: float = 0.02,
    targeted: bool = False,
) -> Tensor:
    """Minimise ‖x' − x‖₂² + λ·loss(F(x'), T) towards a target T, or ‖x' − x‖₂² − λ·loss(F(x'), y) away from y.

    Parameters
    ----------
    model, x, y, targeted
        As in `pgd`.
    weight : float or Tensor (n,), > 0
        The λ of the lecture; a tensor gives each image its own, so a ladder of λ is one batched attack.
    loss : callable
        `squared_penalty` for the lecture's first form, (F(x') − T)², or `cross_entropy` for its second.
    steps : int >= 1
    step_size : float > 0
        Adam's learning rate, in pixel values.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]: the minimiser that was reached. Whether it is adversarial depends on λ: classify it.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Szegedy et al. 2014, "Intriguing properties of neural networks", arXiv:1312.6199, section 4.1 (the form with
    cross-entropy, by L-BFGS).
    """
    x, y = check_inputs(model, x, y, Linf(0.0))
    check_count("steps", steps, 1)
    _check_rate(step_size)
    weight = _check_weight(weight, x)
    sign = 1 if targeted else -1
    with borrowed(model):
        last = _descend(model, x, y, lambda z, y: sign * weight * loss(z, y), steps, step_size, None, targeted)
    return check_finite(last)


@batched
def cw(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 100,
    searches: int = 9,
    weight: float = 1.0,
    confidence: float = 0.0,
    step_size: float = 0.02,
    targeted: bool = False,
) -> Tensor:
    """Find a near adversarial example in L2: minimise ‖x' − x‖₂² + c·hinge, with a c searched for each image.

    Parameters
    ----------
    model, x, y, targeted
        As in `pgd`. An image that is already misclassified (or at its target) comes back unchanged.
    steps : int >= 1
        Gradients for each c.
    searches : int >= 1
        Values of c tried for each image: tenfold until one succeeds, then by bisection.
    weight : float > 0
        The first c.
    confidence : float >= 0
        How far, in logits, the result should lie past the boundary.
    step_size : float > 0
        Adam's learning rate, in pixel values.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]: the nearest adversarial example met. Where none was, the last point tried, still
        classified as `y`: count successes by classifying the result.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    The paper keeps pixels in the box by a tanh, under which a pixel at exactly 0 or 1 has no gradient and can never
    move (83% of MNIST's). Here each step is clipped to the box instead.

    References
    ----------
    Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", arXiv:1608.04644, section VI.A.
    """
    x, y = check_inputs(model, x, y, Linf(0.0))
    check_count("steps", steps, 1)
    check_count("searches", searches, 1)
    _check_rate(step_size)
    c = _check_weight(weight, x).expand(len(x)).clone()
    if not 0 <= confidence < math.inf:
        raise ValueError(f"confidence: expected a number of logits >= 0, got {confidence!r}")
    low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
    best = Nearest(x)
    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        for search in range(searches):
            before = best.distance

            def hinge(z: Tensor, y: Tensor) -> Tensor:
                lead = margin(z, y) if targeted else -margin(z, y)
                return c * (lead + confidence).clamp_min(0)  # noqa: B023

            here = Nearest(x)
            with section(search / searches, (search + 1) / searches):
                last = _descend(model, x, y, hinge, steps, step_size, here, targeted, confidence)
            best.offer(here.x, here.distance, here.distance < before)
            reached = here.distance.isfinite()
            low, high = torch.where(reached, low, c), torch.where(reached, torch.minimum(high, c), high)
            c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)
    return check_finite(torch.where(rowwise(best.distance.isfinite(), x), best.x, last))


def _descend(
    model: Model,
    x: Tensor,
    y: Tensor,
    toll: Loss,
    steps: int,
    step_size: float,
    nearest: Nearest | None,
    targeted: bool,
    confidence: float = 0.0,
) -> Tensor:
    """Minimise ‖x' − x‖₂² + toll by Adam, clipped to the box; offer every adversarial point met to `nearest`."""
    now = x.clone()
    adam = torch.optim.Adam([now], lr=step_size)
    gradient = gradients(model, y, toll, steps, False)
    for i in range(steps + (nearest is not None)):
        tick(i / (steps + 1), lambda: 0 if nearest is None else int(nearest.distance.isfinite().sum()))
        grad, logits = gradient(now, check=i == 0)
        if nearest is not None:
            lead = margin(logits, y)
            lead = -lead if targeted else lead
            nearest.offer(now, (now - x).flatten(1).norm(dim=1), (lead > 0) & (lead >= confidence))
        if i == steps:
            break
        now.grad = grad + 2 * (now - x)
        adam.step()
        with torch.no_grad():
            now.clamp_(0, 1)
    return now.detach()


def _check_rate(step_size: float) -> None:
    if isinstance(step_size, bool) or not isinstance(step_size, Real) or not 0 < step_size < math.inf:
        raise ValueError(f"step_size: expected a number > 0 in pixel values, got {step_size!r}")


def _check_weight(weight: float | Tensor, x: Tensor) -> Tensor:
    known = isinstance(weight, Tensor) or (isinstance(weight, Real) and not isinstance(weight, bool))
    value = torch.as_tensor(weight, device=x.device).to(x.dtype) if known else x.new_zeros(1)
    if not bool((value.isfinite() & (value > 0)).all()) or value.ndim > 1 or value.numel() not in (1, len(x)):
        raise ValueError(f"weight: expected a number > 0 or a tensor ({len(x)},) of them, got {weight!r}")
    return value
