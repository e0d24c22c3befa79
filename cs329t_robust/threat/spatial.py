"""Rotations and shifts: the image as a whole is moved, no pixel is repainted."""

import math
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..randomness import uniform_like
from .base import Generator, Threat, rowwise

FIT = 0.001  # largest pixel difference by which an image may miss its nearest pose: what a numerical fit leaves


def warp(x: Tensor, pose: Tensor) -> Tensor:
    """Rotate each image about its centre, then shift it; bilinear, black where nothing comes in.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    pose : Tensor (n, 3) or (3,)
        Degrees counter-clockwise, pixels to the right, pixels down.

    Returns
    -------
    Tensor (n, c, h, w)
        Differentiable in `x` and in `pose`.
    """
    pose = pose.to(x.dtype).expand(len(x), 3)
    angle, shift = pose[:, 0] * (math.pi / 180), pose[:, 1:]
    height, width = x.shape[2:]
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([cos, -sin * (height / width), sin * (width / height), cos], 1).view(-1, 2, 2)
    share = shift * torch.tensor([2 / width, 2 / height], dtype=x.dtype, device=x.device)
    theta = torch.cat([back, -(back @ share[:, :, None])], 2)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class Spatial(Threat):
    """Rotations up to ±`degrees` and shifts up to ±`pixels` in both directions.

    Parameters
    ----------
    degrees : float in [0, 180]
    pixels : float >= 0

    Raises
    ------
    ValueError
        If a limit is negative, not finite, not a number, or above 180 degrees.

    References
    ----------
    Engstrom et al. 2019, "Exploring the landscape of spatial robustness", arXiv:1712.02779.
    """

    degrees: float
    pixels: float

    def __post_init__(self) -> None:
        for name, most in (("degrees", 180.0), ("pixels", math.inf)):
            value = getattr(self, name)
            known = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
            if not known or not 0 <= value <= most:
                raise ValueError(f"Spatial: expected {name} as a number from 0 to {most:g}, got {value!r}")

    @property
    def eps(self) -> float:
        """How far, in pixel values, an image may lie from its nearest pose and still count as one."""
        return FIT

    @property
    def limits(self) -> tuple[float, float, float]:
        """The largest pose: degrees, pixels to the right, pixels down."""
        return float(self.degrees), float(self.pixels), float(self.pixels)

    def grid(self, angles: int, shifts: int) -> Tensor:
        """Return angles·shifts·shifts evenly spaced poses, (m, 3); the middle one of odd counts is the identity."""

        def ticks(limit: float, count: int) -> list[float]:
            return [0.0] if count == 1 or not limit else torch.linspace(-limit, limit, count).tolist()

        degrees, across, down = self.limits
        return torch.tensor(list(product(ticks(degrees, angles), ticks(across, shifts), ticks(down, shifts))))

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """Return one uniformly drawn pose for each image, (n, 3)."""
        share = torch.stack([uniform_like(x, generator).flatten(1)[:, 0] for _ in range(3)], 1)
        return (2 * share - 1) * torch.tensor(self.limits, dtype=x.dtype, device=x.device)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return each image in a random pose."""
        return warp(x, self.draw(x, generator))

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the largest pixel difference between `x_adv` and the nearest pose of x within the limits.

        The pose is fitted: on a coarse grid first, then from the best places by Levenberg and Marquardt's method, one
        after the other until the image is met.
        """
        grid = self.grid(11, 5).to(x)
        gaps = torch.stack([_gap(warp(x, pose), x_adv) for pose in grid], 1)
        best = torch.full_like(gaps[:, 0], torch.inf)
        for place in gaps.topk(min(12, len(grid)), 1, largest=False).indices.unbind(1):
            rows = (best > FIT).nonzero().flatten()
            if not len(rows):
                break
            fitted = self._fit(x[rows], x_adv[rows], grid[place[rows]])
            missed = (warp(x[rows], fitted) - x_adv[rows]).abs().flatten(1).amax(1)
            best[rows] = torch.minimum(best[rows], missed)
        return best

    def _fit(self, x: Tensor, x_adv: Tensor, pose: Tensor) -> Tensor:
        """Return the pose within the limits, near `pose`, in which x comes closest to `x_adv`."""
        limits, tiny = torch.tensor(self.limits).to(x), 1e-2 * torch.eye(3).to(x)
        damping, here = torch.ones_like(pose[:, :1]), warp(x, pose)
        for _ in range(12):
            slopes = [(warp(x, pose + d) - warp(x, pose - d)).flatten(1) / 2e-2 for d in tiny]
            slopes = torch.stack(slopes, 2)
            normal = slopes.mT @ slopes
            damped = normal + torch.diag_embed(damping * (normal.diagonal(dim1=1, dim2=2) + 1e-6))
            wish = torch.linalg.solve(damped, slopes.mT @ (x_adv - here).flatten(1)[:, :, None]).squeeze(2)
            near = (pose + wish).clamp(-limits, limits)
            there = warp(x, near)
            better = (_gap(there, x_adv) < _gap(here, x_adv))[:, None]
            pose, here = torch.where(better, near, pose), torch.where(rowwise(better[:, 0], x), there, here)
            damping = torch.where(better, damping / 10, damping * 4)
        return pose

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Refuse: a repainted image has no pose. The attack `spatial` searches poses."""
        raise ValueError(f"threat: expected pixels that may change, such as Linf(8/255), got {self}; use `spatial`")

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Refuse, as `project` does."""
        return self.project(x, x_adv)

    def rounding(self, x: Tensor) -> float:
        """Return 0: the fit's own tolerance is larger."""
        return 0.0

    def check(self, x: Tensor) -> None:
        """Accept any images: the limits are the same for all."""

    def select(self, rows: Tensor) -> Self:
        """Return itself: the limits are the same for all."""
        return self


def _gap(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().flatten(1).sum(1)
