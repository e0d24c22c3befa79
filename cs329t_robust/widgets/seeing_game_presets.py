"""Seeing games that are ready to play, made in seconds without a network, and how the model's thresholds are found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from ..attacks import pgd
from ..contract.input_validation import Model
from ..contract.model_state import borrowed
from ..data.datasets import mnist, photos
from ..evaluation.accuracy import predict
from ..losses import margin
from ..models.networks import imagenet_classifier, mnist_classifier
from ..perception.staircase import TRIALS
from ..threat import L1, L2, Linf
from .seeing_game import SeeingGame

Found = dict[str, tuple[Tensor, Tensor, list[float]]]  # by norm: what `smallest_adversarial_changes` returns
BALLS = {"Linf": Linf, "L2": L2, "L1": L1}
PHOTOGRAPHS = ("cat", "coffee", "motorcycle")
PHOTOGRAPH_EPS = {
    "Linf": tuple(k / 255 for k in (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64)),
    "L2": (1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32, 45),
    "L0": (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256),
}
DIGIT_EPS = {
    "Linf": tuple(k / 255 for k in (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91)),
    "L2": (0.06, 0.09, 0.13, 0.18, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8),
    "L0": (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64),
}


def smallest_adversarial_changes(
    model: Model, x: Tensor, y: Tensor, norm: str, sizes: Sequence[float], *, steps: int = 10, seed: int = 0
) -> tuple[Tensor, Tensor, list[float]]:
    """Find for each picture the smallest of `sizes` at which `model` leaves `y`, and the change that does it.

    For Linf, L2 and L1 every size is tried by projected gradient ascent, all in one batch. For L0 pixels are set to 0
    or 1 in each channel, those of the steepest gradient first, a few more at each size; the gradient is taken anew.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x, y : Tensor (n, c, h, w), Tensor (n,)
    norm : {"Linf", "L2", "L1", "L0"}
    sizes : ascending
    steps : int >= 1
        Gradient steps at each size; L0 takes one.

    Returns
    -------
    change : Tensor (n, c, h, w)
        The change at the smallest size that is adversarial, or else at the largest; for L0 at the largest.
    order : Tensor (n, h, w)
        For L0 the turn at which each pixel is changed, from 0; unchanged ones come last. Zeros for other norms.
    smallest : list of float
        For each picture the smallest of `sizes` at which the model errs; infinite where none does. An upper bound on
        the nearest adversarial example's distance: the search is good and not exact.

    References
    ----------
    Madry et al. 2018, arXiv:1706.06083. For L0 compare Papernot et al. 2016, arXiv:1511.07528.
    """
    if norm == "L0":
        return _dots(model, x, y, [int(size) for size in sizes])
    if norm not in BALLS:
        raise ValueError(f"norm: expected one of Linf, L2, L1, L0, got {norm!r}")
    n, m = len(x), len(sizes)
    every, labels = x.repeat_interleave(m, 0), y.repeat_interleave(m)
    threat = BALLS[norm](torch.tensor([float(size) for size in sizes], dtype=x.dtype, device=x.device).repeat(n))
    found = pgd(model, every, labels, threat=threat, steps=steps, seed=seed)
    wrong = (predict(model, found).argmax(1) != labels).view(n, m)
    first = torch.where(wrong.any(1), wrong.int().argmax(1), m - 1)
    change = (found - every).view(n, m, *x.shape[1:])[torch.arange(n), first]
    smallest = [float(sizes[i]) if hit else float("inf") for i, hit in zip(first.tolist(), wrong.any(1), strict=True)]
    return change, torch.zeros_like(x[:, 0]), smallest


def _dots(model: Model, x: Tensor, y: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor, list[float]]:
    """Change pixels to corner colours, those first that the gradient favours; see `smallest_adversarial_changes`."""
    n, pixels = len(x), x[0, 0].numel()
    order = torch.full((n, pixels), pixels, dtype=torch.long, device=x.device)
    now, smallest, before = x.detach(), [float("inf")] * n, 0

    def note(logits: Tensor) -> None:
        for i, guess in enumerate(logits.argmax(1).tolist()):
            if before and guess != y[i]:
                smallest[i] = min(smallest[i], float(before))

    for size in sizes:
        with borrowed(model):
            ahead = now.clone().requires_grad_(True)
            logits = model(ahead)
            (grad,) = torch.autograd.grad(margin(logits, y).sum(), ahead)
        note(logits)
        gain = torch.maximum(grad * (1 - now), -grad * now).sum(1).flatten(1)
        chosen = gain.masked_fill(order < pixels, -1).topk(size - before, 1).indices
        order.scatter_(1, chosen, torch.arange(before, size, device=x.device).expand(n, -1))
        fresh = ((order >= before) & (order < size)).view(n, 1, *x.shape[2:])
        now, before = torch.where(fresh, (grad > 0).to(x), now), size
    note(predict(model, now))
    return now - x, order.view(n, *x.shape[2:]), smallest


def model_threshold(smallest: Sequence[float]) -> float | None:
    """Return the median of the smallest adversarial sizes, or None if half of the pictures have none."""
    middle = median(smallest)
    return None if middle == float("inf") else middle


def photographs_game(
    *,
    trials: int = TRIALS,
    seconds: float | None = None,
    blank: float = 0.4,
    seed: int | None = None,
    keep: str | Path | None = None,
) -> SeeingGame:
    """Make the game of three photographs at full size and the ImageNet classifier, in about 9 CPU seconds.

    "The model breaks" where it no longer says what it says of the photograph.

    Parameters
    ----------
    trials, seconds, blank, seed, keep
        As in `SeeingGame`.

    Returns
    -------
    SeeingGame

    Raises
    ------
    ValueError
        If a setting is outside its range.
    MissingExtra
        If the packages with the photographs or the classifier are missing.
    """
    x, _ = photos(PHOTOGRAPHS)
    model = imagenet_classifier()
    searched = {
        "Linf": [k / 255 for k in (0.125, 0.25, 0.5)],
        "L2": [0.1, 0.2, 0.4],
        "L0": [*PHOTOGRAPH_EPS["L0"], 362, 512, 724, 1024],
    }
    found = _search(model, x, predict(model, x).argmax(1), searched, steps=6)
    return _game(x, found, PHOTOGRAPH_EPS, trials=trials, seconds=seconds, blank=blank, seed=seed, keep=keep)


def digits_game(
    *,
    trials: int = TRIALS,
    seconds: float | None = None,
    blank: float = 0.4,
    seed: int | None = None,
    keep: str | Path | None = None,
) -> SeeingGame:
    """Make the game of four digits and the standard MNIST classifier.

    Parameters
    ----------
    trials, seconds, blank, seed, keep
        As in `SeeingGame`.

    Returns
    -------
    SeeingGame

    Raises
    ------
    ValueError
        If a setting is outside its range.
    DataError
        If the digits or the classifier are missing.
    """
    x, y = mnist("test", 4)
    searched = {
        "Linf": [k / 255 for k in range(4, 65, 2)],
        "L2": [0.1 * k for k in range(2, 41)],
        "L0": list(range(1, 65)),
    }
    found = _search(mnist_classifier(), x, y, searched, steps=20)
    return _game(x, found, DIGIT_EPS, trials=trials, seconds=seconds, blank=blank, seed=seed, keep=keep)


def _search(model: Model, x: Tensor, y: Tensor, searched: Mapping[str, Sequence[float]], *, steps: int) -> Found:
    return {
        norm: smallest_adversarial_changes(model, x, y, norm, sizes, steps=steps) for norm, sizes in searched.items()
    }


def _game(
    x: Tensor,
    found: Found,
    eps: Mapping[str, Sequence[float]],
    *,
    trials: int,
    seconds: float | None,
    blank: float,
    seed: int | None,
    keep: str | Path | None,
) -> SeeingGame:
    """Hand the changes and the model's thresholds to the game."""
    return SeeingGame(
        x,
        {norm: change for norm, (change, _, _) in found.items()},
        eps,
        {norm: model_threshold(smallest) for norm, (_, _, smallest) in found.items()},
        order=found["L0"][1],
        denominators={"Linf": 255},
        trials=trials,
        seconds=seconds,
        blank=blank,
        seed=seed,
        keep=keep,
    )
