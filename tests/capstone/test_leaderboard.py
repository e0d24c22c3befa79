"""The leaderboard: one line a result, merged by git without conflicts, and no result lost or invented."""

import json
import shutil
import subprocess

import pytest

from cs329t_robust.capstone import leaderboard
from cs329t_robust.capstone.tracks import Score
from cs329t_robust.models.networks import CHECKPOINTS


def test_results_are_kept_ranked_and_shown(tmp_path):
    file = tmp_path / "leaderboard.jsonl"
    leaderboard.add(file, "ada", [Score("white", 150, 200), Score("defence", 180, 200)], "s")
    leaderboard.add(file, "bob", [Score("white", 160, 200)], "s")
    leaderboard.add(file, "ada", [Score("white", 140, 200)], "s")
    rows = leaderboard.read(file)
    assert len(rows) == 4
    text = leaderboard.table(rows)
    assert text.index("| bob | 0.800") < text.index("| ada | 0.750")
    assert "0.700" not in text  # only the best of a name
    assert "## defence" in text
    assert "## black" not in text


def test_other_hidden_images_are_another_contest(tmp_path):
    file = tmp_path / "leaderboard.jsonl"
    leaderboard.add(file, "ada", [Score("white", 100, 200)], "one")
    leaderboard.add(file, "ada", [Score("white", 120, 200)], "two")
    assert leaderboard.table(leaderboard.read(file)).count("| ada |") == 2
    assert "one" not in file.read_text()


def test_a_broken_line_is_named_and_nothing_is_written(tmp_path):
    file = tmp_path / "leaderboard.jsonl"
    leaderboard.add(file, "ada", [Score("white", 1, 2)], "s")
    for bad in ("nonsense", "[1]", json.dumps({"name": "x"}), '{"name": "x", "track": "grey", "hits": 3, "n": 2}'):
        file.write_text(file.read_text().splitlines()[0] + "\n" + bad + "\n")
        before = file.read_text()
        with pytest.raises(ValueError, match="line 2: expected one result"):
            leaderboard.add(file, "bob", [Score("white", 1, 2)], "s")
        assert file.read_text() == before


def test_a_missing_last_newline_loses_nothing(tmp_path):
    file = tmp_path / "leaderboard.jsonl"
    leaderboard.add(file, "ada", [Score("white", 1, 2)], "s")
    file.write_text(file.read_text().rstrip("\n"))
    leaderboard.add(file, "bob", [Score("white", 2, 2)], "s")
    assert {row["name"] for row in leaderboard.read(file)} == {"ada", "bob"}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_two_branches_merge_without_conflict(tmp_path):
    def git(*words):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "leaderboard.jsonl"
    git("init", "-b", "main")
    (tmp_path / ".gitattributes").write_text((CHECKPOINTS.parents[1] / ".gitattributes").read_text())
    leaderboard.add(file, "ada", [Score("white", 1, 2)], "s")
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    leaderboard.add(file, "bob", [Score("white", 2, 2)], "s")
    git("commit", "-am", "two")
    git("checkout", "main")
    leaderboard.add(file, "cy", [Score("black", 2, 2)], "s")
    git("commit", "-am", "three")
    git("merge", "other", "-m", "merged")
    assert {row["name"] for row in leaderboard.read(file)} == {"ada", "bob", "cy"}
