"""The board of lesson 00 says what `cs329t status` says, as a table, and never fails a notebook."""

import re

from answered_notebooks import RIGHT, notebook, save
from test_student_progress import printed

from cs329t_robust.lessons import build
from cs329t_robust.lessons.progress_board import NOTE, ProgressBoard
from cs329t_robust.lessons.student_progress import progress, report


def worked_in(folder):
    """Save a notebook of lesson 02 with one exercise in each of five states."""
    found = notebook({**RIGHT, "02.6": "def pgd(model, x, y, eps, step_size, steps):\n    return x"})
    printed(found, "02.3", "✓ 02.3 fgsm: 5/5")
    printed(found, "02.4", "◐ 02.4 project_linf: 3/5")
    printed(found, "02.6", "✗ 02.6 pgd: 0/8")
    save(found, folder / "02_attacks_as_optimization.ipynb")


def lines(html):
    return [re.sub(r"<[^>]+>", "", line) for line in re.findall(r"<(?:summary|li)>(.*?)</(?:summary|li)>", html)]


def test_it_says_for_each_lesson_and_exercise_what_status_says(tmp_path):
    worked_in(tmp_path)
    board = ProgressBoard(tmp_path)
    assert repr(board) == report(progress(tmp_path))
    told = lines(board._repr_html_())
    assert told[0] == "lesson 02: 1 of 8 exercises done, 8 of 47 points"
    assert told[1:] == [
        "○ 02.1 penalty: open",
        "○ 02.2 input_gradient: open",
        "✓ 02.3 fgsm: 5 of 5 points, done",
        "◐ 02.4 project_linf: 3 of 5 points, partly right",
        "? 02.5 project_l2: written, but not checked: run its check, and save",
        "✗ 02.6 pgd: 0 of 8 points, not right yet",
        "○ 02.7 pgd_l2: open",
        "○ 02.8 nearest_on_boundary: open",
    ]


def test_it_looks_beside_the_notebook_that_it_stands_in(tmp_path, monkeypatch):
    worked_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert [state.exercise[:2] for state in ProgressBoard().states] == ["02"] * 8
    monkeypatch.chdir(tmp_path.parent)
    assert repr(ProgressBoard()) == report(progress(build.HOME))


def test_an_empty_or_damaged_folder_is_told_and_raises_nothing(tmp_path):
    assert "expected notebooks such as" in repr(ProgressBoard(tmp_path))
    (tmp_path / "00_start_here.ipynb").write_text("<<<<<<<")
    board = ProgressBoard(tmp_path)
    assert "00_start_here.ipynb" in repr(board)
    assert "&lt;" not in board._repr_html_()
    assert board._repr_html_().startswith("<div>")


def test_it_tells_no_path_of_the_machine(tmp_path):
    worked_in(tmp_path)
    html = ProgressBoard(tmp_path)._repr_html_()
    assert str(tmp_path) not in html + repr(ProgressBoard(tmp_path))
    assert NOTE in html
