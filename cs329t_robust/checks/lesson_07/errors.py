"""Exercises 07.1 and 07.2: the error of a linear classifier under attack, and the exponent of a power law."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..shared_probes import generator, matches

phi = torch.special.ndtr


# ---- 07.1 robust_error(w, theta, sigma, eps)


def _error_with(**parts: Callable) -> Callable[..., float]:
    """Build the error out of replaceable parts: gain, price, spread and the tail that is taken."""
    gain = parts.get("gain", lambda w, t: w @ t)
    price = parts.get("price", lambda w, e: e * w.abs().sum())
    spread = parts.get("spread", lambda w, s: s * w.norm())
    tail = parts.get("tail", lambda z: phi(-z))
    join = parts.get("join", lambda gain, price: gain - price)
    return lambda w, theta, sigma, eps: tail(join(gain(w, theta), price(w, eps)) / spread(w, sigma)).item()


_error = _error_with()


def _error_cases(seed: int) -> list[tuple]:
    cases = []
    for i, (d, sigma, eps) in enumerate([(9, 2.0, 0.0), (9, 2.0, 0.4), (16, 1.5, 0.3), (5, 3.0, 0.7)]):
        draw = generator(seed + 11 * i)
        theta = torch.randn(d, generator=draw, dtype=torch.float64)
        w = theta + 0.6 * torch.randn(d, generator=draw, dtype=torch.float64)
        cases.append((w * (0.3 + i), theta, sigma, eps))
    return cases


def _standard(run: Run) -> str:
    (_, answer, expected) = next(iter(run))
    if abs(answer - expected) < 1e-4:
        return ""
    return f"with eps = 0 the error is Φ(−w·θ / (σ‖w‖₂)) = {expected:.4f}; got {answer:.4f}"


def _rises(run: Run) -> str:
    for args, answer, _ in run:
        w, theta, sigma, eps = args
        more = float(run.call(w, theta, sigma, eps + 0.2))
        if not more > answer:
            return (
                f"with eps from {eps} to {eps + 0.2:.1f} the error goes from {answer:.4f} to {more:.4f}; it must rise"
            )
    return ""


def _any_length(run: Run) -> str:
    for (w, theta, sigma, eps), answer, _ in run:
        doubled = float(run.call(2 * w, theta, sigma, eps))
        if abs(doubled - answer) > 1e-4:
            return f"2w classifies every x as w does, but its error comes out as {doubled:.4f}, not {answer:.4f}"
    return ""


_ERROR_PARTS = Parts(
    _error_with,
    [
        (
            "L2 norm as the price",
            {"price": lambda w, e: e * w.norm()},
            "Your price is ε‖w‖₂, which is right for an adversary in L2. In L∞ each coordinate moves by ε on its own, so ⟨w, δ⟩ "
            "reaches ε·Σ|w_i| = ε‖w‖₁: the dual norm.",
        ),
        (
            "L-infinity norm as the price",
            {"price": lambda w, e: e * w.abs().max()},
            "Your price is ε times the largest |w_i|, the norm of the attack itself. What ⟨w, δ⟩ can reach is the dual norm, ε‖w‖₁.",
        ),
        (
            "sum without absolute values",
            {"price": lambda w, e: e * w.sum()},
            "You added up the weights with their signs. The adversary chooses the sign of each δ_i, so each weight counts with |w_i|.",
        ),
        (
            "adversary helps",
            {"join": lambda gain, price: gain + price},
            "Your adversary helps: the price is added to the margin. It has to be taken away.",
        ),
        (
            "price forgotten",
            {"join": lambda gain, price: gain},
            "ε is not used: this is the standard error at every ε.",
        ),
        (
            "accuracy",
            {"tail": lambda z: phi(z)},
            "This is the accuracy; the error is Φ of *minus* the margin over the spread.",
        ),
        (
            "spread without the weights",
            {"spread": lambda w, s: s},
            "Your spread is σ alone. ⟨w, x⟩ adds up d noises with weights w_i, so its standard deviation is σ‖w‖₂.",
        ),
        (
            "variance as the spread",
            {"spread": lambda w, s: s**2 * w.norm() ** 2},
            "You divide by the variance σ²‖w‖₂²; Φ wants the margin in standard deviations, σ‖w‖₂.",
        ),
        (
            "L1 norm in the spread",
            {"spread": lambda w, s: s * w.abs().sum()},
            "Your spread is σ‖w‖₁. Independent noises add in squares: the standard deviation of ⟨w, x⟩ is σ‖w‖₂.",
        ),
        (
            "length of theta as the gain",
            {"gain": lambda w, t: t @ t},
            "Your margin is ‖θ‖², as if w were θ itself; it is ⟨w, θ⟩.",
        ),
    ],
)

ROBUST_ERROR = Exercise(
    "07.1",
    "robust_error",
    _error,
    _error_cases,
    [
        Probe("is the standard error at ε = 0", 1, _standard, essential=True),
        Probe("rises with ε", 1, _rises),
        Probe("does not depend on the length of w", 1, _any_length),
        Probe("is Φ(−(⟨w, θ⟩ − ε‖w‖₁) / (σ‖w‖₂))", 2, matches("value")),
    ],
    [
        *_ERROR_PARTS.single,
        Mistake(
            "two-sided",
            lambda *a: 2 * _error(*a),
            "You count both tails. A mistake is only on one side: where y⟨w, x⟩ is negative.",
        ),
        Mistake(
            "logistic in place of normal",
            lambda w, t, s, e: torch.sigmoid(-(w @ t - e * w.abs().sum()) / (s * w.norm())).item(),
            "You used the sigmoid. The noise is normal, so it takes Φ: torch.special.ndtr.",
        ),
    ],
    "The margin y⟨w, x + δ⟩ is normal. Its mean: ⟨w, θ⟩ less what the worst δ costs. Its standard deviation: σ‖w‖₂. The error is the probability that it is below zero.",
    returns="number",
    like=0,
    parts=_ERROR_PARTS,
)


# ---- 07.2 fit_exponent(d, n)


def _slope(x: Tensor, y: Tensor) -> float:
    x, y = x - x.mean(), y - y.mean()
    return ((x * y).sum() / x.square().sum()).item()


def _fit(d: Tensor, n: Tensor) -> float:
    return _slope(d.log(), n.log())


def _fit_cases(seed: int) -> list[tuple]:
    cases = []
    for i, (a, b) in enumerate([(3.0, 0.75), (0.8, 1.3), (20.0, -0.7)]):
        draw = generator(seed + 5 * i)
        d = 2.0 ** (3 + 2 * torch.arange(6, dtype=torch.float64) + torch.rand(6, generator=draw, dtype=torch.float64))
        noise = 0 if i == 0 else 0.2
        cases.append((d, a * d**b * (noise * torch.randn(6, generator=draw, dtype=torch.float64)).exp()))
    return cases


def _exact_law(run: Run) -> str:
    (_, answer, expected) = next(iter(run))
    if abs(answer - expected) < 1e-4:
        return ""
    return f"on n = 3·d^0.75, without noise, the exponent is 0.75; got {answer:.4g}"


def _no_unit(run: Run) -> str:
    for (d, n), answer, _ in run:
        other = float(run.call(d, 10 * n))
        if abs(other - answer) > 1e-4:
            return f"ten times as large n at every d changes your exponent from {answer:.3f} to {other:.3f}; only the factor a should change"
    return ""


def _ends(d: Tensor, n: Tensor) -> float:
    return ((n[-1] / n[0]).log() / (d[-1] / d[0]).log()).item()


FIT = Exercise(
    "07.2",
    "fit_exponent",
    _fit,
    _fit_cases,
    [
        Probe("finds the exponent of an exact power law", 2, _exact_law, essential=True),
        Probe("does not depend on the unit of n", 1, _no_unit),
        Probe("is the least-squares slope of log n against log d", 2, matches("value")),
    ],
    [
        Mistake(
            "no logarithms",
            _slope,
            "This is the slope of n against d. A power law is a straight line only between the logarithms: log n = log a + b·log d.",
        ),
        Mistake(
            "only n in logarithms",
            lambda d, n: _slope(d, n.log()),
            "Only n is in logarithms, which would be right for an exponential law; take log d as well.",
        ),
        Mistake(
            "only d in logarithms",
            lambda d, n: _slope(d.log(), n),
            "Only d is in logarithms; take log n as well.",
        ),
        Mistake(
            "turned around",
            lambda d, n: _fit(n, d),
            "You fitted log d against log n: d and n are swapped.",
        ),
        Mistake(
            "line through the origin",
            lambda d, n: ((d.log() * n.log()).sum() / d.log().square().sum()).item(),
            "Your line goes through the origin, so the factor a is forced to be 1. Subtract the means first, or fit an intercept as well.",
        ),
        Mistake(
            "ratio of the logarithms",
            lambda d, n: (n.log() / d.log()).mean().item(),
            "log n / log d is the exponent only if the factor a is 1. Fit a line with an intercept and take its slope.",
        ),
        Mistake(
            "from the first and the last point",
            _ends,
            "You joined the first and the last point; the other points do not count then. Use least squares over all of them.",
        ),
        Mistake(
            "intercept returned",
            lambda d, n: (n.log().mean() - _fit(d, n) * d.log().mean()).item(),
            "You returned the intercept, log a; the exponent is the slope.",
        ),
        Mistake(
            "two kinds of logarithm",
            lambda d, n: _slope(d.log10(), n.log()),
            "Two kinds of logarithm are mixed (base e and base 10 or 2), which multiplies the slope. Take the same for both.",
        ),
        Mistake(
            "correlation",
            lambda d, n: torch.corrcoef(torch.stack([d.log(), n.log()]))[0, 1].item(),
            "This is the correlation of log d and log n; the slope is their covariance divided by the variance of log d.",
        ),
    ],
    "Take both logarithms, subtract their means, and divide the sum of products by the sum of squares of log d. Or np.polyfit(log d, log n, 1), whose first number is the slope.",
    returns="number",
    like=0,
)
