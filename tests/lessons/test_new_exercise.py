"""A scaffolded exercise works as it is: it passes the tests that every exercise must pass, and its lesson's builder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cs329t_robust.cli import main
from cs329t_robust.lessons import build
from cs329t_robust.lessons.new_exercise import ScaffoldError, new_exercise

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parent.parent.parent
NEW = """# 90 · New

A lesson without exercises.

+++

## Summary

Nothing.
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what an author edits, with the data left out."""
    root = tmp_path_factory.mktemp("checkout")
    without = shutil.ignore_patterns("__pycache__", ".venv")
    for place in ("cs329t_robust", "lessons/source", "tests/mistakes"):
        shutil.copytree(REPOSITORY / place, root / place, ignore=without)
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(REPOSITORY / file, root / file)
    (root / "lessons" / "source" / "90_new.md").write_text(NEW, encoding="utf-8")
    (root / "data").symlink_to(REPOSITORY / "data")
    return root


def python(checkout, *arguments):
    """Run Python in the copy, with the copy's package."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def laid_out(checkout):
    """Two exercises laid out by the command: one in a lesson with exercises, one in a lesson without."""
    code = "from cs329t_robust.cli.main import main; raise SystemExit(main(['new-exercise', '{}', '{}']))"
    return [python(checkout, "-c", code.format(*words)) for words in (("03", "haze"), ("90", "fog"))]


def test_it_says_what_to_edit_and_what_to_run(laid_out):
    assert "03.7 haze is laid out" in laid_out[0]
    assert "cs329t_robust/checks/lesson_03/haze.py" in laid_out[0]
    assert 'python -m pytest tests/mistakes -k "03.7"' in laid_out[0]
    assert "90.1 fog is laid out" in laid_out[1]


def test_the_tests_of_every_exercise_pass_for_the_new_ones(checkout, laid_out):
    said = python(checkout, "-m", "pytest", "-q", "tests/mistakes", "-k", "03.7 or 90.1", "-p", "no:cacheprovider")
    passed = int(said.split(" passed")[0].rsplit(maxsplit=1)[-1])
    assert passed > 60
    assert "skipped" not in said


def test_the_builder_takes_the_new_cells_and_they_run(checkout, laid_out):
    code = (
        "from cs329t_robust import checks; from cs329t_robust.lessons import build as lessons\n"
        "for number, solved in (('90', False), ('90', True), ('03', False)):\n"
        "    (source,) = lessons.sources(only=number)\n"
        "    known = {e.id: n for n, e in checks.lesson(number).exercises.items()}\n"
        "    cells = lessons.render(source, solved, known).cells\n"
        "    print([cell.id for cell in cells if cell.id.startswith(('ex-90-1', 'ex-03-7'))])\n"
        "    space = {}\n"
        "    for cell in cells if number == '90' else []:\n"
        "        exec(cell.source if cell.cell_type == 'code' else '', space)\n"
    )
    assert python(checkout, "-c", code).splitlines() == [
        "['ex-90-1-answer', 'ex-90-1-check']",
        "○ 90.1 fog: not attempted yet",
        "['ex-90-1-answer', 'ex-90-1-check']",
        "✓ 90.1 fog: 5/5",
        "['ex-03-7-answer', 'ex-03-7-check']",
    ]
    text = (checkout / "lessons" / "source" / "90_new.md").read_text(encoding="utf-8")
    assert text.index("check.fog(fog)") < text.index("## Summary")


def test_what_was_written_is_clean(checkout, laid_out):
    for command in (("check",), ("format", "--check")):
        python(checkout, "-m", "ruff", *command, "--no-cache", "cs329t_robust/checks", "tests/mistakes")


def test_an_exercise_that_breaks_is_told_by_the_same_tests(checkout, laid_out):
    """An author who makes two mistakes behave alike, and forgets to clip, hears of both."""
    path = checkout / "cs329t_robust" / "checks" / "lesson_03" / "haze.py"
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text.replace("(x - eps).clamp(0, 1)", "x + eps", 1), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "tests/mistakes", "-k", "03.7", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    finally:
        path.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert "test_at_least_four_known_mistakes_all_different[03.7 haze]" in done.stdout
    assert "test_known_mistake_is_caught_and_named_in_time[03.7 sign flipped]" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("77", "haze"), "expected a lesson source 77"),
        (("03", "Haze"), "expected the name of a Python function"),
        (("03", "lambda"), "expected the name of a Python function"),
        (("03", "paste"), "has an exercise paste already"),
        (("03", "poses"), "lesson_03/poses.py exists already"),
    ],
)
def test_a_wrong_wish_changes_nothing(words, told, capsys):
    before = {path: path.stat().st_mtime_ns for path in REPOSITORY.glob("cs329t_robust/checks/**/*.py")}
    assert main.main(["new-exercise", *words]) == 1
    assert told in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in REPOSITORY.glob("cs329t_robust/checks/**/*.py")} == before


def test_it_needs_a_checkout(tmp_path):
    with pytest.raises(ScaffoldError, match=r"expected a checkout .* no lessons/source and no tests/mistakes"):
        new_exercise("03", "haze", tmp_path)
    assert build.HOME.is_dir()
