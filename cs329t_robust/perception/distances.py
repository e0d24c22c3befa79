"""How far apart two images are: the lecture's four norms, and measures that claim to see more like a person.

Each function takes images x and x_adv of one shape (n, c, h, w) in [0, 1] and returns one number for each pair, (n,).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..contract.input_validation import Model, check_images
from ..contract.model_state import borrowed
from ..runtime.data_folder import DataError
from ..runtime.extras import needed_by
from ..threat import L0, L1, L2, Linf

Distance = Callable[[Tensor, Tensor], Tensor]
BACKBONES = {
    "alex": ("alexnet", "AlexNet_Weights"),
    "squeeze": ("squeezenet1_1", "SqueezeNet1_1_Weights"),
    "vgg": ("vgg16", "VGG16_Weights"),
}
SSIM_WINDOW = 11  # pixels: a Gaussian of standard deviation 1.5
LPIPS_SIDE = 32  # pixels: below this the backbones run out of picture


def l0(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return how many pixels differ at all; a pixel is all channels of a place.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,)
        In the dtype of `x`.

    Raises
    ------
    ValueError
        If the images are unusable or do not match, as every function of this module.
    """
    _check_pair(x, x_adv)
    return L0(0.0).distance(x, x_adv).to(x.dtype)


def l1(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return the total absolute change Σ|x' − x|.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,)

    Raises
    ------
    ValueError
        As `l0`.
    """
    _check_pair(x, x_adv)
    return L1(0.0).distance(x, x_adv)


def l2(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return the Euclidean length of the change, ‖x' − x‖₂.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,)

    Raises
    ------
    ValueError
        As `l0`.
    """
    _check_pair(x, x_adv)
    return L2(0.0).distance(x, x_adv)


def linf(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return the largest change of any one value, max|x' − x|.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,)

    Raises
    ------
    ValueError
        As `l0`.
    """
    _check_pair(x, x_adv)
    return Linf(0.0).distance(x, x_adv)


def ssim(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return the structural similarity of each pair: 1 for equal images, lower the less alike.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,), <= 1

    Raises
    ------
    ValueError
        If a side of the images is shorter than 11 pixels, or as `l0`.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity".
    The map of similarities is torchmetrics'.
    """
    _check_pair(x, x_adv)
    if min(x.shape[2:]) < SSIM_WINDOW:
        raise ValueError(
            f"x: expected images of at least {SSIM_WINDOW} × {SSIM_WINDOW} pixels, the window of SSIM, "
            f"got {x.shape[2]} × {x.shape[3]}"
        )
    with needed_by("ssim"):
        from torchmetrics.functional.image import structural_similarity_index_measure

    _, everywhere = structural_similarity_index_measure(
        x_adv, x, data_range=1.0, reduction="none", return_full_image=True
    )
    edge = SSIM_WINDOW // 2  # windows centred nearer to the border than this reach beyond it
    h, w = x.shape[2:]
    return everywhere.reshape(x.shape)[:, :, edge : h - edge, edge : w - edge].mean((1, 2, 3))


def transport(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return how far the ink has to be carried to turn one image into the other, in pixels.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w), float in [0, 1]

    Returns
    -------
    Tensor (n,)
        In pixels, computed in float64, in the dtype and on the device of `x`. Not differentiable.

    Raises
    ------
    ValueError
        If an image is entirely black (it has no mass to carry), or as `l0`.

    Notes
    -----
    Because of the scaling a change of brightness alone costs nothing. Mass that both images have at one place stays
    there: under a cost that is a metric this changes nothing, and it makes the problem small.

    References
    ----------
    Rubner, Tomasi & Guibas 2000, "The earth mover's distance as a metric for image retrieval".
    Flamary et al. 2021, "POT: Python Optimal Transport".
    """
    _check_pair(x, x_adv)
    heaps, others = (v.detach().double().mean(1).flatten(1).cpu().numpy() for v in (x, x_adv))
    for name, mass in (("x", heaps), ("x_adv", others)):
        empty = np.flatnonzero(mass.sum(1) == 0)
        if len(empty):
            raise ValueError(
                f"{name}: expected images with some ink, got {len(empty)} of {len(mass)} entirely black (the first is "
                f"image {empty[0]}): nothing can be carried; leave them out"
            )
    down, right = np.divmod(np.arange(heaps.shape[1]), x.shape[3])
    places = np.stack([down, right], 1).astype(np.float64)
    found = [_carry(a / a.sum(), b / b.sum(), places) for a, b in zip(heaps, others, strict=True)]
    return torch.tensor(found, dtype=x.dtype, device=x.device)


def _carry(a: np.ndarray, b: np.ndarray, places: np.ndarray) -> float:
    """Return the least cost of turning heap `a` into `b`, both (d,) of sum 1, over `places` (d, 2)."""
    with needed_by("transport"):
        from ot import dist, emd2

    common = np.minimum(a, b)
    take, bring = a - common, b - common
    out, into = take > 0, bring > 0
    moved = take.sum()
    if moved < 1e-12 or not into.any():
        return 0.0
    cost = dist(places[out], places[into], metric="euclidean")
    return float(moved * emd2(take[out] / moved, bring[into] / bring.sum(), cost, numItermax=1_000_000))


def in_features(x: Tensor, x_adv: Tensor, features: Callable[[Tensor], Sequence[Tensor]]) -> Tensor:
    """Return how far apart two images are in a network's own feature maps.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w)
    features : callable
        Images to a sequence of feature maps, each (n, channels, height, width).

    Returns
    -------
    Tensor (n,), >= 0

    Raises
    ------
    ValueError
        If `features` gives anything else, or as `l0`.

    References
    ----------
    Zhang, Isola, Efros, Shechtman & Wang 2018, "The unreasonable effectiveness of deep features as a perceptual
    metric", arXiv:1801.03924, section 3.
    """
    _check_pair(x, x_adv)
    with torch.no_grad():
        pair = [list(features(images)) for images in (x, x_adv)]
    total = x.new_zeros(len(x))
    for one, other in zip(*pair, strict=True):
        if not isinstance(one, Tensor) or one.ndim != 4 or len(one) != len(x) or one.shape != other.shape:
            got = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
            raise ValueError(f"features: expected maps of shape ({len(x)}, channels, height, width), got {got}")
        gap = F.normalize(one, dim=1, eps=1e-8) - F.normalize(other, dim=1, eps=1e-8)
        total = total + gap.square().sum(1).mean((1, 2))
    if not pair[0]:
        raise ValueError("features: expected at least one feature map, got none")
    return total


def feature_maps(
    model: Model, kinds: Iterable[type[nn.Module]] = (nn.ReLU, nn.ReLU6)
) -> Callable[[Tensor], list[Tensor]]:
    """Return a function from images to the maps (n, channels, height, width) that leave a model's layers of `kinds`.

    The model runs in eval mode and is left as it was found.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits.
    kinds : iterable of Module classes

    Returns
    -------
    callable
        Images to a list of maps, each (n, channels, height, width).

    Raises
    ------
    ValueError
        If the model is no module or has no such layer.
    """
    kinds = tuple(kinds)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)] if isinstance(model, nn.Module) else []
    if not layers:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"model: expected a module with layers of kind {names}, got {type(model).__name__}")

    def maps(x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        hooks = [layer.register_forward_hook(lambda _, __, out: found.append(out)) for layer in layers]
        try:
            with borrowed(model), torch.no_grad():
                model(x)
        finally:
            for hook in hooks:
                hook.remove()
        return [out for out in found if out.ndim == 4]

    return maps


def lpips(x: Tensor, x_adv: Tensor, *, net: str = "squeeze") -> Tensor:
    """Return the learned perceptual distance LPIPS of colour images, if its backbone is there.

    Parameters
    ----------
    x, x_adv : Tensor (n, 3, h, w), sides >= 32
        Photographs: the measure was fitted to people's judgements of photographs, and means nothing for digits.
    net : "squeeze" (5 MB), "alex" (233 MB) or "vgg" (528 MB)

    Returns
    -------
    Tensor (n,), >= 0

    Raises
    ------
    DataError
        If the backbone is not in torch's cache: the message names the file and the command that fetches it.
    ValueError
        If `net` is unknown, the images have not three channels or are smaller than 32 pixels, or as `l0`.

    References
    ----------
    Zhang et al. 2018, arXiv:1801.03924.
    """
    if net not in BACKBONES:
        raise ValueError(f"net: expected one of {', '.join(BACKBONES)}, got {net!r}")
    _check_pair(x, x_adv)
    if x.shape[1] != 3 or min(x.shape[2:]) < LPIPS_SIDE:
        raise ValueError(
            f"x: expected colour photographs (n, 3, h, w) of at least {LPIPS_SIDE} pixels a side, got "
            f"{tuple(x.shape)}; for digits use ssim, transport or in_features"
        )
    import torchvision

    name, weights = BACKBONES[net]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(getattr(torchvision.models, weights).DEFAULT.url).name
    if not file.is_file():
        raise DataError(
            f"{file.name} is missing\n"
            f"  expected: torchvision's {name}, the network below LPIPS, in torch's cache, {file.parent}\n"
            f"  got:      nothing there\n"
            f"  repair:   with a connection, python -c "
            f"\"from torchvision.models import {name} as net; net(weights='DEFAULT')\""
        )
    with needed_by("lpips"):
        from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

    found = learned_perceptual_image_patch_similarity(x_adv, x, net_type=net, reduction="none", normalize=True)
    return found.reshape(len(x)).detach()


def shift(x: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """Return the images moved by whole pixels: what leaves the frame is lost, what comes in is black.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    down, right : int
        Negative to move up or left; any size.

    Returns
    -------
    Tensor (n, c, h, w)

    Raises
    ------
    ValueError
        If `x` is no batch of images, or a distance is not a whole number.
    """
    check_images(x)
    for name, value in (("down", down), ("right", right)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name}: expected a whole number of pixels, got {value!r}")
    h, w = x.shape[2:]
    moved = torch.zeros_like(x)
    if abs(down) < h and abs(right) < w:
        there = moved[:, :, max(0, down) : h + min(0, down), max(0, right) : w + min(0, right)]
        there.copy_(x[:, :, max(0, -down) : h - max(0, down), max(0, -right) : w - max(0, right)])
    return moved


def _check_pair(x: Tensor, x_adv: Tensor) -> None:
    """Raise a ValueError unless both are images in [0, 1] of one shape, dtype and device."""
    check_images(x)
    try:
        check_images(x_adv)
    except ValueError as error:
        raise ValueError(str(error).replace("x:", "x_adv:", 1)) from None
    if x_adv.shape != x.shape:
        raise ValueError(f"x_adv: expected the shape of x, {tuple(x.shape)}, got {tuple(x_adv.shape)}")
    if x_adv.dtype != x.dtype or x_adv.device != x.device:
        raise ValueError(
            f"x and x_adv: expected one dtype and device, got {x.dtype} on {x.device} and {x_adv.dtype} on "
            f"{x_adv.device}"
        )
