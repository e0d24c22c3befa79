"""Exercises 06.4 and 06.5: from votes to a certificate, and when to answer nothing."""

import math
from collections.abc import Callable

import torch
from scipy.stats import beta, binomtest, norm
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run

# ---- 06.4 certified_radius(selection, estimation, sigma, alpha)


def _clopper_pearson(k: int, n: int, alpha: float) -> float:
    return float(beta.ppf(alpha, k, n - k + 1)) if k else 0.0


def _votes(selection: Tensor, estimation: Tensor) -> tuple[int, int]:
    return int(estimation[selection.argmax()]), int(estimation.sum())


def _radius(p: float, sigma: float) -> float | None:
    return sigma * float(norm.ppf(p)) if p > 0.5 else None


def _certified_radius(selection: Tensor, estimation: Tensor, sigma: float, alpha: float) -> float | None:
    return _radius(_clopper_pearson(*_votes(selection, estimation), alpha), sigma)


def _with(bound: Callable[[int, int, float], float]) -> Callable[..., float | None]:
    """Make a wrong certificate out of another bound on the probability."""
    return lambda s, e, sigma, alpha: _radius(bound(*_votes(s, e), alpha), sigma)


def _certificate_cases(seed: int) -> list[tuple]:
    shift = 3 * (seed % 4)

    def case(selection: list[int], estimation: list[int], sigma: float, alpha: float) -> tuple:
        return torch.tensor(selection), torch.tensor(estimation), sigma, alpha

    return [
        case([3, 90, 7], [40 - shift, 930 + shift, 30], 0.25, 0.001),
        case([60, 30, 10, 0], [700 + shift, 200, 100 - shift, 0], 0.5, 0.01),
        case([0, 100], [0, 1000], 0.25 + 0.05 * (seed % 3), 0.001),
        case([52, 48], [520, 480], 1.0, 0.001),
        case([90, 5, 5], [300 - shift, 600 + shift, 100], 0.5, 0.01),
    ]


def _told(args: tuple, answer: float | None, expected: float | None) -> str:
    selection, estimation, sigma, alpha = args
    words = ["abstain (None)" if v is None else f"{v:.4f}" for v in (expected, answer)]
    return (
        f"for selection {selection.tolist()}, estimation {estimation.tolist()}, σ = {sigma:g}, alpha = {alpha:g}: expected "
        f"{words[0]}, got {words[1]}"
    )


def _is(*indices: int) -> Callable[[Run], str]:
    def test(run: Run) -> str:
        for args, answer, expected in (list(run)[i] for i in indices):
            if (answer is None) != (expected is None) or (expected is not None and abs(answer - expected) > 1e-4):
                return _told(args, answer, expected)
        return ""

    return test


CERTIFIED_RADIUS = Exercise(
    "06.4",
    "certified_radius",
    _certified_radius,
    _certificate_cases,
    [
        Probe("is σ·Φ⁻¹ of the lower bound on the selected class's probability", 3, _is(0, 1), essential=True),
        Probe("promises no more than the samples can show when all votes agree", 1, _is(2)),
        Probe("abstains where the bound is not above 1/2", 1, _is(3)),
        Probe("stays with the class that the selection chose", 1, _is(4)),
    ],
    [
        Mistake(
            "plain share",
            _with(lambda k, n, a: k / n),
            "You took the share of votes for the probability. It is an estimate that is too high half of the time; a certificate needs "
            "the lower confidence bound.",
        ),
        Mistake(
            "Wald",
            _with(lambda k, n, a: k / n - norm.ppf(1 - a) * math.sqrt(k / n * (1 - k / n) / n)),
            "This is the normal approximation (Wald). Where all votes agree it says that nothing is uncertain, and it keeps its promise "
            "only roughly; use the exact bound of Clopper and Pearson.",
        ),
        Mistake(
            "Wald, two-sided",
            _with(lambda k, n, a: k / n - norm.ppf(1 - a / 2) * math.sqrt(k / n * (1 - k / n) / n)),
            "This is the normal approximation (Wald), and two-sided; use the exact one-sided bound of Clopper and Pearson.",
        ),
        Mistake(
            "two-sided",
            _with(lambda k, n, a: _clopper_pearson(k, n, a / 2)),
            "Your interval is two-sided, so only alpha/2 is spent on the side that matters. A bound from below needs all of alpha: "
            'alternative="greater", or beta.ppf(alpha, …).',
        ),
        Mistake(
            "alpha and 1 − alpha confused",
            _with(lambda k, n, a: _clopper_pearson(k, n, 1 - a)),
            "alpha is the failure probability: your bound holds with probability alpha instead of 1 − alpha.",
        ),
        Mistake(
            "upper bound",
            _with(lambda k, n, a: float(beta.ppf(1 - a, k + 1, n - k)) if k < n else 1.0),
            "You took the upper end of the interval; what is certain is the lower end.",
        ),
        Mistake(
            "Wilson",
            _with(
                lambda k, n, a: binomtest(k, n, alternative="greater").proportion_ci(1 - a, method="wilson").low,
            ),
            "This is Wilson's interval, which keeps its promise only on average. A certificate needs the exact bound of Clopper and Pearson.",
        ),
        Mistake(
            "Hoeffding",
            _with(lambda k, n, a: k / n - math.sqrt(math.log(1 / a) / (2 * n))),
            "This is Hoeffding's bound: it holds, but it is far from the best; the exercise asks for the exact bound of Clopper and Pearson.",
        ),
        Mistake(
            "selected by the estimation's votes",
            lambda s, e, sigma, a: _certified_radius(e, e, sigma, a),
            "You chose the class from the very votes that you then count. A winner looks better than it is in the race that it won: "
            "choose by `selection`, count in `estimation`.",
        ),
        Mistake(
            "estimated from the selection",
            lambda s, e, sigma, a: _certified_radius(s, s, sigma, a),
            "You counted the selection's votes. They chose the class, so they flatter it: count in `estimation`.",
        ),
        Mistake(
            "votes pooled",
            lambda s, e, sigma, a: _certified_radius(s, s + e, sigma, a),
            "You counted selection and estimation together. The votes that chose the class flatter it: count in `estimation` only.",
        ),
        Mistake(
            "selection and estimation swapped",
            lambda s, e, sigma, a: _certified_radius(e, s, sigma, a),
            "The two are swapped: `selection` chooses the class, `estimation` is counted.",
        ),
        Mistake(
            "sigma forgotten",
            lambda s, e, sigma, a: _certified_radius(s, e, 1.0, a),
            "σ is missing: the radius is σ·Φ⁻¹(p), in units of the noise.",
        ),
        Mistake(
            "sigma squared",
            lambda s, e, sigma, a: _certified_radius(s, e, sigma**2, a),
            "You multiplied by σ²; the radius is σ·Φ⁻¹(p), with the standard deviation.",
        ),
        Mistake(
            "halved",
            lambda s, e, sigma, a: None if (r := _certified_radius(s, e, sigma, a)) is None else r / 2,
            "You halved the radius. With σ/2·(Φ⁻¹(pA) − Φ⁻¹(pB)) and pB = 1 − pA the two terms are equal, and the half goes.",
        ),
        Mistake(
            "probability returned",
            lambda s, e, sigma, a: p if (p := _clopper_pearson(*_votes(s, e), a)) > 0.5 else None,
            "You return the bound on the probability; the radius is σ·Φ⁻¹ of it (scipy: norm.ppf).",
        ),
        Mistake(
            "Φ instead of its inverse",
            lambda s, e, sigma, a: (
                sigma * float(norm.cdf(p)) if (p := _clopper_pearson(*_votes(s, e), a)) > 0.5 else None
            ),
            "You applied Φ (norm.cdf); the radius needs its inverse, norm.ppf.",
        ),
        Mistake(
            "never abstains",
            lambda s, e, sigma, a: sigma * float(norm.ppf(_clopper_pearson(*_votes(s, e), a))),
            "Where the bound is below 1/2 your radius is negative. There is nothing to certify: return None.",
        ),
        Mistake(
            "zero instead of abstaining",
            lambda s, e, sigma, a: _certified_radius(s, e, sigma, a) or 0.0,
            "Where the bound is not above 1/2 you return 0, which reads like a certified answer of radius 0; return None.",
        ),
    ],
    "k = estimation[selection.argmax()], n = estimation.sum(). scipy.stats.beta.ppf(alpha, k, n − k + 1) is the bound, norm.ppf is Φ⁻¹.",
    returns="number or None",
    like=0,
)


# ---- 06.5 vote(counts, alpha)


def _p_value(first: int, others: int) -> float:
    return binomtest(first, first + others, 0.5).pvalue


def _top(counts: Tensor) -> tuple[int, int, int]:
    first, second = counts.topk(2).values.tolist()
    return int(counts.argmax()), first, second


def _vote(counts: Tensor, alpha: float) -> float | None:
    winner, first, second = _top(counts)
    return float(winner) if _p_value(first, second) <= alpha else None


def _vote_if(sure: Callable[[Tensor, float], bool]) -> Callable[..., float | None]:
    return lambda counts, alpha: float(counts.argmax()) if sure(counts, alpha) else None


def _vote_cases(seed: int) -> list[tuple]:
    turn = seed % 3

    def case(counts: list[int], alpha: float) -> tuple:
        return torch.tensor(counts).roll(turn), alpha

    return [
        case([5, 90, 5], 0.001),
        case([48, 52, 0], 0.001),
        case([40, 10, 5, 45], 0.05),
        case([300, 180, 260, 260], 0.05),  # no majority, and the runner-up is too near
        case([400, 210, 200, 190], 0.001),  # no majority, and yet settled
        case([60, 40, 0], 0.05),  # 0.057 two-sided, 0.028 one-sided
        case([0, 20, 0], 0.001),
        case([50, 50, 0], 0.001),
        case([36, 33, 31], 0.05),
        case([61, 39, 0], 0.05),  # 0.035 two-sided
    ]


def _case_is(*indices: int) -> Callable[[Run], str]:
    def test(run: Run) -> str:
        for (counts, alpha), answer, expected in (list(run)[i] for i in indices):
            if answer != expected:
                words = ["None" if v is None else f"class {v:g}" for v in (expected, answer)]
                return (
                    f"for votes {counts.tolist()} and alpha = {alpha:g} the answer is {words[0]}, yours is {words[1]}"
                )
        return ""

    return test


VOTE = Exercise(
    "06.5",
    "vote",
    _vote,
    _vote_cases,
    [
        Probe("names the class with most votes where it is clear", 1, _case_is(0, 6), essential=True),
        Probe("abstains where the first two are too near", 2, _case_is(1, 2, 3, 7, 8), essential=True),
        Probe("needs no majority, only a clear lead over the second", 1, _case_is(4, 9)),
        Probe("counts a lead either way as surprising", 1, _case_is(5)),
    ],
    [
        Mistake(
            "never abstains",
            _vote_if(lambda c, a: True),
            "You always name the class with most votes; where the first two are near, another draw would name the other. Test it, and return None.",
        ),
        Mistake(
            "majority",
            _vote_if(lambda c, a: bool(2 * c.max() > c.sum())),
            "You ask for more than half of the votes. That is neither needed nor enough: test whether the lead over the second could be chance.",
        ),
        Mistake(
            "against all votes",
            _vote_if(lambda c, a: _p_value(int(c.max()), int(c.sum() - c.max())) <= a),
            "You test the first class against all others together. Its rival is the second alone: binomtest(first, first + second).",
        ),
        Mistake(
            "one-sided",
            _vote_if(lambda c, a: binomtest(_top(c)[1], sum(_top(c)[1:]), 0.5, alternative="greater").pvalue <= a),
            "Your test is one-sided. You chose the winner by looking, so either of the two could have led: the test is two-sided.",
        ),
        Mistake(
            "comparison turned round",
            _vote_if(lambda c, a: _p_value(*_top(c)[1:]) > a),
            "The comparison is turned round: a small p-value says that the lead is no chance; answer then.",
        ),
        Mistake(
            "1 − alpha",
            _vote_if(lambda c, a: _p_value(*_top(c)[1:]) <= 1 - a),
            "You compare with 1 − alpha; answer only if the p-value is at most alpha.",
        ),
        Mistake(
            "alpha halved",
            _vote_if(lambda c, a: _p_value(*_top(c)[1:]) <= a / 2),
            "You halve alpha, but binomtest is two-sided already.",
        ),
        Mistake(
            "lead as a share",
            _vote_if(lambda c, a: (_top(c)[1] - _top(c)[2]) / int(c.sum()) > a),
            "You compare the lead, as a share of the votes, with alpha; alpha is a failure probability: compare a p-value with it.",
        ),
        Mistake(
            "against a fair share",
            _vote_if(lambda c, a: binomtest(int(c.max()), int(c.sum()), 1 / len(c)).pvalue <= a),
            "You test whether the first has more than a fair share, 1/k. It can have that and still tie with the second: test the first two, at 1/2.",
        ),
        Mistake(
            "second class",
            lambda c, a: float(c.topk(2).indices[1]) if _vote(c, a) is not None else None,
            "You name the second; the answer is the class with most votes.",
        ),
        Mistake(
            "p-value returned",
            lambda c, a: _p_value(*_top(c)[1:]) if _vote(c, a) is not None else None,
            "You return the p-value; return the class.",
        ),
        Mistake(
            "votes returned",
            lambda c, a: float(c.max()) if _vote(c, a) is not None else None,
            "You return how many votes the winner has; return the class itself, its position.",
        ),
        Mistake(
            "minus one",
            lambda c, a: -1.0 if _vote(c, a) is None else _vote(c, a),
            "Where it is open you return −1; the exercise asks for None.",
        ),
    ],
    "first, second = counts.topk(2).values.tolist(); scipy.stats.binomtest(first, first + second, 0.5).pvalue.",
    returns="number or None",
    like=0,
)
