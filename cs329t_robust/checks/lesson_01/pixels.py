"""Exercises 01.1 and 01.5: how large a change is, and the 256 levels of a saved image."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import SHAPES, generator, images, in_image, matches


def _linf_255(x: Tensor, x_adv: Tensor) -> Tensor:
    return (x_adv - x).abs().flatten(1).amax(1) * 255


def _size_with(size) -> object:  # noqa: ANN001
    return lambda x, x_adv: size(x_adv - x)


def _pairs(seed: int) -> list[tuple]:
    cases = []
    for shape in SHAPES:
        x = images(seed, shape)
        x[-1] = x[-1].clamp(0.2, 0.8)  # room to get darker everywhere
        sizes = torch.arange(1, len(x) + 1).view(-1, 1, 1, 1) / 255
        delta = (torch.rand(shape, generator=generator(seed + 6)) * 2 - 1) * sizes
        delta[:, 0, 0, 0] = -1.5 * sizes.flatten()  # the largest change makes a pixel darker
        delta[-1] = -delta[-1].abs()  # the last image only gets darker
        cases.append((x, (x + delta).clamp(0, 1)))
    return cases


LINF_255 = Exercise(
    "01.1",
    "linf_255",
    _linf_255,
    _pairs,
    [
        Probe(
            "is never negative",
            1,
            lambda run: "a size is negative: take absolute values" if any((a < 0).any() for _, a, _ in run) else "",
        ),
        Probe("is the largest change of each image, in units of 1/255", 3, matches("value"), essential=True),
    ],
    [
        Mistake(
            "not in units of 1/255",
            _size_with(lambda d: d.abs().flatten(1).amax(1)),
            "The size is right in units of the [0, 1] range; multiply by 255 for units of 1/255.",
        ),
        Mistake(
            "divided by 255",
            _size_with(lambda d: d.abs().flatten(1).amax(1) / 255),
            "You divided by 255; a change of 2/255 is to be reported as 2, so multiply.",
        ),
        Mistake(
            "no absolute value",
            _size_with(lambda d: d.flatten(1).amax(1) * 255),
            "You took the largest increase; a pixel that got darker counts as well: take absolute values first.",
        ),
        Mistake(
            "absolute value after the maximum",
            _size_with(lambda d: d.flatten(1).amax(1).abs() * 255),
            "The absolute value comes after the maximum, so pixels that got darker are missed: first abs, then amax.",
        ),
        Mistake(
            "mean change",
            _size_with(lambda d: d.abs().flatten(1).mean(1) * 255),
            "You took the mean change; L∞ is the largest change of any single pixel.",
        ),
        Mistake(
            "L2",
            _size_with(lambda d: d.flatten(1).norm(dim=1) * 255),
            "You took the Euclidean length (L2); L∞ is the largest change of any single pixel.",
        ),
        Mistake(
            "L1",
            _size_with(lambda d: d.abs().flatten(1).sum(1) * 255),
            "You summed the changes (L1); L∞ is the largest change of any single pixel.",
        ),
        Mistake(
            "L0",
            _size_with(lambda d: (d != 0).flatten(1).sum(1).float()),
            "You counted the changed pixels (L0); L∞ is the largest change of any single pixel.",
        ),
        Mistake(
            "over the whole batch",
            _size_with(lambda d: d.abs().max() * 255),
            "You return one maximum for the whole batch; each image has its own: .flatten(1).amax(1).",
        ),
        Mistake(
            "over the whole batch, repeated",
            _size_with(lambda d: (d.abs().max() * 255).expand(len(d))),
            "Every image got the maximum of the whole batch; each has its own: .flatten(1).amax(1).",
        ),
        Mistake(
            "times 256",
            _size_with(lambda d: d.abs().flatten(1).amax(1) * 256),
            "The unit is 1/255, not 1/256: 8-bit pixels run from 0 to 255.",
        ),
        Mistake(
            "over the channels only",
            _size_with(lambda d: d.abs().amax(1) * 255),
            "amax(1) runs over the channels only and leaves one value per pixel: flatten(1) first, then amax(1).",
        ),
        Mistake(
            "difference of the brightest pixels",
            lambda x, x_adv: (x_adv.flatten(1).amax(1) - x.flatten(1).amax(1)).abs() * 255,
            "You subtract two maxima, the brightest pixels of the two images; subtract the images pixel by pixel, then take the maximum.",
        ),
        Mistake(
            "bytes that wrap around",
            lambda x, x_adv: ((x_adv * 255).byte() - (x * 255).byte()).flatten(1).amax(1).float(),
            "Bytes (uint8) cannot be negative: a pixel that got darker wraps around to 255. Stay with floats.",
        ),
        Mistake(
            "smallest change",
            _size_with(lambda d: d.abs().flatten(1).amin(1) * 255),
            "You took the smallest change of any pixel; L∞ is the largest.",
        ),
        Mistake(
            "rounded",
            _size_with(lambda d: (d.abs().flatten(1).amax(1) * 255).round()),
            "You rounded the answer; return the size as it is.",
        ),
    ],
    "abs, then the largest over each image's own pixels (flatten(1), then amax(1)), then the unit.",
    returns="vector",
)


def _to_8bit(x: Tensor) -> Tensor:
    return (x * 255).round() / 255


def _quantised(run: Run) -> str:
    for (x,), answer, _ in run:
        off = (answer * 255 - (answer * 255).round()).abs().max().item()
        if off > 1e-3:
            return f"a value lies {off:.2f} of a level away from the nearest k/255"
        if (answer - x).abs().max() * 255 > 1:
            return f"a pixel moved by {(answer - x).abs().max() * 255:.1f} levels; rounding moves it by half a level at most"
    return ""


TO_8BIT = Exercise(
    "01.5",
    "to_8bit",
    _to_8bit,
    lambda seed: [(images(seed, s),) for s in SHAPES],
    [
        Probe("stays a float image in [0, 1]", 1, in_image),
        Probe("gives multiples of 1/255, close to x", 1, _quantised),
        Probe("rounds to the nearest level", 2, matches("pixel"), essential=True),
    ],
    [
        Mistake(
            "rounded down",
            lambda x: (x * 255).floor() / 255,
            "You round down (floor, or a cast to an integer type, cuts off): the image gets darker. Round to the nearest level.",
        ),
        Mistake(
            "rounded up",
            lambda x: (x * 255).ceil() / 255,
            "You round up (ceil): the image gets brighter. Round to the nearest level.",
        ),
        Mistake(
            "left in 0 to 255",
            lambda x: (x * 255).round(),
            "The levels are right, but in 0…255: divide by 255 to return to [0, 1].",
        ),
        Mistake(
            "returned as bytes",
            lambda x: (x * 255).round().to(torch.uint8),
            "You return bytes (uint8); the model wants floats in [0, 1]: divide by 255.",
        ),
        Mistake(
            "256 levels by 256",
            lambda x: (x * 256).round() / 256,
            "There are 256 levels, 0 to 255, so 255 steps between them: multiply and divide by 255.",
        ),
        Mistake(
            "floor of 256",
            lambda x: (x * 256).floor().clamp(max=255) / 255,
            "You split [0, 1] into 256 bins (·256, then rounded down); round x·255 to the nearest whole number.",
        ),
        Mistake(
            "rounded to 0 and 1",
            lambda x: x.round(),
            "You rounded x itself, so only black and white are left: multiply by 255 first.",
        ),
        Mistake(
            "two decimals",
            lambda x: (x * 100).round() / 100,
            "You rounded to two decimals, 101 levels; 8 bits have 256.",
        ),
        Mistake(
            "wrapped around",
            lambda x: (x * 256).floor() % 256 / 255,
            "White became black: 1.0 · 256 does not fit into a byte and wraps around to 0. Multiply by 255 and round.",
        ),
        Mistake(
            "eight levels",
            lambda x: (x * 7).round() / 7,
            "These are 8 levels; 8 bits have 2⁸ = 256.",
        ),
        Mistake(
            "eighths",
            lambda x: (x * 8).round() / 8,
            "You rounded to multiples of 1/8; 8 bits have 2⁸ = 256 levels, multiples of 1/255.",
        ),
        Mistake(
            "up by 255, down by 256",
            lambda x: (x * 255).round() / 256,
            "You multiply by 255 and divide by 256, so white becomes 0.996: divide by the same 255.",
        ),
        Mistake(
            "up by 256, down by 255",
            lambda x: (x * 256).round() / 255,
            "You multiply by 256 and divide by 255: multiply by the same 255.",
        ),
        Mistake(
            "256 in a byte",
            lambda x: ((x * 256).round() % 256) / 255,
            "White became black: 1.0 · 256 does not fit into a byte (uint8) and wraps around to 0. Multiply by 255.",
        ),
        Mistake(
            "floor of 256, not limited",
            lambda x: (x * 256).floor() / 255,
            "x · 256 rounded down reaches 256 at white, one level too many: multiply by 255 and round to the nearest.",
        ),
        Mistake("unchanged", lambda x: x.clone(), "Nothing is rounded: your function returns its input."),
    ],
    "Three operations: to 0…255, round, back to [0, 1].",
    like=0,
)
