"""Exercise 04.2: the lecture's four norms, for each image of a batch."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..agreement import agree
from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import alone, generator, images

NORMS = ("L0", "L1", "L2", "Linf")
SHAPES = ((6, 1, 5, 5), (3, 3, 4, 4))


def _l0(delta: Tensor) -> Tensor:
    return (delta != 0).any(1).flatten(1).sum(1).to(delta.dtype)


RIGHT = {
    "L0": _l0,
    "L1": lambda d: d.abs().flatten(1).sum(1),
    "L2": lambda d: d.flatten(1).norm(dim=1),
    "Linf": lambda d: d.abs().flatten(1).amax(1),
}


def _distance(x: Tensor, x_adv: Tensor, norm: str) -> Tensor:
    return RIGHT[norm](x_adv - x)


def _but(**other: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, str], Tensor]:
    """Return the solution with some norms measured otherwise."""
    return lambda x, x_adv, norm: {**RIGHT, **other}[norm](x_adv - x)


def _cases(seed: int) -> list[tuple]:
    cases = []
    for shape in SHAPES:
        x, draw = images(seed, shape), generator(seed + 5)
        delta = torch.randn(shape, generator=draw) * 0.4
        touched = torch.rand(shape, generator=draw) < 0.35  # of each channel by itself
        x_adv = torch.where(touched, x + delta, x).clamp(0, 1)
        x_adv[-1, 0, 0, 0] = x[-1, 0, 0, 0] - 0.9 if x[-1, 0, 0, 0] > 0.9 else x[-1, 0, 0, 0]
        cases += [(x, x_adv, norm) for norm in NORMS]
    return cases


def _norm_is_right(norm: str) -> Callable[[Run], str]:
    def test(run: Run) -> str:
        for args, answer, expected in run:
            if args[2] == norm and not agree(answer, expected):
                at = int((answer - expected).abs().argmax())
                colour = " (colour)" if args[0].shape[1] == 3 else ""
                return f"{norm} of image {at}{colour}: expected {expected[at]:.4g}, got {answer[at]:.4g}"
        return ""

    return test


def _one_is_right(run: Run) -> str:
    if any(not _norm_is_right(norm)(run) for norm in NORMS):
        return ""
    return "none of the four norms is right"


def _batch(size: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda d: size(d.reshape(1, 1, 1, -1)).expand(len(d))


DISTANCE = Exercise(
    "04.2",
    "distance",
    _distance,
    _cases,
    [
        Probe("gets at least one norm right", 1, _one_is_right, essential=True),
        *(Probe(f"{norm}", 1, _norm_is_right(norm)) for norm in NORMS),
        Probe("measures each image on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], a[2]))),
    ],
    [
        Mistake(
            "L0 counts values",
            _but(L0=lambda d: (d != 0).flatten(1).sum(1).to(d.dtype)),
            "L0 counts pixels, that is places: in a colour image a place counts once even if two of its channels changed. "
            "(delta != 0).any(1) first.",
        ),
        Mistake(
            "signed L1",
            _but(L1=lambda d: d.flatten(1).sum(1)),
            "In L1 the changes cancel: take their absolute values before you add them.",
        ),
        Mistake(
            "signed L1 and Linf",
            _but(L1=lambda d: d.flatten(1).sum(1), Linf=lambda d: d.flatten(1).amax(1)),
            "The absolute value is missing in L1 and in L∞: a pixel that got darker has changed as well.",
        ),
        Mistake(
            "signed Linf",
            _but(Linf=lambda d: d.flatten(1).amax(1)),
            "In L∞ you take the largest signed change; a pixel that got darker has changed as well: .abs() first.",
        ),
        Mistake(
            "L2 squared",
            _but(L2=lambda d: d.square().flatten(1).sum(1)),
            "Your L2 is the sum of squares; the square root is missing.",
        ),
        Mistake(
            "L2 mean",
            _but(L2=lambda d: d.square().flatten(1).mean(1).sqrt()),
            "Your L2 is the root of the mean square; a norm adds up, it does not average.",
        ),
        Mistake(
            "L1 mean",
            _but(L1=lambda d: d.abs().flatten(1).mean(1)),
            "Your L1 is the mean change; a norm adds up, it does not average.",
        ),
        Mistake(
            "L1 and L2 mean",
            _but(L1=lambda d: d.abs().flatten(1).mean(1), L2=lambda d: d.square().flatten(1).mean(1).sqrt()),
            "Your L1 and L2 are means over the pixels; a norm adds up, it does not average.",
        ),
        Mistake(
            "whole batch",
            lambda x, x_adv, norm: _batch(RIGHT[norm])(x_adv - x),
            "One value for the whole batch; flatten(1) keeps the images apart, and then reduce along dimension 1.",
        ),
        Mistake(
            "L0 of x_adv",
            lambda x, x_adv, norm: _l0(x_adv) if norm == "L0" else RIGHT[norm](x_adv - x),
            "Your L0 counts the pixels of x′ that are not black; count where x′ differs from x.",
        ),
        Mistake(
            "norms of x_adv",
            lambda x, x_adv, norm: RIGHT[norm](x_adv),
            "You measured x′ itself; measure the change x′ − x.",
        ),
        Mistake(
            "L0 as a share",
            _but(L0=lambda d: (d != 0).any(1).flatten(1).to(d.dtype).mean(1)),
            "Your L0 is a share of the pixels; the norm is how many there are.",
        ),
        Mistake(
            "L1 and L2 swapped",
            _but(L1=RIGHT["L2"], L2=RIGHT["L1"]),
            "L1 and L2 are swapped: L1 adds up absolute values, L2 is the root of the sum of squares.",
        ),
        Mistake(
            "Linf is the smallest change",
            _but(Linf=lambda d: d.abs().flatten(1).amin(1)),
            "Your L∞ is the smallest change; it is the largest.",
        ),
        Mistake(
            "Linf of a mean over channels",
            _but(Linf=lambda d: d.abs().mean(1).flatten(1).amax(1)),
            "Your L∞ averages over the channels first; it is the largest change of any single value.",
        ),
    ],
    "delta = x_adv − x. Then by norm: count the places where any channel differs; sum |delta|; the root of the sum of squares; the "
    "largest |delta|; each over .flatten(1), dimension 1.",
    returns="vector",
    like=0,
)
