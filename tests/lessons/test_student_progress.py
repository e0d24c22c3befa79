"""Status says what the checks last said; update brings a new release into notebooks that were worked in."""

import json
from hashlib import sha1

import nbformat
import pytest
from answered_notebooks import RIGHT, answer_cell, code, notebook, save

from cs329t_robust.cli import main
from cs329t_robust.lessons import build
from cs329t_robust.lessons.cells import NotebookError
from cs329t_robust.lessons.merge_release import GIVEN_ID, update
from cs329t_robust.lessons.student_progress import progress

NAME = "02_attacks_as_optimization.ipynb"


def printed(found, exercise, text):
    """Give a notebook's check cell an output."""
    label = {"exercise": exercise, "role": "check"}
    cell = next(cell for cell in found["cells"] if cell["metadata"].get("cs329t") == label)
    cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": {"text/plain": [text]}}]


def states(home):
    return {p.exercise: (p.state, p.score) for p in progress(home)}


def test_the_workbooks_own_notebooks():
    assert {p.state for p in progress()} == {"open", "done"}
    assert {p.state for p in progress(build.HOME / "solutions")} == {"done"}


def test_each_state(tmp_path, capsys):
    found = notebook({**RIGHT, "02.6": "def pgd(model, x, y, eps, step_size, steps):\n    return x"})
    printed(found, "02.3", "✓ 02.3 fgsm: 5/5")
    printed(found, "02.4", "◐ 02.4 project_linf: 3/5\n    ✗ lands in the ball (1 point)")
    printed(found, "02.6", "✗ 02.6 pgd: 0/8")
    printed(found, "02.7", "✓ 02.7 pgd_l2: 8/8")  # but the answer is a stub again
    found["cells"].remove(answer_cell(found, "02.8"))
    save(found, tmp_path / "any name.ipynb")
    assert states(tmp_path) == {
        "02.1": ("open", 0),
        "02.2": ("open", 0),
        "02.3": ("done", 5),
        "02.4": ("partly", 3),
        "02.5": ("unchecked", 0),
        "02.6": ("wrong", 0),
        "02.7": ("open", 0),
        "02.8": ("missing", 0),
    }
    assert main.main(["status", "--lessons", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "lesson 02: 1 of 8 exercises done, 8 of 47 points" in told
    assert "? 02.5 project_l2" in told


def test_no_notebook_says_so(tmp_path):
    with pytest.raises(NotebookError, match="expected notebooks such as"):
        progress(tmp_path)


def test_every_given_cells_id_holds_the_hash_of_its_text():
    for path in build.HOME.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        given = [(match[1], cell) for cell in cells if (match := GIVEN_ID.fullmatch(cell.id))]
        assert len(given) > 20
        assert all(sha1(cell.source.encode()).hexdigest()[:8] == name for name, cell in given)


@pytest.fixture
def folders(tmp_path):
    """A new release, and the folder of a student's notebooks."""
    home = tmp_path / "mine"
    home.mkdir()
    return tmp_path / "release", home


def given(found):
    """Return the code cells that the lesson gives."""
    return [c for c in found["cells"] if GIVEN_ID.fullmatch(c["id"]) and c["cell_type"] == "code"]


def new_text(cell, text):
    """Change a given cell as an author does: its id follows its text."""
    cell["source"] = text
    cell["id"] = f"02-{sha1(text.encode()).hexdigest()[:8]}"


def test_answers_own_cells_and_edits_stay_and_the_lessons_changes_come(folders):
    release, home = folders
    mine = notebook({**RIGHT, "02.D1": "*Your answer to D1:* because"})
    at = mine["cells"].index(answer_cell(mine, "02.3"))
    mine["cells"].insert(at, {**code("def helper():\n    pass"), "id": "abc123"})
    edited = given(mine)[5]
    edited["source"] += "\n# my remark"
    save(mine, home / NAME)
    fresh = notebook()
    new_text(given(fresh)[8], "print('mended')")
    fresh["cells"].insert(3, {"cell_type": "markdown", "id": "02-00000000", "metadata": {}, "source": "A new text."})
    save(fresh, release / "lessons" / NAME)
    (result,) = update(release, home)
    assert (result.kept, result.problems) == (6, [])
    merged = json.loads((home / NAME).read_text(encoding="utf-8"))
    sources = [cell["source"] for cell in merged["cells"]]
    assert answer_cell(merged, "02.3")["source"] == RIGHT["02.3"]
    assert sources.index("def helper():\n    pass") < sources.index(RIGHT["02.3"])
    assert edited["source"] in sources
    assert "*Your answer to D1:* because" in sources
    assert {"print('mended')", "A new text."} <= set(sources)
    assert len(merged["cells"]) == len(fresh["cells"]) + 1
    nbformat.validate(nbformat.read(home / NAME, as_version=4))
    assert json.loads(result.backup.read_text(encoding="utf-8")) == mine
    again = update(release, home)
    assert (again[0].backup, len(list((home / "backup").iterdir()))) == (None, 1)


def test_what_cannot_be_merged_is_kept_and_told(folders, capsys):
    release, home = folders
    mine = notebook(RIGHT)
    given(mine)[8]["source"] += "\n# mine"
    save(mine, home / NAME)
    fresh = notebook()
    new_text(given(fresh)[8], "print('mended')")
    stub = answer_cell(fresh, "02.3")
    stub["source"] = stub["source"].replace("def fgsm(model, x, y, eps):", "def fgsm(model, images, labels, eps):")
    gone = {"exercise": "02.5", "role": "answer"}
    fresh["cells"] = [cell for cell in fresh["cells"] if cell["metadata"].get("cs329t") != gone]
    save(fresh, release / NAME)
    assert main.main(["update", str(release), "--lessons", str(home)]) == 1
    told = capsys.readouterr().out
    assert "4 cells of yours kept; the old one is" in told
    assert told.count("kept beside the new lesson") == 2
    assert "02.3: the new lesson asks for `def fgsm(model, images, labels, eps):`" in told
    sources = "".join(cell["source"] for cell in json.loads((home / NAME).read_text(encoding="utf-8"))["cells"])
    assert RIGHT["02.5"] in sources
    assert "# mine" in sources
    assert "print('mended')" in sources


def test_outputs_of_unchanged_cells_stay(folders):
    release, home = folders
    mine = notebook(RIGHT)
    printed(mine, "02.3", "✓ 02.3 fgsm: 5/5")
    save(mine, home / NAME)
    save(notebook(), release / NAME)
    update(release, home)
    assert states(home)["02.3"] == ("done", 5)


def test_ids_dropped_by_an_editor(folders):
    release, home = folders
    mine = notebook(RIGHT)
    for cell in mine["cells"]:
        del cell["id"]
    save(mine, home / NAME)
    save(notebook(), release / NAME)
    (result,) = update(release, home)
    assert (result.kept, result.problems) == (3, [])
    assert len(json.loads((home / NAME).read_text())["cells"]) == len(mine["cells"])
    nbformat.validate(nbformat.read(home / NAME, as_version=4))


def test_a_copied_answer_cell_is_no_loss(folders):
    release, home = folders
    mine = notebook(RIGHT)
    cell = answer_cell(mine, "02.3")
    mine["cells"].insert(mine["cells"].index(cell) + 1, {**cell, "id": "copy", "source": "def fgsm():\n    second"})
    save(mine, home / NAME)
    fresh = notebook()
    new_text(given(fresh)[8], "print('mended')")
    save(fresh, release / NAME)
    (result,) = update(release, home)
    assert result.problems == ["kept beside the new lesson: def fgsm():"]
    assert "second" in (home / NAME).read_text()


def test_a_new_lesson_is_added_and_the_same_release_changes_nothing(folders):
    release, home = folders
    save(notebook(), release / NAME)
    assert update(release, home)[0].is_new
    before = (home / NAME).read_bytes()
    assert str(update(release, home)[0]) == f"{NAME}: nothing new"
    assert (home / NAME).read_bytes() == before


def test_a_damaged_notebook_stops_it_before_anything_is_written(folders):
    release, home = folders
    fresh = notebook()
    new_text(given(fresh)[8], "print('mended')")
    save(fresh, release / NAME)
    save(fresh, release / "10_other.ipynb")
    save(notebook(RIGHT), home / NAME)
    (home / "10_other.ipynb").write_text("{")
    before = (home / NAME).read_bytes()
    with pytest.raises(NotebookError, match=r"10_other.ipynb: is no notebook"):
        update(release, home)
    assert (home / NAME).read_bytes() == before


def test_no_release_says_so(folders):
    with pytest.raises(NotebookError, match="expected a new release"):
        update(*folders)
    with pytest.raises(NotebookError, match="the folder of the notebooks themselves"):
        update(build.HOME, build.HOME)
