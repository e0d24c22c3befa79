"""Exercise 04.1: move pictures down without wrapping."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, generator

SHAPES = ((5, 1, 6, 5), (2, 3, 5, 7))


def _moved(x: Tensor, down: int, right: int = 0, fill: float = 0.0) -> Tensor:
    h, w = x.shape[2:]
    out = torch.full_like(x, fill)
    source = x[:, :, max(0, -down) : h - max(0, down), max(0, -right) : w - max(0, right)]
    out[:, :, max(0, down) : h + min(0, down), max(0, right) : w + min(0, right)] = source
    return out


def _move_down(x: Tensor, rows: int) -> Tensor:
    return _moved(x, rows)


def _cases(seed: int) -> list[tuple]:
    grey, colour = (0.05 + 0.9 * torch.rand(shape, generator=generator(seed)) for shape in SHAPES)  # no pixel is black
    return [(grey, 1), (colour, 1), (colour, 3), (grey, 0)]


def _rows_arrive(run: Run) -> str:
    for (x, rows), answer, expected in run:
        if rows and (answer - expected).abs()[:, :, rows:].max() > 1e-5:
            other = next((d for d in range(-5, 6) if d != rows and _same_rows(answer, x, d)), None)
            seen = f"it holds row {rows - other}" if other is not None else "it holds something else"
            return f"rows={rows}: row {rows} of the result must be row 0 of x; {seen}"
    return ""


def _same_rows(answer: Tensor, x: Tensor, down: int) -> bool:
    h = x.shape[2]
    mine, theirs = answer[:, :, max(0, down) : h + min(0, down)], x[:, :, max(0, -down) : h - max(0, down)]
    return bool(theirs.numel()) and bool((mine - theirs).abs().max() < 1e-5)


def _new_rows_are_black(run: Run) -> str:
    for (_, rows), answer, _ in run:
        new = answer[:, :, :rows]
        left = int((new.abs() > 1e-5).sum())
        if left:
            return f"rows={rows}: {part(left, new.numel(), 'pixel value', 'are')} not 0 in what came in; nothing comes in from above"
    return ""


def _zero_rows(run: Run) -> str:
    (x, _), answer, _ = list(run)[-1]
    gap = (answer - x).abs().max().item()
    return f"rows=0 must return the pictures as they are; they differ by up to {gap:.3g}" if gap > 1e-5 else ""


MOVE_DOWN = Exercise(
    "04.1",
    "move_down",
    _move_down,
    _cases,
    [
        Probe("brings every row to its place", 2, _rows_arrive, essential=True),
        Probe("lets black in from above", 1, _new_rows_are_black),
        Probe("leaves pictures alone that move by no row", 1, _zero_rows),
        Probe("moves each picture on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1]))),
    ],
    [
        Mistake(
            "wraps around",
            lambda x, rows: torch.roll(x, rows, 2),
            "What leaves at the bottom comes in again at the top: torch.roll wraps around. Those rows must be 0.",
        ),
        Mistake(
            "up", lambda x, rows: _moved(x, -rows), "The pictures move up: the two slices are the wrong way round."
        ),
        Mistake(
            "right",
            lambda x, rows: _moved(x, 0, rows),
            "The pictures move to the right: rows are the third dimension, x[:, :, rows], columns the fourth.",
        ),
        Mistake(
            "left",
            lambda x, rows: _moved(x, 0, -rows),
            "The pictures move to the left: rows are the third dimension, x[:, :, rows], columns the fourth.",
        ),
        Mistake(
            "always one row",
            lambda x, rows: _moved(x, 1),
            "The pictures always move by one row; use the argument `rows`.",
        ),
        Mistake(
            "first row repeated",
            lambda x, rows: torch.cat([x[:, :, :1].expand(-1, -1, rows, -1), x[:, :, : x.shape[2] - rows]], 2),
            "The rows that come in repeat the first row; they must be black, 0.",
        ),
        Mistake(
            "old rows left",
            lambda x, rows: torch.cat([x[:, :, :rows], x[:, :, : x.shape[2] - rows]], 2),
            "The first rows still hold the old picture: begin from torch.zeros_like(x), not from a copy of x.",
        ),
        Mistake(
            "white",
            lambda x, rows: _moved(x, rows, fill=1.0),
            "White comes in from above; it must be black, 0.",
        ),
        Mistake(
            "batch moved",
            lambda x, rows: torch.cat([torch.zeros_like(x[:rows]), x[: max(0, len(x) - rows)]])[: len(x)],
            "You moved along the first dimension, so each picture became its neighbour in the batch; rows are the third: x[:, :, …].",
        ),
        Mistake(
            "negative slice",
            lambda x, rows: _negative(x, rows),
            "With rows=0 the slice [:-rows] is empty, since −0 is 0: write [: h - rows], with h = x.shape[2].",
        ),
    ],
    "The lecture's two lines, for a batch: begin with zeros, then out[:, :, rows:] = x[:, :, : h - rows].",
    like=0,
)


def _negative(x: Tensor, rows: int) -> Tensor:
    out = torch.zeros_like(x)
    if rows:
        out[:, :, rows:] = x[:, :, :-rows]
    return out
