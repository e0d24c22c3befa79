"""Write what grading found: a table for the instructor, a page and Gradescope's file for each student, a log."""

import csv
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from ..checks.report import Outcome, Report
from .assignment import Assignment
from .grade import Graded

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
body { color: #1b1b1b; background: #fff } h1 { margin-bottom: 0 } .small { color: #555; font-size: .9em }
h2 { margin-top: 2em; border-bottom: 1px solid #ccc } section { margin: 1.4em 0 }
table { border-collapse: collapse } td, th { padding: .15em .9em .15em 0; text-align: left }
td.n, th.n { text-align: right }
pre { background: #f5f5f5; padding: .7em; overflow-x: auto; font-size: .85em; white-space: pre-wrap }
"""


def write(out: Path, graded: list[Graded], assignment: Assignment, header: list[str]) -> dict[str, float]:
    """Write grades.csv, log.txt, and for each student feedback.html and results.json; return the totals by student.

    Parameters
    ----------
    out : Path
    graded : list of Graded
    assignment : Assignment
    header : list of str
        What the log begins with.
    """
    totals: dict[str, float] = {}
    taken: set[Path] = set()
    for student in graded:
        folder = out / "students" / folder_name(student.name)
        if folder in taken:
            folder = folder.with_name(f"{folder.name}-{len(taken)}")
        taken.add(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "feedback.html").write_text(feedback(student, assignment), encoding="utf-8")
        (folder / "results.json").write_text(json.dumps(gradescope(student, assignment), indent=1), encoding="utf-8")
        totals[student.name] = sum(_earned(student, assignment).values())
    _write_table(out / "grades.csv", graded, assignment)
    (out / "log.txt").write_text("\n".join([*header, "", *log(graded)]) + "\n", encoding="utf-8")
    return totals


def folder_name(student: str) -> str:
    """Return a student's name as a folder's name."""
    return re.sub(r"[^\w.@ +-]", "_", student).strip(". ") or "_"


def report_of(record: dict) -> Report:
    """Return a record's report as the checks made it."""
    fields = dict(record["report"])
    fields["outcomes"] = tuple(Outcome(**outcome) for outcome in fields["outcomes"])
    return Report(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def gradescope(student: Graded, assignment: Assignment) -> dict[str, Any]:
    """Return one student's result as Gradescope's results.json wants it."""
    tests = []
    for exercise in assignment.exercises:
        record = student.records.get(exercise.id)
        text = "\n".join([str(report_of(record)), *(f"Note: {note}" for note in record["notes"])]) if record else ""
        tests.append(
            {
                "name": f"{exercise.id} {exercise.name}",
                "number": exercise.id,
                "score": _points(record, assignment, exercise),
                "max_score": assignment.worth(exercise),
                "output": text or "not graded",
                "output_format": "text",
                "visibility": "visible",
            }
        )
    return {
        "score": round(sum(test["score"] for test in tests), 2),
        "output": "\n".join(student.problems),
        "output_format": "text",
        "tests": tests,
    }


def feedback(student: Graded, assignment: Assignment) -> str:
    """Return one student's page."""
    earned = _earned(student, assignment)
    total, possible = sum(earned.values()), sum(assignment.worth(e) for e in assignment.exercises)
    rows, parts = [], []
    for exercise in assignment.exercises:
        got, worth = _short(earned[exercise.id]), _short(assignment.worth(exercise))
        link = f'<a href="#{exercise.id}">{exercise.id}</a></td><td>{escape(exercise.name)}'
        rows.append(f'<tr><td>{link}</td><td class="n">{got}</td><td class="n">{worth}</td></tr>')
        scaled = f"{got} of {worth} points here." if assignment.worth(exercise) != exercise.points else ""
        parts.append(_section(student.records.get(exercise.id), scaled))
    parts += [
        f"<h2>{escape(number)}, discussion</h2><p class=small>Read by a person, not by the grader.</p>"
        f"<pre>{escape(text)}</pre>"
        for number, text in student.discussions.items()
        if text
    ]
    problems = "".join(f"<p><b>Note.</b> {escape(problem)}</p>" for problem in student.problems)
    due = f" · due {escape(assignment.due)}" if assignment.due else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(assignment.title)}: '
        f"{escape(student.name)}</title><style>{STYLE}</style><h1>{escape(assignment.title)}</h1>"
        f"<p class=small>{escape(student.name)}{due}</p><p><b>{_short(total)} of {_short(possible)} points.</b> "
        "The checks are those of the notebook, on other random inputs. ✓ a test passed, ✗ it failed, → what is wrong."
        "</p>"
        f'{problems}<table><tr><th>exercise</th><th></th><th class="n">points</th><th class="n">of</th></tr>'
        f"{''.join(rows)}</table>{''.join(parts)}</html>\n"
    )


def log(graded: list[Graded]) -> list[str]:
    """Return a line for everything that was unusual."""
    lines = []
    for student in graded:
        lines += [f"{student.name}: {problem}" for problem in student.problems]
        for exercise, record in sorted(student.records.items()):
            where = f"{student.name}: {exercise}"
            lines += [f"{where}: {note}" for note in record["notes"]]
            if record["ended"]:
                lines.append(f"{where}: ended by {record['ended']} after {record['seconds']} s")
            if record["ended"] == "grader":
                lines.append(f"{where}: THE GRADER FAILED, a person must look: {record['trouble'].strip()}")
    return lines or ["nothing unusual"]


def _section(record: dict | None, scaled: str) -> str:
    if record is None:
        return ""
    notes = "".join(f"<p class=small>{escape(note)}</p>" for note in [scaled, *record["notes"]] if note)
    code = f"<details><summary>Your answer</summary><pre>{escape(record['source'])}</pre></details>"
    box = report_of(record)._repr_html_()
    return f'<section id="{escape(record["exercise"])}">{box}{notes}{code if record["source"] else ""}</section>'


def _write_table(path: Path, graded: list[Graded], assignment: Assignment) -> None:
    exercises = assignment.exercises
    possible = sum(assignment.worth(exercise) for exercise in exercises)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", *(e.id for e in exercises), "total", "possible", "attempted", "look at"])
        for student in graded:
            earned = _earned(student, assignment)
            attempted = sum(record["report"]["attempted"] for record in student.records.values())
            notes = [*student.problems, *(f"{e}: {n}" for e, r in student.records.items() for n in r["notes"])]
            notes += [f"{e}: ended by {r['ended']}" for e, r in student.records.items() if r["ended"]]
            cells = [_short(points) for points in earned.values()]
            row = [student.name, *cells, _short(sum(earned.values())), _short(possible), attempted, "; ".join(notes)]
            table.writerow([_harmless(cell) for cell in row])
    temporary.replace(path)


def _earned(student: Graded, assignment: Assignment) -> dict[str, float]:
    return {e.id: _points(student.records.get(e.id), assignment, e) for e in assignment.exercises}


def _points(record: dict | None, assignment: Assignment, exercise: Any) -> float:
    share = record["report"]["score"] / record["report"]["points"] if record else 0
    return round(share * assignment.worth(exercise), 2)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _harmless(cell: Any) -> Any:
    """Keep a spreadsheet from taking a student's text for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
