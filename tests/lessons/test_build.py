"""The lesson builder: a build is executed, repeatable to the byte, and all or nothing; the check names what differs."""

import json
import os
import re
import shutil
import sys

import nbformat
import pytest
from lesson_examples import CHECK, EXERCISE, cell, write

from cs329t_robust.lessons import build
from cs329t_robust.lessons.build import LessonError

WIDGETS = "application/vnd.jupyter.widget-state+json"


@pytest.fixture
def home(tmp_path):
    return tmp_path


def test_only_chooses_a_lesson_and_a_missing_one_is_an_error(home):
    with pytest.raises(LessonError, match="no source at all"):
        build.check(home)
    write(home, "text")
    write(home, "text", "91_more.md")
    assert [path.name for path in build.sources(home)] == ["90_tiny.md", "91_more.md"]
    assert [path.name for path in build.sources(home, "91")] == ["91_more.md"]
    with pytest.raises(LessonError, match=r"90_tiny.md, 91_more.md"):
        build.sources(home, "92")


def built(home, body):
    write(home, body)
    return {path: path.read_text(encoding="utf-8") for path in build.build(home)}


def test_build_executes_both_notebooks_in_their_own_folders(home, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(home / "nowhere"))
    body = "# Tiny\n\n" + cell("import os, sys\nprint(os.path.basename(os.getcwd()))\nsys.executable")
    files = built(home, body + CHECK + EXERCISE)
    assert list(files) == [home / "90_tiny.ipynb", home / "solutions" / "90_tiny.ipynb"]
    for path, folder in zip(files, (home.name, "solutions"), strict=True):
        notebook = nbformat.read(path, as_version=4)
        code = [c for c in notebook.cells if c.cell_type == "code"]
        assert [c.execution_count for c in code] == [1, 2, 3, 4]
        assert code[0].outputs[0].text == f"{folder}\n"
        assert code[0].outputs[1].data["text/plain"] == repr(sys.executable)
        assert not any("execution" in c.metadata for c in notebook.cells)
        assert "version" not in notebook.metadata.language_info
        assert notebook.cells[0].id == ("solution-notice" if folder == "solutions" else notebook.cells[0].id)
        assert files[path].endswith("}\n")
        assert not files[path].endswith("\n\n")
    assert build.check(home) == []


def test_two_builds_are_equal_to_the_byte_with_widgets_and_pictures(home):
    body = cell("import ipywidgets\nipywidgets.HBox([ipywidgets.IntSlider(value=3)])") + cell(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()", ":alt: a rising line\n"
    )
    first, second = built(home, body), built(home, body)
    assert first == second
    notebook = nbformat.reads(first[home / "90_tiny.ipynb"], as_version=4)
    view = notebook.cells[0].outputs[0].data["application/vnd.jupyter.widget-view+json"]
    state = notebook.metadata.widgets[WIDGETS].state
    children = state[view["model_id"]].state.children
    assert [state[child.removeprefix("IPY_MODEL_")].state.value for child in children] == [3]
    picture = notebook.cells[1].outputs[-1]
    assert picture.metadata["image/png"]["alt"] == "a rising line"


def test_the_state_of_a_widget_that_is_not_shown_is_dropped(home):
    body = cell("import ipywidgets\nhidden = ipywidgets.IntText(value=4)\nipywidgets.IntSlider(value=3)")
    shown = nbformat.reads(built(home, body)[home / "90_tiny.ipynb"], as_version=4).metadata.widgets[WIDGETS].state
    assert sorted(one.model_name for one in shown.values()) == ["IntSliderModel", "LayoutModel", "SliderStyleModel"]
    nothing = nbformat.reads(
        built(home, cell("import ipywidgets\nhidden = ipywidgets.IntText()"))[home / "90_tiny.ipynb"], 4
    )
    assert "widgets" not in nothing.metadata


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\n1 / 0", r"90_tiny.ipynb \(student\), cell 1 \(90-\w+\) failed:(.|\n)*ZeroDivisionError"),
        (
            "import sys\nprint('careful', file=sys.stderr)",
            r"cell 1 \(90-\w+\) wrote to stderr(.|\n)*careful",
        ),
        ("import os\nos._exit(3)", r"cell 1 \(90-\w+\) failed:(.|\n)*[Dd]ied"),
        ("import time\ntime.sleep(30)", r"cell 1 \(90-\w+\) failed:(.|\n)*timed out"),
    ],
    ids=["raises", "stderr", "dies", "hangs"],
)
def test_a_failing_cell_stops_the_build_and_leaves_the_files_alone(home, monkeypatch, code, message):
    monkeypatch.setattr(build, "CELL_TIMEOUT", 3)
    write(home, cell("a = 1") + cell(code))
    (home / "90_tiny.ipynb").write_text("as it was")
    with pytest.raises(LessonError, match=message) as caught:
        list(build.build(home))
    assert "\x1b" not in str(caught.value)
    assert (home / "90_tiny.ipynb").read_text() == "as it was"
    assert sorted(p.name for p in home.rglob("*") if p.is_file()) == ["90_tiny.ipynb", "90_tiny.md"]


def test_a_failing_solution_leaves_the_student_notebook_unwritten(home):
    write(home, CHECK + EXERCISE.replace("secret = x + x", "secret = x +") + "\n")
    with pytest.raises(LessonError, match=r"\(solution\), cell 2 \(ex-90-1-answer\) failed"):
        list(build.build(home))
    assert not (home / "90_tiny.ipynb").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    home = tmp_path_factory.mktemp("finished")
    return home, built(home, "# Tiny\n\n" + CHECK + EXERCISE)


EDITS = {
    "source": (lambda n: n["cells"][1].update(source="x"), r"cell 1 \(90-\w+\): differs in source"),
    "id": (lambda n: n["cells"][0].update(id="abc"), r"cell 0 \(90-\w+\): differs in id"),
    "tags": (lambda n: n["cells"][2]["metadata"].pop("tags"), r"cell 2 \(ex-90-1-answer\): differs in metadata"),
    "exercise": (lambda n: n["cells"][3]["metadata"].clear(), r"cell 3 \(ex-90-1-check\): differs in metadata"),
    "timings": (lambda n: n["cells"][1]["metadata"].update(execution={}), r"cell 1 \(90-\w+\): differs in metadata"),
    "a cell less": (lambda n: n["cells"].pop(), "expected 5 cells, found 4"),
    "kernel": (lambda n: n["metadata"]["kernelspec"].update(name="python3"), "the notebook's metadata differs"),
}


@pytest.mark.parametrize(("how", "message"), EDITS.values(), ids=EDITS)
def test_check_names_the_notebook_and_the_cell_that_differ(finished, home, how, message):
    done, files = finished
    shutil.copytree(done, home, dirs_exist_ok=True)
    notebook = json.loads(files[done / "90_tiny.ipynb"])
    how(notebook)
    (home / "90_tiny.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (difference,) = build.check(home)
    assert re.fullmatch(rf"90_tiny\.ipynb: {message}", difference)


def test_check_reads_the_solution_notebook_too(finished, home):
    done, files = finished
    shutil.copytree(done, home, dirs_exist_ok=True)
    assert build.check(home) == []
    text = files[done / "solutions" / "90_tiny.ipynb"]
    (home / "solutions" / "90_tiny.ipynb").write_text(text.replace("secret", "sum_"), encoding="utf-8")
    assert build.check(home) == ["solutions/90_tiny.ipynb: cell 3 (ex-90-1-answer): differs in source"]


def test_check_tells_missing_and_stray_notebooks(home):
    write(home, "text")
    (home / "91_old.ipynb").write_text("{}")
    assert build.check(home) == [
        "90_tiny.ipynb: missing",
        "solutions/90_tiny.ipynb: missing",
        "91_old.ipynb: has no source",
    ]
    (home / "90_tiny.ipynb").write_text("<<<<<<< HEAD")
    with pytest.raises(LessonError, match=r"90_tiny.ipynb: not a notebook"):
        build.check(home, "90")


def test_the_kernel_is_of_this_interpreter_whatever_is_registered(home, monkeypatch):
    fake = home / "jupyter" / "kernels" / "python3"
    fake.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "not me", "language": "python"}
    (fake / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", os.fspath(home / "jupyter"))
    files = built(home, cell("import sys\nsys.executable"))
    assert all(sys.executable in text for text in files.values())
