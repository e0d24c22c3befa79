"""Measure what lesson 03 claims of poses: turned and shifted digits, and training on random or bad poses."""

from functools import cache, partial

import torch
from torch import Tensor, nn

from ..attacks import spatial
from ..data.datasets import mnist
from ..evaluation.accuracy import accuracy, robust_accuracy
from ..models.networks import SmallCNN, mnist_classifier
from ..threat import Spatial
from ..training.fit import fit
from .ledger import Finding, share

POSES = Spatial(degrees=30, pixels=3)


def worst_pose() -> Finding:
    """Turn and shift digits, by the grid of the paper."""
    x, y = mnist("test", 1000)
    model = mnist_classifier()
    clean = accuracy(model, x, y)
    kept = robust_accuracy(model, x, y, partial(spatial, angles=31, shifts=5), POSES)
    return share(
        kept.correct.sum(), kept.n, "test digits read correctly in every pose",
        setting=f"the shipped MNIST classifier ({clean:.1%} clean), 31 × 5 × 5 poses within ±30° and ±3 pixels", holds=kept < clean / 2,
    )  # fmt: skip


@cache
def in_poses() -> dict[str, tuple[Tensor, Tensor]]:
    """Train on no poses, random poses, the worst of five; return which of 300 digits are right in a random and in the worst pose."""
    x, y = mnist("train", n=8000)
    digits, labels = mnist("test", n=300)
    somewhere = POSES.sample(digits, torch.Generator().manual_seed(0))
    found = {}
    for name, tries in (("no poses", 0), ("random poses", 1), ("worst of five", 5)):
        model: nn.Module = SmallCNN(seed=0)
        fit(model, x, y, epochs=3, **({"inner": partial(spatial, k=tries), "threat": POSES} if tries else {}))
        worst = robust_accuracy(model, digits, labels, partial(spatial, angles=13, shifts=5), POSES)
        found[name] = accuracy(model, somewhere, labels).correct, worst.correct
    return found


NETS = "SmallCNN, 8,000 training digits, 3 epochs, one seed; tested in 13 × 5 × 5 poses within ±30° and ±3 pixels"


def average_pose() -> Finding:
    """Compare random poses in training with none, in random poses."""
    (before, _), (after, _) = in_poses()["no poses"], in_poses()["random poses"]
    return share(
        after.sum(), len(after), "test digits right in a random pose", setting=NETS,
        holds=bool(after.float().mean() > before.float().mean() + 0.05), note=f"Without poses in training: {before.float().mean():.0%}.",
    )  # fmt: skip


def augmented_worst() -> Finding:
    """Measure the same network in its worst pose."""
    average, worst = in_poses()["random poses"]
    return share(
        worst.sum(), len(worst), "test digits right in every pose, trained on random poses", setting=NETS,
        holds=bool(worst.float().mean() < average.float().mean() - 0.2), note=f"In a random pose: {average.float().mean():.0%}.",
    )  # fmt: skip


def worst_of_five() -> Finding:
    """Compare training on the worst of five with training on one random pose, in the worst pose."""
    one, five = in_poses()["random poses"][1], in_poses()["worst of five"][1]
    gained, lost = int((five & ~one).sum()), int((one & ~five).sum())
    return share(
        five.sum(), len(five), "test digits right in every pose, trained on the worst of five", setting=NETS,
        holds=gained > lost + 1.96 * (gained + lost) ** 0.5,
        note=f"Trained on random poses: {one.float().mean():.0%}. {gained} digits are right only with the worst of five, {lost} only with random poses.",
    )  # fmt: skip
