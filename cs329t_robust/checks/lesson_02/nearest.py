"""Exercise 02.8: the nearest point of a linear boundary, the step that DeepFool repeats."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import SHAPES, generator, images, matches, per_image


def _nearest(x: Tensor, w: Tensor, b: float) -> Tensor:
    value = x.flatten(1) @ w.flatten() + b
    return x - per_image(value / w.square().sum()) * w


def _nearest_with(value=None, move=None):  # noqa: ANN001
    value = value or (lambda x, w, b: x.flatten(1) @ w.flatten() + b)
    move = move or (lambda f, w: -per_image(f / w.square().sum()) * w)
    return lambda x, w, b: x + move(value(x, w, b), w)


def _nearest_cases(seed: int) -> list[tuple]:
    return [
        (images(seed, s), torch.randn(s[1:], generator=generator(seed + 4)) * scale, b)
        for s, scale, b in zip(SHAPES, (0.6, 1.7), (0.4, -0.8), strict=True)
    ]


def _on_boundary(run: Run) -> str:
    for (x, w, b), answer, _ in run:
        value = answer.flatten(1) @ w.flatten() + b
        if value.abs().max() > 1e-3:
            before = x.flatten(1) @ w.flatten() + b
            return (
                f"f(x′) must be 0 for every image; yours is up to {value.abs().max():.3g} "
                f"(f(x) was up to {before.abs().max():.3g})"
            )
    return ""


def _shortest(run: Run) -> str:
    for (x, _, _), answer, expected in run:
        mine, best = ((z - x).flatten(1).norm(dim=1) for z in (answer, expected))
        if bool((mine > best * 1.01 + 1e-4).any()):
            at = int((mine - best).argmax())
            return f"image {at} moved {mine[at]:.3f} in L2, the nearest point of the boundary is {best[at]:.3f} away"
    return ""


NEAREST = Exercise(
    "02.8",
    "nearest_on_boundary",
    _nearest,
    _nearest_cases,
    [
        Probe("ends on the boundary, f(x′) = 0", 2, _on_boundary, essential=True),
        Probe("moves no farther than it must", 1, _shortest),
        Probe("is the nearest point", 1, matches("pixel")),
    ],
    [
        Mistake(
            "length not squared",
            _nearest_with(move=lambda f, w: -per_image(f / w.norm()) * w),
            "You divided by ‖w‖; the step is f(x)·w/‖w‖², one ‖w‖ to make w a unit vector and one for the distance |f(x)|/‖w‖.",
        ),
        Mistake(
            "sign flipped",
            _nearest_with(move=lambda f, w: per_image(f / w.square().sum()) * w),
            "The step goes away from the boundary: subtract f(x)·w/‖w‖².",
        ),
        Mistake(
            "bias forgotten",
            _nearest_with(value=lambda x, w, b: x.flatten(1) @ w.flatten()),
            "The bias b is missing from f(x) = w·x + b.",
        ),
        Mistake(
            "bias subtracted",
            _nearest_with(value=lambda x, w, b: x.flatten(1) @ w.flatten() - b),
            "f(x) is w·x + b; you subtracted b.",
        ),
        Mistake(
            "absolute value",
            _nearest_with(value=lambda x, w, b: (x.flatten(1) @ w.flatten() + b).abs()),
            "The absolute value loses the side: an image with f(x) < 0 must move the other way.",
        ),
        Mistake(
            "not divided at all",
            _nearest_with(move=lambda f, w: -per_image(f) * w),
            "f(x)·w is not divided by ‖w‖², so the step has the wrong length.",
        ),
        Mistake(
            "sign step",
            _nearest_with(move=lambda f, w: -per_image(f / w.abs().sum()) * w.sign()),
            "This is the nearest point in L∞ (every pixel moves equally). In L2 the step is along w itself.",
        ),
        Mistake(
            "unit step",
            _nearest_with(move=lambda f, w: -per_image(f.sign()) * w / w.norm()),
            "You moved by length 1 towards the boundary; the distance is |f(x)|/‖w‖.",
        ),
        Mistake(
            "clipped to the image",
            lambda x, w, b: _nearest(x, w, b).clamp(0, 1),
            "You clipped to [0, 1]; here the question is the nearest point of the plane, so leave it unclipped.",
        ),
        Mistake(
            "mirror image",
            _nearest_with(move=lambda f, w: -2 * per_image(f / w.square().sum()) * w),
            "You went twice as far, to the mirror image on the other side of the boundary.",
        ),
        Mistake(
            "overshoot",
            _nearest_with(move=lambda f, w: -1.02 * per_image(f / w.square().sum()) * w),
            "You overshoot the boundary by 2%, as DeepFool's code does to cross it; this exercise asks for the point exactly on it.",
        ),
        Mistake(
            "sum over the batch",
            _nearest_with(value=lambda x, w, b: ((x * w).sum() + b).expand(len(x))),
            "f is summed over the whole batch, so all images share one step; f(x) = w·x + b is one number per image.",
        ),
        Mistake(
            "distance returned",
            lambda x, w, b: (x.flatten(1) @ w.flatten() + b).abs() / w.norm(),
            "You returned the distances to the boundary; return the nearest points, images like x.",
        ),
        Mistake(
            "mean over the batch",
            _nearest_with(value=lambda x, w, b: (x.flatten(1) @ w.flatten() + b).mean().expand(len(x))),
            "All images share one step: f is averaged over the batch.",
        ),
        Mistake(
            "change returned",
            lambda x, w, b: _nearest(x, w, b) - x,
            "You returned the step alone; add it to x.",
        ),
    ],
    "f for each image: x.flatten(1) @ w.flatten() + b. The way to the plane is along w, and its length is |f|/‖w‖.",
    like=0,
)
