"""What students get holds no solution, and says how it is graded."""

import inspect
import json
import re
import subprocess
import sys

import pytest

from cs329t_robust import checks
from cs329t_robust.cli import main
from cs329t_robust.grading import assignment
from cs329t_robust.grading.assignment import Assignment, AssignmentError, read, whole_course
from cs329t_robust.grading.release import release
from cs329t_robust.lessons import build
from cs329t_robust.lessons.markdown_source import solution_regions

WORKED = "00.1"  # solved together in the lesson, with one mistake shown on purpose


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    out = tmp_path_factory.mktemp("release") / "bundle"
    release(whole_course(), out)
    return out


@pytest.fixture(scope="module")
def read_by_students(bundle):
    """Everything readable in the notebooks: text, code, outputs, without spaces."""
    found = {}
    for path in sorted((bundle / "lessons").rglob("*")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        text = "".join("".join(cell["source"]) + json.dumps(cell.get("outputs", [])) for cell in notebook["cells"])
        found[path.name] = squeezed(text + json.dumps(notebook["metadata"]))
    return found


def squeezed(text):
    return re.sub(r"\\n|[\s\\\"]", "", text)


def long_lines(text, least=25):
    lines = [line for line in text.splitlines() if not line.strip().startswith(('"""', "def ", "@", "#"))]
    return [line for line in lines if len(squeezed(line)) >= least]


def test_the_bundle_is_what_a_student_needs_and_no_more(bundle):
    assert sorted(p.name for p in (bundle / "lessons").iterdir()) == sorted(p.name for p in build.HOME.glob("*.ipynb"))
    assert not list(bundle.rglob("solutions")) + list(bundle.rglob("*.md.bak"))
    assert not (bundle / "lessons" / "source").exists()
    assert not (bundle / "tests").exists()
    for name in ("Makefile", "pyproject.toml", "data/mnist", "cs329t_robust/cli/main.py", "LICENSE"):
        assert (bundle / name).exists()
    assert "solutions/*.ipynb" not in (bundle / "postBuild").read_text()


def leaks(text):
    """Return what of a solution, a reference, a known mistake or a check's own hint can be read in `text`."""
    found = []
    for region in [r for source in build.sources() for r in solution_regions(source.read_text(encoding="utf-8"))]:
        lines = long_lines(region)
        shown = [line for line in lines if squeezed(line) in text]  # single lines are taught elsewhere too
        found += [f"solution: {region}"] if squeezed(region) in text or len(shown) > max(1, len(lines) // 3) else []
    for exercise in checks.exercises().values():
        if exercise.id == WORKED:
            continue
        body = squeezed("".join(long_lines(inspect.getsource(exercise.reference), 1)))
        found += [f"reference: {exercise.id}"] if body in text else []
        found += [f"mistake: {m.says}" for m in exercise.mistakes if squeezed(m.says) in text]
        found += [f"hint: {exercise.hint}"] if squeezed(exercise.hint) in text else []
    return found


def test_no_solution_reference_or_known_mistake_reaches_the_notebooks(read_by_students):
    assert {name: leaks(text) for name, text in read_by_students.items() if leaks(text)} == {}


def test_the_solution_notebooks_would_be_found_out(tmp_path):
    for path in (build.HOME / "solutions").glob("*.ipynb"):
        text = squeezed("".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]))
        regions = solution_regions((build.HOME / "source" / f"{path.stem}.md").read_text(encoding="utf-8"))
        assert len([leak for leak in leaks(text) if leak.startswith("solution")]) >= len(regions)
        assert (len(regions) > 2) == bool(checks.lesson(path.stem[:2]).exercises)  # the capstone has none
    assert leaks(squeezed(checks.exercises()["02.3"].mistakes[0].says))
    assert leaks(squeezed(inspect.getsource(checks.exercises()["02.4"].reference)))


def test_the_readme_tells_points_due_date_and_hidden_inputs(tmp_path):
    file = tmp_path / "ps1.toml"
    file.write_text(assignment.EXAMPLE, encoding="utf-8")
    assert main.main(["release", "--out", str(tmp_path / "ps1"), "--assignment", str(file)]) == 0
    text = (tmp_path / "ps1" / "README.md").read_text(encoding="utf-8")
    assert "Due Monday, 12 October 2026, 23:59 UTC-07:00." in text
    assert "| 02.6 | `pgd` | 20 |" in text
    assert "other random inputs" in " ".join(text.split()).replace("*", "")
    assert [p.name[:2] for p in sorted((tmp_path / "ps1" / "lessons").iterdir())] == ["00", "02"]
    assert (tmp_path / "ps1" / "assignment.toml").read_text() == assignment.EXAMPLE


def test_the_bundle_works_on_its_own(bundle):
    code = (
        "import cs329t_robust as c; from cs329t_robust import checks, data; print(c.__file__, data.mnist('test', 2)[1])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=bundle, capture_output=True, text=True, check=True)
    assert str(bundle) in run.stdout


def test_a_folder_with_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("x")
    assert main.main(["release", "--out", str(tmp_path)]) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lessons = ", "expected TOML"),
        ('lessons = ["02"]\nlesson = 1', "got lesson as well"),
        ("title = 'x'", "lessons: expected a list"),
        ("lessons = [2]", "each once, out of"),
        ('lessons = ["02", "02"]', "each once, out of"),
        ('lessons = ["77"]', "each once, out of"),
        ('lessons = ["02"]\ntitle = 5', "title: expected a text"),
        ('lessons = ["02"]\ndue = 5', "due: expected a date"),
        ('lessons = ["02"]\n[points]\n"00.1" = 5', "00.1 is no exercise of these lessons"),
        ('lessons = ["02"]\n[points]\n"02.1" = -5', "expected a number from 0 on"),
        ('lessons = ["02"]\npoints = 5', "expected a table"),
    ],
)
def test_a_wrong_assignment_says_what_is_wrong(tmp_path, text, told):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(AssignmentError, match=told):
        read(tmp_path / "a.toml")


def test_a_date_alone_and_a_text_are_due_dates_too(tmp_path):
    for written, told in (("2026-10-12", "Monday, 12 October 2026"), ("'next week'", "next week")):
        (tmp_path / "a.toml").write_text(f'lessons = ["00"]\ndue = {written}')
        assert read(tmp_path / "a.toml") == Assignment("a", ("00",), told, {})
