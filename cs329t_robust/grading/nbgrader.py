"""The lessons as nbgrader's instructor version: solutions marked, cells labelled, hidden seeds, points."""

import secrets
from pathlib import Path

from .. import checks
from ..lessons import build
from ..lessons.markdown_source import BEGIN, read_source
from ..runtime.extras import needed_by
from .assignment import Assignment, AssignmentError
from .judge import hidden_seed

with needed_by("cs329t_robust.grading.nbgrader"):
    import nbformat
    from nbformat import NotebookNode

# A cell of its own: nbgrader gives 0 points for any text on stderr, which a student's progress bar would write, and
# takes the last value as the points. The check that students see stays as it is, before it, and is not graded.
GRADE = """\
# {exercise}: graded here, on other random inputs than above
### BEGIN HIDDEN TESTS
import contextlib as _contextlib, io as _io
from cs329t_robust import checks as _checks
with _contextlib.redirect_stdout(_io.StringIO()), _contextlib.redirect_stderr(_io.StringIO()):
    _report = _checks.exercises()["{exercise}"].grade({name}, {seed})
round(_report.score / _report.points * {worth:g}, 2)
### END HIDDEN TESTS"""


def instructor_version(assignment: Assignment, out: Path, secret: str | None = None) -> list[Path]:
    """Write an assignment's notebooks into ``COURSE/source/NAME`` for nbgrader, and return them.

    Parameters
    ----------
    assignment : Assignment
    out : Path
        A new or empty folder: ``source/NAME`` of an nbgrader course.
    secret : str, optional
        What the hidden seeds follow from; random without it.

    Raises
    ------
    AssignmentError
        If `out` is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AssignmentError(f"--out {out}: expected a new or empty folder, got one with files in it")
    out.mkdir(parents=True, exist_ok=True)
    secret = secret or secrets.token_hex(16)
    written = []
    for lesson in assignment.lessons:
        (source,) = build.sources(only=lesson)
        seeds = {e.id: hidden_seed(secret, e) for e in checks.lesson(lesson).exercises.values()}
        notebook = build.render(source, solved=False)
        notebook.cells = _labelled(read_source(source), assignment, seeds)
        written.append(out / f"{source.stem}.ipynb")
        nbformat.write(notebook, written[-1])
    return written


def _labelled(cells: list[NotebookNode], assignment: Assignment, seeds: dict[str, int]) -> list[NotebookNode]:
    exercises = {exercise.id: exercise for exercise in assignment.exercises}
    result = []
    for cell in cells:
        result.append(cell)
        number, role = (cell.metadata.get("cs329t", {}).get(name, "") for name in ("exercise", "role"))
        if role == "answer" and BEGIN in cell.source:  # nbgrader would empty a cell that was solved together
            cell.metadata.nbgrader = _label(cell, solution=True)
        elif role == "discussion":  # 0 points: a person may give more
            cell.metadata.nbgrader = _label(cell, solution=True, grade=True, points=0)
        elif role == "check":
            exercise = exercises[number]
            worth = assignment.worth(exercise)
            text = GRADE.format(exercise=number, name=exercise.name, seed=seeds[number], worth=worth)
            graded = nbformat.v4.new_code_cell(text, id=f"{cell.id}-graded")
            graded.metadata.nbgrader = _label(graded, grade=True, points=worth, locked=True)
            result.append(graded)
    return result


def _label(
    cell: NotebookNode, grade: bool = False, solution: bool = False, locked: bool = False, points: float | None = None
) -> NotebookNode:
    told = {
        "schema_version": 3,
        "grade_id": cell.id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        "cell_type": cell.cell_type,
    }
    return NotebookNode(told if points is None else {**told, "points": points})
