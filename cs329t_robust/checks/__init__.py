"""Exercises and their checks: ``check = checks.lesson("02")``, then ``check.fgsm(fgsm)`` tells a student where they stand."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from .exercise import Exercise, Mistake, Parts, Probe, Run
from .report import Report

__all__ = ["Exercise", "Lesson", "Mistake", "Parts", "Probe", "Report", "Run", "exercises", "lesson"]

LESSONS = ("00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10")


class Lesson:
    """The checks of one lesson: each exercise is a method that takes the student's function and shows a report.

    Parameters
    ----------
    exercises : list of Exercise
    """

    def __init__(self, exercises: list[Exercise]) -> None:
        self.exercises = {exercise.name: exercise for exercise in exercises}

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if name.startswith("_") or name == "exercises":
            raise AttributeError(name)
        if name not in self.exercises:
            raise AttributeError(f"there is no exercise {name!r} in this lesson; it has {', '.join(self.exercises)}")
        return lambda function: _show(self.exercises[name].grade(function))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.exercises]


def _show(report: Report) -> None:
    """Display a report: a coloured box in Jupyter, plain text elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:
        print(report)
        return
    if get_ipython() is None:
        print(report)
    else:
        from IPython.display import display

        display(report)


def lesson(number: str) -> Lesson:
    """Return the checks of a lesson.

    Parameters
    ----------
    number : str
        Two digits, such as ``"02"``.

    Returns
    -------
    Lesson

    Raises
    ------
    ValueError
        If there is no lesson of that number with exercises.
    """
    if number not in LESSONS:
        raise ValueError(f"lesson: expected one of {', '.join(LESSONS)} (a string), got {number!r}")
    return Lesson(_exercises(number))


def exercises() -> dict[str, Exercise]:
    """Return every exercise of the workbook by its id, in order.

    Returns
    -------
    dict of str to Exercise
    """
    return {exercise.id: exercise for number in LESSONS for exercise in _exercises(number)}


def _exercises(number: str) -> list[Exercise]:
    return list(import_module(f".lesson_{number}", __name__).EXERCISES)
