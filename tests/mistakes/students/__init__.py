"""Answers written from the exercise list alone, before reading the checks: wrong and right, as students write.

`WRONG[id]` and `RIGHT[id]` hold them by exercise; nothing in the package sees them.
"""

from collections.abc import Callable
from dataclasses import dataclass

WRONG: dict[str, list["Case"]] = {}
RIGHT: dict[str, list[Callable]] = {}


@dataclass(frozen=True)
class Case:
    """A wrong answer, and a regular expression that only a message naming its mistake matches."""

    function: Callable
    expected: str


def wrong(exercise: str, expected: str) -> Callable[[Callable], Callable]:
    def keep(function: Callable) -> Callable:
        WRONG.setdefault(exercise, []).append(Case(function, expected))
        return function

    return keep


def right(exercise: str) -> Callable[[Callable], Callable]:
    def keep(function: Callable) -> Callable:
        RIGHT.setdefault(exercise, []).append(function)
        return function

    return keep


from . import (  # noqa: E402
    lesson_00,  # noqa: F401
    lesson_01,  # noqa: F401
    lesson_02_attacks,  # noqa: F401
    lesson_02_gradients,  # noqa: F401
    lesson_02_projections,  # noqa: F401
    lesson_03,  # noqa: F401
    lesson_04,  # noqa: F401
    lesson_05,  # noqa: F401
    lesson_06,  # noqa: F401
    lesson_07,  # noqa: F401
    lesson_08,  # noqa: F401
    lesson_09,  # noqa: F401
)
