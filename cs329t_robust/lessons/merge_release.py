"""Bring a new release of the lessons into notebooks that were worked in, cell by cell, and keep a copy."""

import json
import re
import shutil
import time
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

from .cells import File, NotebookError, cell_of, raw_cells
from .student_answers import label
from .student_progress import STUB

UNANSWERED = re.compile(r"\*Your answer[^\n]*\*")
GIVEN_ID = re.compile(r"\d\d-([0-9a-f]{8})(-\d+)?")  # holds the hash of the text that the cell was handed out with


@dataclass
class Merged:
    """What became of one notebook.

    Attributes
    ----------
    path : Path
    backup : Path or None
        Where the old notebook is; None if it was not changed.
    kept : int
        Cells of the student's that were carried over.
    problems : list of str
        What a person should look at.
    """

    path: Path
    backup: Path | None = None
    kept: int = 0
    problems: list[str] = field(default_factory=list)
    is_new: bool = False

    def __str__(self) -> str:
        cells = f"{self.kept} cell{'' if self.kept == 1 else 's'} of yours kept"
        old = f"{cells}; the old one is {self.backup}" if self.backup else "nothing new"
        told = "a new lesson" if self.is_new else old
        return "\n".join([f"{self.path.name}: {told}", *(f"  look at this: {problem}" for problem in self.problems)])


def update(release: Path, home: Path) -> list[Merged]:
    """Merge the notebooks of `release` into those in `home`, which keep their names, and return what became of each.

    The result is the new lesson, with the student's own in it: answers and discussion texts, cells that they added
    (after the cell they stood behind), and cells of the lesson that they edited and that did not change meanwhile.

    Raises
    ------
    NotebookError
        If there is no notebook in `release`, or one is damaged; then nothing is changed at all.
    """
    folder = release / "lessons" if (release / "lessons").is_dir() else release
    new = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not new or folder.resolve() == home.resolve():
        wrong = "the folder of the notebooks themselves" if new else "none"
        raise NotebookError(f"{release}: expected a new release with lessons/00_….ipynb in it, got {wrong}")
    plans = [(path, home / path.name, *_plan(path, home / path.name)) for path in new]
    return [_write(fresh, path, notebook, merged) for fresh, path, notebook, merged in plans]


def merge(old: list[dict], new: list[dict]) -> tuple[list[dict], int, list[str]]:
    """Return the merged cells, how many are the student's, and what a person should look at."""
    places = {_place(cell): at for at, cell in enumerate(new)}
    hashes = {match[1]: at for at, cell in enumerate(new) if (match := GIVEN_ID.fullmatch(_place(cell)))}
    result: list[list[dict]] = [[cell] for cell in new]
    first: list[dict] = []
    kept, problems, anchor = 0, [], None
    for cell in old:
        untouched = not _is_students(cell)
        at = places.get(_place(cell))
        if "id" not in cell and at is None:  # saved by an editor that drops ids: an untouched cell is known by its text
            at = hashes.get(_hash(cell))
            untouched = untouched or at is not None
        anchor = anchor if at is None else at
        free = at is not None and result[at][0] is new[at]
        if untouched:
            if free and cell_of(cell).source == cell_of(new[at]).source:
                result[at][0] = {**cell, "id": new[at]["id"], "metadata": new[at]["metadata"]}  # with its output
            continue
        kept += 1
        if free:
            result[at][0] = {**cell, "id": new[at]["id"], "metadata": new[at]["metadata"]}
            problems += _changed_stub(cell, new[at])
            continue
        if at is not None or label(cell_of(cell))[1] == "answer" or GIVEN_ID.fullmatch(_place(cell)):
            problems.append(f"kept beside the new lesson: {_short(cell)}")
        (first if anchor is None else result[anchor]).append(cell)
    merged = first + [cell for group in result for cell in group]
    return _with_ids(merged), kept, problems


def _plan(fresh: Path, path: Path) -> tuple[dict, Merged]:
    notebook = json.loads(File(fresh.name, fresh).read())
    merged = Merged(path)
    if path.exists():
        new = raw_cells(File(fresh.name, fresh))
        notebook["cells"], merged.kept, merged.problems = merge(raw_cells(File(path.name, path)), new)
    return notebook, merged


def _write(fresh: Path, path: Path, notebook: dict, merged: Merged) -> Merged:
    if not path.exists():
        shutil.copy(fresh, path)
        merged.is_new = True
        return merged
    if notebook["cells"] == raw_cells(File(path.name, path)):
        return merged
    backups = path.parent / "backup"
    backups.mkdir(exist_ok=True)
    merged.backup = backups / f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}.ipynb"
    shutil.copy2(path, merged.backup)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    return merged


def _place(cell: dict) -> str:
    """Return what tells that two cells are the same: the exercise and role, or the id."""
    exercise, role = label(cell_of(cell))
    return f"{exercise} {role}" if role else str(cell.get("id", ""))


def _is_students(cell: dict) -> bool:
    """Say whether a cell holds anything of the student's."""
    source, role = cell_of(cell).source.strip(), label(cell_of(cell))[1]
    if not source:
        return False
    if role:
        untouched = {"answer": STUB.search, "discussion": UNANSWERED.fullmatch}.get(role)
        return untouched is not None and not untouched(source)
    match = GIVEN_ID.fullmatch(_place(cell))
    return not match or _hash(cell) != match[1]


def _hash(cell: dict) -> str:
    return sha1(cell_of(cell).source.encode()).hexdigest()[:8]


def _with_ids(cells: list[dict]) -> list[dict]:
    """Return the cells, each with an id of its own: a copy gets a new one, the same at each update."""
    used: set[str] = set()
    result = []
    for cell in cells:
        name, count = cell.get("id") or f"own-{_hash(cell)}", 1
        while name in used:
            count += 1
            name = f"own-{_hash(cell)}-{count}"
        used.add(name)
        result.append({**cell, "id": name})
    return result


def _changed_stub(cell: dict, new: dict) -> list[str]:
    asked, written = (_signature(cell_of(c).source) for c in (new, cell))
    if label(cell_of(cell))[1] != "answer" or not asked or asked == written:
        return []
    exercise = label(cell_of(cell))[0]
    return [f"{exercise}: the new lesson asks for `{asked}`, your answer has `{written or 'no function'}`"]


def _signature(source: str) -> str:
    found = re.search(r"^def\s.*?:\s*$", source, flags=re.MULTILINE)
    return found[0].strip() if found else ""


def _short(cell: dict) -> str:
    line = next((line for line in cell_of(cell).source.splitlines() if line.strip()), "")
    return line.strip()[:70]
