"""The table of lesson 04: pairs of digits that a person calls the same or different, and what each measure says.

Everything that the lesson prints about norms is computed here, so that the claims ledger computes the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..attacks import fmn, pgd
from ..contract.input_validation import Model, check_count
from ..data.datasets import mnist
from ..evaluation.accuracy import predict, wilson
from ..threat import Linf
from .distances import Distance, feature_maps, in_features, l0, l1, l2, linf, shift, ssim, transport

SAME = ("one-pixel shift", "PGD at 0.1", "PGD at 0.3", "another of its class")
"""The kinds of pairs whose two images a person reads as the same digit."""
NEAREST = "nearest of another class"
"""The kind of pairs of a digit and the nearest training digit of another class."""
ANY = "any of another class"
"""The kind of pairs of a digit and a random test digit of another class."""
NORMS = ("L0", "L1", "L2", "Linf")
"""The four norms, in the order of the table's columns."""
POOL = 60_000  # training digits among which the nearest of another class is sought
Z = 1.959963984540054


class Share(float):
    """A share in [0, 1] of `n` pairs, with its 95% Wilson interval.

    Parameters
    ----------
    successes : float
    n : int
    """

    n: int
    interval: tuple[float, float]

    def __new__(cls, successes: float, n: int) -> "Share":
        self = super().__new__(cls, successes / n)
        self.n, self.interval = n, wilson(successes, n)
        return self

    def __getnewargs__(self) -> tuple[float, int]:  # for copy and pickle
        return float(self) * self.n, self.n


@dataclass(frozen=True)
class Pairs:
    """Digits, and for each of them several others: ``others[kind][i]`` belongs to ``x[i]``.

    Attributes
    ----------
    x, y : Tensor (n, 1, 28, 28), Tensor (n,)
    others : mapping of kind to Tensor (n, 1, 28, 28)
        A person reads the kinds of `SAME` as the digit of x, and `NEAREST` and `ANY` as another one: that is what
        their labels say, and all that this table knows about people.
    """

    x: Tensor
    y: Tensor
    others: Mapping[str, Tensor]


@dataclass(frozen=True)
class Table:
    """Distances of each kind of pair in each measure.

    Attributes
    ----------
    kinds, measures : tuple of str
    values : Tensor (kinds, measures, n)
    """

    kinds: tuple[str, ...]
    measures: tuple[str, ...]
    values: Tensor

    def of(self, kind: str, measure: str) -> Tensor:
        """Return the distances of one kind of pair in one measure, shape (n,)."""
        return self.values[self.kinds.index(kind), self.measures.index(measure)]

    def mean(self, kind: str, measure: str) -> tuple[float, float, float]:
        """Return the mean distance and the ends of its 95% interval (mean ± 1.96 standard errors)."""
        values = self.of(kind, measure).double()
        middle, half = values.mean().item(), Z * values.std().item() / len(values) ** 0.5
        return middle, middle - half, middle + half

    def farther(self, kind: str, than: str, measure: str) -> Share:
        """Return the share of digits for which `kind` is farther than another kind; a tie counts one half."""
        return nearer_share(self.of(than, measure), self.of(kind, measure))

    def agreement(self, measure: str, kind: str, than: str = NEAREST) -> Share:
        """Return the share of digits for which a pair of one meaning is nearer than one of two meanings."""
        return nearer_share(self.of(kind, measure), self.of(than, measure))

    def shares(self, than: str = NEAREST) -> Tensor:
        """Return every agreement, (measures, kinds of `SAME`)."""
        return torch.tensor([[float(self.agreement(m, kind, than)) for kind in SAME] for m in self.measures])


def nearer_share(near: Tensor, far: Tensor) -> Share:
    """Return the share of rows in which `near` (n,) is smaller than `far` (n,); a tie counts one half."""
    return Share((near < far).sum().item() + 0.5 * (near == far).sum().item(), len(near))


def measures(robust: Model | None = None) -> dict[str, Distance]:
    """Return the measures that the table compares, each a distance: larger is farther.

    Parameters
    ----------
    robust : module, optional
        A network in whose feature maps a last measure is taken.

    Returns
    -------
    dict of str to callable
        Each (x, x_adv) to (n,).

    Raises
    ------
    ValueError
        If `robust` is no module with ReLU layers.
    """
    found: dict[str, Distance] = {
        "L0": l0,
        "L1": l1,
        "L2": l2,
        "Linf": linf,
        "1 − SSIM": lambda x, x_adv: 1 - ssim(x, x_adv),
        "transport": transport,
    }
    if robust is not None:
        maps = feature_maps(robust)
        found["features"] = lambda x, x_adv: in_features(x, x_adv, maps)
    return found


def pairs(model: Model, n: int = 500, seed: int = 0) -> Pairs:
    """Return the first `n` test digits beside what the table compares them with.

    Parameters
    ----------
    model : callable
        The network that PGD (40 steps) attacks.
    n : int, 20 to 10,000
    seed : int
        Of PGD's starts, and of the draws of another digit of the same and of another class (among the n).

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        If `n` is out of range.
    """
    check_count("n", n, 20)
    x, y = mnist("test", n=n)
    generator = torch.Generator().manual_seed(seed)
    others = {
        SAME[0]: shift(x, down=1),
        SAME[1]: pgd(model, x, y, threat=Linf(0.1), steps=40, seed=seed),
        SAME[2]: pgd(model, x, y, threat=Linf(0.3), steps=40, seed=seed),
        SAME[3]: x[_drawn(y[:, None] == y, generator)],
        NEAREST: nearest_of_another_class(x, y),
        ANY: x[_drawn(y[:, None] != y, generator)],
    }
    return Pairs(x, y, others)


def _drawn(allowed: Tensor, generator: torch.Generator) -> Tensor:
    """Return for each row one column that it allows, never its own number, at random, (n,)."""
    weights = allowed.double().fill_diagonal_(0)
    return torch.multinomial(weights, 1, generator=generator).squeeze(1)


def nearest_of_another_class(x: Tensor, y: Tensor, pool: int = POOL) -> Tensor:
    """Return for each digit the L2-nearest of the first `pool` training digits that bears another label."""
    other, label = mnist("train", n=pool)
    far = torch.cdist(x.flatten(1), other.flatten(1)).masked_fill_(y[:, None] == label, torch.inf)
    return other[far.argmin(1)]


def measure(found: Pairs, by: Mapping[str, Distance]) -> Table:
    """Return every distance of the pairs in each measure.

    Parameters
    ----------
    found : Pairs
    by : mapping of str to callable
        The measures, each (x, x_adv) to (n,).

    Returns
    -------
    Table
    """
    rows = [
        torch.stack([distance(found.x, other).float() for distance in by.values()]) for other in found.others.values()
    ]
    return Table(tuple(found.others), tuple(by), torch.stack(rows))


def nearest_in_each_norm(model: Model, x: Tensor, y: Tensor, steps: int = 100) -> dict[str, Tensor]:
    """Return, for each norm, images that just fool the model, found by `fmn`: equal success, each in its own norm.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.
    steps : int >= 1
        Of `fmn`.

    Returns
    -------
    dict of str to Tensor (n, c, h, w)
        By the names in `NORMS`.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    return {norm: fmn(model, x, y, norm=norm, steps=steps) for norm in NORMS}


def radius_of_half(model: Model, x: Tensor, y: Tensor, found: Mapping[str, Tensor]) -> dict[str, float]:
    """Return, for each norm, the radius within which half of the correctly classified images are fooled.

    An image for which `found` holds none that fools the model counts as infinitely far away: if those are most, the
    radius is infinite.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.
    found : mapping of str to Tensor (n, c, h, w)
        The nearest adversarial images, by the names in `NORMS`.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    kept = predict(model, x).argmax(1) == y
    sizes = {}
    for norm, x_adv in found.items():
        far = {"L0": l0, "L1": l1, "L2": l2, "Linf": linf}[norm](x, x_adv)
        far = torch.where(predict(model, x_adv).argmax(1) != y, far, torch.inf)[kept]
        sizes[norm] = far.quantile(0.5, interpolation="higher").item()
    return sizes


def scaled_to(x: Tensor, x_adv: Tensor, size: float, distance: Distance = l2) -> Tensor:
    """Return x + t·(x_adv − x), clipped to [0, 1], with t such that its distance from x is `size`.

    t is bisected for each image. Where even the clipped limit is nearer than `size`, the image at t = 64 is returned.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w)
    size : float
    distance : callable
        (x, x_adv) to (n,).

    Returns
    -------
    Tensor (n, c, h, w)
    """
    low, high = x.new_zeros(len(x)), x.new_full((len(x),), 64.0)
    for _ in range(40):
        middle = (low + high) / 2
        short = distance(x, _along(x, x_adv, middle)) < size
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return _along(x, x_adv, high)


def _along(x: Tensor, x_adv: Tensor, t: Tensor) -> Tensor:
    return (x + t.view(-1, 1, 1, 1) * (x_adv - x)).clamp(0, 1)
