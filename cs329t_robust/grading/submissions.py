"""Find the students' notebooks in a folder of folders, zips and loose files, and read them however damaged."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

NOTEBOOK_LIMIT = 256 << 20  # bytes of one notebook; pictures and printed text make them large
FILES = 2000  # in one submission
UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, ValueError)
CANVAS = re.compile(r"(?P<who>[^_]+)_(?:LATE_)?\d+_\d+_(?P<file>.+)")  # how Canvas names what it hands out


class SubmissionError(ValueError):
    """A file of a submission cannot be used; the message says why, for the student and the instructor."""


@dataclass(frozen=True)
class File:
    """One notebook of a student: a file, or a member of a zip."""

    label: str
    path: Path
    member: str | None = None

    def read(self) -> bytes:
        """Return the notebook's bytes, or raise SubmissionError."""
        try:
            if self.member is None:
                size = self.path.stat().st_size
                return self._within_limit(size) and self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                content = file.read(NOTEBOOK_LIMIT + 1)  # what the zip says of its size need not be true
                return self._within_limit(len(content)) and content
        except SubmissionError:
            raise
        except (*UNREADABLE, RuntimeError, EOFError, zlib.error) as error:
            raise SubmissionError(f"{self.label}: cannot be read ({error})") from error

    def _within_limit(self, size: int) -> bool:
        if size > NOTEBOOK_LIMIT:
            raise SubmissionError(f"{self.label}: expected a notebook of at most {NOTEBOOK_LIMIT >> 20} MB, got more")
        return True


@dataclass(frozen=True)
class Student:
    """One student: a name, what was handed in, the notebooks in it, and what was wrong with the packing."""

    name: str
    paths: tuple[Path, ...]
    files: tuple[File, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass
class Cell:
    """One cell, reduced to what grading looks at."""

    kind: str
    id: str
    exercise: str
    role: str
    source: str


def students(root: Path) -> list[Student]:
    """Return the students of a folder, by name: a folder, zip or notebook is one; Canvas's names are grouped.

    Raises
    ------
    SubmissionError
        If there is no such folder, or nothing in it.
    """
    if not root.is_dir():
        raise SubmissionError(
            f"{root}: expected a folder of submissions, found {'a file' if root.exists() else 'none'}"
        )
    groups: dict[str, list[Path]] = {}
    for path in sorted(root.iterdir()):
        if path.is_symlink() or path.name.startswith((".", "__")):
            continue
        if path.is_dir() or path.suffix.lower() in (".zip", ".ipynb"):
            match = CANVAS.fullmatch(path.name)
            name = match["who"] if match else path.name if path.is_dir() else path.stem
            groups.setdefault(name, []).append(path)
    if not groups:
        raise SubmissionError(f"{root}: expected folders, zips or notebooks of students, found none of them")
    return [Student(name, tuple(paths)) for name, paths in sorted(groups.items())]


def opened(name: str, paths: list[Path]) -> Student:
    """Return the student with the notebooks that are in these folders, zips and files."""
    files, problems = [], []
    for path in paths:
        try:
            files += list(_notebooks(path))
        except UNREADABLE as error:
            problems.append(f"{path.name}: cannot be opened ({error})")
    if len(files) > FILES:
        problems.append(f"expected at most {FILES} notebooks, got {len(files)}; the rest is left out")
    return Student(name, tuple(paths), tuple(files[:FILES]), tuple(problems))


def read_cells(file: File) -> tuple[str, list[Cell]]:
    """Return a notebook's lesson ("" where nothing says it) and its cells.

    Raises
    ------
    SubmissionError
        If the file is no notebook.
    """
    notebook, cells = _load(file)
    lesson = _get(notebook, "metadata", "cs329t", "lesson")
    return (lesson if isinstance(lesson, str) else ""), [cell_of(cell) for cell in cells]


def raw_cells(file: File) -> list[dict]:
    """Return a notebook's cells as they are in the file, or raise SubmissionError."""
    return _load(file)[1]


def _load(file: File) -> tuple[dict, list[dict]]:
    content = file.read()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise SubmissionError(f"{file.label}: is no notebook, or a damaged one ({reason})") from error
    cells = _cells(notebook)
    if cells is None:
        raise SubmissionError(f"{file.label}: is JSON, but no notebook: it has no list of cells")
    return notebook, [cell for cell in cells if isinstance(cell, dict)]


def _notebooks(path: Path) -> Iterator[File]:
    if path.suffix.lower() == ".ipynb" and path.is_file():
        yield File(path.name, path)
    elif path.is_dir():
        found = [p for p in path.rglob("*") if p.suffix.lower() in (".ipynb", ".zip") and not p.is_symlink()]
        for inner in sorted(found, key=lambda p: (p.stat().st_mtime, p.name)):
            if inner.is_file() and not _is_clutter(inner.relative_to(path).as_posix()):
                yield from _members(inner) if inner.suffix.lower() == ".zip" else [File(inner.name, inner)]
    else:
        yield from _members(path)


def _members(path: Path) -> Iterator[File]:
    with zipfile.ZipFile(path) as archive:
        inside = [
            m for m in archive.infolist() if m.filename.lower().endswith(".ipynb") and not _is_clutter(m.filename)
        ]
        for member in sorted(inside, key=lambda m: (m.date_time, m.filename))[: FILES + 1]:
            yield File(PurePosixPath(member.filename).name, path, member.filename)


def _is_clutter(name: str) -> bool:
    return any(part in ("__MACOSX", ".ipynb_checkpoints") or part.startswith("._") for part in name.split("/"))


def _cells(notebook: Any) -> list | None:
    found = _get(notebook, "cells")
    if found is None:
        sheets = _get(notebook, "worksheets")  # notebook format 3
        found = _get(sheets[0], "cells") if isinstance(sheets, list) and sheets else None
    return found if isinstance(found, list) else None


def cell_of(cell: dict) -> Cell:
    """Return what grading looks at of a cell in a file."""
    label = _get(cell, "metadata", "cs329t")
    exercise, role = (_get(label, name) for name in ("exercise", "role"))
    source = cell.get("source", cell.get("input", ""))
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    return Cell(
        str(cell.get("cell_type")),
        str(cell.get("id", "")),
        exercise if isinstance(exercise, str) else "",
        role if isinstance(role, str) else "",
        text if isinstance(text, str) else "",
    )


def _get(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
