"""Grade a folder of submissions: hand students to judges, keep each verdict at once, and go on after a kill."""

import fcntl
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tqdm import tqdm

from .assignment import Assignment
from .submissions import Student

PACKAGE_HOME = Path(__file__).resolve().parent.parent.parent
START = "import sys; sys.path.insert(0, {home!r}); from cs329t_robust.grading import judge; judge.main()"
GIVE_UP = 3  # times that a judge may be lost over one student


class GradingError(ValueError):
    """Grading cannot go on; the message says why."""


@dataclass
class Graded:
    """All that is known of one student: the newest record of each exercise, and the rest."""

    name: str
    records: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    discussions: dict[str, str] = field(default_factory=dict)
    done: bool = False
    failed: bool = False

    @property
    def trouble(self) -> list[str]:
        """The exercises at which the grader itself failed."""
        return [exercise for exercise, record in self.records.items() if record["ended"] == "grader"]


class Records:
    """The verdicts so far, in a file to which each is appended at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.graded: dict[str, Graded] = {}
        self._lock = Lock()
        self._file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GradingError(
                f"{path.parent}: another `cs329t grade` is writing there; wait for it, or use --out"
            ) from error
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                self._take(json.loads(line))
            except ValueError:
                continue  # the line that a kill cut short
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            self._file.write("\n")

    def add(self, record: dict) -> None:
        """Keep a record, on disk before anything else."""
        with self._lock:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._take(record)

    def known(self, student: str) -> dict[str, str]:
        """Return the keys of what is graded already, by exercise; where the grader failed it is to be tried again."""
        graded = self.graded.get(student)
        return {e: r["key"] for e, r in graded.records.items() if r["ended"] != "grader"} if graded else {}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, record: dict) -> None:
        graded = self.graded.setdefault(record["student"], Graded(record["student"]))
        if record.get("done"):
            graded.problems, graded.discussions, graded.done = record["problems"], record["discussions"], True
            graded.failed = record.get("ended") == "grader"
        else:
            graded.records[record["exercise"]] = record


class JudgeProcess:
    """One judge, started anew when it is lost."""

    def __init__(self, setting: dict) -> None:
        self.setting = setting
        self._process: subprocess.Popen | None = None
        self._stopped = False

    def grade(self, task: dict) -> Iterator[dict]:
        """Yield one student's records; an exercise over which the judge is lost becomes a record that says so."""
        task = {**task, "known": dict(task["known"])}
        for _ in range(GIVE_UP):
            begun = None
            self._ask(task)
            while line := self._process.stdout.readline():
                record = json.loads(line)
                if "begins" in record:
                    begun = record
                    continue
                yield record
                if record.get("done"):
                    return
                task["known"][record["exercise"]] = record["key"]
            self._end()
            if self._stopped:
                return
            if begun is not None:
                yield (lost := _lost(task["student"], begun))
                task["known"][lost["exercise"]] = lost["key"]
        problem = "the grader failed on this submission; a person must look at it"
        yield {"student": task["student"], "done": True, "problems": [problem], "discussions": {}, "ended": "grader"}

    def close(self) -> None:
        """End the process, which is given a moment to tidy up, and start no other."""
        self._stopped = True
        if self._process:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = None

    def _ask(self, task: dict) -> None:
        if self._process is None:
            command = [sys.executable, "-c", START.format(home=str(PACKAGE_HOME))]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._process.stdin.write(json.dumps(self.setting) + "\n")
            self._process.stdin.flush()
            told = json.loads(self._process.stdout.readline() or '{"fatal": "the judge ended before it began"}')
            if "fatal" in told:
                raise GradingError(told["fatal"])
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()


def grade(
    students: list[Student],
    assignment: Assignment,
    out: Path,
    *,
    level: str,
    jobs: int = 1,
    seconds: int = 60,
    memory: int = 1024,
    seed: str | None = None,
    progress: bool = True,
) -> Records:
    """Grade `students` and return all records, those of earlier runs with the same settings among them.

    Parameters
    ----------
    students : list of Student
    assignment : Assignment
    out : Path
        Folder for the records; what it holds already is not graded again.
    level : str
        The sandbox, see `launcher.strongest`.
    jobs : int
        Judges at once.
    seconds, memory : int
        What one answer may use, in seconds and MB.
    seed : str, optional
        The secret that the hidden inputs follow from; without it the one of the last run, or a new random one.
    progress : bool
        Draw a progress bar.

    Raises
    ------
    GradingError
        If no judge can be started.
    """
    out.mkdir(parents=True, exist_ok=True)
    setting = {"secret": _secret(out, seed), "seconds": seconds, "memory": memory, "level": level}
    records = Records(out / "records.jsonl")
    judges: SimpleQueue[JudgeProcess] = SimpleQueue()
    team = [JudgeProcess({**setting, "lessons": assignment.lessons, "slot": slot}) for slot in range(jobs)]
    for member in team:
        judges.put(member)

    def one(student: Student) -> None:
        member = judges.get()
        try:
            task = {"student": student.name, "paths": [str(p.resolve()) for p in student.paths]}
            for record in member.grade({**task, "known": records.known(student.name)}):
                records.add(record)
        finally:
            judges.put(member)

    pool = ThreadPoolExecutor(jobs)
    try:
        for _ in tqdm(pool.map(one, students), total=len(students), unit="student", disable=not progress):
            pass
    finally:
        for member in team:
            member.close()
        pool.shutdown(cancel_futures=True)
        records.close()
    return records


def _secret(out: Path, seed: str | None) -> str:
    """Return the secret of the hidden seeds, and keep it for the next run."""
    path = out / "secret"
    if seed is None:
        seed = path.read_text(encoding="utf-8").strip() if path.exists() else secrets.token_hex(16)
    path.touch(mode=0o600)
    path.write_text(seed + "\n", encoding="utf-8")
    return seed


def _lost(student: str, begun: dict) -> dict:
    sentence = "The grader failed here; this is no verdict."
    exercise = begun["begins"]
    report = {
        "exercise": exercise,
        "name": begun["name"],
        "score": 0,
        "points": begun["points"],
        "outcomes": [],
        "diagnosis": [sentence],
        "notes": [],
        "hint": "",
        "attempted": True,
    }
    return {
        "student": student,
        "exercise": exercise,
        "key": begun["key"],
        "report": report,
        "ended": "grader",
        "trouble": "the judge's process was lost",
        "seconds": 0,
        "source": "",
        "where": "",
        "notes": [],
    }
