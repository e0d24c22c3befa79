"""Read a lesson's Markdown source into cells, each with its stable id and metadata, and refuse what is inconsistent."""

import re
import warnings
from collections import Counter
from hashlib import sha1
from pathlib import Path
from typing import Any

from ..runtime.extras import needed_by
from . import repository

with needed_by("cs329t_robust.lessons"):
    from jupytext.myst import MystMetadataParsingError, myst_to_notebook
    from nbformat import NotebookNode, ValidationError
    from nbformat.v4 import new_code_cell

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ROLES = {"answer": "code", "check": "code", "discussion": "markdown"}
OPTIONS = {"exercise", "role", "tags", "alt"}
# The first code cell of a lesson. Notebooks opened alone, as on Google Colab, lack the package, its data and its pins.
SET_UP = """\
# Installs the workbook where it is missing, as on Google Colab. Where it is installed, nothing happens.
import importlib.util, subprocess, sys

if importlib.util.find_spec("cs329t_robust") is None:
    workbook = "{address}"
    if not workbook:
        raise ModuleNotFoundError("cs329t_robust: write its repository's address between the quotes of `workbook`")
    print("Installing the workbook; this takes some minutes.")
    subprocess.run(["git", "clone", "--depth", "1", workbook, "cs329t-robust"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "./cs329t-robust[lessons]"], check=True)
    sys.path.insert(0, "cs329t-robust")  # what was installed in place is found by itself only after a restart"""


class LessonError(ValueError):
    """A lesson's source or notebook is wrong; the message names the file and the cell."""


def read_source(path: Path, known: dict[str, str] | None = None) -> list[NotebookNode]:
    """Return the cells of a lesson's source, with ids and metadata, solutions still marked.

    Parameters
    ----------
    path : Path
        ``NN_slug.md``: MyST Markdown as jupytext reads it. A code cell may carry the options ``exercise`` and ``role``
        (kept as ``metadata.cs329t``), ``tags``, and ``alt`` (a text for its pictures).
    known : dict, optional
        The lesson's exercises, id to function name, as `cs329t_robust.checks` has them; without it any id is accepted.

    Returns
    -------
    list of NotebookNode
        An exercise cell's id is like ``ex-02-3-answer``; any other cell's is the lesson's number and a hash of its
        source, so that it changes with its own text only. A lesson that imports the package begins, after its opening,
        with a cell that installs it where it is missing.

    Raises
    ------
    LessonError
        For an unknown option, role or exercise, an answer without a check, or solution marks out of place.
    """
    number = lesson_number(path)
    cells, lines = _parse(path)
    seen: Counter[str] = Counter()
    for cell, line in zip(cells, lines, strict=True):
        where = f"{path.name}, {cell.cell_type} cell at line {line}"
        options = dict(cell.metadata)
        _check_options(options, cell, number, known, where)
        _check_marks(cell.source, options.get("role"), where)
        cell.metadata = _metadata(options)
        cell.id = _cell_id(number, options, cell.source, seen)
    _check_pairs(path, cells, lines)
    return _with_set_up(cells, number)


def lesson_number(path: Path) -> str:
    """Return "02" for ``02_slug.md``; any other form of name raises LessonError."""
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.md", path.name):
        raise LessonError(f"{path.name}: expected a name like 02_attacks_as_optimization.md")
    return path.name[:2]


def solution_regions(source: str) -> list[str]:
    """Return the text between each pair of solution marks."""
    pattern = rf"^[ \t]*{re.escape(BEGIN)}[ \t]*\n(.*?)^[ \t]*{re.escape(END)}[ \t]*$"
    return re.findall(pattern, source, flags=re.MULTILINE | re.DOTALL)


def _parse(path: Path) -> tuple[list[NotebookNode], list[int]]:
    text = path.read_text(encoding="utf-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            notebook = myst_to_notebook(text, add_source_map=True)
    except (MystMetadataParsingError, UserWarning) as error:
        raise LessonError(f"{path.name}: {error}") from error
    except ValidationError as error:
        raise LessonError(f"{path.name}: the options of a cell: {error.message} ({error.json_path})") from error
    if not notebook.cells:
        raise LessonError(f"{path.name}: expected at least one cell, got none")
    return notebook.cells, [
        _line(text, start, cell) for start, cell in zip(notebook.metadata.source_map, notebook.cells, strict=True)
    ]


def _line(text: str, start: int, cell: NotebookNode) -> int:
    """Return a cell's line, from 1: the fence of a code cell, as jupytext gives it, or the first line of text."""
    if cell.cell_type == "code":
        return start
    rows = text.splitlines()
    return next((at + 1 for at in range(start, len(rows)) if rows[at].strip()), start + 1)


def _check_options(
    options: dict[str, Any], cell: NotebookNode, number: str, known: dict[str, str] | None, where: str
) -> None:
    unknown = set(options) - OPTIONS
    if unknown:
        raise LessonError(
            f"{where}: unknown option {', '.join(sorted(unknown))}; known are {', '.join(sorted(OPTIONS))}"
        )
    if cell.cell_type == "code" and not cell.source.strip():
        raise LessonError(f"{where}: the code cell is empty")
    if cell.cell_type == "markdown" and re.search(r"^ {0,3}(`{3,}|~{3,})\{", cell.source, flags=re.MULTILINE):
        raise LessonError(f"{where}: a directive stayed text. Is it spelled ```{{code-cell}} and at the left margin?")
    if cell.cell_type == "markdown" and re.search(r"^\+\+\+", cell.source, flags=re.MULTILINE):
        raise LessonError(f"{where}: a cell break stayed text. Put an empty line before +++ (HTML swallows it)")
    if not isinstance(options.get("alt", ""), str):
        raise LessonError(f"{where}: alt: expected a text, got {options['alt']!r}")
    if "exercise" in options or "role" in options:
        _check_exercise(options, cell, number, known, where)


def _check_exercise(
    options: dict[str, Any], cell: NotebookNode, number: str, known: dict[str, str] | None, where: str
) -> None:
    exercise, role = options.get("exercise"), options.get("role")
    if role not in ROLES:
        raise LessonError(f"{where}: role: expected one of {', '.join(ROLES)}, got {role!r}")
    digits = r"D\d+" if role == "discussion" else r"\d+"
    if not isinstance(exercise, str) or not re.fullmatch(rf"{number}\.{digits}", exercise):
        example = f'"{number}.D1"' if role == "discussion" else f'"{number}.3"'
        raise LessonError(f"{where}: exercise: expected an id like {example} (in quotes), got {exercise!r}")
    if cell.cell_type != ROLES[role]:
        raise LessonError(f"{where}: a cell of role {role} must be a {ROLES[role]} cell")
    if role == "discussion" or known is None:
        return
    if exercise not in known:
        raise LessonError(f"{where}: exercise {exercise} is not in cs329t_robust.checks ({', '.join(known) or 'none'})")
    call = f"check.{known[exercise]}("
    if role == "check" and call not in cell.source:
        raise LessonError(f"{where}: the check cell of {exercise} must call {call}…)")


def _check_marks(source: str, role: str | None, where: str) -> None:
    open_at = 0
    for row, line in enumerate(source.splitlines(), start=1):
        mark = line.strip()
        if "BEGIN SOLUTION" not in mark and "END SOLUTION" not in mark:
            continue
        at = f"{where}, line {row} of the cell"
        if mark not in (BEGIN, END):
            raise LessonError(f"{at}: expected exactly {BEGIN!r} or {END!r} on its own line, got {mark!r}")
        if role != "answer":
            raise LessonError(f"{at}: a solution mark outside an answer cell (its role is {role!r})")
        if (mark == BEGIN) == bool(open_at):
            other = f"inside the solution begun in line {open_at}" if open_at else "without a BEGIN before it"
            raise LessonError(f"{at}: {mark!r} {other}")
        open_at = row if mark == BEGIN else 0
    if open_at:
        raise LessonError(f"{where}, line {open_at} of the cell: {BEGIN!r} without an END")
    if any(not region.strip() for region in solution_regions(source)):
        raise LessonError(f"{where}: a solution is empty")


def _metadata(options: dict[str, Any]) -> NotebookNode:
    """Return a cell's metadata; what nbgrader needs for an exercise cell is to be added here."""
    kept = NotebookNode({name: options[name] for name in ("tags", "alt") if name in options})
    if "exercise" in options:
        kept.cs329t = NotebookNode(exercise=options["exercise"], role=options["role"])
    return kept


def _cell_id(number: str, options: dict[str, Any], source: str, seen: Counter[str]) -> str:
    if "exercise" in options:
        return f"ex-{options['exercise'].replace('.', '-')}-{options['role']}"
    digest = f"{number}-{sha1(source.encode()).hexdigest()[:8]}"
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _with_set_up(cells: list[NotebookNode], number: str) -> list[NotebookNode]:
    """Return the cells with the one that installs the package after the first, if the lesson uses the package."""
    if not any(cell.cell_type == "code" and "cs329t_robust" in cell.source for cell in cells):
        return cells
    text = SET_UP.format(address=repository.address())
    cell = new_code_cell(text, id=_cell_id(number, {}, text, Counter()), metadata={"tags": ["remove-cell"]})
    at = 1 if cells[0].cell_type == "markdown" else 0
    return [*cells[:at], cell, *cells[at:]]


def _check_pairs(path: Path, cells: list[NotebookNode], lines: list[int]) -> None:
    at: dict[str, int] = {}
    for cell, line in zip(cells, lines, strict=True):
        if cell.id in at:
            raise LessonError(f"{path.name}, line {line}: a second cell {cell.id}; the first is at line {at[cell.id]}")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell.id):
            raise LessonError(f"{path.name}, line {line}: {cell.id!r} is no valid cell id")
        at[cell.id] = line
    for cell, line in zip(cells, lines, strict=True):
        label = cell.metadata.get("cs329t", {})
        if label.get("role") not in ("answer", "check"):
            continue
        stem = cell.id.removesuffix(label["role"])
        for role in ("answer", "check"):
            if stem + role not in at:
                raise LessonError(f"{path.name}, line {line}: exercise {label['exercise']} has no {role} cell")
        if at[stem + "check"] < at[stem + "answer"]:
            raise LessonError(f"{path.name}, line {line}: exercise {label['exercise']} is checked before its answer")
