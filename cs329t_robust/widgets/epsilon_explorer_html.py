"""Pack an epsilon explorer into one piece of HTML that holds its data, its script and its style."""

import base64
import html
import io
import json
import zlib
from importlib.resources import files

import numpy as np
from torch import Tensor

from .ladders import Ladder

SMALL = 10_000  # pixel values; larger images are packed with coarser perturbations
HINT = "Run this cell to make the slider live."


def to_bytes(image: Tensor) -> np.ndarray:
    """Return an image (c, h, w) in [0, 1] as uint8 (h, w, c)."""
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


def bars(ladder: Ladder, truth: int, top: int) -> list[int]:
    """Choose the classes that get a bar of their own: all, or those that matter most on the ladder."""
    k = ladder.probabilities.shape[1]
    if k <= top:
        return list(range(k))
    first = [ladder.predictions[0], truth, *([] if ladder.aim is None else [ladder.aim])]
    by_peak = ladder.probabilities.amax(0).argsort(descending=True)[: top + len(first)].tolist()
    return list(dict.fromkeys([*first, *by_peak]))[:top]


class Packer:
    """Collect images and ladders into one compressed block.

    The layout, which ``static/epsilon_explorer.js`` reads: a little-endian uint32 with the length of the JSON
    header, the header, and a body that the header points into. Probabilities are uint16 (65535 is 1). A
    perturbation is int8, in steps of the header's ``step``; a ladder whose
    neighbouring levels are alike is stored as differences.
    """

    def __init__(self, images: Tensor) -> None:
        self.half = 15 if images[0].numel() <= SMALL else 7
        self.body = bytearray()
        self.images = [self._put(to_bytes(image).tobytes()) for image in images]

    def _put(self, data: bytes) -> int:
        """Append `data` and return where it starts: always an even place, since uint16 arrays need one."""
        start = len(self.body)
        self.body += data + b"\0" * (len(data) % 2)
        return start

    def add(self, ladder: Ladder, truth: int, top: int) -> dict:
        """Append one ladder and return its entry in the header."""
        rows = bars(ladder, truth, top)
        p = ladder.probabilities.double().numpy()
        shown = p[:, rows]
        if len(rows) < p.shape[1]:
            shown = np.column_stack([shown, (1 - shown.sum(1)).clip(0)])
        step = ladder.delta.abs().flatten(1).amax(1).numpy() / self.half
        divisor = np.where(step > 0, step, 1)[:, None, None, None]
        frames = np.rint(ladder.delta.permute(0, 2, 3, 1).numpy() / divisor).astype(np.int8)[1:]
        changes = np.diff(frames, axis=0, prepend=np.zeros_like(frames[:1]))
        chained = len(zlib.compress(changes.tobytes(), 1)) < len(zlib.compress(frames.tobytes(), 1))
        predictions = ladder.predictions
        scale = float(ladder.delta.abs().max())
        return {
            "rows": rows,
            "other": int(len(rows) < p.shape[1]),
            "aim": ladder.aim,
            "pred": predictions,
            "predP": [round(float(p[i, c]), 4) for i, c in enumerate(predictions)],
            "flipped": [int(f) for f in ladder.flipped],
            "flip": -1 if ladder.flip is None else ladder.flip,
            "step": [round(float(s), 8) for s in step],
            "scale": scale or 1.0,
            "chained": chained,
            "pAt": self._put(np.rint(shown * 65535).astype("<u2").tobytes()),
            "framesAt": self._put((changes if chained else frames).tobytes()),
        }

    def pack(self, header: dict) -> str:
        """Return header and body, compressed, in base64."""
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        block = len(text).to_bytes(4, "little") + text + bytes(self.body)
        return base64.b64encode(zlib.compress(block, 9)).decode()


def strip(image: Tensor, ladder: Ladder) -> tuple[bytes, list[int]]:
    """Draw the still picture for readers without scripts: a PNG and the levels in it, clean first."""
    from PIL import Image

    levels = sorted({0, len(ladder.predictions) - 1} | ({ladder.flip} if ladder.flip is not None else set()))
    side = 140
    canvas = Image.new("RGB", (len(levels) * (side + 6) - 6, side), "white")
    for place, level in enumerate(levels):
        pixels = to_bytes((image + ladder.delta[level]).clamp(0, 1))
        picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        how = Image.Resampling.NEAREST if image.shape[2] <= 64 else Image.Resampling.LANCZOS
        canvas.paste(picture.resize((side, side), how).convert("RGB"), (place * (side + 6), 0))
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue(), levels


def page(title: str, packed: str, png: bytes, caption: str) -> str:
    """Return the fragment. Without scripts it shows the still picture; `epsilon_explorer.js` replaces that."""
    static = files(__package__) / "static"
    style, script = ((static / f"epsilon_explorer.{kind}").read_text("utf-8") for kind in ("css", "js"))
    picture = base64.b64encode(png).decode()
    return (
        f'<div class="cs329t-explorer"><style>{style}</style><div class="cx-static">'
        f'<div class="cx-title">{html.escape(title)}</div>'
        f'<img src="data:image/png;base64,{picture}" alt="{html.escape(caption)}">'
        f'<p class="cx-caption">{html.escape(caption)}</p><p class="cx-hint">{HINT}</p></div>'
        f'<script type="text/plain" class="cx-data">{packed}</script><script>{script}</script></div>'
    )
