"""The whole of nbgrader on lesson 00: generate, autograde, export; in an environment of its own (`make nbgrader`)."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cs329t_robust.cli import main
from cs329t_robust.lessons import build

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
PLAN = 'title = "PS0"\nlessons = ["00"]\n[points]\n"00.3" = 12\n'
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "cs329t"\nc.ExecutePreprocessor.timeout = 120\n'
NOISY = """\
def add_noise(x, eps, generator):
    import sys
    print("working", file=sys.stderr)  # nbgrader gives 0 for this in a graded cell
    return x + eps * (torch.rand(x.shape, generator=generator) * 2 - 1)"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with the instructor version in it."""
    home = tmp_path_factory.mktemp("course")
    (home / "ps0.toml").write_text(PLAN)
    (home / "nbgrader_config.py").write_text(CONFIG)
    out = home / "source" / "ps0"
    assert main.main(["release", "--nbgrader", "--assignment", str(home / "ps0.toml"), "--out", str(out)]) == 0
    return home


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def labelled(found, role):
    """Return the cells of a role, by exercise."""
    labels = ((cell["metadata"].get("cs329t", {}), cell) for cell in found)
    return {label["exercise"]: cell for label, cell in labels if label.get("role") == role}


def test_the_instructor_version(course):
    found = cells(course / "source" / "ps0" / "00_start_here.ipynb")
    graded = {cell["id"]: cell["metadata"]["nbgrader"] for cell in found if cell["id"].endswith("-graded")}
    assert {name: label["points"] for name, label in graded.items()} == {
        "ex-00-1-check-graded": 5,
        "ex-00-2-check-graded": 5,
        "ex-00-3-check-graded": 12,
        "ex-00-4-check-graded": 5,
    }
    assert all(label["grade"] and label["locked"] and not label["solution"] for label in graded.values())
    answers = labelled(found, "answer")
    assert "nbgrader" not in answers["00.1"]["metadata"]
    for number in ("00.2", "00.3", "00.4"):
        assert "### BEGIN SOLUTION" in "".join(answers[number]["source"])
        assert answers[number]["metadata"]["nbgrader"]["solution"]
    assert labelled(found, "discussion")["00.D1"]["metadata"]["nbgrader"]["points"] == 0
    assert main.main(["release", "--nbgrader", "--out", str(course / "source" / "ps0")]) == 1


def nbgrader(course, *arguments):
    environment = {
        **os.environ,
        "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",  # it calls alembic by name
        "PYTHONPATH": str(ROOT),
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
    }
    command = [PYTHON, "-m", "nbgrader", *arguments]
    run = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="make nbgrader sets nbgrader up and runs this")
def test_generate_autograde_and_export(course):
    nbgrader(course, "generate_assignment", "ps0", "--create")
    released = course / "release" / "ps0" / "00_start_here.ipynb"
    text = released.read_text(encoding="utf-8")
    assert "BEGIN" not in text
    assert "_checks.exercises()" not in text
    solved = labelled(cells(build.HOME / "solutions" / "00_start_here.ipynb"), "answer")
    right = {number: cell["source"] for number, cell in solved.items()}
    for name, answers in (("ann", right), ("bob", {}), ("cy", {"00.3": NOISY})):
        notebook = json.loads(text)
        for number, cell in labelled(notebook["cells"], "answer").items():
            cell["source"] = answers.get(number, cell["source"])
        path = course / "submitted" / name / "ps0" / released.name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
    nbgrader(course, "autograde", "ps0", "--create")
    nbgrader(course, "export")
    with (course / "grades.csv").open() as file:
        rows = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    # 00.1 was solved together; the noise of 00.3 is right but for the clip: 5 of 6 points, here of 12
    assert rows == {"ann": (27, 27), "bob": (5, 27), "cy": (15, 27)}
