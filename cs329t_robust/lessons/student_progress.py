"""A student's progress: what the checks in the notebooks on disk last said. Nothing runs, nothing is sent."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import checks
from . import build
from .cells import File, NotebookError, cell_of, raw_cells
from .student_answers import label

SIGNS = {"done": "✓", "partly": "◐", "wrong": "✗", "unchecked": "?", "open": "○", "missing": "-"}
WORDS = {
    "done": "done",
    "partly": "partly right",
    "wrong": "not right yet",
    "unchecked": "written, but not checked: run its check, and save",
    "open": "open",
    "missing": "its cell is not in the notebook",
}
HEAD = re.compile(r"^([✓◐✗○]) (\d\d\.\d+) \w+: (?:(\d+)/\d+|not attempted yet)", flags=re.MULTILINE)
STUB = re.compile(r"^\s*raise NotImplementedError\(.*your code here", flags=re.MULTILINE)


@dataclass(frozen=True)
class Progress:
    """One exercise's state: one of SIGNS, and the points its check last gave."""

    exercise: str
    name: str
    state: str
    score: int
    points: int

    def __str__(self) -> str:
        earned = f"{self.score}/{self.points}" if self.state in ("done", "partly", "wrong") else ""
        return f"  {SIGNS[self.state]} {self.exercise} {self.name:20} {earned:6} {WORDS[self.state]}".rstrip()


def progress(home: Path | None = None) -> list[Progress]:
    """Return the state of every exercise whose lesson has a notebook in `home` (by default the workbook's), in order.

    Raises
    ------
    NotebookError
        If there is no notebook of any lesson, or one is damaged.
    """
    home = home or build.HOME
    said: dict[str, tuple[str, int]] = {}
    written: dict[str, bool] = {}
    for path in sorted(home.glob("*.ipynb"), key=lambda path: path.stat().st_mtime):
        for raw in raw_cells(File(path.name, path)):
            exercise, role = label(cell_of(raw))
            if role == "answer":
                written[exercise] = written.get(exercise, False) or not STUB.search(cell_of(raw).source)
            for sign, number, score in HEAD.findall(_printed(raw)):
                said[number] = (sign, int(score or 0))
    if not written:
        raise NotebookError(f"{home}: expected notebooks such as 00_start_here.ipynb, found none; use --lessons DIR")
    present = {exercise[:2] for exercise in written}
    return [_state(e, said, written) for e in checks.exercises().values() if e.id[:2] in present]


def report(states: list[Progress]) -> str:
    """Return the states as a table, with a line for each lesson."""
    lines = []
    for lesson in dict.fromkeys(state.exercise[:2] for state in states):
        mine = [state for state in states if state.exercise[:2] == lesson]
        done = sum(state.state == "done" for state in mine)
        score, points = sum(state.score for state in mine), sum(state.points for state in mine)
        lines += [f"lesson {lesson}: {done} of {len(mine)} exercises done, {score} of {points} points"]
        lines += [str(state) for state in mine]
    return "\n".join(lines)


def _state(exercise: checks.Exercise, said: dict[str, tuple[str, int]], written: dict[str, bool]) -> Progress:
    sign, score = said.get(exercise.id, ("○", 0))
    state = next(name for name, known in SIGNS.items() if known == sign)
    if exercise.id not in written:
        state = "missing"
    elif state == "open" and written[exercise.id]:
        state = "unchecked"
    elif not written[exercise.id]:
        state, score = "open", 0  # the cell was reset after its check
    return Progress(exercise.id, exercise.name, state, score if state in ("done", "partly") else 0, exercise.points)


def _printed(raw: dict[str, Any]) -> str:
    """Return the plain text that a cell printed or displayed."""
    texts = []
    for output in raw.get("outputs", []) if isinstance(raw.get("outputs"), list) else []:
        found = output.get("text", output.get("data", {}).get("text/plain", "")) if isinstance(output, dict) else ""
        texts.append("".join(found) if isinstance(found, list) else str(found))
    return "\n".join(texts)
