"""Numbers that carry their 95% interval: means, shares, and the exponent of a power law."""

import math
from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from ..contract.input_validation import check_count
from ..evaluation.accuracy import wilson


class Estimate(NamedTuple):
    """A value and its 95% interval.

    Attributes
    ----------
    value : float
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95% interval {self.low:.3f} to {self.high:.3f})"


def mean_of(values: Tensor) -> Estimate:
    """Return the mean of independent values with Student's 95% interval.

    Parameters
    ----------
    values : Tensor (m,), m >= 2

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are fewer than two values, or another shape.
    """
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values: expected at least two, shape (m,), got shape {tuple(values.shape)}")
    from scipy.stats import t

    mean, error = values.double().mean().item(), values.double().std().item() / math.sqrt(len(values))
    reach = float(t.ppf(0.975, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def share_of(right: Tensor) -> Estimate:
    """Return the share of True with its 95% Wilson interval.

    Parameters
    ----------
    right : Tensor (n,), bool

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If `right` is empty, or no bools of shape (n,).
    """
    if right.dtype != torch.bool or right.ndim != 1 or not len(right):
        raise ValueError(f"right: expected bools of shape (n,), got {right.dtype} of shape {tuple(right.shape)}")
    count = int(right.sum())
    return Estimate(count / len(right), *wilson(count, len(right)))


def fit_exponent(d: Tensor, n: Tensor) -> Estimate:
    """Fit n = a · d^b and return b: the slope of log n against log d by least squares, with its 95% interval.

    Parameters
    ----------
    d, n : Tensor (m,), positive; at least three points and two different d

    Returns
    -------
    Estimate
        Of b.

    Raises
    ------
    ValueError
        If the shapes differ, there are too few points, or a value is not positive and finite.
    """
    if d.shape != n.shape or d.ndim != 1 or len(d) < 3 or len(d.unique()) < 2:
        raise ValueError(
            "d, n: expected at least three points at two or more different d, "
            f"got shapes {tuple(d.shape)}, {tuple(n.shape)}"
        )
    if not bool(((d > 0) & (n > 0) & d.isfinite() & n.isfinite()).all()):
        raise ValueError("d, n: expected positive, finite values, since their logarithms are taken")
    from scipy.stats import linregress, t

    line = linregress(d.double().log().numpy(), n.double().log().numpy())
    reach = float(t.ppf(0.975, len(d) - 2)) * float(line.stderr)
    return Estimate(float(line.slope), float(line.slope) - reach, float(line.slope) + reach)


def normal_cdf(x: Tensor | float) -> Tensor:
    """Return Φ(x), the standard normal distribution function, in float64."""
    return torch.special.ndtr(torch.as_tensor(x, dtype=torch.float64))


def check_number(name: str, value: object, low: float, high: float, *, closed: str = "") -> float:
    """Return `value` as a float if it lies between `low` and `high`; `closed` names ends that belong to it ("low")."""
    ends = ("[" if "low" in closed else "(") + f"{low:g}, {high:g}" + ("]" if "high" in closed else ")")
    right = not isinstance(value, bool) and isinstance(value, Real)
    if right:
        above = value >= low if "low" in closed else value > low
        right = above and (value <= high if "high" in closed else value < high)
    if not right:
        raise ValueError(f"{name}: expected a number in {ends}, got {value!r}")
    return float(value)


def smallest(good: Callable[[int], bool], limit: int) -> int | None:
    """Return the smallest whole number n <= `limit` with ``good(n)``, or None; `good` must stay true once it is."""
    check_count("limit", limit, 1)
    high = 1
    while not good(high):
        if high >= limit:
            return None
        high = min(2 * high, limit)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return high


def check_weights(w: Tensor, d: int) -> Tensor:
    """Return weights (d,) or (m, d) in float64, or raise."""
    if not isinstance(w, Tensor) or w.ndim not in (1, 2) or w.shape[-1] != d or not w.is_floating_point():
        got = f"{w.dtype} of shape {tuple(w.shape)}" if isinstance(w, Tensor) else type(w).__name__
        raise ValueError(f"w: expected float weights of shape ({d},) or (m, {d}), got {got}")
    w = w.double()
    if not bool(w.isfinite().all()) or bool((w.abs().amax(-1) == 0).any()):
        raise ValueError("w: expected finite weights that are not all zero: sign(0) classifies nothing")
    return w
