"""What the page of an epsilon explorer is drawn from: its images, its ladders and its still picture."""

import zlib

import numpy as np
from torch import Tensor

from .eps_ladder import Ladder
from .page import Block, half_steps, png, to_bytes


def shown_classes(ladder: Ladder, truth: int, top: int) -> list[int]:
    """Choose the classes that get a bar of their own: all, or those that matter most on the ladder."""
    k = ladder.probabilities.shape[1]
    if k <= top:
        return list(range(k))
    first = [ladder.predictions[0], truth, *([] if ladder.aim is None else [ladder.aim])]
    by_peak = ladder.probabilities.amax(0).argsort(descending=True)[: top + len(first)].tolist()
    return list(dict.fromkeys([*first, *by_peak]))[:top]


class EpsilonData(Block):
    """Images and ladders, for ``read`` in ``static/epsilon_explorer.js``.

    Probabilities are uint16 (65535 is 1). A perturbation is int8, in steps of the header's ``step``; a ladder whose
    neighbouring levels are alike is stored as differences.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.half = half_steps(images[0])
        self.images = [self.put(to_bytes(image).tobytes()) for image in images]

    def add(self, ladder: Ladder, truth: int, top: int) -> dict:
        """Append one ladder and return its entry in the header."""
        rows = shown_classes(ladder, truth, top)
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
            "pAt": self.put(np.rint(shown * 65535).astype("<u2").tobytes()),
            "framesAt": self.put((changes if chained else frames).tobytes()),
        }


def still_picture(image: Tensor, ladder: Ladder) -> tuple[bytes, list[int]]:
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
    return png(np.asarray(canvas)), levels
