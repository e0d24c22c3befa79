"""How far a model's gradients agree with what a person sees, in numbers: the tables of lesson 09, and its claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..contract.input_validation import Model, check_images, check_labels
from ..data.datasets import mnist
from ..evaluation.accuracy import Accuracy, accuracy, robust_accuracy
from ..models.networks import mnist_classifier
from ..runtime.randomness import ImageRandom, uniform_like
from ..threat import L2, Linf, Threat
from .attributions import alignment, forge, object_area, on_object, saliency, similarity

Look = Callable[[Model, Tensor, Tensor], Tensor]
TRAINED = {"standard": "standard", "noise": "gaussian", "PGD L2": "pgd_l2", "PGD Linf": "pgd"}
SYNTHESIS, SYNTHESIS_STEPS = L2(8.0), 40
NEIGHBOURS, KNOWN = 5, 6000  # of the judge, who knows that many training images


@dataclass(frozen=True)
class Mean:
    """The mean of one number per image, with its n and its 95% interval (normal).

    Attributes
    ----------
    value : float
    low, high : float
        Ends of the interval.
    n : int
        Images.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Tensor) -> "Mean":
        """Average values (n,), n >= 2."""
        middle, half = values.mean().item(), 1.96 * values.std().item() / len(values) ** 0.5
        return cls(middle, middle - half, middle + half, len(values))

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def digit_models(names: Sequence[str] = tuple(TRAINED)) -> dict[str, nn.Module]:
    """Return shipped digit networks by how they were trained.

    Parameters
    ----------
    names : sequence of {"standard", "noise", "PGD L2", "PGD Linf"}

    Returns
    -------
    dict of str to Module

    Raises
    ------
    ValueError
        If a name is none of the four.
    """
    unknown = [name for name in names if name not in TRAINED]
    if unknown:
        raise ValueError(f"names: expected some of {', '.join(TRAINED)}, got {unknown[0]!r}")
    return {name: mnist_classifier(TRAINED[name]) for name in names}


def gradient_measures(model: Model, x: Tensor, y: Tensor, look: Look = saliency) -> dict[str, Mean]:
    """Return the two measures of an attribution: "on the ink" (share of its mass), "along x" (|cosine| with x).

    `look` is `explain.saliency`, `explain.smooth_grad` or `explain.integrated_gradients`.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        The classes whose logits are explained.
    look : callable
        `saliency`, `smooth_grad` or `integrated_gradients`.

    Returns
    -------
    dict of str to Mean

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    seen = look(model, x, y)
    return {"on the ink": Mean.of(on_object(seen, x)), "along x": Mean.of(alignment(seen, x))}


def ink_area(x: Tensor) -> Mean:
    """Return the share of a picture that the ink and its rim cover: what a blind gradient would have on it.

    Parameters
    ----------
    x : Tensor (n, c, h, w)

    Returns
    -------
    Mean
    """
    return Mean.of(object_area(x))


def others(y: Tensor, classes: int = 10, seed: int = 0) -> Tensor:
    """Return a class for each label, drawn uniformly from the other classes.

    Parameters
    ----------
    y : Tensor (n,), integer
    classes : int >= 2
    seed : int
        Of the draw.

    Returns
    -------
    Tensor (n,), integer
    """
    step = torch.randint(1, classes, y.shape, generator=torch.Generator().manual_seed(seed))
    return (y + step.to(y.device)) % classes


def synthesise(
    model: Model, x: Tensor, target: Tensor, *, threat: Threat = SYNTHESIS, steps: int = SYNTHESIS_STEPS
) -> Tensor:
    """Turn each image into what `model` takes for `target`: plain targeted PGD, but with room for a whole digit.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    target : Tensor (n,), integer
        The classes to draw.
    threat : Threat
        The room; a large L2 ball when not given.
    steps : int >= 0

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.

    References
    ----------
    Santurkar et al. 2019, "Image synthesis with a single (robust) classifier", arXiv:1906.09453, section 3.
    """
    return pgd(model, x, target, threat=threat, steps=steps, targeted=True, random_start=False)


def nearest_label(query: Tensor, known: Tensor, labels: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Return the commonest label among the k known images nearest in L2 to each query, (m,); the smallest of equals.

    Parameters
    ----------
    query : Tensor (m, c, h, w)
    known, labels : Tensor (n, c, h, w), Tensor (n,)
    k : int, 1 to n

    Raises
    ------
    ValueError
        If shapes do not fit, or there are fewer than k known images.
    """
    check_images(known)
    check_labels(known, labels)
    if query.shape[1:] != known.shape[1:]:
        raise ValueError(f"query: expected images of shape {tuple(known.shape[1:])}, got {tuple(query.shape[1:])}")
    if not 1 <= k <= len(known):
        raise ValueError(f"k: expected 1 to {len(known)} neighbours, as many images are known, got {k}")
    near = torch.cdist(query.flatten(1), known.flatten(1)).topk(k, largest=False).indices
    votes = torch.zeros(len(query), int(labels.max()) + 1, device=query.device)
    return votes.scatter_add(1, labels[near], torch.ones_like(near, dtype=votes.dtype)).argmax(1)


def read_as(pictures: Tensor, target: Tensor, known: int = KNOWN) -> Accuracy:
    """Return the share of pictures that the judge, who uses no network, reads as `target`.

    The judge asks the `NEIGHBOURS` nearest of the first `known` training digits.

    Parameters
    ----------
    pictures : Tensor (n, 1, 28, 28)
    target : Tensor (n,), integer
    known : int
        How many training digits the judge knows.

    Returns
    -------
    Accuracy

    Raises
    ------
    ValueError
        If `known` is below 5, or more than there are.
    """
    return Accuracy(nearest_label(pictures, *mnist("train", known)) == target)


@dataclass(frozen=True)
class Forged:
    """Saliency before and after an attack that keeps the prediction, and after noise of the same size: cosines.

    Attributes
    ----------
    attacked, noisy : Mean
        Of the cosines between the saliency before and after.
    kept : Accuracy
        The share of images whose prediction the attack kept.
    """

    attacked: Mean
    noisy: Mean
    kept: Accuracy


def forged(model: nn.Module, x: Tensor, y: Tensor, threat: Linf, seed: int = 0) -> Forged:
    """Measure how far the saliency of `y` can be turned within `threat` without changing the prediction.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        The classes whose logits are explained.
    threat : Linf
    seed : int
        Of the noise.

    Returns
    -------
    Forged

    Raises
    ------
    ValueError
        As in `forge`.
    """
    before = saliency(model, x, y)
    changed = forge(model, x, y, threat=threat)
    signs = (uniform_like(x, ImageRandom(seed, x)) - 0.5).sign()
    noisy = threat.project(x, x + threat.eps * signs)
    with torch.no_grad():
        kept = Accuracy(model(changed).argmax(1) == model(x).argmax(1))
    return Forged(
        Mean.of(similarity(before, saliency(model, changed, y))),
        Mean.of(similarity(before, saliency(model, noisy, y))),
        kept,
    )


@dataclass(frozen=True)
class RobustAndAligned:
    """One model of the map "aligned against robust".

    Attributes
    ----------
    clean, linf, l2 : Accuracy
        Clean, and robust against PGD-40 at L∞ 0.3 and at L2 2.0.
    along_x : Mean
        The saliency's alignment with the image.
    read : Accuracy
        The share of its drawings that the judge reads as the digit that was asked for.
    """

    clean: Accuracy
    linf: Accuracy
    l2: Accuracy
    along_x: Mean
    read: Accuracy


def robust_and_aligned(model: nn.Module, x: Tensor, y: Tensor) -> RobustAndAligned:
    """Measure accuracy, robust accuracy (PGD-40, L∞ 0.3 and L2 2.0), alignment and how well its synthesis is read.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.

    Returns
    -------
    RobustAndAligned

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """

    def attacked(threat: Threat) -> Accuracy:
        def search(model: Model, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
            return pgd(model, x, y, threat=threat, steps=40, drop_adversarial=True)

        return robust_accuracy(model, x, y, search, threat)

    target = others(y)
    return RobustAndAligned(
        accuracy(model, x, y),
        attacked(Linf(0.3)),
        attacked(L2(2.0)),
        gradient_measures(model, x, y)["along x"],
        read_as(synthesise(model, x, target), target),
    )
