"""Exercise 08.5: one step of the descent that rebuilds a picture from a network's representation of it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..message_wording import part
from ..shared_probes import SHAPES, alone, follows, generator, images, in_image, matches, per_image

Loss = Callable[[Tensor, Tensor], Tensor]


def _network(seed: int, shape: tuple[int, ...]) -> nn.Module:
    """Return a smooth random representation: images (n, c, h, w) to (n, 7)."""
    draw, pixels = generator(seed + 2), shape[1] * shape[2] * shape[3]
    layers = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 9), nn.Tanh(), nn.Linear(9, 7))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * (1.5 / parameter.shape[-1] ** 0.5))
    return layers.eval()


def _squares(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum()


def _unit(grad: Tensor) -> Tensor:
    return grad / per_image(grad.flatten(1).norm(dim=1).clamp_min(1e-12))


def _step_with(
    side: int = -1,
    loss: Loss = _squares,
    direction: Callable[[Tensor], Tensor] = _unit,
    clip: Callable[[Tensor], Tensor] = lambda x: x.clamp(0, 1),
    goal: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda g, x, x_r: g(x),
) -> Callable[..., Tensor]:
    """Build the step; each argument replaces one part by a wrong one."""

    def step(g: nn.Module, x: Tensor, x_r: Tensor, step_size: float) -> Tensor:
        with torch.no_grad():
            wanted = goal(g, x, x_r)
        z = x_r.clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(g(z), wanted), z)
        return clip(x_r + side * step_size * direction(grad))

    return step


def _cases(seed: int) -> list[tuple]:
    return [
        (_network(seed, s), images(seed, s), images(seed + 50, s), size)
        for s, size in zip((*SHAPES, (4, 1, 3, 6)), (0.3, 0.1, 0.6), strict=True)
    ]


def _closer(run: Run) -> str:
    before, after = [], []
    for (g, x, x_r, _), answer, _ in run:
        with torch.no_grad():
            before.append((g(x_r) - g(x)).norm(dim=1))
            after.append((g(answer.clamp(0, 1)) - g(x)).norm(dim=1))
    start, end = torch.cat(before), torch.cat(after)
    right = end < start
    if int(right.sum()) >= 0.7 * len(right):
        return ""
    return (
        f"the representation came no closer to g(x) for {part(int((~right).sum()), len(right), 'picture')} (mean distance "
        f"{start.mean():.2f} before, {end.mean():.2f} after)"
    )


_PARTS = Parts(
    _step_with,
    [
        (
            "away from the representation",
            {"side": 1},
            "The sign is flipped: this step climbs, and the representation moves away from g(x).",
        ),
        (
            "not normalised",
            {"direction": lambda g: g},
            "The gradient is not divided by its length, so step_size does not say how far the picture moves.",
        ),
        (
            "normalised over the batch",
            {"direction": lambda g: g / g.norm()},
            "The gradient is normalised over the whole batch: each picture has a length of its own, grad.flatten(1).norm(dim=1).",
        ),
        (
            "sign",
            {"direction": torch.sign},
            "You took the gradient's sign, the L∞ step; here the step has L2 length step_size.",
        ),
        (
            "squared length",
            {"direction": lambda g: g / per_image(g.flatten(1).square().sum(1))},
            "You divide by the squared length of the gradient: the square root is missing.",
        ),
        (
            "normalised at each pixel",
            {"direction": nn.functional.normalize},
            "The gradient is normalised over the channels of each pixel; one length for each picture is meant: flatten(1) first.",
        ),
        (
            "not clipped",
            {"clip": lambda x: x},
            "The picture may leave [0, 1]: clamp(0, 1) at the end.",
        ),
        (
            "first coordinates only",
            {"loss": lambda a, b: (a - b)[:, 0].square().sum()},
            "Only the first number of the representation counts in your distance; take all of them.",
        ),
        (
            "L1 distance",
            {"loss": lambda a, b: (a - b).abs().sum()},
            "You use the sum of absolute differences of the representations, L1; the exercise asks for the L2 distance.",
        ),
        (
            "towards zero",
            {"goal": lambda g, x, x_r: torch.zeros_like(g(x))},
            "The representation goes towards zero: g(x) is missing from the distance.",
        ),
        (
            "sum of differences",
            {"loss": lambda a, b: (a - b).sum()},
            "You sum the differences without squaring them, so positive and negative ones cancel: that is no distance.",
        ),
        (
            "one distance for the batch",
            {"loss": lambda a, b: (a.mean(0) - b.mean(0)).norm()},
            "You average the representations over the batch before comparing them: each picture must match its own x.",
        ),
    ],
)


def _pixels(g: nn.Module, x: Tensor, x_r: Tensor, step_size: float) -> Tensor:
    return (x_r - step_size * _unit(x_r - x)).clamp(0, 1)


def _from_x(g: nn.Module, x: Tensor, x_r: Tensor, step_size: float) -> Tensor:
    z = x_r.clone().requires_grad_()
    (grad,) = torch.autograd.grad(_squares(g(z), g(x).detach()), z)
    return (x - step_size * _unit(grad)).clamp(0, 1)


def _swapped(g: nn.Module, x: Tensor, x_r: Tensor, step_size: float) -> Tensor:
    return _step_with()(g, x_r, x, step_size)


INVERT = Exercise(
    "08.5",
    "invert_step",
    _step_with(),
    _cases,
    [
        Probe("moves along the gradient of the distance", 1, follows(2), essential=True),
        Probe("brings the representation closer to g(x)", 2, _closer),
        Probe("stays in the image, [0, 1]", 1, in_image),
        Probe("treats each picture on its own", 1, alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3]))),
        Probe("is one step of L2 length step_size", 1, matches("pixel")),
    ],
    [
        *_PARTS.single,
        Mistake(
            "towards x in pixels",
            _pixels,
            "You walk towards x itself, pixel by pixel. The point is to use nothing of x but its representation g(x).",
        ),
        Mistake(
            "step from x",
            _from_x,
            "The step starts from x; it is x_r that moves.",
        ),
        Mistake(
            "x and x_r swapped",
            _swapped,
            "x and x_r have changed places: you move x towards the representation of x_r.",
        ),
    ],
    "Leaf x_r.clone().requires_grad_(); distance (g(x_r) − g(x)).square().sum(); one gradient; divide it by each picture's own length; "
    "step down; clamp.",
    like=2,
    parts=_PARTS,
)
