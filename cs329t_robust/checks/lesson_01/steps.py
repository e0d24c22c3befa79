"""Exercise 01.2: one step along the gradient's sign."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..one_step import WRONG_STEPS, step
from ..shared_probes import SHAPES, follows, generator, images, in_image, matches


def _fgsm_step(x: Tensor, grad: Tensor, eps: float) -> Tensor:
    return (x + eps * grad.sign()).clamp(0, 1)


def _step_with(**parts: object) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda x, grad, eps: step(x, grad, eps, **parts)


_PARTS = Parts(
    _step_with,
    [
        (
            "sign of the step flipped",
            {"side": -1},
            "The sign of the step is flipped: x − ε·sign(∇) lowers the loss. The lecture's step is x + ε·sign(∇).",
        ),
        *WRONG_STEPS,
        (
            "pixels without gradient moved",
            {"direction": lambda g: torch.where(g > 0, 1.0, -1.0)},
            "Pixels whose gradient is exactly 0 moved too: sign(0) is 0, so they must stay where they are.",
        ),
        (
            "pixels without gradient moved up",
            {"direction": lambda g: torch.where(g >= 0, 1.0, -1.0)},
            "Pixels whose gradient is exactly 0 got brighter: sign(0) is 0, so they must stay where they are.",
        ),
        (
            "divided by the absolute value",
            {"direction": lambda g: g / g.abs()},
            "Where the gradient is 0, ∇/|∇| is 0/0 = NaN: use the sign function, which is 0 there.",
        ),
    ],
)


def _gradients(seed: int) -> list[tuple]:
    cases = []
    for shape, eps in zip(SHAPES, (0.08, 0.03), strict=True):
        grad = torch.randn(shape, generator=generator(seed + 5)) * 0.02
        grad[..., -1, :2] = 0  # as at the edge of a digit: these pixels do not matter to the model
        cases.append((images(seed, shape), grad, eps))
    return cases


def _with_the_gradient(run: Run) -> str:
    for (x, grad, _), answer, _ in run:
        moved = answer - x
        agreeing = ((moved * grad) > 0).float()[(moved != 0) & (grad != 0)]
        if not len(agreeing):
            return "your function returns its input unchanged"
        if agreeing.mean() < 0.95:
            return f"only {agreeing.mean():.0%} of the pixels move in the direction of their gradient"
    return ""


FGSM_STEP = Exercise(
    "01.2",
    "fgsm_step",
    _fgsm_step,
    _gradients,
    [
        Probe("moves along the gradient's sign", 1, follows(0), essential=True),
        Probe("moves uphill", 1, _with_the_gradient),
        Probe("moves every pixel by ε", 1, matches("pixel")),
        Probe("stays in the image, [0, 1]", 1, in_image),
    ],
    [
        *_PARTS.single,
        Mistake(
            "sign of the image",
            lambda x, grad, eps: (x + eps * x.sign()).clamp(0, 1),
            "You took the sign of the image x; it is the gradient's sign that says where to go.",
        ),
        Mistake(
            "sign of the sum",
            lambda x, grad, eps: (x + eps * grad).sign().clamp(0, 1),
            "The sign is taken of the sum x + ε·∇; it belongs to the gradient only.",
        ),
    ],
    "One line: add ε times the gradient's sign to x, then clamp(0, 1).",
    like=0,
    parts=_PARTS,
)
