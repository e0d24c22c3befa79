"""What a picture holds besides the sign: sky, trees, houses and road behind it, and the camera's blur and grain."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .camera import blurred

# (dark, light) in red, green, blue; a picture's own colour lies somewhere between
_SKY = ((0.36, 0.50, 0.72), (0.90, 0.93, 0.98))
_CLOUD = ((0.72, 0.74, 0.78), (0.97, 0.97, 0.97))
_LEAVES = ((0.07, 0.13, 0.05), (0.38, 0.44, 0.16))
_WALL = ((0.28, 0.22, 0.20), (0.82, 0.76, 0.68))
_GLASS = ((0.10, 0.13, 0.18), (0.45, 0.52, 0.60))
_ROAD = ((0.24, 0.24, 0.25), (0.56, 0.55, 0.53))


class Scenes(NamedTuple):
    """Surroundings of n pictures.

    Attributes
    ----------
    background : Tensor (n, 3, side, side) in [0, 1]
    light : Tensor (n,), how brightly the sun shines on the scene; 1 is even
    blur : Tensor (n,), standard deviation in pixels
    grain : Tensor (n, 3, side, side), noise to add to the finished picture
    """

    background: Tensor
    light: Tensor
    blur: Tensor
    grain: Tensor

    def of(self, rows: Tensor | slice) -> "Scenes":
        """Return some of the scenes."""
        return Scenes(*(part[rows] for part in self))


def scenes(n: int, generator: torch.Generator, side: int = 48) -> Scenes:
    """Return the surroundings of n pictures; everything is drawn from a CPU `generator`.

    A sky with clouds; before it in two of three a row of houses, in two of three trees; below them the road. The whole
    is softer than the sign, since the camera looks at that, and lit as the scene is.

    Parameters
    ----------
    n : int
    generator : torch.Generator
        On the CPU.
    side : int
        Of the pictures, in pixels.

    Returns
    -------
    Scenes
    """
    clouds, leaves = noise(n, side, (3, 6, 12), generator), noise(n, side, (6, 12, 24, side), generator)
    down = ((torch.arange(side) + 0.5) / side).view(1, 1, side, 1)
    across = ((torch.arange(side) + 0.5) / side).view(1, 1, 1, side)
    haze = _colour(_SKY, n, generator)
    picture = haze + (_colour(_SKY, n, generator) - haze) * down
    picture = _mix(picture, _colour(_CLOUD, n, generator), (1.6 * clouds - 0.6 * _one(n, generator)).clamp(0, 1))
    horizon = 0.45 + 0.5 * _one(n, generator)
    for _ in range(3):
        picture = _house(picture, across, down, horizon, generator)
    height = noise(n, side, (3, 7, 15), generator)[:, :, :1]  # one row: how tall the trees stand, from left to right
    tops = horizon - 0.55 * height * _one(n, generator) + 2 * (_one(n, generator) < 1 / 3)
    trees = _colour(_LEAVES, n, generator) * (0.35 + 1.3 * leaves)
    picture = _mix(picture, trees, ((down - tops + 0.06 * (leaves - 0.5)) * side).clamp(0, 1))
    road = _colour(_ROAD, n, generator) * (0.85 + 0.3 * leaves)
    picture = _mix(picture, road, ((down - horizon) * side).clamp(0, 1))
    light = 0.45 + 0.75 * torch.rand(n, generator=generator)
    tint = 1 + 0.08 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    soft = 0.4 + 0.8 * torch.rand(n, generator=generator)
    background = blurred(picture * tint * (0.25 + 0.75 * light.view(-1, 1, 1, 1)), soft).clamp(0, 1)
    blur = 1.0 * torch.rand(n, generator=generator).square() * side / 48
    strength = 0.03 * _one(n, generator)
    return Scenes(background, light, blur, strength * torch.randn(n, 3, side, side, generator=generator))


def noise(n: int, side: int, cells: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return smooth noise (n, 1, side, side) in [0, 1]: random grids of so many cells, each finer one weaker by 0.6."""
    total, weight = torch.zeros(n, 1, side, side), 0.0
    for octave, count in enumerate(cells):
        grid = torch.rand(n, 1, count, count, generator=generator)
        total += 0.6**octave * F.interpolate(grid, size=(side, side), mode="bilinear", align_corners=True)
        weight += 0.6**octave
    return total / weight


def _house(picture: Tensor, across: Tensor, down: Tensor, horizon: Tensor, generator: torch.Generator) -> Tensor:
    """Return the pictures with a house on the horizon of two thirds of them: a wall with rows of windows."""
    n = len(picture)
    left, width = 1.2 * _one(n, generator) - 0.3, 0.2 + 0.4 * _one(n, generator)
    top = horizon - 0.15 - 0.6 * _one(n, generator) + 2 * (_one(n, generator) < 1 / 3)
    wall = ((across > left) & (across < left + width) & (down > top)).float()
    pitch = 0.07 + 0.08 * _one(n, generator)
    frame = ((across - left) / pitch % 1 > 0.45) & ((down - top) / (1.3 * pitch) % 1 > 0.45)
    front = _mix(_colour(_WALL, n, generator), _colour(_GLASS, n, generator), frame.float())
    return _mix(picture, front, wall)


def _one(n: int, generator: torch.Generator) -> Tensor:
    """Return one random number for each picture, (n, 1, 1, 1)."""
    return torch.rand(n, 1, 1, 1, generator=generator)


def _colour(between: tuple[tuple[float, ...], tuple[float, ...]], n: int, generator: torch.Generator) -> Tensor:
    dark, light = (torch.tensor(end).view(1, 3, 1, 1) for end in between)
    return dark + (light - dark) * _one(n, generator)


def _mix(below: Tensor, above: Tensor, cover: Tensor) -> Tensor:
    return below + (above - below) * cover
