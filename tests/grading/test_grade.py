"""The whole command: a folder in, a table and a page for each student out, and nothing lost to a kill."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from answered_notebooks import RIGHT, code, notebook, save

from cs329t_robust.cli import grading, main
from cs329t_robust.grading.assignment import whole_course
from cs329t_robust.grading.grade import Graded, GradingError, JudgeProcess, Records
from cs329t_robust.grading.results import write
from cs329t_robust.grading.sandbox.launcher import SandboxError, strongest

from .corpus import answer

ROOT = Path(__file__).resolve().parent.parent.parent
PLAN = 'title = "PS <1>"\nlessons = ["02"]\n[points]\n"02.3" = 10\n"02.1" = 0\n'
LOOP = answer("while True: pass")


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "ps1.toml"
    path.write_text(PLAN)
    return path


def rows(out):
    with (out / "grades.csv").open(encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def grade(folder, out, plan, *more):
    return main.main(["grade", str(folder), "--out", str(out), "--assignment", str(plan), "--seed", "s", *more])


def test_a_class_of_four(level, tmp_path, plan, capsys):
    folder, out = tmp_path / "sub", tmp_path / "out"
    essay = "Because <script>alert(1)</script>"
    save(notebook({**RIGHT, "02.D1": essay}), folder / "ann" / "a.ipynb")
    save(notebook({"02.4": LOOP, "02.3": RIGHT["02.3"]}), folder / "bob.ipynb")
    save(notebook({"02.3": "def fgsm(model, x, y, eps):\n    return x - eps * 0"}), folder / "=cmd" / "a.ipynb")
    (folder / "dee").mkdir()
    assert grade(folder, out, plan, "--timeout", "3", "--jobs", "2") == 0
    found = rows(out)
    assert list(found) == ["'=cmd", "ann", "bob", "dee"]
    columns = ("02.1", "02.3", "02.4", "02.5", "02.6", "total")
    assert [found["ann"][column] for column in columns] == ["0", "10", "5", "6", "0", "21"]
    assert (found["bob"]["02.3"], found["bob"]["02.4"]) == ("10", "0")
    assert "02.4: ended by time" in found["bob"]["look at"]
    assert found["'=cmd"]["total"] == "0"
    assert "no notebook was handed in" in found["dee"]["look at"]
    page = (out / "students" / "ann" / "feedback.html").read_text(encoding="utf-8")
    assert "PS &lt;1&gt;" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "21 of 47 points" in page
    results = json.loads((out / "students" / "bob" / "results.json").read_text())
    assert results["score"] == 10
    assert sum(test["max_score"] for test in results["tests"]) == 47
    assert "stopped after 3 s" in next(t["output"] for t in results["tests"] if t["number"] == "02.4")
    assert "bob: 02.4: ended by time" in (out / "log.txt").read_text()
    assert "graded 4 students" in capsys.readouterr().out


def test_hostile_submissions_cost_their_neighbours_nothing(level, tmp_path, plan):
    """A class of strange folders: each has its own outcome, and who did nothing strange gets what is due."""
    folder, out = tmp_path / "sub", tmp_path / "out"
    save(notebook(RIGHT), folder / "honest" / "a.ipynb")
    for name in ("check.py", "torch.py", "cs329t_robust/checks/__init__.py", "cs329t_robust/__init__.py"):
        (folder / "fake modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fake modules" / name).write_text("raise SystemExit")
    save(notebook(RIGHT), folder / "fake modules" / "a.ipynb")
    (folder / "corrupt").mkdir()
    (folder / "corrupt" / "a.ipynb").write_text(json.dumps(notebook(RIGHT))[:9000])
    save({"cells": [code("print('CS 229')")], "nbformat": 4}, folder / "other course" / "a.ipynb")
    large = notebook(RIGHT)
    large["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 10**8}]
    save(large, folder / "large" / "a.ipynb")
    reads = "import glob\n    assert glob.glob('/**/solutions', recursive=True), 'none'"
    save(notebook({**RIGHT, "02.4": answer(reads)}), folder / "reads solutions" / "a.ipynb")
    before = {path: path.read_bytes() for path in (ROOT / "lessons").glob("**/02_*.ipynb")}
    assert grade(folder, out, plan, "--timeout", "20") == 0
    found = rows(out)
    totals = {name: row["total"] for name, row in found.items()}
    assert totals == {
        "corrupt": "0",
        "fake modules": "21",
        "honest": "21",
        "large": "21",
        "other course": "0",
        "reads solutions": "16",
    }
    assert "damaged" in found["corrupt"]["look at"]
    assert "no notebook of this assignment" in found["other course"]["look at"]
    assert {path: path.read_bytes() for path in before} == before


def test_a_second_run_grades_only_what_changed(level, tmp_path, plan):
    folder, out = tmp_path / "sub", tmp_path / "out"
    save(notebook(RIGHT), folder / "ann" / "a.ipynb")
    save(notebook(RIGHT), folder / "bob" / "a.ipynb")
    grade(folder, out, plan)
    before = (out / "records.jsonl").read_text().splitlines()
    table = (out / "grades.csv").read_text()
    save(notebook({**RIGHT, "02.4": "def project_linf(x, x_adv, eps):\n    return x"}), folder / "bob" / "a.ipynb")
    grade(folder, out, plan)
    added = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()[len(before) :]]
    assert {(r["student"], r["exercise"]) for r in added if "exercise" in r} >= {("bob", "02.4")}
    assert not [r for r in added if r["student"] == "ann" and "exercise" in r]
    assert rows(out)["bob"]["02.4"] == "0"
    assert table.splitlines()[1] == (out / "grades.csv").read_text().splitlines()[1]


def test_a_kill_loses_nothing_and_the_next_run_goes_on(level, tmp_path, plan):
    folder, out = tmp_path / "sub", tmp_path / "out"
    for name in ("a1", "a2", "a3"):
        save(notebook(RIGHT), folder / name / "a.ipynb")
    save(notebook({**RIGHT, "02.4": LOOP}), folder / "b" / "a.ipynb")
    save(notebook(RIGHT), folder / "c" / "a.ipynb")
    arguments = ["grade", folder, "--out", out, "--assignment", plan, "--timeout", "8", "--seed", "s"]
    run = subprocess.Popen([sys.executable, "-m", "cs329t_robust.cli.main", *map(str, arguments)], cwd=ROOT)
    records = out / "records.jsonl"
    for _ in range(600):
        if records.exists() and '"student": "b"' in records.read_text():
            break
        time.sleep(0.1)
    time.sleep(1)  # now in the endless loop
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    kept = records.read_text()
    assert {json.loads(line)["student"] for line in kept.splitlines()} == {"a1", "a2", "a3", "b"}
    assert not (out / "grades.csv").exists()
    with records.open("a") as file:
        file.write('{"student": "c", "exer')  # as if the kill had cut a line short
    assert grade(folder, out, plan, "--timeout", "8") == 0
    after = records.read_text()
    assert after.startswith(kept)
    again = [json.loads(line) for line in after[len(kept) :].splitlines()[1:]]
    assert {r["student"] for r in again if "exercise" in r} == {"b", "c"}
    assert [rows(out)[name]["total"] for name in ("a1", "a3", "b", "c")] == ["21", "21", "16", "21"]


def test_the_same_seed_grades_alike_and_another_differs(level, tmp_path, plan):
    save(notebook({"02.3": "def fgsm(model, x, y, eps):\n    return torch.rand_like(x)"}), tmp_path / "sub" / "a.ipynb")
    texts = []
    for out, seed in (("one", "s"), ("two", "s"), ("three", "t")):
        arguments = ["grade", str(tmp_path / "sub"), "--out", str(tmp_path / out), "--assignment", str(plan)]
        assert main.main([*arguments, "--seed", seed]) == 0
        texts.append((tmp_path / out / "students" / "a" / "results.json").read_text())
    assert texts[0] == texts[1] != texts[2]
    assert (tmp_path / "one" / "secret").stat().st_mode & 0o077 == 0


def test_one_students_folder(level, tmp_path, plan):
    save(notebook(RIGHT), tmp_path / "submission" / "a.ipynb")
    assert grade(tmp_path / "submission", tmp_path / "out", plan, "--single") == 0
    assert json.loads((tmp_path / "out" / "students" / "submission" / "results.json").read_text())["score"] == 21


def test_a_lost_judge_costs_one_exercise(tmp_path, monkeypatch):
    """A judge that dies over one exercise is started again, and the others are graded."""
    fake = """
import json, os, sys
sys.stdin.readline(); print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    for e in ("1", "2", "3"):
        if e in task["known"]: continue
        print(json.dumps({"begins": e, "name": "f", "points": 5, "key": "k" + e}), flush=True)
        if e == "2": os._exit(9)
        print(json.dumps({"student": "s", "exercise": e, "key": "k" + e, "ended": ""}), flush=True)
    print(json.dumps({"student": "s", "done": True, "problems": [], "discussions": {}}), flush=True)
"""
    monkeypatch.setattr("cs329t_robust.grading.grade.START", fake.replace("{", "{{").replace("}", "}}"))
    judge = JudgeProcess({})
    records = list(judge.grade({"student": "s", "paths": [], "known": {}}))
    judge.close()
    ends = [(r["exercise"], r["ended"]) for r in records if "exercise" in r]
    assert ends == [("1", ""), ("2", "grader"), ("3", "")]
    assert records[-1]["done"]
    assert "no verdict" in records[1]["report"]["diagnosis"][0]


def test_a_judge_that_cannot_begin_says_why(monkeypatch):
    judge = JudgeProcess({"secret": "s", "seconds": 1, "memory": 64, "lessons": ["77"], "level": "none", "slot": 0})
    with pytest.raises(GradingError, match="77"):
        next(judge.grade({"student": "s", "paths": [], "known": {}}))
    judge.close()


def test_two_runs_at_once_are_refused(tmp_path):
    first = Records(tmp_path / "records.jsonl")
    with pytest.raises(GradingError, match="another `cs329t grade` is writing there"):
        Records(tmp_path / "records.jsonl")
    first.close()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--jobs", "0"], "--jobs: expected a whole number >= 1"),
        (["--timeout", "0"], "--timeout: expected"),
        (["--memory", "1"], "--memory: expected"),
        (["--out", "sub/out"], "outside the submissions"),
        (["--assignment", "none.toml"], "none.toml"),
    ],
)
def test_wrong_options_say_so(tmp_path, capsys, monkeypatch, more, told):
    monkeypatch.chdir(tmp_path)
    save(notebook(), tmp_path / "sub" / "a.ipynb")
    assert main.main(["grade", "sub", "--out", "out", *more]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_sandbox_nothing_runs_unless_told_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "cs329t_robust.grading.sandbox.launcher._trial", lambda level: "" if level == "none" else "forbidden"
    )
    with pytest.raises(SandboxError, match=r"full: forbidden.*--unprotected"):
        strongest()
    assert strongest(allow_none=True)[0] == "none"
    save(notebook(), tmp_path / "sub" / "a.ipynb")
    assert main.main(["grade", str(tmp_path / "sub"), "--out", str(tmp_path / "out")]) == 1
    assert "expected a way to keep answers from this machine's files" in capsys.readouterr().err
    assert grading.PROMISES.keys() == {"full", "user", "none"}


def test_two_names_that_make_one_folder_get_two(tmp_path):
    graded = [Graded("a:b"), Graded("a?b")]
    write(tmp_path, graded, whole_course(), ["header"])
    pages = sorted((tmp_path / "students").glob("*/feedback.html"))
    assert sorted("a:b" in page.read_text() for page in pages) == [False, True]
