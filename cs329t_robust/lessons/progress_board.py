"""A student's progress as a table in a notebook: the same as `cs329t status`, from the notebooks on disk."""

from html import escape
from pathlib import Path

from . import build
from .cells import NotebookError
from .student_progress import SIGNS, WORDS, Progress, progress, report

__all__ = ["ProgressBoard"]

# Okabe–Ito, as the checks' boxes have them; the sign and the word say the same without the colour.
COLOURS = {"done": "#009e73", "partly": "#e69f00", "wrong": "#d55e00", "unchecked": "#56b4e9"}
NOTE = "Read from the notebooks as they were last saved: save, and run this cell again, to bring it up to date."


class ProgressBoard:
    """Show, for each lesson and exercise, whether it is done, partly done or open.

    The state of an exercise is what its check last said in the saved notebooks. Nothing is run, and nothing is sent.

    Parameters
    ----------
    home : Path, optional
        The folder of the notebooks; by default the one this notebook lies in if it holds lessons, else the workbook's.

    Notes
    -----
    A notebook that cannot be read is named on the board; nothing is raised.
    """

    def __init__(self, home: Path | None = None) -> None:
        here = Path.cwd()
        self._home = home or (here if any(here.glob("[0-9][0-9]_*.ipynb")) else build.HOME)
        self.problem, self.states = "", []
        try:
            self.states = progress(self._home)
        except NotebookError as error:
            self.problem = str(error)

    def __repr__(self) -> str:
        return self.problem or report(self.states)

    def _repr_html_(self) -> str:
        if self.problem:
            return f"<div>{escape(self.problem)}</div>"
        numbers = list(dict.fromkeys(state.exercise[:2] for state in self.states))
        rows = "".join(_lesson(number, [s for s in self.states if s.exercise[:2] == number]) for number in numbers)
        return f'<div class="cs329t-progress" style="max-width:46em;line-height:1.5">{rows}<div>{NOTE}</div></div>'


def _lesson(number: str, states: list[Progress]) -> str:
    """Return one lesson: a bar with a part for each exercise, and its exercises folded below."""
    done = sum(state.state == "done" for state in states)
    score, points = sum(state.score for state in states), sum(state.points for state in states)
    parts = "".join(
        f'<span style="flex:1;height:.7em;border:1px solid currentColor;background:{COLOURS.get(state.state, "none")}">'
        "</span>"
        for state in states
    )
    told = f"lesson {number}: {done} of {len(states)} exercises done, {score} of {points} points"
    rows = "".join(
        f"<li>{SIGNS[state.state]} {state.exercise} <code>{escape(state.name)}</code>: {_earned(state)}</li>"
        for state in states
    )
    return (
        f'<details style="margin:.3em 0"><summary>{told}'
        f'<span aria-hidden="true" style="display:flex;gap:2px;max-width:24em">{parts}</span></summary>'
        f'<ul style="list-style:none;margin:.2em 0">{rows}</ul></details>'
    )


def _earned(state: Progress) -> str:
    scored = f"{state.score} of {state.points} points, " if state.state in ("done", "partly", "wrong") else ""
    return f"{scored}{WORDS[state.state]}"
