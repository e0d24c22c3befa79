"""`cs329t claims`: what it prints, what it keeps, and with which code it ends."""

import json

import pytest

from cs329t_robust.claims import ledger_page
from cs329t_robust.cli import main


def test_a_claim_that_does_not_hold_says_so_and_is_no_error(docs, capsys):
    assert main.main(["claims", "--only", "90.float"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("90.float: does not hold\n")
    assert "1 of 2000 (0.1%); n = 2,000 coins; 95% interval: 0.0 to 0.3%" in out
    assert "note      They were heavy." in out
    assert "holds: 0; does not hold: 1; error: 0" in out
    assert not list(docs.iterdir()), "without --write nothing is kept"


def test_a_row_that_raises_is_reported_and_ends_with_1_after_all_others(docs, capsys):
    assert main.main(["claims", "--write"]) == 1
    done = capsys.readouterr()
    assert "90.vanish: error" in done.out
    assert "error     RuntimeError: no coin was left" in done.out
    assert "RuntimeError: no coin was left" in done.err
    assert "holds: 1; does not hold: 1; error: 1" in done.out
    page = (docs / "claims.md").read_text("utf-8")
    assert "**1 of 3 claims hold at this scale.**" in page
    assert page.index("Could not be run") < page.index("Do not hold at this scale") < page.index("| id |")
    assert "* `90.float`: Coins float. Ours: 1 of 2000 (0.1%)." in page
    assert "| **error** |" in page
    assert "tossed \\| by hand. Holds if they do" in page, "a bar inside a cell is no column"


def test_one_row_is_written_beside_those_that_are_kept(docs, capsys):
    assert main.main(["claims", "--only", "90.land", "--write"]) == 0
    assert "Not run yet: `90.float`, `90.vanish`." in (docs / "claims.md").read_text("utf-8")
    assert main.main(["claims", "--only", "90.float", "--write"]) == 0
    rows = json.loads((docs / "claims" / "90.json").read_text("utf-8"))
    assert [row["id"] for row in rows] == ["90.land", "90.float"]
    page = (docs / "claims.md").read_text("utf-8")
    (docs / "claims.md").unlink()
    assert main.main(["claims", "--render"]) == 0
    assert (docs / "claims.md").read_text("utf-8") == page


def test_a_second_run_is_held_against_what_was_kept(docs, capsys):
    assert main.main(["claims", "--only", "90.land", "--write"]) == 0
    assert "the docs" not in capsys.readouterr().out
    assert main.main(["claims", "--only", "90.land"]) == 0
    assert "  the docs  the same (" in capsys.readouterr().out
    path = docs / "claims" / "90.json"
    path.write_text(path.read_text("utf-8").replace("18 of 20", "17 of 20"), encoding="utf-8")
    assert main.main(["claims", "--only", "90.land"]) == 0
    assert "  the docs  17 of 20 (90%), holds (" in capsys.readouterr().out


def test_a_row_whose_claim_is_gone_is_forgotten(docs, capsys):
    (docs / "claims").mkdir()
    (docs / "claims" / "91.json").write_text('[{"id": "91.old"}]', encoding="utf-8")
    assert main.main(["claims", "--only", "90.land", "--write"]) == 0
    assert [path.name for path in (docs / "claims").iterdir()] == ["90.json"]


def test_a_row_that_cannot_be_kept_loses_no_other(docs, three, capsys, monkeypatch):
    assert main.main(["claims", "--only", "90.land", "--write"]) == 0
    before = {path: path.read_text("utf-8") for path in (docs / "claims.md", docs / "claims" / "90.json")}
    monkeypatch.setattr(ledger_page, "circumstances", lambda: {"date": object(), "machine": "", "versions": ""})
    with pytest.raises(TypeError, match="not JSON serializable"):
        main.main(["claims", "--only", "90.float", "--write"])
    assert {path: path.read_text("utf-8") for path in before} == before


def test_the_rows_go_to_a_file_of_their_own(docs, tmp_path, capsys):
    out = tmp_path / "rows.json"
    assert main.main(["claims", "--only", "90.land", "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text("utf-8"))
    assert row["verdict"] == "holds"
    assert row["finding"]["number"] == 0.9
    assert {"seconds", "date", "machine", "versions"} <= set(row)


def test_the_list_runs_nothing(docs, capsys):
    assert main.main(["claims", "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["90.vanish", "Coins", "vanish."]


@pytest.mark.parametrize("argv", [["--only", "00.noise", "--lesson", "00"], ["--list", "--write"], ["--only"]])
def test_wrong_usage_is_exit_code_2(argv):
    with pytest.raises(SystemExit) as stop:
        main.main(["claims", *argv])
    assert stop.value.code == 2
