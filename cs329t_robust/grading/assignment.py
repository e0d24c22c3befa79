"""The small TOML file that says what an assignment consists of."""

import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from .. import checks

EXAMPLE = """\
title = "Problem set 1"
lessons = ["00", "02"]
due = 2026-10-12T23:59:00-07:00

[points]      # optional: what an exercise is worth, where not its own number of points
"02.6" = 20
"""


class AssignmentError(ValueError):
    """An assignment file is wrong; the message says what was expected and what came."""


@dataclass(frozen=True)
class Assignment:
    """What is handed out and graded.

    Attributes
    ----------
    title : str
    lessons : tuple of str
        Such as "02".
    due : str
        As written in the file; it is told to students, and nothing is computed from it.
    points : dict
        What an exercise is worth, by its id.
    """

    title: str
    lessons: tuple[str, ...]
    due: str = ""
    points: dict[str, float] = field(default_factory=dict)

    @property
    def exercises(self) -> list[checks.Exercise]:
        """Every exercise of its lessons, in order."""
        return [e for lesson in self.lessons for e in checks.lesson(lesson).exercises.values()]

    def worth(self, exercise: checks.Exercise) -> float:
        """Return what an exercise is worth in this assignment."""
        return self.points.get(exercise.id, exercise.points)


def whole_course() -> Assignment:
    """Return the assignment of every lesson that has exercises."""
    return Assignment("All lessons", tuple(checks.LESSONS))


def read(path: Path) -> Assignment:
    """Read an assignment file.

    Raises
    ------
    AssignmentError
        If it is no TOML, has an unknown key, or a value of another kind than `EXAMPLE` shows.
    FileNotFoundError
        If there is no such file.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AssignmentError(f"{path}: expected TOML, got a mistake: {error}") from error
    unknown = sorted(set(table) - {"title", "lessons", "due", "points"})
    if unknown:
        raise AssignmentError(f"{path}: expected title, lessons, due and [points], got {', '.join(unknown)} as well")
    assignment = Assignment(
        _title(path, table.get("title", path.stem)),
        _lessons(path, table.get("lessons")),
        _due(path, table.get("due", "")),
        {},
    )
    return Assignment(
        assignment.title, assignment.lessons, assignment.due, _points(path, table.get("points", {}), assignment)
    )


def _title(path: Path, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise AssignmentError(f"{path}: title: expected a text, got {value!r}")
    return value.strip()


def _lessons(path: Path, value: Any) -> tuple[str, ...]:
    known = ", ".join(f'"{number}"' for number in checks.LESSONS)
    if not isinstance(value, list) or not value:
        raise AssignmentError(f"{path}: lessons: expected a list out of {known}, got {value!r}")
    wrong = [number for number in value if number not in checks.LESSONS]
    if wrong or len(set(value)) != len(value):
        raise AssignmentError(f"{path}: lessons: expected each once, out of {known} (in quotes), got {value!r}")
    return tuple(sorted(value))


def _due(path: Path, value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%A, %d %B %Y, %H:%M %Z").strip()
    if isinstance(value, date):
        return value.strftime("%A, %d %B %Y")
    if not isinstance(value, str):
        raise AssignmentError(f"{path}: due: expected a date such as 2026-10-12T23:59:00-07:00, got {value!r}")
    return value


def _points(path: Path, value: Any, assignment: Assignment) -> dict[str, float]:
    if not isinstance(value, dict):
        raise AssignmentError(f'{path}: points: expected a table such as "02.6" = 20, got {value!r}')
    known = [exercise.id for exercise in assignment.exercises]
    for exercise, worth in value.items():
        if exercise not in known:
            raise AssignmentError(f"{path}: points: {exercise} is no exercise of these lessons ({', '.join(known)})")
        if isinstance(worth, bool) or not isinstance(worth, int | float) or not 0 <= worth < 10_000:
            raise AssignmentError(f"{path}: points: {exercise}: expected a number from 0 on, got {worth!r}")
    return dict(value)
