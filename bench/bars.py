"""The bars our attacks must clear, each read off the rows of a run: a measured value, a limit, met or missed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .timing import is_peer

PER_GRADIENT = 1.05  # of the bare loop's time
DROPPING = {("pgd", "standard"): 0.25, ("pgd", "robust"): 0.9, ("pgd-5", "standard"): 0.1, ("pgd-5", "robust"): 0.85}
POINTS, WHOLE_POINTS = 0.002, 0.005  # of robust accuracy above the best peer's; of autoattack's
DEEPFOOL, EQUAL = 0.3, 1.01  # of foolbox's time and median norm
APGD_T = 0.5  # of auto-attack's time, robust model
L2_TIME = 0.2  # of foolbox CW's time
ALWAYS = (("apgd-t", "default"), ("apgd-t", "published"), ("autoattack", "default"))  # "not measured" where one failed
FAST_TIME, FAST_POINTS = 0.2, 0.005  # of our "standard" time, and above its robust accuracy
SAME, MASKED = 0.995, "masked"  # share of images on which both say the same, on models that do not hide their gradient


@dataclass(frozen=True)
class Bar:
    """A promise and what was measured: None where a contender it needs is missing or failed, else infinite at worst."""

    name: str
    measured: float | None
    limit: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Whether the bar is met, missed, or was not measured."""
        if self.measured is None:
            return "not measured"
        met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "met" if met else "missed"

    def __str__(self) -> str:
        value = "—" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.verdict:<12}  {self.name}: {value} (bar {'>=' if self.at_least else '<='} {self.limit:g})"


def bars(rows: list[dict]) -> list[Bar]:
    """Return every bar of the attacks and models in `rows`, as `bench.timing.rows` makes them."""
    races = dict.fromkeys((row["attack"], row["model"]) for row in rows)
    return [bar for attack, model in races for bar in _bars_of(Found(rows, attack, model))]


class Found:
    """The rows of one attack on one model that did not fail."""

    def __init__(self, rows: list[dict], attack: str, model: str) -> None:
        self.attack, self.model = attack, model
        every = [row for row in rows if (row["attack"], row["model"]) == (attack, model)]
        self.ours = sorted({row["who"] for row in every if row["who"].startswith("ours")})
        self.rows = {(row["mode"], row["who"]): row for row in every if not row["error"]}
        self.peers = [row for row in self.rows.values() if is_peer(row)]

    def get(self, mode: str, who: str, column: str) -> float | None:
        """Return one number, or None if that contender is missing or failed, or has no such number."""
        row = self.rows.get((mode, who))
        return None if row is None else _number(row, column)

    def least(self, column: str) -> float | None:
        """Return the peers' smallest number."""
        numbers = [_number(row, column) for row in self.peers]
        return min((number for number in numbers if number is not None), default=None)


def _number(row: dict, column: str) -> float | None:
    """Return a cell; an attack that left more than half of the images standing has an infinite median norm."""
    return math.inf if column == "median_norm" and row[column] is None else row[column]


def _bars_of(found: Found) -> Iterator[Bar]:
    attack, where = found.attack, f"{found.attack}, {found.model}"
    if attack in ("fgsm", "pgd"):
        yield Bar(f"{where}: fixed steps, time over the bare loop's", found.get("fixed", "ours", "ratio"), PER_GRADIENT)
    if (attack, found.model) in DROPPING:
        ratio = found.get("evaluation", "ours", "vs_fastest_peer")
        yield Bar(f"{where}: evaluation, time over the fastest peer's", ratio, DROPPING[attack, found.model])
    if attack == "deepfool":
        yield from _beside(
            found, "default", "foolbox", where, (("seconds", "time", DEEPFOOL), ("median_norm", "median norm", EQUAL))
        )
    elif attack == "l2":
        yield from _l2(found, where)
    else:
        yield from _accuracy(found, where)
    if attack == "apgd-t" and found.model == "robust":
        theirs = found.get("default", "auto-attack", "seconds")
        for mode in ("default", "published"):
            ratio = _over(found.get(mode, "ours", "seconds"), theirs)
            yield Bar(f"{where}: {mode}, time over auto-attack's", ratio, APGD_T)
    if attack == "autoattack":
        fast, whole = (found.get(mode, "ours", "seconds") for mode in ("fast", "default"))
        yield Bar(f'{where}: "fast", time over our "standard"', _over(fast, whole), FAST_TIME)
        fast, whole = (found.get(mode, "ours", "robust_accuracy") for mode in ("fast", "default"))
        yield Bar(f'{where}: "fast", robust accuracy above our "standard"', _above(fast, whole), FAST_POINTS)
        if found.model != MASKED:
            same = found.get("fast", "ours", "same_verdict")
            yield Bar(f'{where}: "fast", share of images judged as by our "standard"', same, SAME, at_least=True)


def _beside(found: Found, mode: str, peer: str, where: str, columns: tuple) -> Iterator[Bar]:
    for column, words, limit in columns:
        ratio = _over(found.get(mode, "ours", column), found.get(mode, peer, column))
        yield Bar(f"{where}: {words} over {peer}'s", ratio, limit)


def _accuracy(found: Found, where: str) -> Iterator[Bar]:
    """Compare each of our modes with the peer that left the lowest robust accuracy; "fast" has a bar of its own."""
    for mode, who in dict.fromkeys((mode, "ours") for mode in ("fixed", "evaluation", "default", "published")):
        if (mode, who) in found.rows or (found.attack, mode) in ALWAYS:
            gap = _above(found.get(mode, who, "robust_accuracy"), found.least("robust_accuracy"))
            limit = WHOLE_POINTS if found.attack == "autoattack" else POINTS
            yield Bar(f"{where}: {mode}, robust accuracy above the best peer's", gap, limit)


def _l2(found: Found, where: str) -> Iterator[Bar]:
    for who in found.ours:
        norm = _over(found.get("default", who, "median_norm"), found.least("median_norm"))
        time = _over(found.get("default", who, "seconds"), found.get("default", "foolbox cw", "seconds"))
        yield Bar(f"{where}: {who}, median norm over the nearest peer's", norm, 1)
        yield Bar(f"{where}: {who}, success", found.get("default", who, "success"), 1, at_least=True)
        yield Bar(f"{where}: {who}, time over foolbox CW's", time, L2_TIME)


def _over(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b and b < math.inf else None


def _above(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else round(a - b, 6)
