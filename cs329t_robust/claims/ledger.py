"""What a claim is, what a finding is, and where the claims are: one module a lesson, found by its name."""

import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
from torch import Tensor

from ..evaluation.accuracy import wilson

RESAMPLES = 2000


@dataclass(frozen=True)
class Finding:
    """What running a claim gave.

    Attributes
    ----------
    value : str
        Our number with its unit, as it is printed: "24 of 24 (100%)". Rounded so that two machines agree.
    n : int
        What it was measured on: so many …
    of : str
        … of these, in the plural: "photograph × target pairs".
    setting : str
        Model, data, attack, radius, seeds: what somebody needs to know before comparing it with another number.
    holds : bool
        Whether the claim's `holds_if` is met.
    number : float, optional
        `value` as a plain number (a share as 0 to 1), by which two runs are compared.
    interval : (low, high), optional
        95% interval of `number`, in its unit.
    unit : str
        What follows `interval` in print; "%" prints a share as a percentage.
    note : str
        What a reader should know beside it: a control, a second number, why it does not hold.
    """

    value: str
    n: int
    of: str
    setting: str
    holds: bool
    number: float | None = None
    interval: tuple[float, float] | None = None
    unit: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Make plain numbers of tensors, so that every finding can be kept."""
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "holds", bool(self.holds))
        if self.number is not None:
            object.__setattr__(self, "number", float(self.number))
        if self.interval is not None:
            low, high = self.interval
            object.__setattr__(self, "interval", (float(low), float(high)))


@dataclass(frozen=True)
class Claim:
    """One row of the ledger.

    Attributes
    ----------
    id : str
        The lesson, a dot, a name of small letters, digits and hyphens: "03.glasses".
    says : str
        The claim, in words.
    source : str
        Who claims it: the lecture's slide, or the paper with its arXiv id.
    theirs : str
        Their number, with their setting; "no number given" where there is none.
    holds_if : str
        What we ask for, written before the run: "at least 90% of the pairs are reached".
    run : callable
        Measures it, on the CPU, from fixed seeds: a second run gives the same finding. At most a minute.
    """

    id: str
    says: str
    source: str
    theirs: str
    holds_if: str
    run: Callable[[], Finding]

    @property
    def lesson(self) -> str:
        """The number of the lesson, "03"."""
        return self.id[:2]


@dataclass(frozen=True)
class Outcome:
    """A claim that was run: its finding or, if it raised, the error; and the seconds of CPU time that it took."""

    claim: Claim
    finding: Finding | None
    error: str
    seconds: float

    @property
    def verdict(self) -> str:
        """One of "holds", "does not hold", "error"."""
        return "error" if self.finding is None else "holds" if self.finding.holds else "does not hold"


def share(hits: int, n: int, of: str, *, setting: str, holds: bool, note: str = "") -> Finding:
    """Return the finding "`hits` of `n`", with the 95% Wilson interval of the share."""
    hits = int(hits)
    value = f"{hits} of {n} ({percent(hits / n, n)})"
    return Finding(value, n, of, setting, holds, hits / n, wilson(hits, n), "%", note)


def median(values: Tensor, of: str, *, setting: str, holds: bool, unit: str = "", note: str = "") -> Finding:
    """Return the median of `values` (n,), with a 95% bootstrap interval (2000 resamples, percentiles)."""
    return _typical(np.median, values, of, setting, holds, unit, note)


def mean(values: Tensor, of: str, *, setting: str, holds: bool, unit: str = "", note: str = "") -> Finding:
    """Return the mean of `values` (n,), with a 95% bootstrap interval (2000 resamples, percentiles)."""
    return _typical(np.mean, values, of, setting, holds, unit, note)


def _typical(
    statistic: Callable[..., np.ndarray], values: Tensor, of: str, setting: str, holds: bool, unit: str, note: str
) -> Finding:
    sample = values.detach().cpu().double().numpy()
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise ValueError(f"values: expected finite numbers (n,), got shape {sample.shape}; leave out failures, say so")
    rows = np.random.default_rng(0).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.quantile(statistic(sample[rows], axis=1), [0.025, 0.975])
    number = float(statistic(sample))
    value = percent(number, len(sample)) if unit == "%" else f"{number:.3g}{unit}"
    return Finding(value, len(sample), of, setting, holds, number, (float(low), float(high)), unit, note)


def percent(value: float, n: int) -> str:
    """Return a share in percent, with a decimal where `n` >= 1000 can tell one, two from 10,000 on."""
    return f"{100 * value:.{(n >= 1000) + (n >= 10_000)}f}%"


def claims(lesson: str | None = None, only: str | None = None) -> tuple[Claim, ...]:
    """Return every claim, or one lesson's, or the one with the id `only`; in the order of lessons and of their modules.

    A module ``lesson_NN`` of this package with a tuple ``CLAIMS`` is all that it takes to add some.

    Raises
    ------
    ValueError
        If an id is not its lesson's or occurs twice, or nothing is chosen.
    """
    from . import __path__ as here

    names = sorted(module.name for module in iter_modules(here) if re.fullmatch(r"lesson_\d\d", module.name))
    found: list[Claim] = []
    for name in names:
        for claim in import_module(f"{__package__}.{name}").CLAIMS:
            if not re.fullmatch(name[-2:] + r"\.[a-z0-9-]+", claim.id):
                raise ValueError(f"{name}: expected ids such as {name[-2:]}.some-name, got {claim.id!r}")
            if claim.id in (other.id for other in found):
                raise ValueError(f"{name}: the id {claim.id!r} occurs twice")
            found.append(claim)
    chosen = tuple(claim for claim in found if (lesson or claim.lesson, only or claim.id) == (claim.lesson, claim.id))
    if not chosen:
        ids = [claim.id for claim in found]
        near = ", ".join(get_close_matches(only or "", ids, 5, 0.3)) or ", ".join(ids)
        lessons = ", ".join(sorted({claim.lesson for claim in found}))
        raise ValueError(
            f"--only: expected the id of a claim, got {only!r}; nearest: {near}"
            if only
            else f"--lesson: expected one of {lessons}, got {lesson!r}"
        )
    return chosen


def measure(claim: Claim) -> tuple[Outcome, str]:
    """Run a claim; return the outcome and, if it raised, the traceback (else ""): a row that fails stops no other."""
    began, finding, error, trace = time.process_time(), None, "", ""
    try:
        finding = claim.run()
    except Exception as raised:
        error, trace = f"{type(raised).__name__}: {raised}", traceback.format_exc()
    return Outcome(claim, finding, error, time.process_time() - began), trace
