"""An adaptive staircase that finds the smallest change a person notices, and simulated observers to test it with.

>>> stairs = Staircase([1, 2, 4, 8, 16, 32])
>>> while not stairs.done:
...     right = ask(stairs.level)               # doctest: +SKIP
...     stairs.answer(right)                    # doctest: +SKIP
>>> stairs.threshold.size                       # doctest: +SKIP
9.2

``static/staircase.js`` is the same algorithm in the browser, where the game is played without a kernel; a browser test
compares the two on equal answers.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..contract.input_validation import check_count

TRIALS = 18
"""Trials of a staircase, unless it is told otherwise."""
UP, DOWN, FAST = 3, 1, 2  # steps on the ladder: after a wrong answer, a right one, a right one before any wrong one
SURE = 6  # right answers in a row at the smallest size that end the staircase: a guesser gives them 1 time in 64
SLOPE, LAPSE = 3.0, 0.02  # of the observer that the fit assumes
PER_OCTAVE, BEYOND = 12, 2  # candidate thresholds in each doubling, and doublings beyond either end of the ladder
BLIND = 0.05  # prior belief that no size at all is noticed


def chance_right(size: float, threshold: float, slope: float = SLOPE, lapse: float = LAPSE) -> float:
    """Return the chance of a right choice between two pictures, one changed by `size`: Weibull's curve.

    The formula is 1/2 + (1/2 − lapse) · (1 − 2^−(size/threshold)^slope): 1/2 for no change, 3/4 at the threshold (less
    half the lapses), 1 − lapse far above it. An infinite threshold is a guesser's.
    """
    return 0.5 + (0.5 - lapse) * (1 - 2 ** -(min(size / threshold, 1e6) ** slope))


@dataclass(frozen=True)
class Threshold:
    """Where a person begins to notice: the size at which three choices in four are right.

    Attributes
    ----------
    size : float or None
        The estimate (posterior median); None if it lies outside the ladder.
    low, high : float or None
        A central 95% interval; None where it leaves the ladder at that end.
    where : {"within", "below", "above"}
        "below": even the smallest size was noticed. "above": not even the largest was.
    """

    size: float | None
    low: float | None
    high: float | None
    where: Literal["within", "below", "above"]


class Staircase:
    """Choose the size of the next change from the answers so far.

    It begins at the largest size. A right answer leads one step down, a wrong one three steps up, which hovers where
    three answers in four are right; until the first wrong answer it goes down two steps at a time. It ends after
    `trials` answers, or after six right ones in a row at the smallest size.

    Parameters
    ----------
    levels : sequence of float
        Sizes > 0, ascending; steps of equal ratio, about √2, work well.
    trials : int >= 4

    Raises
    ------
    ValueError
        If the levels do not ascend, or `trials` is no such number.

    Notes
    -----
    The estimate comes from all answers and not, as is common, from the sizes at which the staircase turned: with 18
    answers there are too few turns. It is the posterior of a threshold on a grid of candidates, equally likely
    beforehand in log size, with one chance in 20 that nothing is noticed at any size; the observer is assumed to have
    slope 3 and to lapse once in 50.

    References
    ----------
    Levitt 1971, "Transformed up-down methods in psychoacoustics", JASA 49.
    Kaernbach 1991, "Simple adaptive testing with the weighted up-down method", Perception & Psychophysics 49.
    Watson & Pelli 1983, "QUEST: a Bayesian adaptive psychometric method", Perception & Psychophysics 33.
    """

    def __init__(self, levels: Sequence[float], *, trials: int = TRIALS) -> None:
        self.levels = tuple(float(level) for level in levels)
        ascending = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if len(self.levels) < 2 or not ascending or not 0 < self.levels[0] <= self.levels[-1] < math.inf:
            raise ValueError(f"levels: expected at least two sizes > 0, ascending, got {list(levels)!r}")
        check_count("trials", trials, 4)
        self.trials = trials
        self.index = len(self.levels) - 1
        self.answers: list[tuple[int, bool]] = []

    @classmethod
    def replay(cls, levels: Sequence[float], answers: Iterable[bool], *, trials: int = TRIALS) -> "Staircase":
        """Return the staircase after these answers: the sizes that were shown follow from them."""
        stairs = cls(levels, trials=trials)
        for right in answers:
            stairs.answer(right)
        return stairs

    @property
    def level(self) -> float:
        """The size to show next."""
        return self.levels[self.index]

    @property
    def done(self) -> bool:
        """Whether no more answers are wanted."""
        sure = len(self.answers) >= SURE and all(answer == (0, True) for answer in self.answers[-SURE:])
        return sure or len(self.answers) >= self.trials

    def answer(self, right: bool) -> None:
        """Take the answer to the size that was shown, and move.

        Raises
        ------
        ValueError
            If the staircase is done.
        """
        if self.done:
            raise ValueError(f"answer: expected none, the staircase ended after {len(self.answers)} answers")
        self.answers.append((self.index, bool(right)))
        unbroken = all(right for _, right in self.answers)
        step = -(FAST if unbroken else DOWN) if right else UP
        self.index = min(max(self.index + step, 0), len(self.levels) - 1)

    @property
    def threshold(self) -> Threshold:
        """The threshold, estimated from the answers so far; with no answers a ValueError."""
        if not self.answers:
            raise ValueError("threshold: expected at least one answer, got none")
        sizes, belief = self._posterior()
        low, middle, high = (_quantile(sizes, belief, share) for share in (0.025, 0.5, 0.975))
        bottom, top = self.levels[0], self.levels[-1]
        where = "below" if middle < bottom else "above" if middle > top else "within"
        return Threshold(
            middle if where == "within" else None,
            low if bottom <= low <= top else None,
            high if bottom <= high <= top else None,
            where,
        )

    def _posterior(self) -> tuple[list[float], list[float]]:
        """Return the candidate thresholds, the last one infinite, and how far each is believed; sums to 1."""
        octaves = math.log2(self.levels[-1] / self.levels[0]) + 2 * BEYOND
        n = round(octaves * PER_OCTAVE)
        first = math.log2(self.levels[0]) - BEYOND
        sizes = [2 ** (first + octaves * i / n) for i in range(n + 1)] + [math.inf]
        logs = []
        for size in sizes:
            total = math.log(BLIND if size == math.inf else (1 - BLIND) / (n + 1))
            for index, right in self.answers:
                p = chance_right(self.levels[index], size)
                total += math.log(p if right else 1 - p)
            logs.append(total)
        highest = max(logs)
        belief = [math.exp(one - highest) for one in logs]
        whole = sum(belief)
        return sizes, [one / whole for one in belief]


def _quantile(sizes: list[float], belief: list[float], share: float) -> float:
    """Return the first size up to which at least `share` of the belief lies."""
    total = 0.0
    for size, one in zip(sizes, belief, strict=True):
        total += one
        if total >= share:
            return size
    return sizes[-1]


class Observer:
    """A simulated player whose threshold is known.

    Parameters
    ----------
    threshold : float > 0
        The size at which three choices in four are right; 0 for one who sees everything, `math.inf` for a guesser.
    slope : float in (0, 50]
        How sharply seeing sets in.
    lapse : float in [0, 0.5)
        Share of wrong choices far above the threshold.
    seed : int

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """

    def __init__(self, threshold: float, *, slope: float = SLOPE, lapse: float = LAPSE, seed: int = 0) -> None:
        if not threshold >= 0 or not 0 < slope <= 50 or not 0 <= lapse < 0.5:
            raise ValueError(
                "Observer: expected threshold >= 0, slope in (0, 50] and lapse in [0, 0.5), "
                f"got {threshold!r}, {slope!r}, {lapse!r}"
            )
        self.threshold, self.slope, self.lapse = threshold, slope, lapse
        self._random = random.Random(seed)

    def chance(self, size: float) -> float:
        """Return the chance of a right choice at `size`."""
        if self.threshold == 0:
            return 1 - self.lapse
        return chance_right(size, self.threshold, self.slope, self.lapse)

    def choose(self, size: float) -> bool:
        """Return whether the changed picture was chosen, this time."""
        return self._random.random() < self.chance(size)

    def climb(self, stairs: Staircase) -> Threshold:
        """Answer until the staircase is done, and return what it found."""
        while not stairs.done:
            stairs.answer(self.choose(stairs.level))
        return stairs.threshold
