"""A sticker that can be printed and put anywhere: pasting it into pictures, each in a pose of its own."""

import math
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional as F

from ...contract.input_validation import (
    check_images,
    check_number,
)
from ...threat import sampling_grid, turn_back

Each = float | Tensor  # one number for all pictures, or a tensor (n,) with one for each


def place(
    x: Tensor,
    patch: Tensor,
    *,
    centre: tuple[Each, Each] | Tensor | None = None,
    size: Each | None = None,
    degrees: Each = 0.0,
    light: Each = 1.0,
    shape: str = "square",
) -> Tensor:
    """Paste a patch into each picture, in a pose of its own.

    Parameters
    ----------
    x : Tensor (n, c, h, w), float in [0, 1]
    patch : Tensor (c, side, side), float in [0, 1]
    centre : pair or Tensor (n, 2), optional
        Pixels from the left edge and from the top edge; the middle of the picture when not given.
    size : float or Tensor (n,), > 0, optional
        Side of the square, or diameter of the disc, in pixels of the picture; the patch's own when not given.
    degrees : float or Tensor (n,)
        Rotation, counter-clockwise.
    light : float or Tensor (n,), >= 0
        The patch's brightness: its pixels times this, at most 1.
    shape : {"square", "round"}

    Returns
    -------
    Tensor (n, c, h, w)
        In [0, 1]; differentiable in `patch`, in `x` and in the pose. What lies outside the picture is lost.

    Raises
    ------
    ValueError
        If pictures, patch or pose are unusable.
    """
    _check_patch(x, patch)
    _check_shape(shape)
    n, (height, width), side = len(x), x.shape[2:], patch.shape[-1]
    across, down = _centres(centre, x)
    size = _each("size", side if size is None else size, x)
    if not bool((size > 0).all()):
        raise ValueError(f"size: expected pixels > 0, got {size.min().item():.4g}")
    light = _each("light", light, x)
    if not bool((light >= 0).all()):
        raise ValueError(f"light: expected a brightness >= 0, got {light.min().item():.4g}")
    angle = _each("degrees", degrees, x) * (math.pi / 180)
    lengths = torch.tensor([width, height]).to(x)
    grown = turn_back(angle, height, width) * (lengths[:, None] / size.view(-1, 1, 1))
    offset = torch.stack([2 * across / width - 1, 2 * down / height - 1], 1)
    grid = sampling_grid(grown, offset, height, width)
    sheet = torch.cat([patch.to(x), torch.ones_like(patch[:1]).to(x)]) * outline(side, shape).to(x)
    pasted = F.grid_sample(sheet.expand(n, -1, -1, -1), grid, mode="bilinear", align_corners=False)
    colour, cover = pasted[:, :-1], pasted[:, -1:]
    return (x * (1 - cover) + torch.minimum(colour * light.view(-1, 1, 1, 1), cover)).clamp(0, 1)


def outline(side: int, shape: str) -> Tensor:
    """Return which pixels of a patch are part of it: all of a square, or the disc inside it.

    Parameters
    ----------
    side : int >= 1
        In pixels.
    shape : {"square", "round"}

    Returns
    -------
    Tensor (side, side), bool

    Raises
    ------
    ValueError
        If `shape` is neither.
    """
    _check_shape(shape)
    if shape == "square":
        return torch.ones(side, side, dtype=torch.bool)
    middle = torch.arange(side) - (side - 1) / 2
    return middle[:, None] ** 2 + middle[None] ** 2 <= (side / 2) ** 2


@dataclass(frozen=True)
class Placements:
    """Where a patch may lie: anywhere that keeps its middle at least half its size from the edges, at random.

    Parameters
    ----------
    size : pair of floats >= 1
        Least and most, in pixels of the picture.
    degrees : float in [0, 180]
        Rotation within ±degrees.
    light : float in [0, 1]
        Brightness between 1 − light and 1 + light.
    shape : {"square", "round"}

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    size: tuple[float, float] = (40.0, 100.0)
    degrees: float = 30.0
    light: float = 0.2
    shape: str = "round"

    def __post_init__(self) -> None:
        if not isinstance(self.size, tuple | list) or len(self.size) != 2:
            raise ValueError(f"size: expected a pair (least, most) of pixels, got {self.size!r}")
        least, most = self.size
        check_number("size", least, 1)
        check_number("size", most, least)
        check_number("degrees", self.degrees, 0, 180)
        check_number("light", self.light, 0, 1)
        _check_shape(self.shape)

    def __call__(self, x: Tensor, patch: Tensor, generator: torch.Generator) -> Tensor:
        """Return each picture with the patch in a random pose; the draws come from a CPU generator."""
        if self.size[1] > min(x.shape[2:]):
            raise ValueError(
                f"size: expected a patch that fits into pictures {tuple(x.shape[2:])}, got up to {self.size[1]:g} "
                f"pixels; use Placements(size=(…, {min(x.shape[2:])}))"
            )
        u = torch.rand(len(x), 5, generator=generator).to(x)
        size = self.size[0] + (self.size[1] - self.size[0]) * u[:, 0]
        room = torch.tensor([x.shape[3], x.shape[2]]).to(x) - size[:, None]
        centre = size[:, None] / 2 + room.clamp_min(0) * u[:, 1:3]
        light, degrees = 1 + self.light * (2 * u[:, 4] - 1), self.degrees * (2 * u[:, 3] - 1)
        return place(x, patch, centre=centre, size=size, degrees=degrees, light=light, shape=self.shape)


def _check_shape(shape: str) -> None:
    if shape not in ("square", "round"):
        raise ValueError(f'shape: expected "square" or "round", got {shape!r}')


def _check_patch(x: Tensor, patch: Tensor) -> None:
    check_images(x.detach() if isinstance(x, Tensor) else x)
    if not isinstance(patch, Tensor) or patch.ndim != 3 or patch.shape[0] != x.shape[1]:
        got = tuple(patch.shape) if isinstance(patch, Tensor) else type(patch).__name__
        raise ValueError(f"patch: expected shape ({x.shape[1]}, side, side) for pictures {tuple(x.shape)}, got {got}")
    if patch.shape[1] != patch.shape[2]:
        raise ValueError(f"patch: expected a square tensor (c, side, side), got {tuple(patch.shape)}")
    if not patch.is_floating_point() or not bool(((patch >= 0) & (patch <= 1)).all()):
        raise ValueError("patch: expected floats in [0, 1], got others; divide by 255")


def _each(name: str, value: Each, x: Tensor) -> Tensor:
    """Return one number for each picture, (n,)."""
    if isinstance(value, Tensor) and value.numel() in (1, len(x)) and value.ndim <= 1 and bool(value.isfinite().all()):
        return value.to(x).expand(len(x))
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return torch.full_like(x[:, 0, 0, 0], float(value), requires_grad=False)
    got = f"shape {tuple(value.shape)}, {value}" if isinstance(value, Tensor) else repr(value)
    raise ValueError(f"{name}: expected a finite number or a tensor ({len(x)},), got {got}")


def _centres(centre: tuple[Each, Each] | Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels from the left and from the top, each (n,)."""
    if centre is None:
        centre = (x.shape[3] / 2, x.shape[2] / 2)
    if isinstance(centre, Tensor) and tuple(centre.shape) in ((2,), (len(x), 2)):
        centre = tuple(centre.expand(len(x), 2).unbind(1))
    if not isinstance(centre, tuple | list) or len(centre) != 2:
        raise ValueError(f"centre: expected (across, down) in pixels or a tensor ({len(x)}, 2), got {centre!r}")
    return _each("centre", centre[0], x), _each("centre", centre[1], x)
