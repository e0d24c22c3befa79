"""Make the bundle that students get: notebooks without solutions, the package, its data, instructions."""

import shutil
from pathlib import Path

from ..lessons import build
from ..lessons.student_answers import Pristine
from .assignment import Assignment, AssignmentError

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("pyproject.toml", "requirements.lock", "environment.yml", "LICENSE", "LICENSE-CONTENT")
CHANGED = {  # files of the workbook that name what a bundle does not have
    "Makefile": ("lessons/00_start_here.ipynb", "lessons/{first}"),
    "postBuild": (" lessons/solutions/*.ipynb", ""),
}
LEFT_OUT = ("__pycache__", "*.pyc")

README = """\
# {title}
{due}
{count} exercises in {lessons}, {points} points in all.

    make lab        # sets up .venv once, then opens JupyterLab; see below for other ways

| exercise | function | points |
|---|---|---|
{rows}

**Handing in.** Hand in the notebooks, as they are or zipped. Their names, the order of their cells and what you
added do not matter; keep the functions' names. Your answers are taken out of them and put into a fresh copy of the
lesson.

**How it is graded.** By the very checks that stand under each exercise, with the same points, but on **other random
inputs**. An answer that is right in general earns what its check shows you. One that only fits the numbers of your
notebook does not. Each answer runs on its own: in a fresh process, without network, with a limit on memory and on
time ({seconds} s for all that its check asks of it). It sees only what it needs: your function, your other
definitions that it uses, and the lesson's own. Discussion questions are read by a person.

`cs329t doctor` says what is wrong with a set-up, and how to mend it.
"""


def release(assignment: Assignment, out: Path, source: Path | None = None, seconds: int = 60) -> list[Path]:
    """Write the students' bundle into the empty folder `out` and return its notebooks.

    Parameters
    ----------
    assignment : Assignment
    out : Path
        A folder that does not exist yet, or is empty.
    source : Path, optional
        The assignment's file, copied beside the notebooks.
    seconds : int
        The time limit that students are told.

    Raises
    ------
    AssignmentError
        If `out` is not empty, or this is no checkout of the workbook.
    LessonError
        If the notebooks on disk are not what their sources make.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AssignmentError(f"--out {out}: expected a new or empty folder, got one with files in it")
    missing = [name for name in ("lessons/source", "data", *FILES, *CHANGED) if not (ROOT / name).exists()]
    if missing:
        raise AssignmentError(f"expected a checkout of the workbook in {ROOT}, found no {', '.join(missing)}")
    stale = [text for lesson in assignment.lessons for text in build.check(only=lesson)]
    if stale:
        raise build.LessonError(f"the notebooks are not what their sources make ({stale[0]}); run: cs329t lessons")
    pristine = [Pristine(lesson) for lesson in assignment.lessons]
    written = []
    (out / "lessons").mkdir(parents=True)
    for lesson in pristine:
        written.append(Path(shutil.copy(lesson.path, out / "lessons" / lesson.path.name)))
    for name in FILES:
        shutil.copy(ROOT / name, out / name)
    for name, (old, new) in CHANGED.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        if old not in text:
            raise AssignmentError(f"{name}: expected {old!r} in it, to be changed for a release, found none")
        shutil.copy(ROOT / name, out / name)
        (out / name).write_text(text.replace(old, new.format(first=written[0].name)), encoding="utf-8")
    shutil.copytree(ROOT / "data", out / "data", ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copytree(ROOT / "cs329t_robust", out / "cs329t_robust", ignore=shutil.ignore_patterns(*LEFT_OUT))
    (out / "README.md").write_text(_readme(assignment, seconds), encoding="utf-8")
    if source is not None:
        shutil.copy(source, out / "assignment.toml")
    return written


def _readme(assignment: Assignment, seconds: int) -> str:
    exercises = assignment.exercises
    return README.format(
        title=assignment.title,
        due=f"\nDue {assignment.due}.\n" if assignment.due else "",
        count=len(exercises),
        lessons=f"lesson{'s' if len(assignment.lessons) > 1 else ''} {', '.join(assignment.lessons)}",
        points=f"{sum(assignment.worth(exercise) for exercise in exercises):g}",
        rows="\n".join(f"| {e.id} | `{e.name}` | {assignment.worth(e):g} |" for e in exercises),
        seconds=seconds,
    )
