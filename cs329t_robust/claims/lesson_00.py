"""What lesson 00 claims: a digit classifier is brittle, and noise is not an attack."""

from functools import partial

import torch
from torch import Tensor

from ..attacks import pgd
from ..contract.input_validation import Model
from ..data.datasets import mnist
from ..evaluation.accuracy import robust_accuracy
from ..models.networks import mnist_classifier
from ..threat import Linf, Threat
from .ledger import Claim, Finding, share


def noise(model: Model, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
    """Return random noise within the threat, in the form of an attack."""
    return threat.sample(x, torch.Generator().manual_seed(0))


def brittle() -> Finding:
    """Attack a thousand digits."""
    x, y = mnist("test", 1000)
    kept = robust_accuracy(mnist_classifier(), x, y, partial(pgd, drop_adversarial=True), Linf(0.1))
    return share(
        kept.correct.sum(), kept.n, "test digits still read correctly",
        setting="the shipped MNIST classifier (98.8% clean), PGD, 40 steps, L∞ 0.1",
        holds=kept < 0.5,
    )  # fmt: skip


def harmless_noise() -> Finding:
    """Show the same network noise three times as large."""
    x, y = mnist("test", 2000)
    kept = robust_accuracy(mnist_classifier(), x, y, noise, Linf(0.3))
    return share(
        kept.correct.sum(), kept.n, "test digits still read correctly",
        setting="the same classifier, each pixel moved uniformly within ±0.3",
        holds=kept > 0.95,
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="00.brittle",
        says="Machine learning models can be very brittle: a small change in the input can produce a very different output.",
        source="lecture, slide “Robustness”; Szegedy et al. 2014, arXiv:1312.6199",
        theirs="no number given",
        holds_if="fewer than half of the digits survive",
        run=brittle,
    ),
    Claim(
        id="00.noise",
        says="Random noise of that size, and of three times that size, does nothing: it is the direction that matters.",
        source="Fawzi et al. 2016, arXiv:1608.08967; the control of 00.brittle",
        theirs="no number given",
        holds_if="more than 95% of the digits survive",
        run=harmless_noise,
    ),
)
