"""Exercise 00.4: the smallest ε that flips a prediction."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import labels


def _smallest_flip(eps: Tensor, labels: Tensor, y: int) -> float | None:
    flipped = eps[labels != y]
    return flipped.min().item() if len(flipped) else None


def _ladder(values: list[float], predicted: list[int], y: int) -> tuple[Tensor, Tensor, int]:
    return torch.tensor(values), torch.tensor(predicted), y


def _ladders(seed: int) -> list[tuple]:
    y = int(labels(seed, 1)[0])
    a, b = (y + 1) % 4, (y + 2) % 4
    step = 0.01 * (1 + seed % 3)
    return [
        _ladder([i * step for i in range(6)], [y, y, a, y, b, b], y),
        _ladder([0.3, 0.1, 0.2, 0.0, 0.4], [a, y, b, y, a], y),
        _ladder([0.0, 0.1, 0.2], [y, y, y], y),
        _ladder([0.0, 0.1, 0.2], [b, b, y], y),
        _ladder([0.05, 0.1, 0.2], [y, y, a], y),
        _ladder([0.01, 0.03, 0.06], [y, b, y], y),
    ]


def _case(what: str, *indices: int) -> Probe:
    def test(run: Run) -> str:
        for (eps, predicted, y), answer, expected in (list(run)[i] for i in indices):
            if answer == expected or (None not in (answer, expected) and abs(answer - expected) < 1e-6):
                continue
            ladder = ", ".join(f"{e:g}: {p}" for e, p in zip(eps.tolist(), predicted.tolist(), strict=True))
            told = "None" if expected is None else f"{expected:g}"
            got = "None" if answer is None else f"{answer:g}"
            return f"for y = {y} and predictions {{{ladder}}} the answer is {told}, yours is {got}"
        return ""

    return Probe(what, 1, test, essential=0 in indices)


def _by_index(eps: Tensor, labels: Tensor, y: int) -> float | None:
    wrong = (labels != y).nonzero().flatten()
    return float(wrong[0]) if len(wrong) else None


def _first_listed(eps: Tensor, labels: Tensor, y: int) -> float | None:
    wrong = (labels != y).nonzero().flatten()
    return eps[wrong[0]].item() if len(wrong) else None


def _by_sorted_index(eps: Tensor, labels: Tensor, y: int) -> float | None:
    return _by_index(eps, labels[eps.argsort()], y)


def _before_the_flip(eps: Tensor, labels: Tensor, y: int) -> float | None:
    flip = _smallest_flip(eps, labels, y)
    below = eps[eps < flip] if flip is not None else []
    return below.max().item() if len(below) else None


def _for_good(eps: Tensor, labels: Tensor, y: int) -> float | None:
    order = eps.argsort()
    stays = (labels[order] != y).flip(0).long().cumprod(0).flip(0)
    return eps[order][stays.bool()].min().item() if stays.any() else None


def _falsy(eps: Tensor, labels: Tensor, y: int) -> float | None:
    best = None
    for e, label in zip(eps.tolist(), labels.tolist(), strict=True):
        if label != y and (not best or e < best):
            best = e
    return best or None


def _last_right(eps: Tensor, labels: Tensor, y: int) -> float | None:
    right = eps[labels == y]
    return right.max().item() if len(right) < len(eps) else None


SMALLEST_FLIP = Exercise(
    "00.4",
    "smallest_flip",
    _smallest_flip,
    _ladders,
    [
        _case("finds the first flip, also when the prediction flips back later", 0, 4, 5),
        _case("does not rely on the order of the ladder", 1),
        _case("returns None when nothing flips", 2),
        _case("returns 0 for an image that is wrong from the start", 3),
    ],
    [
        Mistake(
            "index returned",
            _by_index,
            "You return the position in the ladder; look the ε up at that position.",
        ),
        Mistake(
            "index in the sorted ladder",
            _by_sorted_index,
            "You return the position in the sorted ladder; look the ε up at that position.",
        ),
        Mistake(
            "smallest of all",
            lambda eps, labels, y: eps.min().item(),
            "You return the smallest ε of the ladder whether it flips or not: labels and y play no part.",
        ),
        Mistake(
            "epsilons sorted, labels not",
            lambda eps, labels, y: _first_listed(eps.sort().values, labels, y),
            "You sorted the ε but not the labels that belong to them: each ε now stands beside another's prediction.",
        ),
        Mistake(
            "minimum of nothing",
            lambda eps, labels, y: eps[labels != y].min().item(),
            "Nothing flips in this ladder, so there is no smallest: look first whether any ε is left, and return None if not.",
        ),
        Mistake(
            "first of nothing",
            lambda eps, labels, y: eps.sort().values[labels[eps.argsort()] != y][0].item(),
            "Nothing flips in this ladder, so there is no first one: look first whether any ε is left, and return None if not.",
        ),
        Mistake(
            "flipped for good",
            _for_good,
            "You look for the ε from which on every prediction is wrong; one wrong prediction is enough, even if it flips back.",
        ),
        Mistake(
            "the step before the flip",
            _before_the_flip,
            "You return the last ε before the flip, which is still right; the exercise asks for the first that is wrong.",
        ),
        Mistake(
            "only the largest epsilon looked at",
            lambda eps, labels, y: None if labels[eps.argmax()] == y else _smallest_flip(eps, labels, y),
            "You decide by the largest ε alone whether anything flips; a smaller ε may flip although the largest does not.",
        ),
        Mistake(
            "zero treated as no answer yet",
            _falsy,
            "An answer of 0.0 counts as false in `if not best` or `or`, so it is taken for missing: test `best is None`.",
        ),
        Mistake(
            "predicted class returned",
            lambda eps, labels, y: float(labels[labels != y][0]) if bool((labels != y).any()) else None,
            "You return the class that is predicted after the flip; return the ε at which it happens.",
        ),
        Mistake(
            "minus one when nothing flips",
            lambda eps, labels, y: -1.0 if bool((labels == y).all()) else _smallest_flip(eps, labels, y),
            "When nothing flips you return −1; the exercise asks for None.",
        ),
        Mistake(
            "first one listed",
            _first_listed,
            "You take the first flip in the order of the list; the ladder need not be ascending, so take the smallest ε: .min().",
        ),
        Mistake(
            "largest flip",
            lambda eps, labels, y: eps[labels != y].max().item() if bool((labels != y).any()) else None,
            "You return the largest ε that flips; the exercise asks for the smallest.",
        ),
        Mistake(
            "last one that is right",
            _last_right,
            "You return the last ε that is still right; the exercise asks for the smallest that is wrong.",
        ),
        Mistake(
            "smallest that is right",
            lambda eps, labels, y: eps[labels == y].min().item() if bool((labels == y).any()) else None,
            "The comparison is turned round: you look where labels == y; a flip is where labels != y.",
        ),
        Mistake(
            "zero when nothing flips",
            lambda eps, labels, y: _smallest_flip(eps, labels, y) or 0.0,
            "When nothing flips you return 0, which would mean that the image is wrong without any attack; return None.",
        ),
        Mistake(
            "infinity when nothing flips",
            lambda eps, labels, y: float("inf") if bool((labels == y).all()) else _smallest_flip(eps, labels, y),
            "When nothing flips you return infinity; the exercise asks for None.",
        ),
        Mistake(
            "largest epsilon when nothing flips",
            lambda eps, labels, y: eps.max().item() if bool((labels == y).all()) else _smallest_flip(eps, labels, y),
            "When nothing flips you return the largest ε tried; that says it flips there. Return None.",
        ),
        Mistake(
            "zero treated as missing",
            lambda eps, labels, y: _smallest_flip(eps, labels, y) or None,
            "`or None` turns the answer 0.0 into None, because 0.0 counts as false: test `is None`, or the length.",
        ),
        Mistake(
            "flip compared with the first prediction",
            lambda eps, labels, y: _smallest_flip(eps, labels, int(labels[0])),
            "You compare with the first prediction of the list; compare with the true label y.",
        ),
        Mistake(
            "binary search order",
            lambda eps, labels, y: eps[int((labels == y).sum())].item() if bool((labels != y).any()) else None,
            "You count how many predictions are right and take that position; predictions may flip back and forth.",
        ),
    ],
    "eps[labels != y] holds every ε that flips. How many are there, and which is the smallest?",
    returns="number or None",
    like=0,
)
