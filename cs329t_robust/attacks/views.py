"""Ways in which a camera may see a scene, for attacks that must survive them all."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional as F

NUMBERS = 8  # random numbers that a view gets for each image
View = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Views:
    """Turn, zoom, shift and light whole pictures at random: a head that moves before a camera.

    A view is any function of pictures (n, c, h, w) and random numbers (n, 8), uniform between 0 and 1, that returns
    what the camera sees and lets gradients through; this is the one for flat scenes. What comes in at the edges is
    the picture's own mirror image.

    Parameters
    ----------
    degrees : float in [0, 180]
        Rotation within ±degrees.
    scale : float in [0, 1)
        Size between 1 − scale and 1 + scale times the original.
    shift : float >= 0
        Shift within ±shift pixels, across and down.
    light : float in [0, 1]
        Every pixel times a number between 1 − light and 1 + light.

    Raises
    ------
    ValueError
        If a limit is not a number in its range.

    References
    ----------
    Athalye et al. 2018, "Synthesizing robust adversarial examples", arXiv:1707.07397, section 2.
    """

    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    light: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("degrees", 180.0), ("scale", 0.99), ("shift", math.inf), ("light", 1.0)):
            in_range(name, getattr(self, name), 0.0, most)

    def __call__(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Return each picture as seen in the view that its numbers name, shaped like `x`."""
        u = 2 * numbers.to(x) - 1
        zoom, angle = 1 + self.scale * u[:, 0], u[:, 1] * self.degrees * (math.pi / 180)
        height, width = x.shape[2:]
        shift = u[:, 2:4] * self.shift * torch.tensor([2 / width, 2 / height]).to(x)
        back = turn_back(angle, height, width) / zoom.view(-1, 1, 1)
        theta = torch.cat([back, -(back @ shift[:, :, None])], 2)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        seen = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return (seen * (1 + self.light * u[:, 4]).view(-1, 1, 1, 1)).clamp(0, 1)


def turn_back(angle: Tensor, height: int, width: int) -> Tensor:
    """Return the matrices (n, 2, 2), in grid units, that turn points of an h×w picture back by `angle` (radians)."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin * (height / width), sin * (width / height), cos], 1).view(-1, 2, 2)


def in_range(name: str, value: object, least: float, most: float) -> None:
    """Raise a ValueError unless `value` is a finite number from `least` to `most`."""
    known = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not known or not least <= value <= most:
        raise ValueError(f"{name}: expected a finite number from {least:g} to {most:g}, got {value!r}")
