"""The bars of `make bench` say met or missed as the rows of a run do."""

import pytest

from bench.bars import bars
from bench.contenders import ATTACKS, EPS, RACES, race, races, radius

ROW = {"error": "", "ratio": None, "vs_fastest_peer": None, "success": None, "median_norm": None, "same_verdict": 1.0}


def row(attack, model, mode, who, **numbers):
    return {**ROW, "attack": attack, "model": model, "mode": mode, "who": who, "robust_accuracy": 0.9, **numbers}


def ensembles(model, **fast):
    return [
        row("autoattack", model, "default", "ours", seconds=50.0),
        row("autoattack", model, "fast", "ours", **{"seconds": 9.0, **fast}),
        row("autoattack", model, "default", "auto-attack", seconds=60.0, robust_accuracy=0.896),
    ]


@pytest.mark.parametrize(
    ("model", "fast", "missed"),
    [
        ("robust", {}, []),
        ("robust", {"seconds": 11.0}, ["time over"]),
        ("robust", {"robust_accuracy": 0.906}, ["robust accuracy above our"]),
        ("robust", {"same_verdict": 0.99}, ["share of images judged as by"]),
        ("masked", {"same_verdict": 0.99}, []),
    ],
)
def test_fast_is_held_to_the_standard_ensemble(model, fast, missed):
    found = [bar.name for bar in bars(ensembles(model, **fast)) if bar.verdict != "met"]
    assert len(found) == len(missed)
    assert all(words in name for words, name in zip(missed, found, strict=True))


def test_the_ensemble_may_be_half_a_point_above_the_best_peer_and_pgd_a_fifth():
    whole = next(bar for bar in bars(ensembles("robust")) if "best peer" in bar.name)
    assert (whole.measured, whole.limit, whole.verdict) == (0.004, 0.005, "met")
    pgd = [
        row("pgd", "robust", "evaluation", "ours", seconds=1.0, vs_fastest_peer=0.95),
        row("pgd", "robust", "fixed", "art", seconds=2.0, robust_accuracy=0.896),
    ]
    assert [bar.verdict for bar in bars(pgd)] == ["not measured", "missed", "missed"]


def test_what_failed_is_not_measured():
    rows = ensembles("robust")
    rows[1] = {**rows[1], "error": "ValueError: no"}
    assert [bar.verdict for bar in bars(rows)] == ["met", "not measured", "not measured", "not measured"]


@pytest.mark.parametrize("model", EPS)
def test_each_model_has_races_at_its_radius(model):
    for attack in RACES[model]:
        runs = race(attack, radius(attack, model)).runs
        assert attack in ATTACKS
        assert any(who.startswith("ours") for _, who in runs)
        assert any(not who.startswith(("ours", "bare")) for _, who in runs)


def test_the_models_that_are_there_for_an_ensemble_are_asked_for_nothing_else():
    assert races(None, ["fgsm", "pgd"]) == [(m, a) for m in ("standard", "robust") for a in ("fgsm", "pgd")]
    assert [model for model, _ in races(None, ["autoattack"])] == ["standard", "robust", "trades", "masked"]
    assert races(["trades"], ["pgd"]) == [("trades", "pgd")]
    assert len(races(None, None)) == 2 * len(ATTACKS) + 2
