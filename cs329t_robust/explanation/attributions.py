"""What a model looks at: attributions, how well they agree with what a person sees, and how easily they are forged."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..contract.input_validation import Model, check_count, check_inputs, check_logits, check_number
from ..contract.model_state import borrowed
from ..evaluation.accuracy import predict
from ..runtime.extras import needed_by
from ..runtime.randomness import ImageRandom, normal_like
from ..threat import Threat

HIGHEST_SIGMA = 10.0  # of smooth_grad's noise, in pixel values: above it nothing of a picture is left


def saliency(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of each image's logit for class `y` with respect to its pixels.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        The classes whose logits are explained.

    Returns
    -------
    Tensor (n, c, h, w)

    Raises
    ------
    ValueError
        If an input is unusable, as in `pgd`.

    References
    ----------
    Simonyan, Vedaldi & Zisserman 2014, "Deep inside convolutional networks", arXiv:1312.6034, section 3.
    """
    x, y = _checked(model, x, y)
    with borrowed(model):
        return _saliency(model, x, y)


def smooth_grad(model: Model, x: Tensor, y: Tensor, *, sigma: float = 0.2, samples: int = 16, seed: int = 0) -> Tensor:
    """Return the mean of `saliency` over `samples` noisy copies of each image.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        The classes whose logits are explained.
    sigma : float > 0
        Standard deviation of the Gaussian noise, in pixel values. Noisy copies are not clipped, as in the paper.
    samples : int >= 1
    seed : int
        The noise follows from it and each image's own pixels; the global random state is not read (captum's
        NoiseTunnel reads it, which is why it does not serve here).

    Returns
    -------
    Tensor (n, c, h, w)

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.

    References
    ----------
    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", arXiv:1706.03825, section 3.
    """
    x, y = _checked(model, x, y)
    check_count("samples", samples, 1)
    check_number("sigma", sigma, 0, HIGHEST_SIGMA, above=True, unit=" in pixel values of [0, 1]")
    random, total = ImageRandom(seed, x), torch.zeros_like(x)
    with borrowed(model):
        for _ in range(samples):
            total += _saliency(model, x + sigma * normal_like(x, random), y)
    return total / samples


def integrated_gradients(
    model: Model, x: Tensor, y: Tensor, *, baseline: Tensor | float = 0.0, steps: int = 32
) -> Tensor:
    """Return (x − baseline) times the mean gradient on the way from the baseline to x, by captum.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        The classes whose logits are explained.
    baseline : float or Tensor (n, c, h, w)
        What counts as "nothing there": black when not given.
    steps : int >= 1
        Points of the Gauss–Legendre rule.

    Returns
    -------
    Tensor (n, c, h, w)

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.

    References
    ----------
    Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", arXiv:1703.01365, section 3.
    """
    with needed_by("integrated_gradients"):
        from captum.attr import IntegratedGradients

    x, y = _checked(model, x, y)
    check_count("steps", steps, 1)
    with borrowed(model):
        return IntegratedGradients(model).attribute(x, baseline, target=y, n_steps=steps).detach().to(x.dtype)


def on_object(attribution: Tensor, x: Tensor, *, above: float = 0.2, reach: int = 1) -> Tensor:
    """Return the share of each attribution's absolute mass that lies on the object.

    Parameters
    ----------
    attribution : Tensor (n, c, h, w)
    x : Tensor (n, c, h, w)
    above : float
        What a pixel of the object exceeds.
    reach : int >= 0
        By how many pixels the object is grown.

    Returns
    -------
    Tensor (n,), in [0, 1]

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_alike(attribution, x)
    mass = attribution.abs().flatten(1)
    return (mass * _object(x, above, reach).expand_as(x).flatten(1)).sum(1) / mass.sum(1).clamp_min(
        torch.finfo(x.dtype).tiny
    )


def object_area(x: Tensor, *, above: float = 0.2, reach: int = 1) -> Tensor:
    """Return the share of each picture that the object of `on_object` covers.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    above : float
    reach : int >= 0
        As in `on_object`.

    Returns
    -------
    Tensor (n,), in [0, 1]
    """
    return _object(x, above, reach).flatten(1).mean(1)


def alignment(attribution: Tensor, x: Tensor) -> Tensor:
    """Return |⟨x, g⟩| / (‖x‖₂ ‖g‖₂) of each image and its attribution g.

    Parameters
    ----------
    attribution : Tensor (n, c, h, w)
    x : Tensor (n, c, h, w)

    Returns
    -------
    Tensor (n,), in [0, 1]
        0 where either is zero.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Etmann, Lunz, Maass & Schönlieb 2019, "On the connection between adversarial robustness and saliency map
    interpretability", arXiv:1905.04172, definition 2; there it is not divided by ‖x‖.
    """
    _check_alike(attribution, x)
    return F.cosine_similarity(x.flatten(1), attribution.flatten(1), eps=torch.finfo(x.dtype).tiny).abs()


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine between two attributions of each image.

    Parameters
    ----------
    a, b : Tensor (n, c, h, w)

    Returns
    -------
    Tensor (n,), in [−1, 1]

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_alike(a, b)
    return F.cosine_similarity(a.flatten(1), b.flatten(1), eps=torch.finfo(a.dtype).tiny)


def forge(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    steps: int = 50,
    sharpness: float = 20.0,
    target: Tensor | None = None,
) -> Tensor:
    """Change the explanation and keep the prediction: search the threat for the saliency least like that at x.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x, y : Tensor (n, c, h, w), Tensor (n,)
        Images, and the class whose logit is explained (the predicted one, usually).
    threat : Threat
    steps : int >= 1
    sharpness : float > 0
        A network of ReLUs is linear piece by piece, so that its saliency has no gradient. The search is made on a copy
        with softplus of this sharpness in their place; what is returned is judged on the model itself.
    target : Tensor (n, c, h, w), optional
        A saliency to imitate, instead of leaving the old one.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1], within the threat, and predicted as x was: of all points met the one whose saliency, by the
        model itself, has gone furthest (come nearest to `target`). `x` itself where none did better.

    Raises
    ------
    ValueError
        If an input is unusable, or the model is no module with ReLU modules.

    References
    ----------
    Ghorbani, Abid & Zou 2019, "Interpretation of neural networks is fragile", arXiv:1710.10547; Dombrowski et al. 2019,
    "Explanations can be manipulated and geometry is to blame", arXiv:1906.07983 (softplus).
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("steps", steps, 1)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model: expected a Module, whose ReLUs are softened for the search, got {type(model).__name__}"
        )
    soft = softened(model, sharpness)
    with borrowed(model):
        before, kept = _saliency(model, x, y), predict(model, x).argmax(1)
        aim, sign = (before, -1) if target is None else (target.detach(), 1)
        best, best_score = x.clone(), sign * similarity(before, aim)
        now = x
        for _ in range(steps):
            now = now.detach().requires_grad_()
            likeness = similarity(_saliency(soft, now, y, graph=True), aim)
            (grad,) = torch.autograd.grad(sign * likeness.sum(), now)
            now = threat.project(x, threat.ascend(x, now.detach(), grad, 2.5 * threat.eps / steps))
            score = sign * similarity(_saliency(model, now, y), aim)
            better = (score > best_score) & (predict(model, now).argmax(1) == kept)
            best[better], best_score[better] = now[better], score[better]
    return best


def softened(model: nn.Module, sharpness: float = 20.0) -> nn.Module:
    """Return a copy of `model` in eval mode with softplus(sharpness · z) / sharpness in place of each ReLU.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    sharpness : float > 0
        The larger, the closer to ReLU.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If the model has no ReLU module, or `sharpness` is not positive.
    """
    check_number("sharpness", sharpness, 0, above=True)
    copied = copy.deepcopy(model).eval()
    rectifiers = [name for name, module in copied.named_modules() if isinstance(module, nn.ReLU)]
    if not rectifiers:
        raise ValueError("model: expected nn.ReLU modules to soften, found none; build the network with nn.ReLU()")
    for name in rectifiers:
        parent, _, child = name.rpartition(".")
        setattr(copied.get_submodule(parent), child, nn.Softplus(sharpness))
    return copied


def _checked(model: Model, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = check_inputs(model, x, y)
    with borrowed(model), torch.no_grad():
        check_logits(model(x[:1].clone()), x[:1], y)
    return x, y


def _saliency(model: Model, x: Tensor, y: Tensor, graph: bool = False) -> Tensor:
    x = x if x.requires_grad else x.detach().requires_grad_()
    logits = model(x)
    (grad,) = torch.autograd.grad(logits.gather(1, y[:, None]).sum(), x, create_graph=graph)
    return grad


def _object(x: Tensor, above: float, reach: int) -> Tensor:
    there = (x.amax(1, keepdim=True) > above).to(x.dtype)
    return F.max_pool2d(there, 2 * reach + 1, stride=1, padding=reach)


def _check_alike(attribution: Tensor, x: Tensor) -> None:
    if attribution.shape != x.shape or x.ndim != 4:
        raise ValueError(
            f"attribution: expected a value for each pixel of x, shape {tuple(x.shape)}, got {tuple(attribution.shape)}"
        )
