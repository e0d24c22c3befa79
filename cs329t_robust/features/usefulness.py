"""How useful a feature is, on average and against an adversary; and whether robust features have leaked.

A feature is a function from images (n, c, h, w) to one number each, (n,); here labels are −1 and +1.

References
----------
Ilyas et al. 2019, arXiv:1905.02175, section 2; Goh 2019, "Robust feature leakage", doi:10.23915/distill.00019.2.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..contract.input_validation import check_images, check_labels
from ..contract.model_state import borrowed
from ..evaluation.accuracy import Accuracy
from ..threat import Threat

Feature = Callable[[Tensor], Tensor]
PENALTY = 1e-3  # of the squared weights in `leakage`: fits of few images would run off to infinity


def standardised(feature: Feature, x: Tensor) -> Feature:
    """Return the feature shifted and scaled to mean 0 and variance 1 over images `x`.

    Parameters
    ----------
    feature : callable
        (n, c, h, w) to (n,).
    x : Tensor (n, c, h, w)

    Returns
    -------
    callable
        (n, c, h, w) to (n,).

    Raises
    ------
    ValueError
        If it has one value for all of them.
    """
    values = _values(feature, x)
    mean, spread = values.mean(), values.std(unbiased=False)
    if not spread > 1e-6 * (1 + mean.abs()):
        raise ValueError(f"feature: expected values that differ from image to image, got {mean.item():.4g} for all")
    return lambda images: (feature(images) - mean) / spread


def usefulness(feature: Feature, x: Tensor, y: Tensor) -> float:
    """Return E[y·f(x)]: how far the feature goes with the label, on average. With f standardised, from −1 to 1.

    Parameters
    ----------
    feature : callable
        (n, c, h, w) to (n,).
    x : Tensor (n, c, h, w) in [0, 1]
    y : Tensor (n,) of −1 and +1

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `y` holds anything but −1 and +1, or an image has no finite feature.
    """
    return (_signs(x, y) * _values(feature, x)).mean().item()


def robust_usefulness(feature: Feature, x: Tensor, y: Tensor, threat: Threat, *, steps: int = 40) -> float:
    """Return E[min over δ ∈ Δ of y·f(x + δ)], the minimum as PGD finds it: an upper bound of the true one.

    Parameters
    ----------
    feature : callable
        (n, c, h, w) to (n,), differentiable.
    x, y
        As in `usefulness`.
    threat : Linf or L2
    steps : int
        Of PGD from the image itself; each keeps the lowest value met, its own included.

    Returns
    -------
    float
        Never above `usefulness`.

    Raises
    ------
    ValueError
        If `y` holds anything but −1 and +1, or an image has no finite feature.
    """
    sign = _signs(x, y)

    def both(images: Tensor) -> Tensor:
        value = feature(images)
        return torch.stack([-value, value], 1)

    def against(logits: Tensor, label: Tensor) -> Tensor:
        return -logits.gather(1, label[:, None])[:, 0]

    x_adv = pgd(both, x, (sign > 0).long(), threat=threat, steps=steps, loss=against, random_start=False)
    return torch.minimum(sign * _values(feature, x), sign * _values(feature, x_adv)).mean().item()


def leakage(features: Feature, x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor) -> Accuracy:
    """Train a linear classifier on given features of images `x` alone, with labels `y`; return its test accuracy.

    With robust features and a relabelled data set this is Goh's check: what it scores above chance on clean pictures,
    robust features can have taught.

    Parameters
    ----------
    features : callable
        Images (n, c, h, w) to (n, d): the logits of a robust linear model, `Penultimate` of a robust network, …
    x, y : Tensor (n, c, h, w) in [0, 1], Tensor (n,)
    x_test, y_test
        Clean pictures and their true labels.

    Returns
    -------
    Accuracy
        On the clean pictures.

    Raises
    ------
    ValueError
        If the labels do not fit the images, or an image has no finite features.
    """
    check_labels(x, y)
    check_labels(x_test, y_test)
    learn, test = (_values(features, images) for images in (x, x_test))
    mean, spread = learn.mean(0), learn.std(0, unbiased=False).clamp_min(1e-6)
    learn, test = (learn - mean) / spread, (test - mean) / spread
    classes = int(max(y.max(), y_test.max())) + 1
    with torch.inference_mode(False), torch.enable_grad():
        weight, bias = learn.new_zeros(classes, learn.shape[1]), learn.new_zeros(classes)
        weights = [weight.requires_grad_(), bias.requires_grad_()]
        optimiser = torch.optim.LBFGS(weights, max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = nn.functional.cross_entropy(learn @ weight.T + bias, y) + PENALTY * weight.square().sum()
            value.backward()
            return value

        optimiser.step(loss)
    with torch.no_grad():
        return Accuracy((test @ weight.T + bias).argmax(1) == y_test)


def _values(feature: Feature, x: Tensor, batch_size: int = 1000) -> Tensor:
    """Return the feature of every image, without gradients, a batch at a time."""
    check_images(x)
    with borrowed(feature), torch.no_grad():
        values = torch.cat([feature(part.clone()) for part in x.split(batch_size)])
    if len(values) != len(x) or not bool(values.isfinite().all()):
        raise ValueError(f"feature: expected a finite value for each of {len(x)} images, got {tuple(values.shape)}")
    return values


def _signs(x: Tensor, y: Tensor) -> Tensor:
    if not isinstance(y, Tensor) or y.shape != x.shape[:1] or not bool((y.abs() == 1).all()):
        raise ValueError("y: expected −1 or +1 for each image; use torch.where(labels == 7, 1, -1)")
    return y.to(x.dtype)
