"""Ways in which a camera may see a scene, for attacks that must survive them all."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...contract.input_validation import check_number
from ...threat import sampling_grid, turn_back

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
    scale : float in [0, 0.99]
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
            check_number(name, getattr(self, name), 0, most)

    def __call__(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Return each picture as seen in the view that its numbers name, shaped like `x`."""
        u = 2 * numbers.to(x) - 1
        zoom, angle = 1 + self.scale * u[:, 0], u[:, 1] * self.degrees * (math.pi / 180)
        height, width = x.shape[2:]
        shift = u[:, 2:4] * self.shift * torch.tensor([2 / width, 2 / height]).to(x)
        back = turn_back(angle, height, width) / zoom.view(-1, 1, 1)
        grid = sampling_grid(back, shift, height, width)
        seen = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return (seen * (1 + self.light * u[:, 4]).view(-1, 1, 1, 1)).clamp(0, 1)
