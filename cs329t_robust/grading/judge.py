"""Judge students' answers, one exercise at a time: the checks run here, the answer runs in a sandbox and is only asked.

A judge is a process of its own. It reads one student a line from standard input and writes one record a line to
standard output, so whatever becomes of it, what it had judged is known.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import format_exc

import torch

from .. import __version__, checks
from ..checks.report import Report
from ..checks.side_effects import explain_exception
from ..lessons.student_answers import Answer, Handed, Pristine
from .sandbox.launcher import Launcher, SandboxError
from .sandbox.protocol import Channel, Opaque
from .sandbox.remote_function import Lost, RemoteFunction, rebuilt
from .submissions import opened

TRIES = 50  # seeds to look for one at which the reference earns every point


@dataclass(frozen=True)
class Limits:
    """What one answer may use: seconds for all its calls together, and MB beyond torch itself."""

    seconds: int = 60
    memory: int = 1024


def hidden_seed(secret: str, exercise: checks.Exercise) -> int:
    """Return the seed to grade with: it follows from `secret`, and the exercise's reference earns full marks at it."""
    for attempt in range(TRIES):
        digest = hmac.new(secret.encode(), f"{exercise.id} {attempt}".encode(), hashlib.sha256).digest()
        seed = 10_000 + int.from_bytes(digest[:3], "big")
        report = exercise.grade(exercise.reference, seed)
        if report.score == report.points:
            return seed
    raise ValueError(
        f"exercise {exercise.id}: expected its own reference to earn {exercise.points} points at one of {TRIES} seeds, "
        "got none; a probe is too strict"
    )


def judge(
    launcher: Launcher, exercise: checks.Exercise, answer: Answer, seed: int, limits: Limits
) -> tuple[Report, str]:
    """Return the report on one answer, and how its process ended ("" for as it should)."""
    if not answer.program:
        return _report(exercise, attempted=False), ""
    with launcher.fresh_sandbox(limits.seconds, limits.memory) as sandbox:
        why, report = "", None
        try:
            report = _grade(sandbox.channel, exercise, answer, seed, limits)
        except Lost as error:
            why = error.why
        told = sandbox.close()
    if told["ended"] == "sandbox":
        raise SandboxError(told["detail"])
    if report is not None:
        return report, ""
    ended, sentence = _explain(why, told, limits)
    return _report(exercise, sentence), ended


def _grade(channel: Channel, exercise: checks.Exercise, answer: Answer, seed: int, limits: Limits) -> Report:
    function = RemoteFunction(channel, limits.seconds)
    first = function.begin({"cells": answer.program, "goal": exercise.name})
    if "broken" in first:
        return _report(exercise, str(first["broken"])[:2000])
    if "raised" in first:
        error = rebuilt(first["raised"])
        told = explain_exception(error, function)
        return _report(exercise, *[told[0].replace("Your function raised", "Your cell raised"), *told[1:]])
    if function.is_callable:
        return exercise.grade(function, seed)
    return exercise.grade(type(function.name, (Opaque,), {})(), seed)


def _explain(why: str, told: dict, limits: Limits) -> tuple[str, str]:
    """Return a word and a sentence for an answer whose process did not get to its end."""
    if told["ended"] == "memory":
        return (
            "memory",
            f"Your function was stopped: it used more than {limits.memory} MB. Does something grow in a loop?",
        )
    if why == "time" or told["ended"] == "time":
        return "time", (
            f"Your function was stopped after {limits.seconds} s. Is there a loop that never ends, such as a `while` "
            "whose condition stays true?"
        )
    if why.startswith("failed: "):
        raise SandboxError(why.removeprefix("failed: "))
    if why == "protocol":
        return (
            "protocol",
            "What came from your function's process was no answer: something in it writes where it must not.",
        )
    if told["ended"] == "signal":
        return "signal", (
            f"Your function's process was ended by signal {told['detail']}: too much memory or time, or a crash in a "
            "library."
        )
    return "exit", "Your function ended its own process: leave exit(), quit() and os._exit() out, and return a value."


def _report(exercise: checks.Exercise, *sentences: str, attempted: bool = True) -> Report:
    hint = exercise.hint if attempted else ""
    return Report(exercise.id, exercise.name, 0, exercise.points, (), sentences, (), hint, attempted)


class Judge:
    """Everything that judging students one after another needs."""

    def __init__(self, setting: dict) -> None:
        torch.set_num_threads(1)
        self.secret, self.limits = setting["secret"], Limits(setting["seconds"], setting["memory"])
        home = Path(setting["lessons_home"]) if setting.get("lessons_home") else None
        self.pristine = {lesson: Pristine(lesson, home) for lesson in setting["lessons"]}
        self.exercises = [e for lesson in setting["lessons"] for e in checks.lesson(lesson).exercises.values()]
        self.seeds = {e.id: hidden_seed(self.secret, e) for e in self.exercises}
        self.launcher = Launcher(setting["level"], setting["slot"])

    def records(self, task: dict) -> Iterator[dict]:
        """Yield the records of one student: one for each exercise, then one for the rest."""
        name = task["student"]
        student = opened(name, [Path(path) for path in task["paths"]])
        handed = Handed(student.files, self.pristine, student.problems)
        for exercise in self.exercises:
            answer = handed.answer(exercise)
            key = self._key(exercise, answer)
            if task["known"].get(exercise.id) == key:
                continue
            yield {"begins": exercise.id, "name": exercise.name, "points": exercise.points, "key": key}
            yield self._record(name, exercise, answer, key)
        asked = [d for pristine in self.pristine.values() for d in pristine.discussions]
        yield {
            "student": name,
            "done": True,
            "problems": handed.problems,
            "discussions": {d: handed.discussion(d)[:20000] for d in asked},
        }

    def _record(self, name: str, exercise: checks.Exercise, answer: Answer, key: str) -> dict:
        start, trouble = time.monotonic(), ""
        try:
            report, ended = judge(self.launcher, exercise, answer, self.seeds[exercise.id], self.limits)
        except Exception:
            # our fault, not the student's: the record says so, the run ends with exit code 1, and a person looks
            report, ended, trouble = (
                _report(exercise, "The grader failed here; this is no verdict."),
                "grader",
                format_exc(),
            )
        return {
            "student": name,
            "exercise": exercise.id,
            "key": key,
            "report": asdict(report),
            "ended": ended,
            "trouble": trouble,
            "seconds": round(time.monotonic() - start, 2),
            "source": answer.source[:20000],
            "where": answer.where,
            "notes": answer.notes,
        }

    def _key(self, exercise: checks.Exercise, answer: Answer) -> str:
        """Return what the result depends on, in short: the same key need not be graded again."""
        limits = [self.limits.seconds, self.limits.memory]
        text = json.dumps([__version__, exercise.id, self.seeds[exercise.id], limits, answer.program, answer.notes])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def main() -> None:
    """Read the setting, then a student a line; write records."""
    tell = _only_for_records()
    try:
        judge_of_all = Judge(json.loads(sys.stdin.readline()))
    except (ValueError, SandboxError) as error:
        tell({"fatal": str(error)})
        return
    tell({"ready": True})
    for line in sys.stdin:
        for record in judge_of_all.records(json.loads(line)):
            tell(record)
    judge_of_all.launcher.close()


def _only_for_records() -> Callable[[dict], None]:
    """Keep standard output for records: whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(record: dict) -> None:
        out.write(json.dumps(record) + "\n")
        out.flush()

    return tell
