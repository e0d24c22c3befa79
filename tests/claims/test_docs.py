"""docs/claims.md is what the ledger writes, and a few of its rows, run again, give the same numbers."""

import pytest

from cs329t_robust.claims import ledger, ledger_page

CLAIMS = ledger.claims()
KEPT = ledger_page.kept()
CHEAP = ("00.brittle", "00.noise", "02.flat", "02.linear")  # under two seconds each


def test_the_page_is_what_the_kept_rows_make():
    page = (ledger_page.DOCS / "claims.md").read_text("utf-8")
    assert page == ledger_page.markdown(CLAIMS, KEPT), "run: cs329t claims --render"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_was_run_and_has_its_line(claim):
    assert claim.id in KEPT, f"run: cs329t claims --only {claim.id} --write"
    row = KEPT[claim.id]
    assert row["verdict"] in ("holds", "does not hold")
    assert row["seconds"] <= 60
    lines = (ledger_page.DOCS / "claims.md").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{claim.id}` |")]
    assert line.endswith("| holds |" if row["verdict"] == "holds" else "| **does not hold** |")


def test_what_does_not_hold_stands_before_the_tables():
    before = (ledger_page.DOCS / "claims.md").read_text("utf-8").split("| id |")[0]
    failed = [name for name, row in KEPT.items() if row["verdict"] == "does not hold"]
    assert failed, "a ledger in which everything holds has left something out"
    for name in failed:
        assert f"* `{name}`:" in before


@pytest.mark.parametrize("name", CHEAP)
def test_a_second_run_gives_the_same_finding(name):
    (claim,) = ledger.claims(only=name)
    kept, again = ledger_page.Finding(**KEPT[name]["finding"]), claim.run()
    assert (again.n, again.setting, again.holds) == (kept.n, kept.setting, kept.holds)
    assert again.number == pytest.approx(kept.number, abs=0.005)  # other processors round differently
