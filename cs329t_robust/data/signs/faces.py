"""The faces of the signs: flat, frontal, evenly lit; drawn by Pillow four times too large, and shrunk."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...runtime.extras import missing

FACE = 96
"""The side of a sign's flat texture, in texels."""
_FINE = 4 * FACE
RED, BLUE, YELLOW, WHITE, BLACK = (176, 22, 34), (18, 76, 152), (246, 194, 16), (244, 244, 240), (22, 22, 24)
Point = tuple[float, float]  # (across, down) on the sign, both from -1 to 1


class _Pen:
    """Draw on a square from -1 to 1; every length is a share of half its side."""

    def __init__(self, background: tuple[int, ...], mode: str = "RGB") -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new(mode, (_FINE, _FINE), background)
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], fill: Any) -> None:
        self.draw.polygon([(_px(across), _px(down)) for across, down in points], fill=fill)

    def disc(self, radius: float, fill: Any, centre: Point = (0, 0)) -> None:
        (across, down), r = centre, radius
        self.draw.ellipse([_px(across - r), _px(down - r), _px(across + r), _px(down + r)], fill=fill)

    def stroke(self, start: Point, end: Point, width: float, fill: Any) -> None:
        """Draw a thick line with flat ends."""
        (a, b), (c, d) = start, end
        length = math.hypot(c - a, d - b)
        right, down = (d - b) / length * width / 2, -(c - a) / length * width / 2
        self.polygon([(a + right, b + down), (c + right, d + down), (c - right, d - down), (a - right, b - down)], fill)

    def text(self, words: str, height: float, fill: Any, squeeze: float = 1.0) -> None:
        """Write `words` in the middle: capitals `height` tall, `squeeze` times as wide as the font has them."""
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.truetype(_font(), round(_FINE), layout_engine=ImageFont.Layout.BASIC)
        left, top, right, bottom = font.getbbox(words)
        letters = Image.new("L", (round(right - left), round(bottom - top)), 0)
        ImageDraw.Draw(letters).text((-left, -top), words, font=font, fill=255)
        tall = round(height * _FINE / 2)
        wide = round(letters.width * tall / letters.height * squeeze)
        letters = letters.resize((wide, tall), Image.Resampling.LANCZOS)
        self.image.paste(fill, ((_FINE - wide) // 2, (_FINE - tall) // 2), letters)


def _px(share: float) -> float:
    return (share + 1) / 2 * _FINE - 0.5


@cache
def _font() -> str:
    """Return the path of the font that matplotlib carries; matplotlib itself is not imported."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise missing("the lettering of the road signs", "matplotlib")
    return str(Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans-Bold.ttf")


def _regular(corners: int, radius: float, turn: float = 0.0) -> list[Point]:
    angles = [math.radians(turn) + 2 * math.pi * i / corners for i in range(corners)]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


def _octagon(size: float) -> list[Point]:
    return _regular(8, size / math.cos(math.pi / 8), 22.5)


def _triangle(size: float) -> list[Point]:
    return [(-size, -0.82 * size - 0.06), (size, -0.82 * size - 0.06), (0, 0.88 * size - 0.06)]


def _square(size: float) -> list[Point]:
    return [(-size, -size), (size, -size), (size, size), (-size, size)]


def _stop(pen: _Pen) -> None:
    pen.polygon(_octagon(0.96), WHITE)
    pen.polygon(_octagon(0.88), RED)
    pen.text("STOP", 0.54, WHITE, squeeze=0.72)


def _yield(pen: _Pen) -> None:
    pen.polygon(_triangle(0.98), RED)
    pen.polygon([(0.6 * across, 0.6 * (down + 0.3) - 0.3) for across, down in _triangle(0.98)], WHITE)


def _no_entry(pen: _Pen) -> None:
    pen.disc(0.97, WHITE)
    pen.disc(0.92, RED)
    pen.polygon([(-0.7, -0.17), (0.7, -0.17), (0.7, 0.17), (-0.7, 0.17)], WHITE)


def _limit(pen: _Pen, number: str) -> None:
    pen.disc(0.97, RED)
    pen.disc(0.75, WHITE)
    pen.text(number, 0.72, BLACK, squeeze=0.82)


def _priority(pen: _Pen) -> None:
    pen.polygon(_regular(4, 0.98), BLACK)
    pen.polygon(_regular(4, 0.94), WHITE)
    pen.polygon(_regular(4, 0.62), YELLOW)


def _blue_disc(pen: _Pen) -> None:
    pen.disc(0.97, WHITE)
    pen.disc(0.92, BLUE)


def _ahead(pen: _Pen) -> None:
    _blue_disc(pen)
    pen.stroke((0, 0.66), (0, -0.2), 0.24, WHITE)
    pen.polygon([(-0.4, -0.14), (0.4, -0.14), (0, -0.7)], WHITE)


def _turn(pen: _Pen, side: int) -> None:
    _blue_disc(pen)
    pen.stroke((-0.3 * side, 0.6), (-0.3 * side, -0.22), 0.24, WHITE)
    pen.stroke((-0.42 * side, -0.12), (0.2 * side, -0.12), 0.24, WHITE)
    pen.polygon([(0.14 * side, -0.52), (0.14 * side, 0.28), (0.7 * side, -0.12)], WHITE)


def _roundabout(pen: _Pen) -> None:
    _blue_disc(pen)
    box = [_px(-0.52), _px(-0.52), _px(0.52), _px(0.52)]
    for start in (-80, 40, 160):
        pen.draw.arc(box, start, start + 78, fill=WHITE, width=round(0.17 * _FINE / 2))
        angle = math.radians(start - 2)  # traffic runs anticlockwise, so the arrowhead is where the arc begins
        tip = (0.435 * math.cos(angle - 0.62), 0.435 * math.sin(angle - 0.62))
        inner = (0.2 * math.cos(angle), 0.2 * math.sin(angle))
        outer = (0.7 * math.cos(angle), 0.7 * math.sin(angle))
        pen.polygon([tip, inner, outer], WHITE)


def _crossing(pen: _Pen) -> None:
    pen.polygon(_square(0.92), WHITE)
    pen.polygon(_square(0.87), BLUE)
    pen.polygon([(-0.72, 0.62), (0.72, 0.62), (0, -0.7)], WHITE)
    pen.disc(0.1, BLACK, (0.0, -0.27))
    for start, end, width in [
        ((0.0, -0.16), (-0.02, 0.2), 0.17),  # trunk
        ((-0.02, 0.14), (-0.16, 0.54), 0.1),  # legs
        ((0.0, 0.14), (0.2, 0.54), 0.1),
        ((0.02, -0.12), (0.22, 0.12), 0.07),  # arms
        ((-0.02, -0.12), (-0.2, 0.1), 0.07),
    ]:
        pen.stroke(start, end, width, BLACK)
    for across in (-0.5, -0.26, -0.02, 0.22, 0.46):
        pen.polygon([(across, 0.62), (across + 0.1, 0.62), (across + 0.09, 0.55), (across + 0.02, 0.55)], BLACK)


# name: (what draws the face, the outline's pen strokes)
_SIGNS: dict[str, tuple[Callable[[_Pen], None], Callable[[_Pen], None]]] = {
    "stop": (_stop, lambda pen: pen.polygon(_octagon(0.96), 255)),
    "yield": (_yield, lambda pen: pen.polygon(_triangle(0.98), 255)),
    "no entry": (_no_entry, lambda pen: pen.disc(0.97, 255)),
    "limit 30": (lambda pen: _limit(pen, "30"), lambda pen: pen.disc(0.97, 255)),
    "limit 50": (lambda pen: _limit(pen, "50"), lambda pen: pen.disc(0.97, 255)),
    "limit 80": (lambda pen: _limit(pen, "80"), lambda pen: pen.disc(0.97, 255)),
    "priority road": (_priority, lambda pen: pen.polygon(_regular(4, 0.98), 255)),
    "ahead only": (_ahead, lambda pen: pen.disc(0.97, 255)),
    "turn right": (lambda pen: _turn(pen, 1), lambda pen: pen.disc(0.97, 255)),
    "turn left": (lambda pen: _turn(pen, -1), lambda pen: pen.disc(0.97, 255)),
    "roundabout": (_roundabout, lambda pen: pen.disc(0.97, 255)),
    "crossing": (_crossing, lambda pen: pen.polygon(_square(0.92), 255)),
}
CLASSES = tuple(_SIGNS)
"""The names of the twelve signs; a label is a place in it."""


def face(name: str) -> Tensor:
    """Return a sign's flat texture; grey outside its outline, where nothing is seen.

    Parameters
    ----------
    name : str
        One of `CLASSES`.

    Returns
    -------
    Tensor (3, 96, 96), float32 in [0, 1]

    Raises
    ------
    ValueError
        If there is no such sign.
    """
    return _drawn(_checked(name))[0].clone()


def outline(name: str) -> Tensor:
    """Return how much of each texel belongs to the sign.

    Parameters
    ----------
    name : str
        One of `CLASSES`.

    Returns
    -------
    Tensor (1, 96, 96), float32 in [0, 1]
        1 inside, 0 outside, between on the rim.

    Raises
    ------
    ValueError
        If there is no such sign.
    """
    return _drawn(_checked(name))[1].clone()


# Tape on a stop sign, above and below its letters: (left, top, right, bottom) on the sign, from -1 to 1.
_TAPE = [
    (-0.42, -0.72, -0.08, -0.46),
    (0.10, -0.72, 0.50, -0.46),
    (-0.62, 0.42, -0.18, 0.62),
    (0.02, 0.42, 0.58, 0.62),
]


def stickers() -> Tensor:
    """Return where four strips of tape lie on a stop sign, above and below its letters.

    Returns
    -------
    Tensor (4, 96, 96), bool
        One strip each.

    References
    ----------
    Eykholt, Evtimov et al. 2018, "Robust physical-world attacks on deep learning visual classification",
    arXiv:1707.08945, figure 1 (the places are in its spirit, not measured from it).
    """
    middle = (torch.arange(FACE) + 0.5) / FACE * 2 - 1
    down, across = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack(
        [(across > left) & (across < right) & (down > top) & (down < bottom) for left, top, right, bottom in _TAPE]
    )


def _checked(name: str) -> str:
    if name not in _SIGNS:
        raise ValueError(f"sign: expected one of {', '.join(CLASSES)}, got {name!r}")
    return name


@cache
def _drawn(name: str) -> tuple[Tensor, Tensor]:
    from PIL import Image

    paint, trace = _SIGNS[name]
    pen, cover = _Pen((128, 128, 128)), _Pen((0,), "L")
    paint(pen)
    trace(cover)
    small = [np.array(sheet.image.resize((FACE, FACE), Image.Resampling.BOX)) for sheet in (pen, cover)]
    colour, edge = (torch.from_numpy(array).float().div_(255) for array in small)
    return colour.permute(2, 0, 1).contiguous(), edge[None]
