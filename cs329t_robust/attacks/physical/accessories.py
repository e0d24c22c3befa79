"""Where a wearable thing covers a picture: masks drawn from a few lengths, at any resolution."""

import math

import torch
from torch import Tensor

# pupils in the photograph "portrait": pixels from the left edge, from the top
PORTRAIT_EYES = ((85.0, 100.8), (140.2, 102.9))


def glasses(
    eyes: tuple[tuple[float, float], tuple[float, float]] = PORTRAIT_EYES, *, thickness: float = 0.12, side: int = 224
) -> Tensor:
    """Return the frame of a pair of glasses as a mask, True on the frame.

    Parameters
    ----------
    eyes : pair of (across, down)
        The two pupils in pixels, the left one of the picture first.
    thickness : float in (0, 0.25]
        Width of the rims, as a share of the distance between the pupils.
    side : int >= 1
        Side of the square picture.

    Returns
    -------
    bool Tensor (side, side)
        Two rounded rims around open lenses, a bridge, and arms to both sides; the eyes stay free.

    Raises
    ------
    ValueError
        If the eyes coincide or are in the wrong order, or `thickness` is out of range.
    """
    (left, top), (right, bottom) = eyes
    if not left < right:
        raise ValueError(f"eyes: expected the picture's left eye first, got {eyes}")
    if not 0 < thickness <= 0.25:
        raise ValueError(f"thickness: expected a share of the eyes' distance in (0, 0.25], got {thickness!r}")
    apart, tilt = math.hypot(right - left, bottom - top), math.atan2(bottom - top, right - left)
    down, across = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    dx, dy = across - (left + right) / 2, down - (top + bottom) / 2
    u = (dx * math.cos(tilt) + dy * math.sin(tilt)) / apart  # the eyes lie at u = ±1/2, v = 0
    v = (dy * math.cos(tilt) - dx * math.sin(tilt)) / apart
    lens = torch.minimum(_rounded(u - 0.5, v - 0.04), _rounded(u + 0.5, v - 0.04))
    rims = (lens >= 0) & (lens <= thickness)
    bridge = (u.abs() < 0.14) & ((v + 0.04).abs() < 0.6 * thickness) & (lens >= 0)
    arms = (u.abs() > 0.86) & (u.abs() < 1.12) & ((v + 0.06).abs() < 0.6 * thickness)
    return rims | bridge | arms


def _rounded(u: Tensor, v: Tensor, width: float = 0.36, height: float = 0.26, radius: float = 0.16) -> Tensor:
    """Return the signed distance to a rectangle with rounded corners: negative inside."""
    across, down = u.abs() - width + radius, v.abs() - height + radius
    outside = torch.hypot(across.clamp_min(0), down.clamp_min(0))
    return outside + torch.maximum(across, down).clamp_max(0) - radius
