"""Rotations and shifts: the image as a whole is moved, no pixel is repainted."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..runtime.randomness import uniform_like
from .base import Generator, Threat, is_number, rowwise

MOST_SHIFTS = 31  # tried in each direction: where more would be needed, the picture has left its frame
CORNERS = 0.05 * torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, -1], [0, -1, 1], [0, -1, -1]])  # across whole pixels
FIT = 0.001  # largest pixel difference by which an image may miss its nearest pose: what a numerical fit leaves


def turn_back(angle: Tensor, height: int, width: int) -> Tensor:
    """Return the matrices that turn the points of an h×w picture back.

    Parameters
    ----------
    angle : Tensor (n,)
        In radians.
    height, width : int

    Returns
    -------
    Tensor (n, 2, 2)
        In grid units, where the picture is 2 wide and 2 high whatever its shape.
    """
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin * (height / width), sin * (width / height), cos], 1).view(-1, 2, 2)


def sampling_grid(back: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """Return where each pixel of turned and shifted pictures comes from.

    Parameters
    ----------
    back : Tensor (n, 2, 2)
        What `turn_back` returns.
    shift : Tensor (n, 2)
        In grid units: the picture is 2 wide and 2 high.
    height, width : int

    Returns
    -------
    Tensor (n, h, w, 2)
        In grid units, as `torch.nn.functional.grid_sample` takes it.
    """
    theta = torch.cat([back, -(back @ shift[:, :, None])], 2)
    return F.affine_grid(theta, [len(theta), 1, height, width], align_corners=False)


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
    if x.dtype in (torch.float16, torch.bfloat16):  # too coarse for the places that pixels come from
        return warp(x.float(), pose).to(x.dtype)
    pose = pose.to(x.dtype).expand(len(x), 3)
    height, width = x.shape[2:]
    back = turn_back(pose[:, 0] * (math.pi / 180), height, width)
    shift = pose[:, 1:] * torch.tensor([2 / width, 2 / height], dtype=x.dtype, device=x.device)
    grid = sampling_grid(back, shift, height, width)
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
            if not is_number(value) or not 0 <= value <= most:
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

        The pose is fitted from coarse to fine: by trying all poses of small copies, then from the best places by
        Levenberg and Marquardt's method on larger and larger copies; on the images themselves one place after the
        other, until an image is met. Images that no place leads to are tried again from many more, a few at a time and
        up to the first that is not met then either: what is said of the others is an upper bound.
        """
        best = self._distance(x, x_adv, 12, 16, CORNERS[:1])
        missed = (best > FIT).nonzero().flatten()
        for rows in missed.split(4) if len(missed) else ():
            best[rows] = best[rows].minimum(self._distance(x[rows], x_adv[rows], 24, 64, CORNERS))
            if bool((best[rows] > FIT).any()):
                break
        return best

    def _distance(self, x: Tensor, x_adv: Tensor, side: int, places: int, corners: Tensor) -> Tensor:
        """Try all poses of copies with this least side, and follow `places` of them up, from these corners."""
        factor = max(1, min(x.shape[2:]) // side)
        small, small_adv = _shrunk(x, factor), _shrunk(x_adv, factor)
        grid = self._fine_grid(small, factor).to(x)
        gaps = torch.stack([_gap(warp(small, pose * _scale(factor, x)), small_adv) for pose in grid], 1)
        poses = grid[gaps.topk(min(places, len(grid)), 1, largest=False).indices]  # (n, places, 3)
        while factor > 1:
            small, small_adv = _shrunk(x, factor), _shrunk(x_adv, factor)
            fitted = [self._fit(small, small_adv, pose, _scale(factor, x)) for pose in poses.unbind(1)]
            gap = torch.stack([gap for _, gap in fitted], 1)
            best = gap.topk(max(gap.shape[1] // 2, min(4, gap.shape[1])), 1, largest=False).indices
            poses = torch.stack([pose for pose, _ in fitted], 1).gather(1, best[:, :, None].expand(-1, -1, 3))
            factor //= 2
        best, limits = torch.full_like(gaps[:, 0], torch.inf), torch.tensor(self.limits).to(x)
        for pose in poses.unbind(1):
            for corner in corners.to(x):  # a bilinear picture has a kink where a shift is whole
                rows = (best > FIT).nonzero().flatten()
                if not len(rows):
                    return best
                begun = (pose[rows] + corner).clamp(-limits, limits)
                pose[rows], _ = self._fit(x[rows], x_adv[rows], begun, _scale(1, x))
                missed = (warp(x[rows], pose[rows]) - x_adv[rows]).abs().flatten(1).amax(1)
                best[rows] = torch.minimum(best[rows], missed)
        return best

    def _fine_grid(self, x: Tensor, factor: int) -> Tensor:
        """Return poses of images `factor` times as large as `x` that lie at most about a pixel of `x` apart, (m, 3)."""
        angle = math.degrees(2 / max(x.shape[2:]))
        shifts = min(2 * math.ceil(self.pixels / factor) + 1, MOST_SHIFTS)
        return self.grid(2 * math.ceil(self.degrees / angle) + 1, shifts)

    def _fit(self, x: Tensor, x_adv: Tensor, pose: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pose within the limits, near `pose`, in which x comes closest to `x_adv`, and the gap left.

        Poses are those of the full images; times `scale` they are those of `x`.
        """
        limits, tiny = torch.tensor(self.limits).to(x), 1e-2 * torch.eye(3).to(x)
        damping, here = torch.ones_like(pose[:, :1]), warp(x, pose * scale)
        for _ in range(12):
            slopes = [(warp(x, (pose + d) * scale) - warp(x, (pose - d) * scale)).flatten(1) / 2e-2 for d in tiny]
            slopes = torch.stack(slopes, 2)
            normal = slopes.mT @ slopes
            damped = normal + torch.diag_embed(damping * (normal.diagonal(dim1=1, dim2=2) + 1e-6))
            wish = torch.linalg.solve(damped, slopes.mT @ (x_adv - here).flatten(1)[:, :, None]).squeeze(2)
            near = (pose + wish).clamp(-limits, limits)
            there = warp(x, near * scale)
            better = (_gap(there, x_adv) < _gap(here, x_adv))[:, None]
            pose, here = torch.where(better, near, pose), torch.where(rowwise(better[:, 0], x), there, here)
            damping = torch.where(better, damping / 10, damping * 4)
        return pose, _gap(here, x_adv)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Refuse: a repainted image has no pose. The attack `spatial` searches poses."""
        raise ValueError(f"threat: expected pixels that may change, such as Linf(8/255), got {self}; use `spatial`")

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Refuse, as `project` does."""
        return self.project(x, x_adv)

    def rounding(self, x: Tensor) -> float:
        """Return what storing an image in the dtype of `x` costs; in float32 the fit's own tolerance is larger."""
        return torch.finfo(x.dtype).eps

    def check(self, x: Tensor) -> None:
        """Accept any images: the limits are the same for all."""

    def select(self, rows: Tensor) -> Self:
        """Return itself: the limits are the same for all."""
        return self


def _shrunk(x: Tensor, factor: int) -> Tensor:
    """Return small copies of the images, each pixel the mean of about factor × factor."""
    return F.interpolate(x, size=[side // factor for side in x.shape[2:]], mode="area") if factor > 1 else x


def _scale(factor: int, x: Tensor) -> Tensor:
    """Return by what a pose of `x` is multiplied to be that of a copy shrunk by `factor`."""
    height, width = x.shape[2:]
    return torch.tensor([1.0, (width // factor) / width, (height // factor) / height]).to(x)


def _gap(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().flatten(1).sum(1)
