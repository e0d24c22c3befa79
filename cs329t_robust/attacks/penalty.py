"""The lecture's relaxation, min d(x, x') + λ·penalty, and Carlini & Wagner's search for the λ of each image."""

from math import cos, pi
from numbers import Real

import torch
from torch import Tensor

from ..contract.input_validation import Loss, Model, check_count, check_finite, check_inputs, check_number
from ..contract.model_state import borrowed, full_precision
from ..losses import adversarial_margin, squared_penalty
from ..runtime.progress_bar import section
from ..threat import L2, rowwise
from .engine.batches import batched
from .engine.search import Search
from .engine.shrinking import Batch
from .engine.success import is_adversarial
from .minimum_norm import Nearest

LARGEST = 1e10  # c, as in the authors' code
LAST_STEP = 0.1  # share of the learning rate with which a search for c ends


@batched("weight")
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
        Detached, in [0, 1]: the minimiser that was found. Whether it is adversarial depends on λ: classify it.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Szegedy et al. 2014, "Intriguing properties of neural networks", arXiv:1312.6199, section 4.1 (the form with
    cross-entropy, by L-BFGS).
    """
    x, y = check_inputs(model, x, y)
    check_count("steps", steps, 1)
    check_number("step_size", step_size, 0, above=True, unit=" in pixel values")
    weight = _check_weight(weight, x)
    sign = 1 if targeted else -1
    with borrowed(model):
        last = _descend(model, x, y, lambda z, y: sign * weight * loss(z, y), steps, step_size, None, targeted)
    return check_finite(last)


@batched("weight")
def cw(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 100,
    searches: int = 9,
    weight: float | Tensor = 1.0,
    confidence: float = 0.0,
    step_size: float = 0.02,
    targeted: bool = False,
) -> Tensor:
    """Find a near adversarial example in L2: minimise ‖x' − x‖₂² + c·hinge, with a c searched for each image.

    Parameters
    ----------
    model, x, y, targeted
        As in `pgd`. An image that is already misclassified (or at its target), by the confidence at least, comes back
        unchanged.
    steps : int >= 1
        Steps for each c; one more gradient sees where the last one led.
    searches : int >= 1
        Values of c tried for each image: tenfold until one succeeds, then by bisection.
    weight : float or Tensor (n,), > 0
        The first c.
    confidence : float >= 0
        How far, in logits, the result should lie beyond the boundary.
    step_size : float > 0
        Adam's first learning rate, in pixel values; it falls to a tenth.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]: the nearest adversarial example met. Where none was, the last point tried, which may
        lack only the confidence: count successes by classifying the result.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    The paper keeps pixels in the box by a tanh, under which a pixel at exactly 0 or 1 has no gradient and can never
    move (83% of MNIST's). Here each step is clipped to the box instead, steps become shorter, and the result is pulled
    back towards x as far as it still succeeds. The search for c begins at 1, where the authors' begins at 0.001, and
    takes 100 steps for each c, where theirs takes 10,000.

    References
    ----------
    Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", arXiv:1608.04644, section VI.A.
    """
    x, y = check_inputs(model, x, y)
    check_count("steps", steps, 1)
    check_count("searches", searches, 1)
    check_number("step_size", step_size, 0, above=True, unit=" in pixel values")
    c = _check_weight(weight, x).expand(len(x)).clone()
    check_number("confidence", confidence, 0, unit=" in logits")
    low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
    best = Nearest(x)

    def hinge(logits: Tensor, y: Tensor) -> Tensor:
        return c * (confidence - adversarial_margin(logits, y, targeted)).clamp_min(0)

    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        for search in range(searches):
            here = Nearest(x)
            with section(search / searches, (search + 1) / searches):
                last = _descend(model, x, y, hinge, steps, step_size, here, targeted, confidence, LAST_STEP)
            met = here.adversarial
            best.offer(here.x_adv, here.distance, met)
            low, high = torch.where(met, low, c), torch.where(met, torch.minimum(high, c), high)
            c = torch.where(high.isfinite(), (low + high) / 2, (10 * c).clamp_max(LARGEST))
        best.pull(model, x, y, L2(0.0), targeted, confidence)
    return check_finite(torch.where(rowwise(best.adversarial, x), best.x_adv, last))


def _descend(
    model: Model,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    steps: int,
    step_size: float,
    nearest: Nearest | None,
    targeted: bool,
    confidence: float = 0.0,
    end: float = 1.0,
) -> Tensor:
    """Minimise ‖x' − x‖₂² + loss by Adam, clipped to the box; offer every adversarial point met to `nearest`.

    The learning rate falls along a cosine to the share `end`.
    """
    point = x.to(_wide(x), copy=True)
    adam = torch.optim.Adam([point], lr=step_size)
    s = Batch(x=x, y=y, x_adv=x)
    search = Search(model, s, loss, nearest)
    for step in search.steps(steps + (nearest is not None)):
        s.x_adv = point.to(x)
        grad, logits = search.evaluate()
        if nearest is not None:
            ahead = adversarial_margin(logits, y, targeted)
            adversarial = ahead > 0 if step else is_adversarial(logits, y, targeted)  # x is judged as it is
            nearest.offer(s.x_adv, (point - x).flatten(1).norm(dim=1), adversarial & (ahead >= confidence))
        if step == steps:
            break
        point.grad = grad + 2 * (point - x)
        adam.param_groups[0]["lr"] = step_size * (end + (1 - end) * (1 + cos(pi * step / steps)) / 2)
        adam.step()
        point.clamp_(0, 1)
    return point.to(x)


def _check_weight(weight: float | Tensor, x: Tensor) -> Tensor:
    known = isinstance(weight, Tensor) or (isinstance(weight, Real) and not isinstance(weight, bool))
    value = torch.as_tensor(weight, device=x.device).to(_wide(x)) if known else x.new_zeros(1)
    if not bool((value.isfinite() & (value > 0)).all()) or value.ndim > 1 or value.numel() not in (1, len(x)):
        raise ValueError(f"weight: expected a number > 0 or a tensor ({len(x)},) of them, got {weight!r}")
    return value


def _wide(x: Tensor) -> torch.dtype:
    """Return the type to search in: float32 at least, since Adam divides by less than half precision knows."""
    return torch.promote_types(x.dtype, torch.float32)
