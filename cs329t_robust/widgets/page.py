"""Build a widget's page: one piece of HTML that holds its style, script and data, and a still picture without them."""

import base64
import html
import io
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATIC = files(__package__) / "static"
SMALL = 10_000  # values; changes of larger pictures are stored more coarsely


class Page(ABC):
    """What Jupyter shows as a page of HTML, and every other program as a line of text."""

    @abstractmethod
    def to_html(self) -> str:
        """Return the widget as one self-contained piece of HTML, for any page."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.to_html()}


def build_page(
    root: str,
    scripts: Sequence[str],
    data: str,
    *,
    title: str,
    still: str,
    hint: str,
    themed: bool = False,
    extra: str = "",
) -> str:
    """Return a widget's page.

    Parameters
    ----------
    root : str
        The page's outermost element has the class ``cs329t-<root>``.
    scripts : sequence of str
        Names of the files in ``static/``, the widget's own last; its style has the same name. ``page.js`` and
        ``page.css`` come before.
    data : str
        What the script reads: `to_json`'s or `Block.pack`'s text.
    title : str
    still : str
        HTML for readers without scripts.
    hint : str
        How to make it live.
    themed : bool
        Whether it turns dark with the page around it.
    extra : str
        HTML after the data.
    """
    style = "".join(_static(f"{name}.css") for name in ("page", scripts[-1]))
    script = "".join(_static(f"{name}.js") for name in ("page", *scripts))
    classes = f"cs329t-page cs329t-{root}{' cs329t-themed' if themed else ''}"
    return (
        f'<div class="{classes}"><style>{style}</style><div class="page-static">'
        f'<div class="page-title">{html.escape(title)}</div>{still}<p class="page-hint">{html.escape(hint)}</p></div>'
        f'<script type="text/plain" class="page-data">{data}</script>{extra}'
        f'<script>(() => {{\n"use strict";\n{script}\n}})();</script></div>'
    )


def _static(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def to_json(data: Mapping[str, object]) -> str:
    """Return `data` as JSON that may stand inside a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("</", "<\\/")


class Block:
    """Bytes for a page and a header that points into them, packed together.

    The layout, which ``unpack`` in ``static/page.js`` reads: a little-endian uint32 with the length of the JSON
    header, the header, and the bytes; all compressed, in base64.
    """

    def __init__(self) -> None:
        self._body = bytearray()

    def put(self, data: bytes) -> int:
        """Append `data` and return where it starts: a multiple of four, as arrays of uint16 and uint32 need."""
        self._body += b"\0" * (-len(self._body) % 4)
        self._body += data
        return len(self._body) - len(data)

    def pack(self, header: Mapping[str, object]) -> str:
        """Return header and bytes as text."""
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        return base64.b64encode(zlib.compress(len(text).to_bytes(4, "little") + text + bytes(self._body), 9)).decode()


def to_bytes(image: Tensor) -> np.ndarray:
    """Return images (..., c, h, w) in [0, 1] as uint8 (..., h, w, c)."""
    return (image * 255).round().byte().movedim(-3, -1).contiguous().numpy()


def half_steps(picture: Tensor) -> int:
    """Return how many steps, on each side of zero, a change of a picture is stored in."""
    return 15 if picture.numel() <= SMALL else 7


def png(pixels: np.ndarray) -> bytes:
    """Return pixels (h, w), (h, w, 3) or, with opacity, (h, w, 4) as a PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def figure_png(figure: "Figure", dpi: int) -> bytes:
    """Return a figure as a PNG on white."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, facecolor="white")
    return out.getvalue()


def data_address(picture: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def picture_tag(address: str, alt: str) -> str:
    """Return the HTML of a picture."""
    return f'<img src="{address}" alt="{html.escape(alt)}">'
