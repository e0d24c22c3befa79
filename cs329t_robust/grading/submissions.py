"""Find the students' notebooks in a folder of folders, zips and loose files."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..lessons.cells import UNREADABLE, File

FILES = 2000  # in one submission
CANVAS = re.compile(r"(?P<who>[^_]+)_(?:LATE_)?\d+_\d+_(?P<file>.+)")  # how Canvas names what it hands out


class SubmissionError(ValueError):
    """A folder of submissions cannot be used; the message says why."""


@dataclass(frozen=True)
class Student:
    """One student: a name, what was handed in, the notebooks in it, and what was wrong with the packing."""

    name: str
    paths: tuple[Path, ...]
    files: tuple[File, ...] = ()
    problems: tuple[str, ...] = ()


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
