"""The first code cell of a lesson: silent where the package is installed; elsewhere it installs, or says why not."""

import importlib.util
import subprocess
import sys

import pytest
from lesson_examples import cell, write

from cs329t_robust.lessons import build, repository
from cs329t_robust.lessons.markdown_source import read_source

USES = cell("import cs329t_robust")


def set_up(home, monkeypatch, address):
    """Return the set-up cell of a lesson in a workbook with that address."""
    monkeypatch.setattr(repository, "address", lambda: address)
    return read_source(write(home, "# Tiny\n\nText.\n\n" + USES))[1]


@pytest.fixture
def nothing_installed(monkeypatch):
    """Let the package be missing, and remember the commands that are run instead of running pip's."""
    commands, run = [], subprocess.run

    def recorded(command, **options):
        commands.append(command)
        return run(command, **options) if command[0] == "git" else None

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", recorded)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return commands


def test_every_lesson_that_uses_the_package_has_one_after_its_opening(tmp_path):
    for source in build.sources():
        for solved in (False, True):
            cells = build.render(source, solved).cells
            code = next(cell for cell in cells if cell.cell_type == "code")
            assert 'find_spec("cs329t_robust")' in code.source
            assert cells[cells.index(code) - 1].source.startswith(f"# {source.name[:2]} ")
            assert code.metadata.tags == ["remove-cell"]
            assert len(code.source.splitlines()) <= 12
    assert [c.cell_type for c in read_source(write(tmp_path, "# Tiny\n\n" + cell("1")))] == ["markdown", "code"]


def test_its_id_is_a_given_cells_and_the_same_at_each_build(tmp_path, monkeypatch):
    one, two = (set_up(tmp_path, monkeypatch, address) for address in ("", ""))
    assert one.id == two.id
    assert one.id.startswith("90-")
    assert set_up(tmp_path, monkeypatch, "https://github.com/a/b").id != one.id


def test_where_the_package_is_installed_nothing_happens(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("ran a command"))
    before, space = list(sys.path), {}
    exec(set_up(tmp_path, monkeypatch, "https://github.com/a/b").source, space)
    assert capfd.readouterr() == ("", "")
    assert sys.path == before
    assert set(space) == {"__builtins__", "importlib", "subprocess", "sys"}


def test_where_it_is_missing_it_clones_and_installs(tmp_path, monkeypatch, nothing_installed):
    origin = tmp_path / "origin"
    (origin / "cs329t_robust").mkdir(parents=True)
    (origin / "cs329t_robust" / "__init__.py").write_text("")
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    nothing_installed.clear()
    source = set_up(tmp_path, monkeypatch, f"file://{origin}").source
    monkeypatch.chdir(tmp_path)
    exec(source, {})
    clone, install = nothing_installed
    assert clone[:4] == ["git", "clone", "--depth", "1"]
    assert (tmp_path / "cs329t-robust" / "cs329t_robust" / "__init__.py").is_file()
    assert install == [sys.executable, "-m", "pip", "install", "--quiet", "-e", "./cs329t-robust[lessons]"]
    assert sys.path[0] == "cs329t-robust"


def test_without_an_address_it_says_what_to_write(tmp_path, monkeypatch, nothing_installed):
    with pytest.raises(ModuleNotFoundError, match="write its repository's address between the quotes of `workbook`"):
        exec(set_up(tmp_path, monkeypatch, "").source, {})
    assert nothing_installed == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[project]\nname = 'a'\n", ""),
        ("[project]\n[project.urls]\nHomepage = 'https://a.b'\n", ""),
        ("[project]\n[project.urls]\nRepository = 'https://github.com/a/b'\n", "https://github.com/a/b"),
    ],
)
def test_the_address_is_the_projects(tmp_path, text, found):
    (tmp_path / "pyproject.toml").write_text(text)
    assert repository.address(tmp_path / "pyproject.toml") == found
    assert repository.address(tmp_path / "none.toml") == ""


@pytest.mark.parametrize("wrong", ["git@github.com:a/b", "http://a.b", 'https://a.b/" + x'])
def test_a_wrong_address_is_told(tmp_path, wrong):
    (tmp_path / "pyproject.toml").write_text(f"[project]\n[project.urls]\nRepository = '{wrong}'\n")
    with pytest.raises(ValueError, match="expected an https:// address"):
        repository.address(tmp_path / "pyproject.toml")


def test_links_to_colab_and_binder_follow_from_a_github_address():
    found = dict(repository.links("lessons/00_start_here.ipynb", "https://github.com/some/work.git"))
    assert found == {
        "Google Colab": "https://colab.research.google.com/github/some/work/blob/main/lessons/00_start_here.ipynb",
        "Binder": "https://mybinder.org/v2/gh/some/work/main?urlpath=lab%2Ftree%2Flessons%2F00_start_here.ipynb",
    }
    assert repository.links("a.ipynb", "") == repository.links("a.ipynb", "https://gitlab.com/a/b") == []
