"""A ball that may touch only some of the pixels."""

import copy
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from .base import Generator, Threat
from .norms import Ball


@dataclass(frozen=True, eq=False, init=False)
class Masked(Threat):
    """A threat that may touch only some pixels: glasses on a face, stickers on a sign.

    Parameters
    ----------
    threat : Linf, L2, L1 or L0
        How far the pixels may move.
    mask : Tensor (h, w), (c, h, w), (1, c, h, w) or (n, c, h, w)
        True (or 1) where a pixel may change; a single channel serves all.

    Raises
    ------
    ValueError
        If `threat` is not a ball or `mask` is not a tensor of 0 and 1 with two to four dimensions.
    """

    threat: Ball
    mask: Tensor

    def __init__(self, threat: Ball, mask: Tensor) -> None:
        if not isinstance(threat, Ball):
            raise ValueError(f"Masked: expected a threat such as Linf(1.0) to restrict, got {threat!r}")
        if not isinstance(mask, Tensor) or not 2 <= mask.ndim <= 4:
            got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
            raise ValueError(f"Masked: expected a mask (h, w), (c, h, w) or (n, c, h, w), got {got}")
        if mask.device.type != "meta" and not bool(((mask == 0) | (mask == 1)).all()):
            raise ValueError("Masked: expected a mask of 0 and 1 (or of bools), got other values; use mask > 0.5")
        object.__setattr__(self, "threat", threat)
        with torch.inference_mode(False):  # a mask that was made in that mode could be part of no gradient
            mask = mask.clone().bool()
        object.__setattr__(self, "mask", mask.view(*[1] * (4 - mask.ndim), *mask.shape))

    def __repr__(self) -> str:
        return f"Masked({self.threat!r}, {self.mask.float().mean().item():.1%} of the pixels)"

    @property
    def eps(self) -> float | Tensor:
        """The radius of the inner threat."""
        return self.threat.eps

    @property
    def ball(self) -> Ball:
        """The inner threat."""
        return self.threat

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the inner distance; infinite where a pixel outside the mask has changed."""
        outside = ((x_adv != x) & ~self.mask).flatten(1).any(1)
        return self.threat.distance(x, x_adv).masked_fill(outside, torch.inf)

    def rounding(self, x: Tensor) -> Tensor | float:
        """Return the inner threat's."""
        return self.threat.rounding(x)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Put the pixels outside the mask back, then project as the inner threat does."""
        return torch.where(self.mask, self.threat.project(x, torch.where(self.mask, x_adv, x)), x)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Step as the inner threat does, as if the gradient were zero outside the mask."""
        return torch.where(self.mask, self.threat.ascend(x, x_adv, grad.where(self.mask, 0), step_size), x)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a member of the inner threat, with x outside the mask."""
        return torch.where(self.mask, self.threat.sample(x, generator), x)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless radii and mask fit images `x`."""
        self.threat.check(x)
        if self.mask.device != x.device:
            raise ValueError(
                f"threat: expected the mask on the images' device {x.device}, got {self.mask.device}; "
                "use mask.to(x.device)"
            )
        wanted = tuple(x.shape)
        if any(have not in (1, want) for have, want in zip(self.mask.shape, wanted, strict=True)):
            raise ValueError(f"threat: expected a mask that fits images {wanted}, got {tuple(self.mask.shape)}")

    def with_eps(self, eps: float | Tensor) -> Self:
        """Return the same mask around the inner threat at another radius."""
        return self._around(self.threat.with_eps(eps), self.mask)

    def at(self, eps: Tensor) -> Self:
        """Return the same mask around the inner threat with radii `eps`, unchecked."""
        return self._around(self.threat.at(eps), self.mask)

    def select(self, rows: Tensor) -> Self:
        """Return the threat of some images of the batch."""
        return self._around(self.threat.select(rows), self.mask[rows] if len(self.mask) > 1 else self.mask)

    def _around(self, threat: Ball, mask: Tensor) -> Self:
        same = copy.copy(self)
        object.__setattr__(same, "threat", threat)
        object.__setattr__(same, "mask", mask)
        return same


def allowed_places(threat: Threat, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pixels of each image a threat's mask lets change.

    Parameters
    ----------
    threat : Threat
    x : Tensor (n, c, h, w)

    Returns
    -------
    places : Tensor (n, h·w), integer
        The places of each image, those that may change first.
    count : Tensor (n,), integer
        How many of them may change.
    """
    allowed = torch.ones_like(x[:, 0], dtype=torch.bool)
    if isinstance(threat, Masked):
        allowed = allowed & threat.mask.any(1)
    allowed = allowed.flatten(1)
    return allowed.long().argsort(dim=1, descending=True, stable=True), allowed.sum(1)
