"""The fast minimum-norm attack: shrink the ball while inside the boundary, widen it while outside."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import Model, borrowed, check_count, check_finite, check_inputs
from ..losses import margin
from ..threat import L2, Ball, Linf, rowwise, unit
from .gradient import input_gradient

BALLS = {"L2": L2, "Linf": Linf}
DUAL = {"L2": 2, "Linf": 1}
GAMMA, BISECTIONS = (0.05, 1e-4), 10
CLEAR = 1e-4  # margin of the logits by which a boundary must be crossed, so that rounding cannot undo it


@dataclass
class Best:
    """The nearest adversarial image met so far and its distance; infinite where none was."""

    x: Tensor
    distance: Tensor

    def offer(self, x_adv: Tensor, distance: Tensor, valid: Tensor) -> None:
        """Keep `x_adv` where it is valid and nearer."""
        nearer = valid & (distance < self.distance)
        self.x = torch.where(rowwise(nearer, x_adv), x_adv, self.x)
        self.distance = torch.where(nearer, distance, self.distance)


def fmn(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    norm: str = "L2",
    steps: int = 100,
    step_size: float = 2.0,
    targeted: bool = False,
) -> Tensor:
    """Find a nearest adversarial example of each image.

    Parameters
    ----------
    model, x, y, targeted
        As in `pgd`. An image that is already misclassified (or at its target) comes back unchanged.
    norm : "L2" or "Linf"
        What is to be small.
    steps : int >= 1
        Gradients; 100 is plenty for small networks.
    step_size : float > 0
        L2 length of the first step; it falls to a hundredth along a cosine.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]. Where no adversarial example was met, the last point tried: count successes by
        classifying the result.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    After the last step the segment from x to each result is bisected, which the paper does not do: ten more forward
    passes, and never a worse result.

    References
    ----------
    Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm constraints", arXiv:2102.12827.
    Rony et al. 2019, "Decoupling direction and norm", arXiv:1811.09600, is its forerunner in L2.
    """
    if norm not in BALLS:
        raise ValueError(f"norm: expected one of {', '.join(BALLS)}, got {norm!r}")
    x, y = check_inputs(model, x, y, Linf(0.0))
    check_count("steps", steps, 1)
    if not (0 < step_size < math.inf):
        raise ValueError(f"step_size: expected a length > 0, got {step_size}")
    ball = BALLS[norm]
    with borrowed(model):
        now, best = x, Best(x, x.new_full((len(x),), torch.inf))
        eps = x.new_full((len(x),), torch.inf)
        for i in range(steps):
            decay = (1 + math.cos(math.pi * i / steps)) / 2
            gamma = GAMMA[1] + (GAMMA[0] - GAMMA[1]) * decay
            grad, logits = input_gradient(model, now, y, margin, check=i == 0)
            value = margin(logits, y)
            grad, value = (-grad, -value) if targeted else (grad, value)
            valid = value > CLEAR
            distance = ball(0.0).distance(x, now)
            best.offer(now, distance, valid)
            slope = torch.linalg.vector_norm(grad.flatten(1), ord=DUAL[norm], dim=1).clamp_min(1e-12)
            beyond = (distance + value.abs() / slope) * (1 + GAMMA[0])  # until a first success: aim past the boundary
            reach = torch.where(best.distance.isfinite(), eps * (1 + gamma), beyond)
            eps = torch.where(valid, torch.minimum(eps, best.distance) * (1 - gamma), reach).clamp(max=1e6)
            ahead = now + step_size * (0.01 + 0.99 * decay) * unit(grad)
            now = ball(eps).project(x, ahead)
        _bisect(model, x, y, ball(0.0), best, targeted)
    return check_finite(torch.where(rowwise(best.distance.isfinite(), x), best.x, now))


def _bisect(model: Model, x: Tensor, y: Tensor, ball: Ball, best: Best, targeted: bool) -> None:
    """Pull each result towards x along a straight line, as near as it stays adversarial."""
    low, high = torch.zeros_like(best.distance), torch.ones_like(best.distance)
    end = best.x
    with torch.no_grad():
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            point = (x + rowwise(middle, x) * (end - x)).clamp(0, 1)
            value = margin(model(point), y)
            valid = ((-value if targeted else value) > CLEAR) & best.distance.isfinite()
            best.offer(point, ball.distance(x, point), valid)
            low, high = torch.where(valid, low, middle), torch.where(valid, middle, high)
