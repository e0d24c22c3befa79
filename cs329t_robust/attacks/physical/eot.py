"""Attack a thing rather than a picture: paint glasses or stickers that work in every view of it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...contract.input_validation import (
    Loss,
    Model,
    check_count,
    check_finite,
    check_function,
    check_inputs,
    check_logits,
    check_losses,
    check_number,
)
from ...contract.model_state import borrowed, full_precision
from ...losses import cross_entropy
from ...runtime.randomness import ImageRandom
from ...threat import Linf, Masked, Threat, radii, rowwise
from ..engine.batches import batched
from ..engine.gradient import gradient_of, logits_of
from .views import NUMBERS, View

HARDNESS = (1.0, 30.0)  # of a mixture of printable colours, at the first step and at the last


@batched()
def physical(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    views: View | None = None,
    samples: int = 4,
    steps: int = 100,
    step_size: float | None = None,
    momentum: float = 0.9,
    tv: float = 0.0,
    palette: Sequence[Sequence[float]] | None = None,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    seed: int = 0,
) -> Tensor:
    """Maximise the loss over random views of the painted scene: expectation over transformations.

    Parameters
    ----------
    model, x, y, targeted, loss
        As in `pgd`.
    threat : Linf, L2, L1, L0 or Masked
        What may be painted; ``Masked(Linf(1.0), mask)`` for glasses and stickers of any colour.
    views : callable, optional
        (pictures (m, c, h, w), random numbers (m, 8)) to pictures as the camera sees them, differentiable: `Views` or a
        renderer of your own. Without it the picture is seen as it is, once a step.
    samples : int >= 1
        Views of each image in each step; new ones every step.
    steps : int >= 0
    step_size : float > 0, optional
        First step's length in the threat's norm, 20·eps/steps when not given; it falls to zero along half a cosine.
    momentum : float in [0, 1]
        Share of the earlier gradients in each step.
    tv : float >= 0
        Weight of the total variation, so that neighbouring painted pixels agree: a camera blurs fine patterns.
    palette : sequence of colours, optional
        Paint with these alone, each c numbers in [0, 1]: ``[(0, 0, 0), (1, 1, 1)]`` for black and white tape. Needs an
        L∞ threat of radius 1.
    seed : int
        The views follow from it and from each image's own pixels: the same in any batch.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached: the painted scene, not a view of it; in [0, 1] and within the threat; if there is a palette, in its
        colours alone.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    Sharif et al. add a score of how far each colour is from a printable one to the loss. Here the palette is a
    constraint: the model sees every pixel as a mixture of the palette's colours, which hardens from step to step, and
    the result has the nearest colour alone.

    References
    ----------
    Athalye et al. 2018, "Synthesizing robust adversarial examples", arXiv:1707.07397, section 2.1.
    Sharif et al. 2016, "Accessorize to a crime", CCS, sections 4 and 5 (frames, total variation, printable colours).
    Evtimov et al. 2018, "Robust physical-world attacks on deep learning models", arXiv:1707.08945, section 3.
    """
    x, y = check_inputs(model, x, y, threat)
    for name, count, least in (("samples", samples, 1), ("steps", steps, 0), ("seed", seed, 0)):
        check_count(name, count, least)
    check_number("momentum", momentum, 0, 1)
    check_number("tv", tv, 0)
    if step_size is not None:
        check_number("step_size", step_size, 0, above=True)
    if views is not None:
        check_function("views", views, "Views(degrees=20)")
    colours = None if palette is None else checked_palette(palette, x, threat)
    mask = threat.mask if isinstance(threat, Masked) else torch.ones_like(x[:1], dtype=torch.bool)
    first = radii(threat.eps, x) * (20 / max(steps, 1)) if step_size is None else radii(step_size, x)
    random, samples = ImageRandom(seed, x), 1 if views is None else samples
    label = y.repeat_interleave(samples)
    x_adv, velocity, tiny = x.clone(), torch.zeros_like(x), torch.finfo(x.dtype).tiny
    with borrowed(model):
        for step in range(steps):
            numbers = random.numbers(samples * NUMBERS).view(-1, NUMBERS)
            leaf = x_adv.detach().requires_grad_()
            shown = leaf if colours is None else _nearly_printed(leaf, colours, mask, step / steps)
            logits = logits_of(model, _seen(shown, views, numbers, samples))
            if not step:
                check_logits(logits, label, label)  # of the pictures only their number and device count
            losses = loss(logits, label)
            check_losses(losses, label)
            gain = losses.sum() * ((-1 if targeted else 1) / samples)
            grad = gradient_of(gain, leaf)
            if tv:
                leaf = shown.detach().requires_grad_()
                grad = grad - tv * gradient_of(total_variation(leaf, mask).sum(), leaf)
            velocity = momentum * velocity + grad / rowwise(grad.abs().flatten(1).sum(1).clamp_min(tiny), x)
            size = first * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            x_adv = threat.project(x, threat.ascend(x, x_adv, velocity, size))
    x_adv = check_finite(x_adv)
    return x_adv if colours is None else printed(x_adv, colours, mask)


def share_seen_as(
    model: Model, x: Tensor, y: Tensor, *, views: View, samples: int = 64, seed: int = 1_000_000
) -> Tensor:
    """Return, for each scene, the share of random views in which the model says `y`.

    The views follow from `seed` and the scene's own pixels, so they are none of those that `physical` met on its way.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
        The scenes.
    y : Tensor (n,), integer
    views : callable
        How a camera may see a scene, such as ``Views(degrees=20)``.
    samples : int >= 1
        Views of each scene.
    seed : int >= 0

    Returns
    -------
    Tensor (n,)
        Shares in [0, 1].

    Raises
    ------
    ValueError
        If an input is unusable.
    """
    x, y = check_inputs(model, x, y)
    check_count("samples", samples, 1)
    check_count("seed", seed, 0)
    check_function("views", views, "Views(degrees=20)")
    random, hits = ImageRandom(seed, x), torch.zeros_like(x[:, 0, 0, 0])
    with borrowed(model), torch.no_grad(), full_precision(x.device):
        for number in range(samples):
            logits = logits_of(model, _seen(x, views, random.numbers(NUMBERS), 1))
            if not number:
                check_logits(logits, x, y)
            hits += logits.argmax(1) == y
    return hits / samples


def total_variation(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute difference between neighbours that both lie in `mask`, shape (n,).

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    mask : bool Tensor that broadcasts to `x`
    """
    mask = mask.expand(x.shape)
    total, pairs = torch.zeros_like(x[:, 0, 0, 0]), torch.zeros_like(x[:, 0, 0, 0])
    for axis in (2, 3):
        inside = mask.narrow(axis, 1, x.shape[axis] - 1) & mask.narrow(axis, 0, x.shape[axis] - 1)
        gaps = x.diff(dim=axis).abs().where(inside, 0)
        total, pairs = total + gaps.flatten(1).sum(1), pairs + inside.flatten(1).sum(1)
    return total / pairs.clamp_min(1)


def printed(x: Tensor, colours: Tensor, mask: Tensor) -> Tensor:
    """Return `x` with each pixel of `mask` in the nearest of `colours` (m, c)."""
    far = (x[:, None] - colours.view(1, *colours.shape, 1, 1)).square().sum(2)
    nearest = colours[far.argmin(1)].movedim(3, 1)
    return torch.where(mask, nearest, x)


def _nearly_printed(x: Tensor, colours: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Return `x` with each pixel of `mask` as a mixture of `colours`, the nearer the more: soft at 0, hard at 1."""
    far = (x[:, None] - colours.view(1, *colours.shape, 1, 1)).square().mean(2)
    low, high = HARDNESS
    share = (-low * (high / low) ** progress * far).softmax(1)
    return torch.where(mask, torch.einsum("nmhw,mc->nchw", share, colours), x)


def checked_palette(palette: Sequence[Sequence[float]], x: Tensor, threat: Threat) -> Tensor:
    """Return the palette as a tensor (m, c) like `x`, or raise a ValueError that says what to mend."""
    if isinstance(palette, str):
        raise ValueError(f"palette: expected colours in numbers, such as [(0, 0, 0), (1, 1, 1)], got {palette!r}")
    colours = torch.as_tensor(palette, dtype=x.dtype, device=x.device).clone()
    if colours.ndim != 2 or not len(colours) or colours.shape[1] != x.shape[1]:
        raise ValueError(
            f"palette: expected colours of {x.shape[1]} numbers each, such as [({', '.join('0' * x.shape[1])})], "
            f"got shape {tuple(colours.shape)}"
        )
    if not bool(((colours >= 0) & (colours <= 1)).all()):
        raise ValueError("palette: expected colours in [0, 1], got others; divide by 255")
    if not isinstance(threat.ball, Linf) or bool((radii(threat.eps, x) < 1).any()):
        raise ValueError(f"palette: expected an L∞ threat of radius 1, which allows every colour, got {threat}")
    return colours


def _seen(x: Tensor, views: View | None, numbers: Tensor, samples: int) -> Tensor:
    """Return `samples` views of each scene, image by image."""
    if views is None:
        return x
    seen = views(x.repeat_interleave(samples, 0), numbers)
    if not isinstance(seen, Tensor) or seen.ndim != 4 or len(seen) != len(numbers):
        got = tuple(seen.shape) if isinstance(seen, Tensor) else type(seen).__name__
        raise ValueError(f"views: expected one picture for each of {len(numbers)} pictures, (m, c, h, w), got {got}")
    return seen
