"""A flat sign on its pole as a camera sees it: perspective, light, background and blur, differentiable in the sign."""

import math
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional as F

from ...contract.input_validation import check_images

Each = float | Tensor  # one number for all pictures, or a tensor (n,) with one for each
AWAY = 5.0  # the camera's distance in halves of the sign's side: what makes the near edge of a turned sign larger
STEEPEST = 75.0  # degrees; beyond it too few pixels are left of a sign
GREY = 0.45  # what lies behind a sign for which no background is given
_FINE = 2  # samples along each side of a pixel
_POLE, _STEEL = 0.075, 0.5  # half the pole's width, in halves of the sign's side; its grey


def view(
    face: Tensor,
    outline: Tensor,
    *,
    yaw: Each = 0.0,
    tilt: Each = 0.0,
    roll: Each = 0.0,
    size: Each = 0.7,
    across: Each = 0.0,
    down: Each = 0.0,
    light: Each = 1.0,
    blur: Each = 0.0,
    background: Tensor | None = None,
    side: int = 48,
) -> Tensor:
    """Return pictures of flat signs, each in a pose of its own.

    Parameters
    ----------
    face : Tensor (3, h, w) or (n, 3, h, w), float in [0, 1]
        The flat texture, such as `face("stop")` with a sticker on it.
    outline : Tensor (1, h, w) or (n, 1, h, w), float in [0, 1]
        How much of each texel belongs to the sign.
    yaw, tilt : float or Tensor (n,), within ±75 degrees
        Turned about the upright axis (a positive yaw moves the sign's right edge away), then about the level one (a
        positive tilt moves its lower edge away).
    roll : float or Tensor (n,)
        Degrees against the clock, in the sign's own plane.
    size : float or Tensor (n,), > 0
        Side of the texture, seen frontally, as a share of the picture's side.
    across, down : float or Tensor (n,)
        How far the sign's middle lies right of and below the picture's, as a share of the picture's side.
    light : float or Tensor (n,), >= 0
        The sign's pixels times this, at most 1.
    blur : float or Tensor (n,), >= 0
        Standard deviation of a Gaussian over the whole picture, in pixels.
    background : Tensor (3, side, side) or (n, 3, side, side), optional
        What lies behind sign and pole; plain grey, and no pole, when not given.
    side : int >= 1
        Side of the picture in pixels.

    Returns
    -------
    Tensor (n, 3, side, side)
        In [0, 1], differentiable in `face`. n is the longest batch given, 1 if none. Without pose and background, at
        ``size=1`` and half the texture's side, it is the texture, each 2×2 texels averaged.

    Raises
    ------
    ValueError
        If a tensor does not have its shape or range, or a number is out of range.
    """
    given = {"yaw": yaw, "tilt": tilt, "roll": roll, "size": size}
    given |= {"across": across, "down": down, "light": light, "blur": blur}
    face, outline, background, n = _checked(face, outline, background, side, given)
    each = {name: _each(name, value, n, face) for name, value in given.items()}
    place = _on_the_plane(each, side * _FINE)
    sheet = torch.cat([sheet.expand(n, -1, -1, -1) for sheet in (face * outline, outline)], 1)
    seen = F.avg_pool2d(F.grid_sample(sheet, place, mode="bilinear", align_corners=False), _FINE)
    colour, cover = seen[:, :3], seen[:, 3:]
    lit = torch.minimum(colour * each["light"].view(-1, 1, 1, 1), cover)
    behind = torch.full_like(lit, GREY) if background is None else _with_pole(background, place, each["light"])
    return blurred(lit + behind * (1 - cover), each["blur"]).clamp(0, 1)


def blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Return each picture (n, c, h, w) under a Gaussian of its own width `sigma` (n,), in pixels; 0 leaves it alone."""
    if not bool((sigma > 0).any()):
        return x
    reach = min(max(1, math.ceil(3 * sigma.max().item())), x.shape[2] - 1)
    place = torch.arange(-reach, reach + 1).to(x)
    kernel = (-0.5 * (place / sigma.clamp_min(1e-3)[:, None]).square()).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)[:, None]
    flat = F.pad(x, (reach,) * 4, mode="replicate").flatten(0, 1)[None]
    flat = F.conv2d(flat, kernel[:, :, None, :], groups=flat.shape[1])
    return F.conv2d(flat, kernel[:, :, :, None], groups=flat.shape[1]).view_as(x)


def _on_the_plane(each: dict[str, Tensor], fine: int) -> Tensor:
    """Return where on the sign's plane each ray through the picture lands, (n, fine, fine, 2), texture from -1 to 1.

    A ray that never meets the plane (it may, far off the sign, at a steep yaw) lands far outside everything.
    """
    yaw, tilt, roll = (each[name] * (math.pi / 180) for name in ("yaw", "tilt", "roll"))
    cy, sy, ct, st, cr, sr = yaw.cos(), yaw.sin(), tilt.cos(), tilt.sin(), roll.cos(), roll.sin()
    # the sign's two axes in the camera's frame (right, down, ahead): rolled in the plane, then turned, then tilted
    right = torch.stack([cy * cr, -ct * sr - st * sy * cr, ct * sy * cr - st * sr], 1)
    lower = torch.stack([cy * sr, ct * cr - st * sy * sr, ct * sy * sr + st * cr], 1)
    middle = torch.tensor([0.0, 0.0, AWAY]).to(right).expand_as(right)
    project = torch.stack([right, lower, middle], 2)  # columns: (u, v, 1) on the sign to (x, y, z) before the camera
    ticks = ((torch.arange(fine) + 0.5) / fine * 2 - 1).to(right)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    focal = (each["size"] * AWAY).view(-1, 1, 1)
    rays = [
        (x - 2 * each["across"].view(-1, 1, 1)) / focal,
        (y - 2 * each["down"].view(-1, 1, 1)) / focal,
        torch.ones_like(x).expand(len(right), -1, -1),
    ]
    hit = torch.einsum("nij,njhw->nihw", torch.linalg.inv(project), torch.stack(rays, 1))
    meets = hit[:, 2:] > 1e-4
    return (hit[:, :2] / hit[:, 2:].clamp_min(1e-4)).where(meets, 1e4).movedim(1, 3)


def _with_pole(background: Tensor, place: Tensor, light: Tensor) -> Tensor:
    """Return the background with a steel pole from behind the sign's middle to below the picture."""
    on = place[..., 0].abs() < _POLE
    on = F.avg_pool2d((on & (place[..., 1] > 0)).to(place.dtype)[:, None], _FINE)
    round_ = F.avg_pool2d((1 - 0.5 * (place[..., :1] / _POLE + 0.3).square()).clamp(0.3, 1).movedim(3, 1), _FINE)
    steel = (_STEEL * light.view(-1, 1, 1, 1) * round_).clamp(0, 1)
    return background * (1 - on) + steel * on


def _each(name: str, value: Each, n: int, face: Tensor) -> Tensor:
    """Return one number for each picture, (n,), or raise a ValueError."""
    if isinstance(value, Tensor) and value.ndim <= 1 and value.numel() in (1, n):
        numbers = value.to(face).reshape(-1).expand(n)
    elif isinstance(value, Real) and not isinstance(value, bool):
        numbers = torch.full((n,), float(value), dtype=face.dtype, device=face.device)
    else:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ValueError(f"{name}: expected a number or a tensor ({n},), got {got}")
    least = {"size": 1e-3, "light": 0.0, "blur": 0.0, "yaw": -STEEPEST, "tilt": -STEEPEST}.get(name, -math.inf)
    most = {"yaw": STEEPEST, "tilt": STEEPEST}.get(name, math.inf)
    bad = numbers[~(numbers.isfinite() & (numbers >= least) & (numbers <= most))]
    if len(bad):
        raise ValueError(f"{name}: expected finite numbers from {least:g} to {most:g}, got {bad[0].item():g}")
    return numbers


def _checked(
    face: Tensor, outline: Tensor, background: Tensor | None, side: int, given: dict[str, Each]
) -> tuple[Tensor, Tensor, Tensor | None, int]:
    """Return face, outline and background as batches, and the longest batch of all arguments."""
    if isinstance(side, bool) or not isinstance(side, int) or side < 2:
        raise ValueError(f"side: expected a whole number of pixels >= 2, got {side!r}")
    sheets = {"face": (face, 3), "outline": (outline, 1), "background": (background, 3)}
    batches = {}
    for name, (sheet, channels) in sheets.items():
        if sheet is None and name == "background":
            continue
        if not isinstance(sheet, Tensor) or sheet.ndim not in (3, 4) or sheet.shape[-3] != channels:
            got = tuple(sheet.shape) if isinstance(sheet, Tensor) else type(sheet).__name__
            raise ValueError(f"{name}: expected a tensor ({channels}, h, w) or (n, {channels}, h, w), got {got}")
        batches[name] = sheet if sheet.ndim == 4 else sheet[None]
        try:
            check_images(batches[name].detach())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if face.shape[-2:] != outline.shape[-2:]:
        raise ValueError(f"outline: expected the face's size {tuple(face.shape[-2:])}, got {tuple(outline.shape[-2:])}")
    if background is not None and tuple(background.shape[-2:]) != (side, side):
        raise ValueError(f"background: expected {side}×{side} pixels, got {tuple(background.shape[-2:])}; set side")
    lengths = {name: len(batch) for name, batch in batches.items()}
    lengths |= {name: value.numel() for name, value in given.items() if isinstance(value, Tensor)}
    n = max(lengths.values())
    wrong = [f"{name} has {length}" for name, length in lengths.items() if length not in (1, n)]
    if wrong:
        raise ValueError(f"view: expected one of each for {n} pictures, or a single one, but {', '.join(wrong)}")
    return batches["face"], batches["outline"], batches.get("background"), n
