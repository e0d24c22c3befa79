"""Gradescope's autograder, run as Gradescope runs it."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from answered_notebooks import RIGHT, notebook, save

from cs329t_robust.cli import main
from cs329t_robust.grading.gradescope import constraints
from cs329t_robust.grading.release import ROOT

PLAN = 'title = "PS"\nlessons = ["02"]\n[points]\n"02.4" = 50\n'


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """The folder /autograder, as Gradescope lays it out; the environment that setup.sh makes is this one."""
    home = tmp_path_factory.mktemp("autograder")
    (home / "ps.toml").write_text(PLAN)
    arguments = ["release", "--gradescope", "--assignment", str(home / "ps.toml"), "--out", str(home / "a.zip")]
    assert main.main(arguments) == 0
    with zipfile.ZipFile(home / "a.zip") as archive:
        archive.extractall(home / "source")
    (home / "venv").symlink_to(sys.prefix)
    return home


def run(home, answers):
    save(notebook(answers), home / "submission" / "my work.ipynb")
    script = home / "run_autograder"  # Gradescope copies it out of source
    script.write_bytes((home / "source" / "run_autograder").read_bytes())
    done = subprocess.run(["bash", script], capture_output=True, text=True, cwd="/", check=False)
    return json.loads((home / "results" / "results.json").read_text()), done.stdout + done.stderr


def test_a_submission_is_graded(level, autograder):
    results, told = run(autograder, {**RIGHT, "02.3": "def fgsm(model, x, y, eps):\n    import os; os._exit(0)"})
    scores = {test["number"]: test["score"] for test in results["tests"]}
    assert (scores["02.4"], scores["02.5"], scores["02.3"]) == (50, 6, 0), told
    assert results["score"] == 56
    assert str(autograder / "source" / "cs329t_robust") not in json.dumps(results)
    again, _ = run(autograder, {"02.5": RIGHT["02.5"]})
    assert again["score"] == 6


def test_a_grader_that_fails_is_no_verdict(autograder, tmp_path):
    for name in ("source", "venv"):
        (tmp_path / name).symlink_to(autograder / name)
    (tmp_path / "submission").mkdir()
    script = tmp_path / "run_autograder"
    text = (autograder / "source" / "run_autograder").read_text()
    script.write_text(text.replace("--single", "--no-such-option"))
    subprocess.run(["bash", script], capture_output=True, check=True, cwd="/")
    assert "no verdict" in json.loads((tmp_path / "results" / "results.json").read_text())["output"]


def test_what_is_in_the_zip(autograder):
    names = {path.relative_to(autograder / "source").as_posix() for path in (autograder / "source").rglob("*")}
    assert {"setup.sh", "run_autograder", "cs329t_robust/checks/exercise.py", "pyproject.toml"} <= names
    assert not [name for name in names if "solutions" in name or name.endswith(".pyc") or "lessons/source/" in name]
    with zipfile.ZipFile(autograder / "a.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes["setup.sh"] & modes["run_autograder"] & 0o111 == 0o111
    for name in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", autograder / "source" / name], check=True)


def test_the_constraints_are_the_locks_versions():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = constraints(lock).splitlines()
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", lock, flags=re.MULTILINE)) > 50
    assert any(pin.startswith("torch==") for pin in pins)
    assert not [pin for pin in pins if "hash" in pin or "\\" in pin]


def test_an_existing_file_is_left_alone(tmp_path, capsys):
    Path(tmp_path / "a.zip").write_text("mine")
    (tmp_path / "ps.toml").write_text(PLAN)
    arguments = ["release", "--gradescope", "--assignment", str(tmp_path / "ps.toml"), "--out"]
    assert main.main([*arguments, str(tmp_path / "a.zip")]) == 1
    assert "expected the name of a new file" in capsys.readouterr().err
    assert main.main(["release", "--gradescope", "--out", str(tmp_path / "b.zip")]) == 1
    assert not os.path.exists(tmp_path / "b.zip")
