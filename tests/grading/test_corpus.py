"""Nothing that a submission does changes another's result, the checks, or the grader."""

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from cs329t_robust.checks import exercises
from cs329t_robust.grading.judge import Limits, hidden_seed, judge
from cs329t_robust.grading.sandbox.isolation import FIRST_UID
from cs329t_robust.lessons.student_answers import Answer

from .corpus import ROWS, answer

EXERCISE = exercises()["02.4"]
SEED = hidden_seed("a secret", EXERCISE)
LIMITS = Limits(seconds=4, memory=700)
GIVEN = {"role": "given", "source": "import torch"}


def graded(launcher, source, limits=LIMITS):
    return judge(launcher, EXERCISE, Answer([GIVEN, {"role": "answer", "source": source}], source), SEED, limits)


@pytest.mark.parametrize(("source", "score", "told"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_hostile_answer(launcher, source, score, told):
    seconds = 4 if "stopped" in told else 60  # on a busy machine, what ends by itself may take long
    report, _ = graded(launcher, source, Limits(seconds, LIMITS.memory))
    assert report.score == score, str(report)
    assert re.search(told, str(report)), str(report)
    assert len(str(report)) < 6000
    after, ended = graded(launcher, answer("pass"), Limits(60, LIMITS.memory))
    assert (after.score, ended) == (5, "")
    assert left_behind() == []
    assert not Path("/tmp/pwned").exists()


def left_behind():
    """Return the processes that still run as the sandbox's user."""
    if os.geteuid() != 0:
        return []
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError):  # it has ended since
            found += [process.name] * (process.stat().st_uid == FIRST_UID)
    return found
