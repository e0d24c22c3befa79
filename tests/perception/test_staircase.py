"""The staircase finds simulated observers' thresholds, ends in time, and is fooled neither by guessers nor by hawks."""

import math
from statistics import mean, stdev

import pytest

from cs329t_robust.perception.staircase import SURE, TRIALS, Observer, Staircase, Threshold, chance_right

LADDER = [2 ** (i / 2) for i in range(13)]  # 1 to 64


def climbs(threshold, n=100, **settings):
    return [Observer(threshold, seed=seed, **settings).climb(Staircase(LADDER)) for seed in range(n)]


def test_the_curve_goes_from_half_to_one_and_is_three_quarters_at_the_threshold():
    assert chance_right(0, 5) == 0.5
    assert chance_right(5, 5, lapse=0) == 0.75
    assert chance_right(5e9, 5, lapse=0.02) == pytest.approx(0.98)
    assert chance_right(7, math.inf) == 0.5
    assert chance_right(10, 5, slope=2, lapse=0) == pytest.approx(0.5 + 0.5 * (1 - 2**-4))


def test_it_moves_as_kaernbach_says():
    stairs = Staircase(LADDER)
    visited = []
    for right in [True, True, True, False, True, True, False, False, False, False]:
        visited.append(stairs.index)
        stairs.answer(right)
    assert visited == [12, 10, 8, 6, 9, 8, 7, 10, 12, 12]
    assert stairs.index == 12
    assert stairs.level == 64
    twin = Staircase.replay(LADDER, [right for _, right in stairs.answers])
    assert (twin.answers, twin.threshold) == (stairs.answers, stairs.threshold)


def test_up_down_balances_at_three_quarters():
    """One step down for a right answer and three up for a wrong one leave a 75% observer where it is."""
    wide = [2 ** (i / 2) for i in range(-20, 27)]
    observer, stairs = Observer(8, slope=3, lapse=0, seed=1), Staircase(wide, trials=3000)
    for _ in range(3000):
        stairs.answer(observer.choose(stairs.level))
    assert mean(right for _, right in stairs.answers) == pytest.approx(0.75, abs=0.02)
    assert wide[round(mean(index for index, _ in stairs.answers[100:]))] == pytest.approx(8, rel=0.5)


@pytest.mark.parametrize("threshold", [4, 8, 16])
@pytest.mark.parametrize("slope", [2, 3, 5])
def test_simulated_thresholds_come_back(threshold, slope):
    found = climbs(threshold, slope=slope)
    off = [math.log2(one.size / threshold) for one in found if one.where == "within"]
    assert len(off) >= 95
    assert abs(mean(off)) <= math.log2(1.15), "within 15% on average"
    assert stdev(off) <= 0.85  # octaves, of one game
    held = sum((f.low is None or f.low <= threshold) and (f.high is None or threshold <= f.high) for f in found)
    assert held >= 88, "the 95% interval holds the truth"


def test_more_trials_are_surer():
    few, many = (
        [Observer(8, seed=s).climb(Staircase(LADDER, trials=trials)).size for s in range(60)] for trials in (18, 72)
    )
    assert stdev(map(math.log2, many)) < 0.7 * stdev(map(math.log2, few))


def test_a_guesser_did_not_see_the_largest():
    found = climbs(math.inf, 300)
    assert sum(one.where == "above" for one in found) >= 264
    assert all(one.size is None and one.high is None for one in found if one.where == "above")
    assert sum(one.high is None for one in found) >= 285, "hardly anybody who guesses is given an upper bound"


def test_who_sees_everything_ends_at_the_smallest_size():
    stairs = Staircase(LADDER)
    found = Observer(0, lapse=0).climb(stairs)
    assert found.where == "below"
    assert found.size is None
    assert stairs.answers[-1] == (0, True)
    assert len(stairs.answers) == 6 + SURE


def test_it_never_ends_early_by_chance_and_never_late():
    for threshold in (0.5, 4, math.inf):
        for seed in range(100):
            stairs = Staircase(LADDER)
            Observer(threshold, seed=seed).climb(stairs)
            assert len(stairs.answers) <= TRIALS <= 20
            if len(stairs.answers) < TRIALS:
                assert stairs.answers[-SURE:] == [(0, True)] * SURE
                assert threshold < 4


def test_equal_seeds_choose_alike():
    first, second = ([Observer(8, seed=3).choose(8) for _ in range(5)] for _ in range(2))
    assert first == second
    one = Observer(8, seed=3)
    assert len({one.choose(8) for _ in range(50)}) == 2


def test_the_estimate_follows_the_answers():
    seen = Staircase.replay(LADDER, [True] * 10 + [False] + [True] * 7).threshold
    missed = Staircase.replay(LADDER, [True] * 3 + [False] + [True] * 14).threshold
    assert isinstance(seen, Threshold)
    assert seen.where == "below" or seen.size < missed.size


@pytest.mark.parametrize("levels", [[1], [], [2, 1], [1, 1], [0, 1], [-1, 1], [1, math.inf], [1, math.nan]])
def test_a_ladder_must_ascend(levels):
    with pytest.raises(ValueError, match="levels: expected at least two sizes > 0, ascending"):
        Staircase(levels)


def test_mistakes_are_clear():
    with pytest.raises(ValueError, match="trials: expected a whole number >= 4, got 2"):
        Staircase(LADDER, trials=2)
    with pytest.raises(ValueError, match="expected at least one answer"):
        _ = Staircase(LADDER).threshold
    with pytest.raises(ValueError, match="ended after 18 answers"):
        Staircase.replay(LADDER, [True, False] * 10)
    for bad in ({"threshold": -1}, {"threshold": 1, "slope": 0}, {"threshold": 1, "lapse": 0.5}):
        with pytest.raises(ValueError, match="Observer: expected threshold"):
            Observer(**bad)
