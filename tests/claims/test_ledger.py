"""The ledger itself: its claims are well formed, and findings carry right intervals."""

import re

import pytest
import torch

from cs329t_robust.claims import ledger
from cs329t_robust.claims.ledger import Claim, Finding, mean, measure, median, share
from cs329t_robust.cli import main

CLAIMS = ledger.claims()


def test_there_are_claims_of_the_first_lessons():
    assert {"00", "01", "02", "03"} <= {claim.lesson for claim in CLAIMS}
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) >= 30


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_well_formed(claim):
    assert re.fullmatch(r"\d\d\.[a-z0-9-]+", claim.id)
    assert claim.says.endswith((".", "”")), "a sentence"
    for text in (claim.says, claim.source, claim.theirs, claim.holds_if):
        assert text.strip() == text != ""
    for text in (claim.source, claim.theirs, claim.holds_if):
        assert not text.endswith("."), "these are joined to other text"
    assert callable(claim.run)


def test_a_claim_is_chosen_by_its_id_or_its_lesson():
    assert [claim.id for claim in ledger.claims(only="00.brittle")] == ["00.brittle"]
    assert {claim.lesson for claim in ledger.claims(lesson="01")} == {"01"}


def test_an_unknown_id_is_answered_with_the_nearest(capsys):
    with pytest.raises(ValueError, match=r"expected the id of a claim, got '00.britle'; nearest: 00.brittle"):
        ledger.claims(only="00.britle")
    assert main.main(["claims", "--lesson", "99"]) == 1
    assert "--lesson: expected one of 00, 01, 02, 03" in capsys.readouterr().err


@pytest.mark.parametrize("ids", [["99.other"], ["00.Upper"], ["00.twice", "00.twice"]])
def test_a_wrong_id_is_refused(ids, monkeypatch):
    from cs329t_robust.claims import lesson_00

    wrong = tuple(Claim(name, "It is.", "s", "t", "h", lambda: None) for name in ids)
    monkeypatch.setattr(lesson_00, "CLAIMS", wrong)
    with pytest.raises(ValueError, match=r"expected ids such as 00\.|occurs twice"):
        ledger.claims()


def test_a_share_carries_its_wilson_interval():
    finding = share(torch.tensor(9), 10, "coins", setting="s", holds=True)
    assert finding.value == "9 of 10 (90%)"
    assert finding.number == 0.9
    assert finding.interval == pytest.approx((0.596, 0.982), abs=1e-3)  # Wilson 1927, worked by hand
    assert share(246, 1000, "digits", setting="s", holds=True).value == "246 of 1000 (24.6%)"


def test_a_finding_is_made_of_plain_numbers():
    tensor = torch.tensor
    found = Finding("1", tensor(3), "coins", "s", tensor(True), tensor(0.5), (tensor(0.25), tensor(0.75)))
    assert found == Finding("1", 3, "coins", "s", True, 0.5, (0.25, 0.75))
    assert [type(part) for part in (found.n, found.holds, found.number, *found.interval)] == [int, bool, *[float] * 3]


def test_the_bootstrap_covers_the_mean_of_a_normal_sample_and_repeats_itself():
    sample = 5 + torch.randn(400, generator=torch.Generator().manual_seed(0))
    finding = mean(sample, "draws", setting="s", holds=True, unit=" px")
    low, high = finding.interval
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)  # σ = 1, n = 400
    assert low < finding.number < high
    assert finding == mean(sample, "draws", setting="s", holds=True, unit=" px")
    assert median(torch.tensor([1.0, 2.0, 9.0]), "draws", setting="s", holds=True).number == 2


@pytest.mark.parametrize("sample", [torch.tensor([]), torch.tensor([1.0, torch.nan]), torch.ones(2, 2)])
def test_what_has_no_median_is_refused(sample):
    with pytest.raises(ValueError, match="expected finite numbers"):
        median(sample, "draws", setting="s", holds=True)


def test_a_row_that_raises_is_an_error_with_its_traceback(three):
    outcome, trace = measure(three[2])
    assert (outcome.verdict, outcome.finding, outcome.error) == ("error", None, "RuntimeError: no coin was left")
    assert "in breaking" in trace


def test_an_interrupt_is_not_a_row():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(Claim("90.stop", "It stops.", "s", "t", "h", interrupted))
