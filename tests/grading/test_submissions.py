"""Answers are found however the notebooks were renamed, re-saved, reordered, copied or half deleted."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from answered_notebooks import RIGHT, answer_cell, code, notebook, save

from cs329t_robust.checks import exercises
from cs329t_robust.grading.submissions import SubmissionError, opened, students
from cs329t_robust.lessons.cells import File, NotebookError, read_cells
from cs329t_robust.lessons.student_answers import Handed, Pristine

FGSM = exercises()["02.3"]
PRISTINE = {lesson: Pristine(lesson) for lesson in ("00", "02")}


def hand_in(path, name="ann"):
    """Return what is found, when only lesson 02 is asked for."""
    student = opened(name, [path])
    return Handed(student.files, {"02": PRISTINE["02"]}, student.problems)


def answer(path, exercise=FGSM):
    return hand_in(path).answer(exercise)


def chosen(path, exercise=FGSM):
    """Return the text of the cell that the program marks as the answer."""
    found = [cell["source"] for cell in answer(path, exercise).program if cell["role"] == "answer"]
    return found[0] if found else None


def solved(**changes):
    return notebook({"02.3": RIGHT["02.3"], **changes})


def test_an_untouched_notebook_has_one_answer_that_came_with_it(tmp_path):
    for lesson in PRISTINE:
        save(notebook(lesson=lesson), tmp_path / f"{lesson}.ipynb")
    handed = Handed(opened("ann", [tmp_path]).files, PRISTINE)
    mine = [e for e in exercises().values() if e.id[:2] in PRISTINE]
    assert [e.id for e in mine if handed.answer(e).program] == ["00.1"]
    assert handed.problems == []


def test_the_answer_goes_into_the_pristine_notebook(tmp_path):
    found = solved()
    found["cells"][0]["source"] = "changed text"
    for cell in found["cells"]:
        if cell["cell_type"] == "code" and "import torch" in cell["source"] and "cs329t" not in cell["metadata"]:
            cell["source"] = "torch = 'broken'"
            break
    program = answer(save(found, tmp_path / "a.ipynb")).program
    roles = [cell["role"] for cell in program]
    assert roles.count("answer") == 1
    given = [at for at, cell in enumerate(program) if cell["role"] == "given" and "import torch" in cell["source"]]
    assert program.index({"role": "own", "source": "torch = 'broken'"}) < given[0]


@pytest.mark.parametrize("name", ["hw1 FINAL(2).ipynb", "a.IPYNB", "übung.ipynb"])
def test_renamed(tmp_path, name):
    assert chosen(save(solved(), tmp_path / "ann" / name).parent) == RIGHT["02.3"]


def test_ids_lost_as_older_editors_do(tmp_path):
    found = solved()
    found["nbformat_minor"] = 4
    for cell in found["cells"]:
        del cell["id"]
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_metadata_lost(tmp_path):
    found = solved()
    found["metadata"] = {}
    for cell in found["cells"]:
        cell["metadata"] = {}
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_ids_and_metadata_lost(tmp_path):
    found = {"cells": [code(cell["source"]) for cell in solved()["cells"] if cell["cell_type"] == "code"]}
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_reordered_and_half_deleted(tmp_path):
    found = solved()
    found["cells"] = [cell for cell in reversed(found["cells"]) if cell["cell_type"] == "code"][::2]
    found["cells"].append(answer_cell(solved(), "02.3"))
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_lines_as_a_list_and_a_byte_order_mark(tmp_path):
    found = solved()
    for cell in found["cells"]:
        cell["source"] = cell["source"].splitlines(True)
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(found), encoding="utf-8-sig")
    assert chosen(path) == RIGHT["02.3"]


def test_notebook_format_3(tmp_path):
    cells = [{"cell_type": "code", "input": RIGHT["02.3"], "metadata": {}}]
    path = save({"nbformat": 3, "worksheets": [{"cells": cells}]}, tmp_path / "a.ipynb")
    assert chosen(path) == RIGHT["02.3"]


def test_the_answer_stands_in_a_new_cell_below_the_stub(tmp_path):
    found = notebook()
    at = found["cells"].index(answer_cell(found, "02.3"))
    found["cells"].insert(at + 1, code(RIGHT["02.3"]))
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_a_copied_cell_the_last_counts_and_it_is_said(tmp_path):
    found = solved()
    cell = answer_cell(found, "02.3")
    found["cells"].insert(found["cells"].index(cell) + 1, {**cell, "id": "copy", "source": cell["source"] + "  # mine"})
    found = answer(save(found, tmp_path / "a.ipynb"))
    assert found.source.endswith("# mine")
    assert found.notes == ["2 cells answer 02.3 (a.ipynb); the last one, in a.ipynb, counts"]
    assert sum(cell["role"] == "answer" for cell in found.program) == 1


def test_the_newest_of_several_notebooks_counts_unless_it_is_a_stub(tmp_path):
    old = save(solved(), tmp_path / "z.ipynb")
    new = save(notebook({"02.3": "def fgsm(model, x, y, eps):\n    return x"}), tmp_path / "a.ipynb")
    empty = save(notebook(), tmp_path / "b.ipynb")
    for age, path in enumerate((old, new, empty)):
        os.utime(path, (10**9 + age, 10**9 + age))
    assert chosen(tmp_path).endswith("return x")
    os.utime(old, (10**9 + 9, 10**9 + 9))
    assert chosen(tmp_path) == RIGHT["02.3"]


def test_an_answer_made_a_text_cell_is_still_read(tmp_path):
    found = solved()
    answer_cell(found, "02.3")["cell_type"] = "markdown"
    found = answer(save(found, tmp_path / "a.ipynb"))
    assert found.source == RIGHT["02.3"]
    assert "no code cell" in found.notes[0]


def test_helpers_in_own_cells_come_along(tmp_path):
    found = notebook({"02.3": "def fgsm(model, x, y, eps):\n    return helper(x)"})
    at = found["cells"].index(answer_cell(found, "02.3"))
    found["cells"].insert(at, code("def helper(x):\n    return x"))
    assert {"role": "own", "source": "def helper(x):\n    return x"} in answer(
        save(found, tmp_path / "a.ipynb")
    ).program


def test_a_name_shared_with_another_exercise_is_no_confusion(tmp_path):
    found = solved(**{"02.6": "def pgd(model, x, y, eps, step_size, steps):\n    return x"})
    assert chosen(save(found, tmp_path / "a.ipynb"), exercises()["02.6"]).startswith("def pgd(")
    assert chosen(tmp_path / "a.ipynb", exercises()["02.7"]) is None


def test_what_is_worth_a_look_is_said(tmp_path):
    path = save(notebook({"02.3": "from cs329t_robust import fgsm"}), tmp_path / "a.ipynb")
    assert answer(path).notes == ["worth a look: the answer mentions cs329t_robust"]


def test_discussion_answers_are_kept_for_a_person(tmp_path):
    handed = Handed(opened("ann", [save(solved(**{"02.D1": "Because."}), tmp_path / "a.ipynb")]).files, PRISTINE)
    assert handed.discussion("02.D1") == "Because."
    assert handed.discussion("02.D2") == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no notebook, or a damaged one"),
        (b'{"cells": [', "no notebook, or a damaged one"),
        (b"\xff\xfe\x00", "no notebook, or a damaged one"),
        (b"[" * 10**6, "no notebook, or a damaged one"),
        (b"[1, 2]", "no list of cells"),
        (b'{"cells": {"a": 1}}', "no list of cells"),
        (
            b'{"cells": [5, null, {"cell_type": 7, "source": {"a": 1}, "metadata": [3], "id": {}}]}',
            "no notebook of this",
        ),
        (b'{"cells": [{"cell_type": "code", "source": "print(1)", "metadata": {}}]}', "no notebook of this"),
    ],
)
def test_what_is_no_notebook_is_said_and_the_rest_is_read(tmp_path, content, told):
    (tmp_path / "bad.ipynb").write_bytes(content)
    save(solved(), tmp_path / "good.ipynb")
    handed = hand_in(tmp_path)
    assert len(handed.problems) == 1
    assert told in handed.problems[0]
    assert handed.problems[0].startswith("bad.ipynb")
    assert handed.answer(FGSM).source == RIGHT["02.3"]


def test_large_outputs_do_no_harm(tmp_path):
    found = solved()
    found["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 10**8}]
    assert chosen(save(found, tmp_path / "a.ipynb")) == RIGHT["02.3"]


def test_a_notebook_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cs329t_robust.lessons.cells.NOTEBOOK_LIMIT", 1000)
    with pytest.raises(NotebookError, match="at most 0 MB"):
        read_cells(File("a", save(solved(), tmp_path / "a.ipynb")))


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def test_a_zip_with_clutter_and_a_fake_package(tmp_path):
    path = zipped(
        tmp_path / "ann.zip",
        **{
            "hw/a.ipynb": json.dumps(solved()),
            "__MACOSX/hw/._a.ipynb": "junk",
            "hw/.ipynb_checkpoints/a.ipynb": json.dumps(notebook()),
            "hw/cs329t_robust/checks.py": "raise SystemExit",
            "../../evil.ipynb": "{",
        },
    )
    handed = hand_in(path)
    assert handed.answer(FGSM).source == RIGHT["02.3"]
    assert [p.split(":")[0] for p in handed.problems] == ["evil.ipynb"]
    assert not (tmp_path.parent / "evil.ipynb").exists()


def test_broken_zips(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    assert "a.zip: cannot be opened" in opened("a", [tmp_path / "a.zip"]).problems[0]
    whole = zipped(tmp_path / "b.zip", **{"x.ipynb": json.dumps(solved())}).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[:50] + b"\0" * 200 + whole[250:])
    assert "x.ipynb" in hand_in(tmp_path / "b.zip").problems[0]
    monkeypatch.setattr("cs329t_robust.lessons.cells.NOTEBOOK_LIMIT", 10**6)
    bomb = zipped(tmp_path / "c.zip", **{"x.ipynb": " " * 10**7})
    assert bomb.stat().st_size < 10**5
    assert "at most 0 MB" in hand_in(bomb).problems[0]


def test_students_are_folders_zips_notebooks_and_canvas_names(tmp_path):
    save(solved(), tmp_path / "Ann Lee" / "deep" / "a.ipynb")
    save(solved(), tmp_path / "bob.ipynb")
    zipped(tmp_path / "cy.zip")
    save(solved(), tmp_path / "smithjo_LATE_123_4567_02_attacks.ipynb")
    save(notebook(lesson="00"), tmp_path / "smithjo_123_4568_00_start-1.ipynb")
    (tmp_path / "submission_metadata.yml").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    found = students(tmp_path)
    assert [s.name for s in found] == ["Ann Lee", "bob", "cy", "smithjo"]
    assert len(found[3].paths) == 2


def test_links_inside_a_submission_are_not_followed(tmp_path):
    secret = save(solved(), tmp_path / "elsewhere" / "other.ipynb")
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "mine.ipynb").symlink_to(secret)
    (tmp_path / "ann" / "folder").symlink_to(secret.parent)
    assert opened("ann", [tmp_path / "ann"]).files == ()


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("x"), lambda p: p.mkdir()])
def test_a_folder_without_submissions_says_so(tmp_path, make):
    make(tmp_path / "sub")
    with pytest.raises(SubmissionError, match=r"expected (a folder|folders)"):
        students(Path(tmp_path / "sub"))


def test_a_missing_lesson_is_said_once(tmp_path):
    handed = Handed(opened("ann", [save(solved(), tmp_path / "a.ipynb")]).files, PRISTINE)
    assert handed.problems == ["no notebook of lesson 00 was found"]
