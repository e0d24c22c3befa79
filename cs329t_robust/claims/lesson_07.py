"""What lesson 07 claims: robust learning needs more examples, and robustness may cost accuracy."""

from functools import cache

import torch
from torch import Tensor, nn

from ..checkpoints import generalization
from ..data.datasets import mnist
from ..evaluation.accuracy import accuracy
from ..theory import BernoulliModel, GaussianModel, StrongWeak, adversarial_training, fit_exponent, mean_of
from .ledger import Claim, Finding, share

SCHMIDT = "Schmidt et al. 2018, arXiv:1804.11285, section 2"
TSIPRAS = "Tsipras et al. 2019, arXiv:1805.12152, section 2"
GAUSS = "Gaussian model, σ = 0.65·d^¼, learners that average y·x"
DIMS = (1024, 4096, 16_384, 65_536, 262_144)
TWO = StrongWeak(d=100, p=0.95, eta=0.3)
WORLD = "100 weak features with η = 0.3, a strong one with p = 0.95"
SMALL = "MNIST, the small CNN, 400 updates, a training set of its own for each seed; robust: PGD-20 at L∞ 0.1"


@cache
def examples_taken(eps: float) -> Tensor:
    """Return how many examples four learners took at each of `DIMS` until their error was at most 10%, (5, 4)."""
    draw = torch.Generator().manual_seed(0)
    worlds = [GaussianModel.at_scale(d) for d in DIMS]
    return torch.tensor([[w.learn(0.1, eps, draw) for _ in range(4)] for w in worlds])


def one_example() -> Finding:
    """Count the learners that one example is enough for."""
    taken = examples_taken(0.0)
    return share(
        (taken == 1).sum(), taken.numel(), "learners whom one example brings to 90% accuracy",
        setting=f"{GAUSS}, d = 1,024 to 262,144, no attack", holds=bool((taken == 1).all()),
    )  # fmt: skip


def _near_half(value: float) -> bool:
    return abs(value - 0.5) <= 0.02


def root_d() -> Finding:
    """Fit the exponent to learners at the dimensions that can be simulated."""
    taken = examples_taken(0.5).float()
    dims = torch.tensor(DIMS).repeat_interleave(taken.shape[1])
    needs = torch.tensor([GaussianModel.at_scale(d).typical_need(0.1, 0.5) for d in DIMS])
    exact = fit_exponent(torch.tensor(DIMS), needs).value
    note = (
        f"The closed form gives {exact:.2f} at the same d, so it is no noise: the theorem is about large d (07.root-d-far). "
        "Its lower bound √d / log d has an exponent of 0.39 there."
    )
    setting = f"{GAUSS} until their error at ε = 0.5 is at most 10%; d = 1,024 to 262,144"
    value, low, high = fit_exponent(dims, taken.flatten())
    return Finding(f"{value:.2f}", len(dims), "learners", setting, _near_half(value), value, (low, high), note=note)


def root_d_far() -> Finding:
    """Fit the exponent to the closed form far out."""
    dims = torch.tensor([10.0**k for k in range(8, 13)])
    needs = torch.tensor([GaussianModel.at_scale(int(d)).typical_need(0.1, 0.5) for d in dims])
    setting = f"{GAUSS}; closed form for large d, error at ε = 0.5 at most 10%, d = 10^8 to 10^12"
    value = fit_exponent(dims, needs).value
    return Finding(f"{value:.3f}", len(dims), "dimensions, no sampling", setting, _near_half(value), value)


def radius_squared() -> Finding:
    """Double the radius."""
    world = GaussianModel.at_scale(10**12)
    factor = world.typical_need(0.1, 0.2) / world.typical_need(0.1, 0.1)
    return Finding(
        f"{factor:.1f} times as many", 2, "radii, no sampling", f"{GAUSS}; closed form, d = 10^12, ε = 0.1 and 0.2",
        holds=3.6 <= factor <= 4.4, number=factor,
    )  # fmt: skip


@cache
def coins(threshold: bool) -> tuple[int, int]:
    """Return how many of so many attacked examples a classifier from one example gets right, in the Bernoulli model."""
    draw, world = torch.Generator().manual_seed(0), BernoulliModel.at_scale(10_000)
    seen = [world.simulated_error(world.estimate(1, draw), 0.5, 100, draw, threshold=threshold) for _ in range(10)]
    return round(sum(100 * (1 - s.value) for s in seen)), 1000


def threshold_helps() -> Finding:
    """Attack a linear classifier behind a threshold, and without it."""
    (kept, n), (plain, _) = coins(True), coins(False)
    return share(
        kept, n, "attacked examples still right, with the threshold",
        setting="Bernoulli model, d = 10,000, τ = 0.8·d^(−¼), ε = 0.5, ten learners of one example each",
        holds=kept >= 0.95 * n and plain <= 0.5 * n, note=f"Without the threshold: {plain} of {n}.",
    )  # fmt: skip


def bound_holds() -> Finding:
    """Try to break the theorem's bound with random linear classifiers."""
    draw = torch.Generator().manual_seed(0)
    w = torch.randn(10_000, 101, generator=draw).double() * torch.tensor([8.0] + [1.0] * 100) + 0.5
    above = 0
    for part, bias in zip(w.split(500), torch.randn(20, generator=draw).tolist(), strict=True):
        delta = 1 - TWO.accuracy(part, 0.0, bias)
        limit = (TWO.p / (1 - TWO.p) * delta).clamp(max=1)
        above += int((TWO.accuracy(part, 2 * TWO.eta, bias) > limit + 1e-9).sum())
    return share(
        above, len(w), "linear classifiers above the bound",
        setting=f"{WORLD}; ε = 2η, random weights and biases, exact accuracies", holds=above == 0,
    )  # fmt: skip


@cache
def learned(eps: float, seed: int) -> Tensor:
    """Return the weights that adversarial training gives on 5,000 examples."""
    x, y = TWO.sample(5000, torch.Generator().manual_seed(seed))
    return adversarial_training(x, y, eps)


def _both(eps: float) -> tuple[float, float]:
    accuracies = [[TWO.accuracy(learned(eps, seed), at).item() for at in (0.0, 0.6)] for seed in range(3)]
    clean, robust = torch.tensor(accuracies).mean(0).tolist()
    return clean, robust


def trade_off() -> Finding:
    """Train with and without the adversary."""
    (standard, attacked), (tough, kept) = _both(0.0), _both(0.6)
    return Finding(
        f"{standard:.1%} / {attacked:.1%} and {tough:.1%} / {kept:.1%}", 6, "trainings",
        f"{WORLD}; logistic regression, without and with the exact inner maximum at ε = 2η; clean / robust at 2η",
        holds=standard > 0.99 and attacked < 0.01 and min(tough, kept) > 0.94,
    )  # fmt: skip


def switch() -> Finding:
    """Find on which side of η the weak features are kept."""
    shares = {
        e: [(w[1:].abs().sum() / w.abs().sum()).item() for w in (learned(e, s) for s in range(3))] for e in (0.24, 0.4)
    }
    below, above = min(shares[0.24]), max(shares[0.4])
    return Finding(
        f"{'over half' if below > 0.5 else f'{below:.0%}'} at 0.8η, {'below 5%' if above < 0.05 else f'{above:.0%}'} at 1.33η", 6, "trainings",
        f"{WORLD}; share of ‖w‖₁ on weak features after adversarial logistic regression on 5,000 examples",
        holds=below > 0.5 and above < 0.05,
        note="Exactly: a weak feature pays for itself in the loss if and only if η > ε. For the error rate it stops paying "
        "earlier, at ε = 0.66 η here; both meet as d grows.",
    )  # fmt: skip


LONGER = "standard, longer"  # as many gradients as adversarial training takes


@cache
def net(method: str, n: int, seed: int) -> nn.Module:
    """Return a network of the lesson's table, trained once."""
    return generalization.trained(method, n, seed)


@cache
def clean(method: str, n: int, seed: int) -> float:
    """Return its clean accuracy on all test digits."""
    return float(accuracy(net(method, n, seed), *mnist("test")))


def _points(values: list[float], setting: str, holds: bool, note: str = "") -> Finding:
    value, *ends = mean_of(100 * torch.tensor(values, dtype=torch.float64))
    return Finding(
        f"{value:+.1f} points", len(values), "training sets", setting, holds, value, tuple(ends), " points", note
    )


def _gain(method: str, other: str, n: int, sets: int) -> list[float]:
    return [clean(method, n, seed) - clean(other, n, seed) for seed in range(sets)]


def augmentation() -> Finding:
    """Compare augmentation with standard training at n = 1,000."""
    values = _gain("augmentation", "standard", 1000, 3)
    setting = f"{SMALL}; n = 1,000; turns up to 15°, shifts up to 2 pixels; clean test accuracy"
    return _points(values, setting, min(values) > 0)


def robust_gap() -> Finding:
    """Compare the gaps between training and test digits at n = 1,000."""
    gaps = []
    for seed in range(3):
        plain = float(accuracy(net("standard", 1000, seed), *generalization.subset(1000, seed)))
        tough = generalization.measured(net("adversarial", 1000, seed), 1000, seed)
        gaps.append(tough["robust train"] - tough["robust test"] - (plain - clean("standard", 1000, seed)))
    setting = f"{SMALL}; n = 1,000; robust gap of adversarial training less clean gap of standard training"
    return _points(gaps, setting, min(gaps) > 0)


def adversarial_few() -> Finding:
    """Compare adversarial training with as many gradients of standard training at n = 1,000."""
    values = _gain("adversarial", LONGER, 1000, 3)
    setting = f"{SMALL}; n = 1,000; PGD-3 at L∞ 0.1, against standard training; clean test accuracy"
    return _points(values, setting, min(values) > 0)


def adversarial_many() -> Finding:
    """Compare adversarial training with as many gradients of standard training at n = 10,000."""
    values = _gain("adversarial", LONGER, 10_000, 2)
    setting = f"{SMALL}; n = 10,000; PGD-3 at L∞ 0.1, against standard training; clean test accuracy"
    more = generalization.gain(generalization.shipped(), "adversarial", LONGER)[10_000]
    note = (
        f"Two sets leave a wide interval; the lesson's table, of three, has {100 * more.value:+.1f} points "
        f"({100 * more.low:+.1f} to {100 * more.high:+.1f}). Against as many weight updates, a quarter of the gradients, "
        "adversarial training is ahead: standard training is not done then."
    )
    return _points(values, setting, max(values) < 0, note)


CLAIMS = (
    Claim(
        "07.one-example", "In the Gaussian model one example is enough for standard accuracy, in any dimension.",
        SCHMIDT, "n = 1 for an error of 1%", "it is for all learners", one_example,
    ),
    Claim(
        "07.root-d", "The number of examples for robust accuracy grows like √d, at the dimensions that can be simulated.",
        f"lecture, slide “Robust generalization is hard”; {SCHMIDT}", "exponent ½, up to a logarithm",
        "the fitted exponent is within 0.02 of ½", root_d,
    ),
    Claim(
        "07.root-d-far", "The number of examples for robust accuracy grows like √d, far out.",
        SCHMIDT, "exponent ½, up to a logarithm", "the fitted exponent is within 0.02 of ½", root_d_far,
    ),
    Claim(
        "07.eps-squared", "It grows like ε².", SCHMIDT, "exponent 2: four times as many for twice the radius",
        "between 3.6 and 4.4 times as many", radius_squared,
    ),
    Claim(
        "07.threshold", "In the Bernoulli model a thresholding nonlinearity makes one example enough for robustness.",
        SCHMIDT, "n = 1 for a robust error of 1%, any ε < 1",
        "at least 95% stay right with it, and at most half without it", threshold_helps,
    ),
    Claim(
        "07.bound", "A standard accuracy of 1 − δ leaves room for a robust accuracy of at most p/(1 − p)·δ.",
        f"lecture, slide “There can exist an inherent trade-off”; {TSIPRAS}, theorem 2.1", "none above", "none is above", bound_holds,
    ),
    Claim(
        "07.trade-off", "Standard training is accurate and falls; adversarial training uses the strong feature only: less accurate, and robust.",
        f"lecture, slide “no free lunch”; {TSIPRAS}", "above 99% / below 1%, and p / p",
        "above 99% / below 1%, and both above 94% at p = 95%", trade_off,
    ),
    Claim(
        "07.switch", "Adversarial training drops the weak features once ε passes η.", TSIPRAS, "no number given",
        "over half of the weight lies on them at 0.8η and below 5% at 1.33η, in each of three samples", switch,
    ),
    Claim(
        "07.augmentation", "Data augmentation significantly improves test accuracy.",
        "lecture, slide “Does robustness improve accuracy?”", "no number given",
        "it is ahead of standard training on each of three training sets", augmentation,
    ),
    Claim(
        "07.robust-gap", "The gap between training and test digits is larger for robust accuracy than for clean accuracy.",
        f"lecture, slide “Robust generalization is hard”, empirically; {SCHMIDT.split(',')[0]}, arXiv:1804.11285", "no number given",
        "it is, on each of three training sets", robust_gap,
    ),
    Claim(
        "07.adversarial-few", "With few examples, adversarial training improves standard accuracy.",
        f"lecture, slide “Does adversarial training improve standard accuracy?”; {TSIPRAS}", "no number given",
        "it is ahead of standard training with as many gradients, on each of three training sets", adversarial_few,
    ),
    Claim(
        "07.adversarial-many", "With many examples, robust models are less accurate.",
        f"lecture, slide “Why are robust models less accurate?”; {TSIPRAS}", "no number given",
        "it is behind standard training with as many gradients, on both training sets", adversarial_many,
    ),
)  # fmt: skip
