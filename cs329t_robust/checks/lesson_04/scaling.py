"""Exercise 04.4: changes of equal size."""

import torch
from torch import Tensor

from ..agreement import TOLERANCE
from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import SHAPES, alone, generator, images, matches, per_image


def _length(delta: Tensor) -> Tensor:
    return delta.flatten(1).norm(dim=1).clamp_min(1e-12)


def _rescaled(x: Tensor, x_adv: Tensor, size: float) -> Tensor:
    return x + (x_adv - x) * per_image(size / _length(x_adv - x))


def _cases(seed: int) -> list[tuple]:
    cases = []
    for shape, size in zip(SHAPES, (0.7, 1.6), strict=True):
        x = images(seed, shape)
        spread = torch.tensor([0.05, 0.2, 0.6, 0.1, 0.4, 0.3])[: len(x)]  # some must grow and some shrink
        delta = torch.randn(shape, generator=generator(seed + 3)) * per_image(spread)
        if len(x) > 3:
            delta[3] = 0  # nothing changed, and nothing may change
        cases.append((x, x + delta, size))
    return cases


def _has_size(run: Run) -> str:
    for (x, x_adv, size), answer, _ in run:
        moved = (x_adv - x).flatten(1).norm(dim=1) > TOLERANCE
        got = (answer - x).flatten(1).norm(dim=1)[moved]
        bad = (got - size).abs() > 1e-3
        if bad.any():
            return f"{part(int(bad.sum()), len(bad), 'change', 'do')} not have length {size}: they go from {got.min():.3f} to {got.max():.3f}"
    return ""


def _same_direction(run: Run) -> str:
    for (x, x_adv, _), answer, _ in run:
        moved = (x_adv - x).flatten(1).norm(dim=1) > TOLERANCE
        cosine = torch.nn.functional.cosine_similarity((answer - x).flatten(1), (x_adv - x).flatten(1))[moved]
        if (cosine < 0.999).any():
            return f"the direction of {part(int((cosine < 0.999).sum()), len(cosine), 'change')} is another (cosine {cosine.min():.2f})"
    return ""


RESCALED = Exercise(
    "04.4",
    "rescaled",
    _rescaled,
    _cases,
    [
        Probe("gives every change the asked length", 2, _has_size, essential=True),
        Probe("keeps every change's direction", 1, _same_direction, essential=True),
        Probe("is right everywhere, also where nothing changed", 1, matches("pixel")),
        Probe("scales each image on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], a[2]))),
    ],
    [
        Mistake(
            "batch length",
            lambda x, a, s: x + (a - x) * (s / (a - x).norm()),
            "You divide by the length of the whole batch's change; each image has its own: (x_adv − x).flatten(1).norm(dim=1).",
        ),
        Mistake(
            "change returned",
            lambda x, a, s: (a - x) * per_image(s / _length(a - x)),
            "You returned the scaled change; add it to x.",
        ),
        Mistake(
            "length one",
            lambda x, a, s: x + (a - x) / per_image(_length(a - x)),
            "Every change has length 1: multiply by `size`.",
        ),
        Mistake(
            "not divided",
            lambda x, a, s: x + (a - x) * s,
            "You multiplied the change by `size` but did not divide by its own length first.",
        ),
        Mistake(
            "only shrinks",
            lambda x, a, s: x + (a - x) * per_image((s / _length(a - x)).clamp(max=1)),
            "Long changes shrink but short ones do not grow: that is the projection of lesson 02. Here all get the same length; no clamp(max=1).",
        ),
        Mistake(
            "clipped",
            lambda x, a, s: _rescaled(x, a, s).clamp(0, 1),
            "You clipped to [0, 1], which makes the change shorter again; the exercise asks for the exact length, so no clipping here.",
        ),
        Mistake(
            "by the largest change",
            lambda x, a, s: x + (a - x) * per_image(s / (a - x).abs().flatten(1).amax(1).clamp_min(1e-12)),
            "You scaled by the largest pixel's change (L∞); divide by the L2 length.",
        ),
        Mistake(
            "by the sum of changes",
            lambda x, a, s: x + (a - x) * per_image(s / (a - x).abs().flatten(1).sum(1).clamp_min(1e-12)),
            "You scaled by the sum of absolute changes (L1); divide by the L2 length, the root of the sum of squares.",
        ),
        Mistake(
            "by the squared length",
            lambda x, a, s: x + (a - x) * per_image(s / _length(a - x).square().clamp_min(1e-12)),
            "You divided by the squared length; the square root is missing.",
        ),
        Mistake(
            "nothing divided by nothing",
            lambda x, a, s: x + (a - x) * per_image(s / (a - x).flatten(1).norm(dim=1)),
            "Where nothing changed you divide 0 by 0, and the image becomes NaN: .clamp_min(1e-12) on the length.",
        ),
        Mistake(
            "x scaled",
            lambda x, a, s: a * per_image(s / _length(a)),
            "You scaled the picture x′ itself; scale the change x′ − x and add it to x.",
        ),
        Mistake(
            "other way",
            lambda x, a, s: _rescaled(x, 2 * x - a, s),
            "The change points the other way: it is x_adv − x, not x − x_adv.",
        ),
    ],
    "delta = x_adv − x; its length is one number for each image, .flatten(1).norm(dim=1), shaped .view(-1, 1, 1, 1) to divide. Guard 0 "
    "with clamp_min.",
)
