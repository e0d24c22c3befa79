"""A class of synthetic students graded in one folder, while the grader is killed again and again.

By hand: ``python -m tests.grading.crowd 200 --kills 6 --jobs 2`` (test_crowd.py runs a small one).
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from answered_notebooks import RIGHT, notebook, save

from .corpus import answer

ROOT = Path(__file__).resolve().parent.parent.parent
PLAN = 'title = "A crowd"\nlessons = ["02"]\n'
# What each kind of student hands in, and the points that are due. 02.3 is worth 5, 02.4 5, 02.5 6.
KINDS: dict[str, tuple[dict[str, str] | None, int]] = {
    "right": (RIGHT, 16),
    "half": ({"02.3": RIGHT["02.3"]}, 5),
    "wrong": ({"02.3": "def fgsm(model, x, y, eps):\n    return x"}, 0),
    "exits": ({**RIGHT, "02.4": answer("import os; os._exit(0)")}, 11),
    "takes memory": ({**RIGHT, "02.4": answer("a = []\nwhile True: a.append(bytearray(10**8))")}, 11),
    "prints": ({**RIGHT, "02.4": answer("print('x' * 10**6)")}, 16),
    "loops": ({"02.3": RIGHT["02.3"], "02.4": answer("while True: pass")}, 5),
    "forks": ({"02.3": RIGHT["02.3"], "02.4": answer("import os\nwhile True: os.fork()")}, 5),
    "untouched": ({}, 0),
    "corrupt": (None, 0),
}


@dataclass(frozen=True)
class Outcome:
    """How a class was graded: the rows of grades.csv, how often each (student, exercise) was, kills, seconds."""

    totals: dict[str, float]
    graded: Counter
    kills: int
    seconds: float


def hand_in(folder: Path, count: int) -> dict[str, int]:
    """Write `count` students' folders, every kind in turn, and return the points due to each."""
    due = {}
    for at in range(count):
        kind = list(KINDS)[at % len(KINDS)]
        answers, points = KINDS[kind]
        name = f"{at:03d} {kind}"
        path = save(notebook(answers or {}), folder / name / "a.ipynb")
        if answers is None:
            path.write_text(path.read_text(encoding="utf-8")[:5000], encoding="utf-8")
        due[name] = points
    return due


def grade(folder: Path, out: Path, kills: int, jobs: int = 1, timeout: int = 4, seed: int = 0) -> Outcome:
    """Grade a folder, killing the grader `kills` times on its way, and return what came of it."""
    (out.parent / "plan.toml").write_text(PLAN, encoding="utf-8")
    command = [sys.executable, "-m", "cs329t_robust", "grade", str(folder), "--out", str(out), "--seed", "crowd"]
    command += ["--assignment", str(out.parent / "plan.toml"), "--jobs", str(jobs), "--timeout", str(timeout)]
    students = sum(1 for _ in folder.iterdir())
    marks = sorted(random.Random(seed).sample(range(1, students), kills))
    start, records, killed = time.monotonic(), out / "records.jsonl", 0
    for mark in [*marks, None]:
        with (out.parent / "log").open("ab") as log:
            run = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        while mark is not None and run.poll() is None and done(records) < mark:
            time.sleep(0.02)
        if mark is not None and run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        code = run.wait()
    assert code == 0, (out.parent / "log").read_text(encoding="utf-8")[-2000:]
    with (out / "grades.csv").open(encoding="utf-8") as file:
        totals = {row["student"]: float(row["total"]) for row in csv.DictReader(file)}
    return Outcome(totals, graded(records), killed, time.monotonic() - start)


def lines(records: Path) -> list[dict]:
    """Return the records that are whole; a kill may have cut one short."""
    found = []
    for line in records.read_text(encoding="utf-8").splitlines() if records.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def done(records: Path) -> int:
    """Return how many students are finished."""
    text = records.read_bytes() if records.exists() else b""
    return len({line for line in text.splitlines() if b'"done": true' in line})  # each run says it again


def graded(records: Path) -> Counter:
    """Return how often each student's exercise has a verdict."""
    return Counter((record["student"], record["exercise"]) for record in lines(records) if "report" in record)


def main() -> int:
    """Grade a crowd as the command line says, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", type=int)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        due = hand_in(Path(folder) / "in", arguments.students)
        found = grade(Path(folder) / "in", Path(folder) / "out", arguments.kills, arguments.jobs)
    wrong = {name: (points, found.totals.get(name)) for name, points in due.items() if found.totals.get(name) != points}
    twice = [key for key, times in found.graded.items() if times > 1]
    print(
        f"{len(found.totals)} students, {sum(found.graded.values())} verdicts, {found.kills} kills, "
        f"{found.seconds:.0f} s; wrong totals: {wrong or 'none'}; verdicts given twice: {twice or 'none'}"
    )
    return 1 if wrong or twice or len(found.totals) != len(due) else 0


if __name__ == "__main__":
    sys.exit(main())
