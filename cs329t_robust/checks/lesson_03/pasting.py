"""Exercises 03.1 and 03.5: put a frame on a face, and a patch into a picture."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, generator, images, in_image, matches

SHAPES = ((6, 1, 5, 7), (1, 3, 6, 4))


# ---- 03.1 wear(x, mask, paint)


def _wear(x: Tensor, mask: Tensor, paint: Tensor) -> Tensor:
    return torch.where(mask, paint.clamp(0, 1), x)


def _wear_cases(seed: int) -> list[tuple]:
    cases = []
    for shape in SHAPES:
        mask = torch.zeros(shape[2:], dtype=torch.bool)
        mask[1:4, 1:3] = True
        paint = torch.rand(shape[1:], generator=generator(seed + 3)) * 1.6 - 0.3
        cases.append((images(seed, shape) * 0.8 + 0.1, mask, paint))
    return cases


def _outside_is_kept(run: Run) -> str:
    for (x, mask, _), answer, _ in run:
        changed = ((answer - x).abs() > 2e-5)[:, :, ~mask]
        if changed.any():
            return f"{part(int(changed.sum()), changed.numel(), 'pixel value')} outside the mask changed; none may"
    return ""


def _inside_is_paint(run: Run) -> str:
    for (_, mask, paint), answer, _ in run:
        wanted = paint.clamp(0, 1)[:, mask]
        wrong = (answer.clamp(0, 1)[:, :, mask] - wanted).abs() > 2e-5
        if wrong.any():
            return f"under the mask {part(int(wrong.sum()), wrong.numel(), 'pixel value', 'are')} not the paint's"
    return ""


WEAR = Exercise(
    "03.1",
    "wear",
    _wear,
    _wear_cases,
    [
        Probe("shows the paint under the mask, on every picture", 2, _inside_is_paint, essential=True),
        Probe("leaves the rest of the picture alone", 1, _outside_is_kept),
        Probe("stays in the image, [0, 1]", 1, in_image),
    ],
    [
        Mistake(
            "mask inverted",
            lambda x, m, p: torch.where(m, x, p.clamp(0, 1)),
            "The mask is the wrong way round: True is where the paint goes, and the face shows everywhere else.",
        ),
        Mistake(
            "added to the face",
            lambda x, m, p: (x + m * p).clamp(0, 1),
            "You added the paint to the face. A frame hides what is behind it: the face's pixels are replaced.",
        ),
        Mistake(
            "face forgotten under the frame's surroundings",
            lambda x, m, p: (m * p).expand_as(x).clamp(0, 1),
            "You kept the paint and lost the face: outside the mask the picture is x.",
        ),
        Mistake(
            "paint everywhere",
            lambda x, m, p: (x * ~m + p).clamp(0, 1),
            "The paint is added everywhere, also outside the mask: multiply it by the mask as well, x·(1 − mask) + paint·mask.",
        ),
        Mistake(
            "not clipped",
            lambda x, m, p: torch.where(m, p, x),
            "The paint may hold numbers below 0 or above 1 (an optimiser makes them): clamp(0, 1) makes it a valid image.",
        ),
        Mistake(
            "half transparent",
            lambda x, m, p: torch.where(m, (x + p.clamp(0, 1)) / 2, x),
            "You mixed face and paint half and half. A frame is opaque: under the mask only the paint shows.",
        ),
        Mistake(
            "multiplied",
            lambda x, m, p: torch.where(m, x * p.clamp(0, 1), x),
            "You multiplied the face by the paint, as coloured glass would. A frame is opaque: under the mask only the paint shows.",
        ),
        Mistake(
            "black frame",
            lambda x, m, p: x * ~m,
            "You cut the mask out of the face and left it black; put the paint there.",
        ),
        Mistake(
            "paint unmasked",
            lambda x, m, p: p.clamp(0, 1).expand_as(x),
            "You returned the paint alone; the mask says where it covers the face.",
        ),
        Mistake(
            "only the first picture",
            lambda x, m, p: torch.cat([torch.where(m, p.clamp(0, 1), x[:1]), x[1:]]),
            "Only the first picture wears the frame; x is a batch (n, c, h, w).",
        ),
    ],
    "torch.where(mask, a, b) takes a where the mask is True and b elsewhere; a mask (h, w) fits images (n, c, h, w) as it is.",
    like=0,
)


# ---- 03.5 paste(x, patch, top, left)


def _paste(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    out, (h, w), (ph, pw) = x.clone(), x.shape[2:], patch.shape[1:]
    rows, columns = range(max(0, top), min(h, top + ph)), range(max(0, left), min(w, left + pw))
    if len(rows) and len(columns):
        part = patch[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        out[:, :, rows.start : rows.stop, columns.start : columns.stop] = part
    return out


def _paste_cases(seed: int) -> list[tuple]:
    def case(shape: tuple[int, ...], side: int, top: int, left: int) -> tuple:
        return images(seed, shape), torch.rand(shape[1], side, side, generator=generator(seed + 5)), top, left

    return [
        case((4, 1, 9, 7), 3, 2, 1),
        case((2, 3, 8, 10), 4, 1, 5),
        case((2, 1, 6, 6), 3, 4, 4),
        case((2, 1, 6, 6), 3, -1, 2),
        case((1, 3, 6, 8), 3, 3, -2),
    ]


def _in_the_middle(run: Run) -> str:
    return matches("pixel value")(Run(run.cases[:2], run.answers[:2], run.expected[:2], run.call))


def _at_the_edges(run: Run) -> str:
    for (x, _, top, left), answer, expected in list(run)[2:]:
        wrong = int(((answer - expected).abs() > 2e-5).sum())
        if wrong:
            return (
                f"with top = {top}, left = {left} the patch sticks out of the {x.shape[2]}×{x.shape[3]} picture; what is "
                f"outside is lost. {part(wrong, answer.numel(), 'pixel value', 'differ')}"
            )
    return ""


def _paste_clamped(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    side = patch.shape[1]
    return _paste(x, patch, min(max(top, 0), x.shape[2] - side), min(max(left, 0), x.shape[3] - side))


def _paste_anchored(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    out = x.clone()
    top, left = max(top, 0), max(left, 0)
    room = out[:, :, top : top + patch.shape[1], left : left + patch.shape[2]]
    room[:] = patch[:, : room.shape[2], : room.shape[3]]
    return out


def _paste_sliced(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    out = x.clone()
    out[:, :, top : top + patch.shape[1], left : left + patch.shape[2]] = patch
    return out


def _paste_rolled(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    sheet, cover = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
    sheet[:, :, : patch.shape[1], : patch.shape[2]] = patch
    cover[:, :, : patch.shape[1], : patch.shape[2]] = True
    return torch.where(cover.roll((top, left), (2, 3)), sheet.roll((top, left), (2, 3)), x)


def _paste_added(x: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    return (x + _paste(torch.zeros_like(x), patch, top, left)).clamp(0, 1)


PASTE = Exercise(
    "03.5",
    "paste",
    _paste,
    _paste_cases,
    [
        Probe("puts the patch where it belongs, inside the picture", 2, _in_the_middle, essential=True),
        Probe("cuts off what sticks out", 2, _at_the_edges),
        Probe(
            "treats each picture on its own",
            1,
            alone(lambda a, i: (a[0][i : i + 1], *a[1:])),
        ),
    ],
    [
        Mistake(
            "top and left swapped",
            lambda x, p, t, l: _paste(x, p, l, t),
            "top and left are swapped: top counts rows (dimension 2), left counts columns (dimension 3).",
        ),
        Mistake(
            "centre instead of corner",
            lambda x, p, t, l: _paste(x, p, t - p.shape[1] // 2, l - p.shape[2] // 2),
            "You took (top, left) as the patch's middle; it is its upper left corner.",
        ),
        Mistake(
            "added",
            _paste_added,
            "You added the patch to the picture; it is opaque and replaces what is behind it.",
        ),
        Mistake(
            "background lost",
            lambda x, p, t, l: _paste(torch.zeros_like(x), p, t, l),
            "The picture behind the patch is gone: start from x.clone(), not from zeros.",
        ),
        Mistake(
            "plain slices",
            _paste_sliced,
            "Slices alone do not cut a patch that sticks out: the two sides then have different shapes, and a negative start counts from the far end.",
        ),
        Mistake(
            "pushed back inside",
            _paste_clamped,
            "A patch that sticks out is pushed back inside; it should stay at (top, left) and lose what is outside.",
        ),
        Mistake(
            "wrong part cut off",
            _paste_anchored,
            "At the upper and the left edge you cut off the wrong part of the patch: with top = −1 its row 0 is lost, so row 1 comes first.",
        ),
        Mistake(
            "wraps around",
            _paste_rolled,
            "What sticks out at one edge comes in at the other (torch.roll wraps around); it should be lost.",
        ),
        Mistake(
            "transposed",
            lambda x, p, t, l: _paste(x, p.transpose(1, 2), t, l),
            "The patch is transposed: its rows have become columns.",
        ),
        Mistake(
            "only the first picture",
            lambda x, p, t, l: torch.cat([_paste(x[:1], p, t, l), x[1:]]),
            "Only the first picture got the patch; x is a batch (n, c, h, w).",
        ),
        Mistake(
            "one pixel off",
            lambda x, p, t, l: _paste(x, p, t + 1, l + 1),
            "The patch lies one pixel too far down and to the right: its first row goes to row `top` itself.",
        ),
    ],
    "Find the rows and the columns that are in the picture: from max(0, top) to min(h, top + side). Take the same part out of the patch.",
    like=0,
)
