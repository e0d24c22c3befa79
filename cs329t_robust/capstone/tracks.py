"""The three tracks and their rules: what is handed in, on which images it is measured, and why it may be refused."""

import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..attacks import autoattack
from ..contract.input_validation import check_count
from ..data.datasets import mnist
from ..evaluation.accuracy import accuracy, check_member, predict, robust_accuracy, wilson
from ..models.networks import SmallCNN, load, mnist_classifier
from ..threat import Linf

EPS = 0.2
"""The L∞ radius of the two attack tracks."""
QUERIES = 500  # of the black-box track, for each image
DEFENCE = Linf(0.3)
CLEAN = 0.95  # what a defence must get right at least
LARGEST = 1_000_000  # bytes of a defence's file
IMAGES = 200
TRACKS = {
    "white": f"success against the sealed model, its weights known, L∞ {EPS}",
    "black": f"success against the sealed model by {QUERIES} queries an image, L∞ {EPS}",
    "defence": f'accuracy of your own model under autoattack(version="fast"), L∞ {DEFENCE.eps}',
}
Attack = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


class Refused(ValueError):
    """A submission broke a rule of its track; the message says which."""


@dataclass(frozen=True)
class Score:
    """What a submission earned in one track: a share of n images, with its 95% interval (Wilson).

    Attributes
    ----------
    track : {"white", "black", "defence"}
    hits : int
        Images that count for the submission.
    n : int
        Images in all.
    """

    track: str
    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; the larger the better in every track."""
        return self.hits / self.n

    def __str__(self) -> str:
        low, high = wilson(self.hits, self.n)
        return f"{self.track}: {self.value:.3f} ({self.hits} of {self.n}, 95% interval {low:.3f} to {high:.3f})"


def sealed_model() -> SmallCNN:
    """Return the model to attack: the shipped digit network that was trained with Gaussian noise.

    Returns
    -------
    SmallCNN
        In eval mode; its weights ask for no gradient.

    Raises
    ------
    ValueError
        If the repository does not ship it.
    """
    return mnist_classifier("gaussian").requires_grad_(False)


def hidden_images(secret: str, n: int = IMAGES, model: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Return n test digits that follow from `secret`: any, or those alone that `model` gets right.

    Parameters
    ----------
    secret : str
    n : int >= 1
    model : Module, optional

    Returns
    -------
    x : Tensor (n, 1, 28, 28), float32 in [0, 1]
    y : Tensor (n,), int64

    Raises
    ------
    ValueError
        If n is not a whole number from 1 on, or there are not so many.
    """
    check_count("n", n, 1)
    x, y = mnist("test")
    seed = int.from_bytes(hashlib.sha256(f"capstone {secret}".encode()).digest()[:7], "big")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    if model is not None:
        candidates = order[: 2 * n]  # twice as many as are needed: every model here gets far more than half right
        order = candidates[predict(model, x[candidates]).argmax(1) == y[candidates]]
    if len(order) < n:
        raise ValueError(f"n: expected at most {len(order)} images, as many as there are, got {n}")
    return x[order[:n]], y[order[:n]]


def oracle(model: nn.Module, budget: int) -> Callable[[Tensor], Tensor]:
    """Return ``query(images (m, c, h, w)) -> logits (m, k)`` that knows no gradient and answers `budget` images in all.

    Raises
    ------
    ValueError
        From the query, when more is asked; what was found until then is the attack's to return.
    """
    left = budget

    def query(pictures: Tensor) -> Tensor:
        nonlocal left
        count = len(pictures) if isinstance(pictures, Tensor) and pictures.ndim == 4 else 0
        if not count:
            raise ValueError("query: expected images (m, c, h, w), at least one")
        if count > left:
            raise ValueError(f"query: expected at most {left} more images within the budget of {budget}, got {count}")
        left -= count
        return predict(model, pictures.detach().clamp(0, 1))

    return query


def white(attack: Attack, secret: str, n: int = IMAGES) -> Score:
    """Score ``attack(model, x, y, eps) -> x_adv`` against the sealed model.

    Raises
    ------
    Refused
        If it left the ball or the image box, or returned something else.
    """
    model = sealed_model()
    x, y = hidden_images(secret, n, model)
    return _judged("white", model, x, y, attack(deepcopy(model), x.clone(), y.clone(), EPS))


def black(attack: Callable[..., Tensor], secret: str, n: int = IMAGES) -> Score:
    """Score ``attack(query, x, y, eps) -> x_adv``, which may ask `QUERIES` times as many images as there are.

    Raises
    ------
    Refused
        As in `white`.
    """
    model = sealed_model()
    x, y = hidden_images(secret, n, model)
    return _judged("black", model, x, y, attack(oracle(model, QUERIES * n), x.clone(), y.clone(), EPS))


def defence(path: str | Path, secret: str, n: int = IMAGES) -> Score:
    """Score a model of one's own: weights of `SmallCNN` in a .safetensors file, attacked by the fast ensemble.

    Raises
    ------
    Refused
        If the file is missing, too large or no such weights, or gets fewer than `CLEAN` of the images right.
    """
    path = Path(path)
    size = path.stat().st_size if path.is_file() else 0
    if size > LARGEST:
        raise Refused(f"defence: expected a file of at most {LARGEST:,} bytes, got {size:,}")
    try:
        model = load(SmallCNN(seed=0), path)
        x, y = hidden_images(secret, n)
        clean = accuracy(model, x, y)
    except (ValueError, FileNotFoundError) as error:
        raise Refused(f"defence: {error}") from error
    if clean < CLEAN:
        raise Refused(f"defence: expected at least {CLEAN:.0%} of clean digits right, got {float(clean):.1%} (n={n})")
    held = robust_accuracy(model, x, y, _fast, DEFENCE)
    return Score("defence", int(held.correct.sum()), n)


def practise(track: str, entry: object, n: int = 50) -> Score:
    """Score an attack (a function) or a defence (a path) on practice images, in this process, unprotected.

    Parameters
    ----------
    track : {"white", "black", "defence"}
    entry : callable, or str or Path
        An attack; for the defence the file of its weights.
    n : int >= 1
        Images.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        If there is no such track.
    Refused
        As the track does.
    """
    rate = {"white": white, "black": black, "defence": defence}
    if track not in rate:
        raise ValueError(f"track: expected one of {', '.join(rate)}, got {track!r}")
    return rate[track](entry, "practice", n)


def _fast(model: nn.Module, x: Tensor, y: Tensor, *, threat: Linf) -> Tensor:
    return autoattack(model, x, y, threat=threat, version="fast")


def _judged(track: str, model: nn.Module, x: Tensor, y: Tensor, x_adv: object) -> Score:
    try:
        check_member(x, x_adv, Linf(EPS), f"{track} attack")
    except ValueError as error:
        raise Refused(str(error)) from error
    return Score(track, int((predict(model, x_adv).argmax(1) != y).sum()), len(x))
