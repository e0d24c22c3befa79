"""Where no namespaces are to be had: what still holds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cs329t_robust.checks import exercises
from cs329t_robust.grading.judge import Limits, hidden_seed, judge
from cs329t_robust.grading.sandbox.launcher import Launcher
from cs329t_robust.lessons.student_answers import Answer

from .corpus import answer

EXERCISE = exercises()["02.4"]
SEED = hidden_seed("a secret", EXERCISE)
DAEMON = """import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(1234.5)
    os._exit(0)"""


@pytest.fixture(params=["user", "none"], scope="module")
def launcher(request):
    if request.param == "user" and os.geteuid() != 0:
        pytest.skip("only root can give the worker a user of its own")
    launcher = Launcher(request.param)
    yield launcher
    launcher.close()


def graded(launcher, source):
    cells = [{"role": "given", "source": "import torch"}, {"role": "answer", "source": source}]
    report, ended = judge(launcher, EXERCISE, Answer(cells, source), SEED, Limits(3, 700))
    return report.score, ended


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", (5, "")),
        ("while True: pass", (0, "time")),
        ("import os; os._exit(0)", (0, "exit")),
        ("a = []\nwhile True: a.append(bytearray(10**8))", (0, "")),
        ("f = open('a', 'wb')\nwhile True: f.write(b'x' * 10**6)", (0, "")),
    ],
    ids=["right", "endless", "exit", "memory", "disk"],
)
def test_limits_hold(launcher, body, expected):
    assert graded(launcher, answer(body)) == expected
    assert graded(launcher, answer("pass")) == (5, "")


def test_nothing_is_left_behind(launcher):
    assert graded(launcher, answer(DAEMON)) == (5, "")
    time.sleep(0.2)
    assert not launcher._tree.exists()
    assert forks_of(launcher) == []


SWEEP = """
import os, time
from cs329t_robust.grading.sandbox import fork_server, isolation
isolation.adopt()
children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]:
        time.sleep(600)
look, looks = fork_server._family, []
def late(pid):
    looks.append(pid)
    return look(pid) if len(looks) > 1 else children[:1]
fork_server._family = late
fork_server._sweep({"tree": "/nonexistent"})
print(len(looks) > 1, [os.path.exists(f"/proc/{child}") for child in children])
"""


def test_a_process_that_was_missed_by_the_first_look_is_not_waited_for():
    ended = subprocess.run([sys.executable, "-c", SWEEP], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "True [False, False]\n", ended.stderr


def forks_of(launcher):
    """Return the processes that were forked from the fork server, which all bear its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            mine = launcher._folder.name in path.read_text()
        except OSError:
            continue  # it has ended meanwhile
        found += [path.parent.name] if mine and path.parent.name != str(launcher._process.pid) else []
    return found


def test_another_user_cannot_touch_the_grader(launcher):
    if launcher.level != "user":
        pytest.skip("runs with the grader's own rights")
    body = """import os
assert os.getuid() > 60000
try:
    os.kill(os.getppid(), 9)
    raise SystemExit
except PermissionError:
    pass"""
    assert graded(launcher, answer(body)) == (5, "")
