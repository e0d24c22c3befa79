"""Exercises 02.6 and 02.7: projected gradient descent, in L∞ and in L2."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..one_step import NO_SIGN, WRONG_LOSSES
from ..shared_probes import (
    SHAPES,
    alone,
    classifier,
    follows,
    gradient_of,
    images,
    in_ball,
    in_image,
    labels,
    matches,
    per_image,
    uphill,
)
from .projections import l2_with, project_l2, project_linf


def _pgd_with(
    direction=torch.sign,  # noqa: ANN001
    project=project_linf,  # noqa: ANN001
    side: int = 1,
    size=lambda eps, step_size, steps: step_size,  # noqa: ANN001
    count=lambda steps: steps,  # noqa: ANN001
    order: str = "step, project",
    at=lambda x, x_adv: x_adv,  # noqa: ANN001
    base=lambda x, x_adv: x_adv,  # noqa: ANN001
    label=lambda model, x, y: y,  # noqa: ANN001
    loss=lambda z, y: F.cross_entropy(z, y, reduction="sum"),  # noqa: ANN001
    keep: float = 0,
):
    """Build a projected-gradient loop; each argument replaces one part of it by a wrong one."""

    def attack(model: nn.Module, x: Tensor, y: Tensor, eps: float, step_size: float, steps: int) -> Tensor:
        x_adv, total = x.clone(), torch.zeros_like(x)
        for _ in range(count(steps)):
            x_adv = project(x, x_adv, eps) if order == "project, step" else x_adv
            named = label(model, x_adv, y)
            total = keep * total + gradient_of(model, at(x, x_adv), lambda z, named=named: loss(z, named))
            x_adv = base(x, x_adv) + side * size(eps, step_size, steps) * direction(total)
            x_adv = project(x, x_adv, eps) if order == "step, project" else x_adv
        return project(x, x_adv, eps) if order == "project at the end" else x_adv

    return attack


def _normalised(grad: Tensor) -> Tensor:
    return grad / per_image(grad.flatten(1).norm(dim=1).clamp_min(1e-12))


def _pgd_cases(seed: int, settings: tuple[tuple[float, float, int], ...]) -> list[tuple]:
    return [
        (classifier(seed, s), images(seed, s), labels(seed, s[0]), *setting)
        for s, setting in zip((SHAPES[0], *SHAPES), settings, strict=True)
    ]


def _beats_one_step(run: Run) -> str:
    for (model, x, y, eps, size, steps), answer, expected in run:
        if steps < 2:
            continue
        with torch.no_grad():
            mine, best = (F.cross_entropy(model(z.clamp(0, 1)), y).item() for z in (answer, expected))
            start = F.cross_entropy(model(x), y).item()
        if mine < start + 0.9 * (best - start):
            return (
                f"with ε = {eps}, {steps} steps of {size} should bring the mean loss from {start:.2f} to {best:.2f}; "
                f"yours ends at {mine:.2f}"
            )
    return ""


def _per_image(args: tuple, i: int) -> tuple:
    return (args[0], args[1][i : i + 1], args[2][i : i + 1], *args[3:])


_LOOP = [
    (
        "sign of the step flipped",
        {"side": -1},
        "This is what you get when the sign of the step is flipped: each step makes the model more sure of y. Climb: x′ + step.",
    ),
    (
        "projected once at the end",
        {"order": "project at the end"},
        "You project once, after the loop. Then the steps wander outside the ball and are cut off at the end: project after every step.",
    ),
    (
        "projected before the step",
        {"order": "project, step"},
        "You project before the step, so the last step leaves the ball again: first step, then project.",
    ),
    (
        "projection missing",
        {"project": lambda x, z, e: z.clamp(0, 1)},
        "The steps add up beyond ε: the projection onto the ε-ball around the original x is missing, or it is centred on the last "
        "x′, which moves along.",
    ),
    (
        "projection and clip missing",
        {"project": lambda x, z, e: z},
        "Nothing is projected: neither onto the ε-ball around x nor onto the image.",
    ),
    (
        "gradient always at x",
        {"at": lambda x, z: x},
        "The gradient is always taken at x, so every step repeats the first: take it anew at the current x′ in each step.",
    ),
    (
        "step always from x",
        {"base": lambda x, z: x},
        "Every step starts again from x, so the steps do not add up: start it from the last x′.",
    ),
    (
        "gradients added up",
        {"keep": 1},
        "The gradients of all steps add up, as in .grad when it is not set back to zero: each step needs its own.",
    ),
    (
        "eps as the step",
        {"size": lambda eps, step_size, steps: eps},
        "Each step has length ε; it should have length step_size.",
    ),
    (
        "step divided by the number of steps",
        {"size": lambda eps, step_size, steps: step_size / steps},
        "step_size is divided by the number of steps: it is already the length of one step.",
    ),
    (
        "eps divided by the number of steps",
        {"size": lambda eps, step_size, steps: eps / steps},
        "Each step has length ε/steps; it should have length step_size.",
    ),
    (
        "one step too few",
        {"count": lambda steps: steps - 1},
        "One step is missing: the loop must run `steps` times.",
    ),
    (
        "one step too many",
        {"count": lambda steps: steps + 1},
        "There is one step too many: the loop must run `steps` times.",
    ),
    (
        "only one step",
        {"count": lambda steps: 1},
        "Only one step has an effect: start each step from the last x′, and return after the loop, not inside it.",
    ),
    (
        "the model's prediction in place of y",
        {"label": lambda m, x_adv, y: m(x_adv).argmax(1)},
        "You climbed the loss of the model's own prediction; the label y that was passed in is not used.",
    ),
    *WRONG_LOSSES,
]


def _parts(direction, project, rows: list) -> Parts:  # noqa: ANN001
    right = {"direction": direction, "project": project}
    return Parts(lambda **parts: _pgd_with(**{**right, **parts}), [*_LOOP, *rows])


_LINF = _parts(
    torch.sign,
    project_linf,
    [
        (
            "ball only, not the image",
            {"project": lambda x, z, e: x + (z - x).clamp(-e, e)},
            "The ε-ball is kept, but the image is not: clip to [0, 1] in every step as well.",
        ),
        ("raw gradient", {"direction": lambda g: g}, NO_SIGN),
        ("raw gradient, mean loss", {"direction": lambda g: g / len(g)}, NO_SIGN),
        (
            "normalised gradient",
            {"direction": _normalised},
            "You stepped along the gradient scaled to L2 length 1: that is the L2 step. In L∞ it is the sign.",
        ),
        (
            "L2 projection",
            {"project": project_l2},
            "You project onto the L2 ball; for L∞ clip each pixel's change to [−ε, ε].",
        ),
    ],
)
_NOT_NORMALISED = (
    "The gradient is not normalised, so the step's length follows the gradient's: divide by its L2 length."
)
_NOT_ROOT = "The gradient is divided by its squared length: the square root is missing."
_L2 = _parts(
    _normalised,
    project_l2,
    [
        (
            "normalised over the batch",
            {"direction": lambda g: g / g.norm()},
            "The gradient is normalised over the whole batch, so every image's step depends on its neighbours: one length per image, "
            "grad.flatten(1).norm(dim=1).",
        ),
        (
            "normalised at each pixel",
            {"direction": F.normalize},
            "The gradient is normalised over the channels of each pixel (dim 1), not over the whole image: flatten(1) first.",
        ),
        (
            "sign step",
            {"direction": torch.sign},
            "You took the sign: that is the L∞ step, and its L2 length is √pixels times too long. Normalise the gradient.",
        ),
        (
            "sign, then normalised",
            {"direction": lambda g: _normalised(g.sign())},
            "You took the sign before normalising; in L2 the gradient itself is the direction.",
        ),
        ("raw gradient", {"direction": lambda g: g}, _NOT_NORMALISED),
        ("raw gradient, mean loss", {"direction": lambda g: g / len(g)}, _NOT_NORMALISED),
        ("squared norm", {"direction": lambda g: g / per_image(g.flatten(1).square().sum(1))}, _NOT_ROOT),
        (
            "squared norm, mean loss",
            {"direction": lambda g: g * len(g) / per_image(g.flatten(1).square().sum(1))},
            _NOT_ROOT,
        ),
        (
            "L-infinity projection",
            {"project": project_linf},
            "You project onto the L∞ ball; here the whole change is scaled to L2 length ε.",
        ),
        (
            "ball only, not the image",
            {"project": l2_with(clip=False)},
            "The ε-ball is kept, but the image is not: clip to [0, 1] in every step as well.",
        ),
        (
            "clipped before the ball",
            {"project": l2_with(clip=False, early=True)},
            "You clip to the image before the projection; the ball comes first, the clip last.",
        ),
        (
            "projection over the batch",
            {"project": l2_with(length=lambda d: d.norm())},
            "The projection uses one length for the whole batch; each image has its own.",
        ),
        (
            "always on the surface",
            {"project": l2_with(shrink=lambda e, s: e / s)},
            "Every step is stretched to the surface of the ball: shrink by min(1, ε/length), never stretch.",
        ),
    ],
)

PGD = Exercise(
    "02.6",
    "pgd",
    _pgd_with(),
    lambda seed: _pgd_cases(seed, ((0.2, 0.05, 1), (0.1, 0.03, 6), (0.05, 0.02, 4))),
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("raises the loss", 1, uphill(0, 1, 2)),
        Probe("ends in the ε-ball", 1, in_ball("Linf", 1, 3)),
        Probe("ends in the image, [0, 1]", 1, in_image),
        Probe("climbs as high as PGD does", 1, _beats_one_step),
        Probe("is PGD exactly: start at x, step, project, each step anew", 2, matches("pixel")),
    ],
    [
        *_LINF.single,
        Mistake(
            "one step of eps",
            _pgd_with(count=lambda n: 1, size=lambda e, s, n: e),
            "This is FGSM: one step of length ε.",
        ),
    ],
    "Inside the loop: gradient at x_adv, step of step_size·sign, project_linf(x, …, eps). Detach x_adv at the start of each step.",
    parts=_LINF,
)

PGD_L2 = Exercise(
    "02.7",
    "pgd_l2",
    _pgd_with(direction=_normalised, project=project_l2),
    lambda seed: _pgd_cases(seed, ((0.6, 0.3, 1), (0.5, 0.15, 6), (0.4, 0.12, 5))),
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("raises the loss", 1, uphill(0, 1, 2)),
        Probe("ends in the ε-ball", 1, in_ball("L2", 1, 3)),
        Probe("ends in the image, [0, 1]", 1, in_image),
        Probe("treats each image on its own", 1, alone(_per_image)),
        Probe("is PGD exactly: unit-length steps, each projected", 2, matches("pixel")),
    ],
    [
        *_L2.single,
        Mistake(
            "this is PGD in L-infinity",
            _pgd_with(),
            "This is PGD in L∞: sign steps and a box. In L2 the step is the normalised gradient and the ball is round.",
        ),
    ],
    "As in 02.6, with two changes: divide each image's gradient by its own L2 length, and project with project_l2.",
    parts=_L2,
)
