"""A notebook's cells as they are in the file, however damaged: which exercise each belongs to, and its text."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTEBOOK_LIMIT = 256 << 20  # bytes of one notebook; pictures and printed text make them large
UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, ValueError)


class NotebookError(ValueError):
    """A notebook cannot be used; the message says why, for the student and the instructor."""


@dataclass(frozen=True)
class File:
    """A notebook: a file, or a member of a zip."""

    label: str
    path: Path
    member: str | None = None

    def read(self) -> bytes:
        """Return the notebook's bytes, or raise NotebookError."""
        try:
            if self.member is None:
                size = self.path.stat().st_size
                return self._within_limit(size) and self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                content = file.read(NOTEBOOK_LIMIT + 1)  # what the zip says of its size need not be true
                return self._within_limit(len(content)) and content
        except NotebookError:
            raise
        except (*UNREADABLE, RuntimeError, EOFError, zlib.error) as error:
            raise NotebookError(f"{self.label}: cannot be read ({error})") from error

    def _within_limit(self, size: int) -> bool:
        if size > NOTEBOOK_LIMIT:
            raise NotebookError(f"{self.label}: expected a notebook of at most {NOTEBOOK_LIMIT >> 20} MB, got more")
        return True


@dataclass
class Cell:
    """One cell, reduced to what says whose it is, and its text."""

    kind: str
    id: str
    exercise: str
    role: str
    source: str


def read_cells(file: File) -> tuple[str, list[Cell]]:
    """Return a notebook's lesson ("" where nothing says it) and its cells.

    Raises
    ------
    NotebookError
        If the file is no notebook.
    """
    notebook, cells = _load(file)
    lesson = _get(notebook, "metadata", "cs329t", "lesson")
    return (lesson if isinstance(lesson, str) else ""), [cell_of(cell) for cell in cells]


def raw_cells(file: File) -> list[dict]:
    """Return a notebook's cells as they are in the file, or raise NotebookError."""
    return _load(file)[1]


def _load(file: File) -> tuple[dict, list[dict]]:
    content = file.read()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"{file.label}: is no notebook, or a damaged one ({reason})") from error
    cells = _cells(notebook)
    if cells is None:
        raise NotebookError(f"{file.label}: is JSON, but no notebook: it has no list of cells")
    return notebook, [cell for cell in cells if isinstance(cell, dict)]


def _cells(notebook: Any) -> list | None:
    found = _get(notebook, "cells")
    if found is None:
        sheets = _get(notebook, "worksheets")  # notebook format 3
        found = _get(sheets[0], "cells") if isinstance(sheets, list) and sheets else None
    return found if isinstance(found, list) else None


def cell_of(cell: dict) -> Cell:
    """Return the cell that stands so in a file."""
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
