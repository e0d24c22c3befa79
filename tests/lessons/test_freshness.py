"""Every notebook is what its source makes: someone who edits a notebook, or forgets `make lessons`, is told here."""

import pytest

from cs329t_robust.cli import main
from cs329t_robust.lessons import build

NUMBERS = [path.name[:2] for path in sorted((build.HOME / "source").glob("*.md"))]


def test_there_are_lessons():
    assert {"00", "01", "02"} <= set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_notebooks_equal_what_their_source_makes(number):
    assert build.check(only=number) == [], "edit lessons/source, then run `make lessons`"


def test_no_notebook_is_without_a_source():
    assert [text for text in build.check() if text.endswith("has no source")] == []


@pytest.fixture
def other_home(tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "90_tiny.md").write_text("# Tiny\n", encoding="utf-8")
    monkeypatch.setattr(build, "HOME", tmp_path)
    return tmp_path


def test_the_command_names_the_difference_and_exits_with_1(other_home, capsys):
    assert main.main(["lessons", "--check"]) == 1
    assert "90_tiny.ipynb: missing" in capsys.readouterr().out
    assert main.main(["lessons"]) == 0
    assert "built lessons/solutions/90_tiny.ipynb" in capsys.readouterr().out
    assert main.main(["lessons", "--check", "--only", "90"]) == 0
    assert main.main(["lessons", "--check", "--only", "91"]) == 1
    assert "91_" in capsys.readouterr().err
