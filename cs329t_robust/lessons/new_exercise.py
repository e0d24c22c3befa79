"""Lay out a new exercise as a working example to edit: its checks, its cells in the lesson, answers to test it."""

import argparse
import keyword
import re
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent / "templates"
SUMMARY = re.compile(r"^## Summary\b", flags=re.MULTILINE)
SETUP = """\
```{{code-cell}} python3
import torch

from cs329t_robust import checks

check = checks.lesson("{lesson}")
```

"""
NEXT = """\
{id} {name} is laid out with a small example that works. Now make it yours:
  {checks}: the reference, inputs, probes and mistakes, numbered 1 to 6
  {source}: its text, stub, solution and hint, before the summary; move them where they belong
  {students}: answers as students write them
After each step:
  python -m pytest tests/mistakes -k "{id}"
  cs329t lessons --only {lesson}
"""


class ScaffoldError(ValueError):
    """The exercise cannot be laid out; the message says what was expected and what came."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``cs329t new-exercise`` to the command line's sub-commands."""
    parser = commands.add_parser("new-exercise", help="lay out a new exercise of a lesson, with its checks and tests")
    parser.add_argument("lesson", metavar="NN", help="the lesson, such as 03")
    parser.add_argument("name", metavar="NAME", help="the function that students are to write, such as haze")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files of the exercise that was asked for, say what they are, and return the exit code 0."""
    print(new_exercise(arguments.lesson, arguments.name), end="")
    return 0


def new_exercise(lesson: str, name: str, root: Path | None = None) -> str:
    """Lay out the next exercise of a lesson and return what to do with it.

    Parameters
    ----------
    lesson : str
        "03": a lesson that has a source. If it has no exercise yet, its checks are made as well.
    name : str
        The function that students are to write.
    root : Path, optional
        The checkout; by default the one that this package belongs to.

    Raises
    ------
    ScaffoldError, LessonError
        If there is no such lesson, the name cannot be used, or this is no checkout. Nothing is written then.
    """
    from .. import checks
    from . import build  # here, so that the command line's help stays instant

    root = root or build.HOME.parent
    _check_checkout(root)
    source = build.sources(root / "lessons", lesson)[0]
    known = checks.lesson(lesson).exercises.values() if lesson in checks.LESSONS else []
    _check_name(name, [exercise.name for exercise in known])
    number = f"{lesson}.{1 + max((int(exercise.id.split('.')[1]) for exercise in known), default=0)}"
    folder = root / "cs329t_robust" / "checks" / f"lesson_{lesson}"
    students = root / "tests" / "mistakes" / "students"
    made = {
        folder / f"{name}.py": _filled("checks", number, name),
        students / f"lesson_{lesson}_{name}.py": _filled("students", number, name),
    }
    for path in made:
        if path.exists():
            raise ScaffoldError(f"{name}: {path.relative_to(root)} exists already; choose another name")
    made[folder / "__init__.py"] = _listed(folder / "__init__.py", lesson, name)
    made[folder.parent / "__init__.py"] = _with_lesson(folder.parent / "__init__.py", lesson)
    made[students / "__init__.py"] = _imported(students / "__init__.py", f"lesson_{lesson}_{name}")
    made[source] = _with_cells(source, lesson, _filled("cells", number, name))
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    places = {"checks": folder / f"{name}.py", "source": source, "students": students / f"lesson_{lesson}_{name}.py"}
    told = {key: path.relative_to(root).as_posix() for key, path in places.items()}
    return NEXT.format(id=number, name=name, lesson=lesson, **told)


def _check_checkout(root: Path) -> None:
    missing = [place for place in ("lessons/source", "tests/mistakes/students") if not (root / place).is_dir()]
    if missing:
        raise ScaffoldError(f"expected a checkout of the workbook in {root}, found no {' and no '.join(missing)}")


def _check_name(name: str, taken: list[str]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name == "exercises":
        raise ScaffoldError(f"name: expected the name of a Python function, such as smallest_flip, got {name!r}")
    if name in taken:
        raise ScaffoldError(f"name: the lesson has an exercise {name} already ({', '.join(taken)})")


def _filled(kind: str, number: str, name: str) -> str:
    text = (TEMPLATES / f"new_exercise_{kind}.txt").read_text(encoding="utf-8")
    return text.replace("__CONSTANT__", name.upper()).replace("__ID__", number).replace("__NAME__", name)


def _listed(path: Path, lesson: str, name: str) -> str:
    """Return a lesson's list of exercises with the new one at its end."""
    start = f'"""The exercises of lesson {lesson}."""\n\nEXERCISES = []\n'
    text = path.read_text(encoding="utf-8") if path.exists() else start
    found = re.search(r"^EXERCISES = \[(.*?),?\s*\]", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise ScaffoldError(f"{path.name} of lesson {lesson}: expected a list EXERCISES = […], found none")
    inner = f"{found[1]}, {name.upper()}" if found[1].strip() else name.upper()
    head, tail = text[: found.start()], text[found.end() :]
    line = f"from .{name} import {name.upper()}\n"
    imports = re.findall(r"^from \.\w+ import [^(\n]+\n", head, flags=re.MULTILINE)
    later = next((one for one in imports if one.lower() > line.lower()), None)
    if later:
        head = head.replace(later, line + later, 1)
    else:
        head = f"{head.rstrip()}\n{line}\n" if imports else f"{head.rstrip()}\n\n{line}\n"
    return f"{head}EXERCISES = [{inner}]{tail}"


def _with_lesson(path: Path, lesson: str) -> str:
    """Return the checks' module with the lesson among LESSONS."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^LESSONS = \((.*?)\)", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise ScaffoldError(f"{path.name} of the checks: expected a line LESSONS = (…), found none")
    numbers = sorted({*re.findall(r'"(\d\d)"', found[1]), lesson})
    listed = ", ".join(f'"{number}"' for number in numbers) + ("," if len(numbers) == 1 else "")
    return text.replace(found[0], f"LESSONS = ({listed})", 1)


def _imported(path: Path, module: str) -> str:
    """Return the students' package with the new module among its imports."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^from \. import \((.*?)^\)", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise ScaffoldError("tests/mistakes/students/__init__.py: expected from . import (…) at its end, found none")
    first, *others = [line for line in found[1].splitlines(keepends=True) if line.strip()]
    lines = sorted([*others, f"    {module},  # noqa: F401\n"])
    return text.replace(found[1], "".join([first, *lines]), 1)


def _with_cells(path: Path, lesson: str, cells: str) -> str:
    """Return the lesson's source with the exercise's cells before its summary, or at the end."""
    text = path.read_text(encoding="utf-8")
    if f'check = checks.lesson("{lesson}")' not in text:
        cells = SETUP.format(lesson=lesson) + cells
    found = SUMMARY.search(text)
    if not found:
        return f"{text.rstrip()}\n\n+++\n\n{cells}"
    return text[: found.start()] + cells + text[found.start() :]
