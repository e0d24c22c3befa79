"""The questions that every threat answers, and helpers that shape one number per image to fit a batch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Self

import torch
from torch import Tensor

from ..runtime.randomness import ImageRandom

Generator = torch.Generator | ImageRandom


class Threat(ABC):
    """What every set Δ answers; `eps` is its size, a number or a tensor (n,)."""

    eps: float | Tensor

    @property
    def ball(self) -> "Threat":
        """The threat without its mask: what decides which search fits."""
        return self

    @abstractmethod
    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return how far each image has been moved, in the threat's own measure, shape (n,)."""

    @abstractmethod
    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return images of Δ and of [0, 1] near `x_adv`."""

    def onto(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return `project` for images that stay the same over many steps."""
        return partial(self.project, x)

    @abstractmethod
    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Return `x_adv` after the steepest step of length `step_size` that the threat's geometry allows."""

    @abstractmethod
    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a random member for each image."""

    def rounding(self, x: Tensor) -> Tensor | float:
        """Return the distance by which rounding every pixel to the dtype of `x` can move an image."""
        ulp = torch.finfo(x.dtype).eps / 2
        return self.distance(torch.zeros_like(x), torch.full_like(x, ulp))

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless the threat fits images `x`: one radius for each, on their device."""
        eps = self.eps
        if not isinstance(eps, Tensor):
            return
        if eps.device != x.device:
            raise ValueError(
                f"threat: expected eps on the images' device {x.device}, got {eps.device}; use eps.to(x.device)"
            )
        if eps.ndim == 1 and len(eps) != len(x):
            raise ValueError(
                f"threat: expected one eps for each of the {len(x)} images, got {len(eps)}. "
                f"For a ladder, repeat the images: x.repeat_interleave(len(eps), 0) and eps.repeat(len(x))"
            )

    @abstractmethod
    def select(self, rows: Tensor) -> Self:
        """Return the threat of some images of the batch; `rows` is an index or a mask over n."""


def is_number(value: object) -> bool:
    """Return whether a value is a real number that is not infinite, not NaN and not beyond a float.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def per_image(value: float | Tensor, x: Tensor) -> float | Tensor:
    """Shape a number or a tensor (n,) so that it multiplies images (n, c, h, w).

    Parameters
    ----------
    value : float or Tensor (n,)
    x : Tensor (n, c, h, w)

    Returns
    -------
    float or Tensor (n, 1, 1, 1)
        A tensor in the dtype of `x`.
    """
    if isinstance(value, Tensor):
        value = value.to(x.dtype)
        return value.view(-1, 1, 1, 1) if value.ndim == 1 else value
    return value


def rowwise(values: Tensor, x: Tensor) -> Tensor:
    """Shape one value per image (n,) so that it multiplies, or selects among, images (n, c, h, w).

    Parameters
    ----------
    values : Tensor (n,)
    x : Tensor (n, …)
        Only the number of its dimensions is read.

    Returns
    -------
    Tensor (n, 1, …)
    """
    return values.view(-1, *[1] * (x.ndim - 1))


def radii(eps: float | Tensor, x: Tensor) -> Tensor:
    """Return one radius for each image of `x`, shape (n,), typed and placed like it.

    Parameters
    ----------
    eps : float or Tensor (n,)
    x : Tensor (n, …)

    Returns
    -------
    Tensor (n,)
    """
    if not isinstance(eps, Tensor):  # filled on the device: a number that is sent there makes the host wait
        return x.new_full((len(x),), eps)
    return eps.to(x).expand(len(x))


def unit(v: Tensor) -> Tensor:
    """Scale each image of `v` to Euclidean length 1; zeros stay zeros, and tiny gradients do not underflow.

    Parameters
    ----------
    v : Tensor (n, …)

    Returns
    -------
    Tensor (n, …)
    """
    biggest = v.flatten(1).abs().amax(1)
    v = v / rowwise(torch.where(biggest > 0, biggest, 1), v)
    length = v.flatten(1).norm(dim=1)
    return v / rowwise(length.clamp_min(torch.finfo(v.dtype).tiny), v)
