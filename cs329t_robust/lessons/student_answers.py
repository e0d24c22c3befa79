"""Take a student's answers out of their notebooks, by label, cell id or function name, into the pristine lesson."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .. import checks
from . import build
from .cells import Cell, File, NotebookError, read_cells

ANSWER_ID = re.compile(r"ex-(\d\d)-(D?\d+)-(answer|check|discussion)")
OUTSIDE = re.compile(r"\b(cs329t_robust|attacks|socket|subprocess|ctypes|inspect|gc|requests|urllib|__import__|open)\b")


@dataclass
class Answer:
    """What a student handed in for one exercise.

    Attributes
    ----------
    program : list of dict
        The lesson's cells with the student's among them, for `program_slice.run`; empty for an untouched stub.
    source : str
        The text of the answer's cell.
    where : str
        The notebook it was found in.
    notes : list of str
        What was unusual, for the student and the instructor.
    """

    program: list[dict] = field(default_factory=list)
    source: str = ""
    where: str = ""
    notes: list[str] = field(default_factory=list)


class Pristine:
    """A lesson as it was handed out."""

    def __init__(self, lesson: str, home: Path | None = None) -> None:
        found = sorted((home or build.HOME).glob(f"{lesson}_*.ipynb"))
        if not found:
            raise NotebookError(f"expected a notebook {lesson}_….ipynb in {home or build.HOME}, found none")
        self.lesson, self.path = lesson, found[0]
        self.cells = read_cells(File(self.path.name, self.path))[1]
        self.ids = {cell.id for cell in self.cells}
        self.sources = {cell.id: cell.source for cell in self.cells}

    def cell(self, exercise: str, role: str) -> Cell | None:
        """Return the cell of that label, if there is one."""
        return next((cell for cell in self.cells if (cell.exercise, cell.role) == (exercise, role)), None)

    @property
    def discussions(self) -> list[str]:
        """The ids of the discussion questions."""
        return [cell.exercise for cell in self.cells if cell.role == "discussion"]


class Handed:
    """What one student handed in, sorted by lesson.

    Parameters
    ----------
    files : iterable of File
    pristine : dict of str to Pristine
        The lessons of the assignment by number.
    problems : iterable of str
        What was wrong with the packing; more may be found here.
    """

    def __init__(self, files: Iterable[File], pristine: dict[str, Pristine], problems: Iterable[str] = ()) -> None:
        self.pristine, files = pristine, list(files)
        self.problems = list(problems)
        self.notebooks: dict[str, list[tuple[File, list[Cell]]]] = {lesson: [] for lesson in pristine}
        for file in files:
            try:
                named, cells = read_cells(file)
            except NotebookError as error:
                self.problems.append(str(error))
                continue
            lesson = self._lesson(named, cells)
            if lesson:
                self.notebooks[lesson].append((file, cells))
            else:
                self.problems.append(f"{file.label}: no notebook of this assignment, left out")
        missing = [lesson for lesson, found in self.notebooks.items() if not found]
        if not files:
            self.problems.append("no notebook was handed in")
        elif missing:
            self.problems.append(f"no notebook of lesson {', '.join(missing)} was found")

    def answer(self, exercise: checks.Exercise) -> Answer:
        """Return the student's answer to an exercise; the newest notebook that holds one counts."""
        pristine = self.pristine[exercise.id[:2]]
        found, notes = [], []
        for file, cells in self.notebooks[pristine.lesson]:
            candidates = _candidates(cells, exercise, pristine)
            found += [(file, cells, cell) for cell in candidates]
        if not found:
            return Answer()
        file, cells, chosen = found[-1]
        if len(found) > 1:
            places = ", ".join(sorted({f.label for f, _, _ in found}))
            notes.append(f"{len(found)} cells answer {exercise.id} ({places}); the last one, in {file.label}, counts")
        if chosen.kind != "code":
            notes.append("the answer's cell is no code cell any more; it was read as one")
        if OUTSIDE.search(chosen.source):
            words = ", ".join(sorted(set(OUTSIDE.findall(chosen.source))))
            notes.append(f"worth a look: the answer mentions {words}")
        return Answer(_program(cells, chosen, pristine), chosen.source, file.label, notes)

    def discussion(self, exercise: str) -> str:
        """Return what the student wrote to a discussion question, for a person to read."""
        pristine = self.pristine[exercise[:2]]
        asked = pristine.cell(exercise, "discussion")
        for _, cells in reversed(self.notebooks[pristine.lesson]):
            for cell in reversed(cells):
                if label(cell) == (exercise, "discussion") and _tidy(cell) != _tidy(asked):
                    return cell.source
        return ""

    def _lesson(self, named: str, cells: list[Cell]) -> str:
        votes: Counter[str] = Counter()
        for lesson, pristine in self.pristine.items():
            votes[lesson] = 2 * (named == lesson) + sum(cell.id in pristine.ids for cell in cells)
            votes[lesson] += sum(cell.exercise.startswith(f"{lesson}.") for cell in cells)
        if not votes.total():
            for lesson in self.pristine:
                names = [e.name for e in checks.lesson(lesson).exercises.values()]
                votes[lesson] = sum(_defines(cell, name) for cell in cells for name in names)
        best, count = votes.most_common(1)[0]
        return best if count else ""


def _candidates(cells: list[Cell], exercise: checks.Exercise, pristine: Pristine) -> list[Cell]:
    """Return the cells that answer an exercise: those labelled so, or else those that define its function."""
    stub = pristine.cell(exercise.id, "answer")
    if stub and "raise NotImplementedError" not in stub.source:
        stub = None  # solved together in the lesson: as it was handed out it is an answer
    labelled = [cell for cell in cells if label(cell) == (exercise.id, "answer")]
    labelled = [cell for cell in labelled if cell.source.strip() and _tidy(cell) != _tidy(stub)]
    defining = [cell for cell in cells if _defines(cell, exercise.name) and _tidy(cell) != _tidy(stub)]
    given = {_tidy(cell) for cell in pristine.cells}
    named = [c for c in labelled if c in defining]
    stray = [c for c in defining if not label(c)[1] and c.kind == "code" and _tidy(c) not in given]
    return named or stray or labelled


def _program(cells: list[Cell], chosen: Cell, pristine: Pristine) -> list[dict]:
    """Return the pristine cells with the student's beside them, each where it stood."""
    after: dict[str, list[dict]] = {}
    instead: dict[str, dict] = {}
    before: dict[str, dict] = {}
    anchor = ""
    for cell in cells:
        known = _home(cell, pristine)
        entry = {"role": "answer" if cell is chosen else "own", "source": cell.source}
        if cell.kind != "code" and cell is not chosen:
            anchor = known or anchor
        elif known and (cell is chosen or label(cell)[1] == "answer"):
            if known not in instead or instead[known]["role"] != "answer":
                instead[known] = entry
            anchor = known
        elif known:
            anchor = known
            if cell.source != pristine.sources[known]:
                before[known] = entry  # an edited cell: what the lesson itself defines comes after, and counts
        else:
            after.setdefault(anchor, []).append(entry)
    program = list(after.get("", []))
    for cell in pristine.cells:
        program += [before[cell.id]] if cell.id in before else []
        if cell.id in instead:
            program.append(instead[cell.id])
        elif cell.kind == "code" and cell.role != "answer":
            program.append({"role": "given", "source": cell.source})
        program += after.get(cell.id, [])
    return program


def _home(cell: Cell, pristine: Pristine) -> str:
    """Return the id of the pristine cell that this one is, or was copied from."""
    exercise, role = label(cell)
    same = pristine.cell(exercise, role) if role else None
    return same.id if same else cell.id if cell.id in pristine.ids else ""


def label(cell: Cell) -> tuple[str, str]:
    """Return a cell's exercise and role, by its metadata or else by its id; two empty texts for any other cell."""
    if cell.role:
        return cell.exercise, cell.role
    match = ANSWER_ID.fullmatch(cell.id)
    return (f"{match[1]}.{match[2]}", match[3]) if match else ("", "")


def _defines(cell: Cell, name: str) -> bool:
    return bool(re.search(rf"^(async\s+)?def\s+{name}\s*\(|^{name}\s*=[^=]", cell.source, flags=re.MULTILINE))


def _tidy(cell: Cell | None) -> str:
    return re.sub(r"\s+", " ", cell.source).strip() if cell else ""
