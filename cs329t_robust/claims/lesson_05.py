"""What lesson 05 claims: which ways of training make a network robust, against what, and at what price."""

from functools import cache, partial

import torch

from ..attacks import fgsm, pgd, spatial
from ..data.datasets import mnist
from ..evaluation.accuracy import Accuracy, accuracy, robust_accuracy
from ..losses import cross_entropy
from ..models.networks import SmallCNN, mnist_classifier
from ..threat import Linf, Spatial, Threat
from ..training.recipes import RECIPES, noise
from .ledger import Claim, Finding, share

N = 500
ATTACKS = {"PGD, 40 steps": partial(pgd, steps=40, drop_adversarial=True), "FGSM": fgsm}
POSES = Spatial(degrees=30, pixels=3)
LECTURE = "lecture, robust training"
WONG = "Wong, Rice & Kolter 2020, arXiv:2001.03994"


@cache
def robust_share(method: str, attack: str = "PGD, 40 steps", threat: Threat | None = None) -> Accuracy:
    """Return the accuracy of a shipped classifier on the first test digits under attack, within L∞ 0.3 or `threat`."""
    x, y = mnist("test", N)
    return robust_accuracy(mnist_classifier(method), x, y, ATTACKS[attack], threat or Linf(0.3))


def setting(method: str, attack: str = "PGD, 40 steps", threat: str = "L∞ 0.3") -> str:
    """Say which network was attacked by what."""
    return f"MNIST, the shipped network {method} ({RECIPES[method].says}), {attack}, {threat}"


def finding(got: Accuracy, holds: bool, how: str, note: str = "") -> Finding:
    """Return a robust accuracy as a finding."""
    return share(int(got.correct.sum()), got.n, "test digits that stay right", setting=how, holds=holds, note=note)


def standard() -> Finding:
    """Attack the network of standard training."""
    got = robust_share("standard")
    clean = accuracy(mnist_classifier(), *mnist("test", N))
    return finding(got, got < 0.05, setting("standard"), f"Without an attack {float(clean):.1%} are right.")


def noise_against_noise() -> Finding:
    """Add the noise of its training to the test digits."""
    x, y = mnist("test", N)
    model = mnist_classifier("gaussian")
    with torch.no_grad():
        right = model(noise(model, x, y, sigma=0.3, seed=0)).argmax(1) == y
    return finding(Accuracy(right), float(right.float().mean()) >= 0.95, setting("gaussian", "fresh noise", "σ = 0.3"))


def noise_against_adversary() -> Finding:
    """Attack the network of noise training."""
    got, near = robust_share("gaussian"), robust_share("gaussian", threat=Linf(0.1))
    plain = robust_share("standard", threat=Linf(0.1))
    note = f"At L∞ 0.1 {float(near):.0%} stay right, against {float(plain):.0%} of the standard network's."
    return finding(got, got >= 0.5, setting("gaussian"), note)


def robust(method: str, least: float) -> Finding:
    """Attack a network of robust training."""
    got = robust_share(method)
    return finding(got, got >= least, setting(method))


def collapse() -> Finding:
    """Attack the FGSM-trained network with one step and with many."""
    one, many = robust_share("fgsm", "FGSM"), robust_share("fgsm")
    note = f"Under FGSM, which it was trained on, {float(one):.0%} stay right."
    return finding(many, one >= 0.8 and many < 0.1, setting("fgsm"), note)


def turned() -> Finding:
    """Turn and shift the digits that the PGD-trained network reads, each in its worst of 225 poses."""
    x, y = mnist("test", N)
    got = robust_accuracy(mnist_classifier("pgd"), x, y, partial(spatial, angles=9, shifts=5), POSES)
    note = f"Within L∞ 0.3, its own Δ, {float(robust_share('pgd')):.0%} stay right."
    return finding(got, got < 0.2, setting("pgd", "the worst of 9 angles × 5 × 5 shifts", "±30° and ±3 pixels"), note)


def passes(method: str) -> int:
    """Count how often the network is run for one batch of training."""
    model, counted, recipe = SmallCNN(seed=0).train(), [], RECIPES[method]
    x, y = mnist("train", 32)
    model.register_forward_hook(lambda *_: counted.append(1))
    x_adv = recipe.inner(model, x, y, threat=Linf(0.3)) if recipe.inner else x
    cross_entropy(model(x_adv), y).mean().backward()
    return len(counted)


def price() -> Finding:
    """Compare the passes of one batch."""
    counts = {method: passes(method) for method in ("standard", "fgsm", "pgd")}
    ratio = counts["pgd"] / counts["standard"]
    return Finding(
        f"{ratio:.0f} times", 1, "batch of training", "forward and backward passes of one batch, PGD of 7 steps against standard",
        3 <= ratio <= 30, ratio, note=f"FGSM: {counts['fgsm']} times.",
    )  # fmt: skip


CLAIMS = (
    Claim(
        "05.standard", "Standard training gives a network that can be broken.", LECTURE, "no number given",
        "PGD leaves less than 5% right within L∞ 0.3", standard,
    ),
    Claim(
        "05.noise-noise", "Training on Gaussian noise makes a network safe from Gaussian noise.", LECTURE, "no number given",
        "at least 95% right under fresh noise of the same σ", noise_against_noise,
    ),
    Claim(
        "05.noise-adversary", "Training on Gaussian noise trains robustly.", LECTURE, "no number given",
        "PGD leaves at least half right within L∞ 0.3", noise_against_adversary,
    ),
    Claim(
        "05.minmax", "Training on worst-case perturbations actually leads to robust models.",
        f"{LECTURE}; Madry et al. 2018, arXiv:1706.06083", "92.5% under PGD-100 (the authors' MNIST challenge), L∞ 0.3",
        "PGD leaves at least 85% right within L∞ 0.3", partial(robust, "pgd", 0.85),
    ),
    Claim(
        "05.collapse", "Training with FGSM alone ends in a network that withstands FGSM and nothing else.", WONG,
        "no number for MNIST; 0% under PGD on CIFAR-10", "at least 80% right under FGSM and less than 10% under PGD, L∞ 0.3", collapse,
    ),
    Claim(
        "05.random-start", "A random start mends FGSM training at the same price.", WONG, "no number compared",
        "PGD leaves at least 60% right within L∞ 0.3", partial(robust, "fast", 0.6),
    ),
    Claim(
        "05.trades", "Asking for the same answer at x and x + δ makes a network robust.", "Zhang et al. 2019, arXiv:1901.08573",
        "no number compared", "PGD leaves at least 85% right within L∞ 0.3", partial(robust, "trades", 0.85),
    ),
    Claim(
        "05.turned", "A network that is robust to changes of pixels is not thereby robust to rotations.",
        "Engstrom et al. 2019, arXiv:1712.02779", "no number compared",
        "less than 20% right in the worst pose", turned,
    ),
    Claim(
        "05.price", "Adversarial training takes 3 to 30 times as long.", "Shafahi et al. 2019, arXiv:1904.12843", "3 to 30 times",
        "passes through the network for each batch: 3 to 30 times those of standard training", price,
    ),
)  # fmt: skip
