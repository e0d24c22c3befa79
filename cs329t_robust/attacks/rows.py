"""A batch whose rows leave it once they are done: the bookkeeping behind "work only on what is not broken yet"."""

from dataclasses import fields, replace
from typing import TypeVar

from torch import Tensor

from ..threat import Ball

COMPACT = 0.1  # leave once a tenth of the rows is done: sooner copies too often, later wastes gradients
S = TypeVar("S")


def select(state: S, rows: Tensor) -> S:
    """Return a dataclass of per-image tensors and threats, reduced to `rows` (a mask or an index over n)."""

    def part(value: object) -> object:
        if isinstance(value, Ball):
            return value.select(rows)
        return value[rows] if isinstance(value, Tensor) and value.ndim else value

    return replace(state, **{field.name: part(getattr(state, field.name)) for field in fields(state)})
