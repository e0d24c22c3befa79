"""Measure what lesson 02 claims: penalties over λ, the tangent, PGD beside FGSM, and the nearest adversarial examples."""

import math
from functools import cache, partial

import torch
from torch import Tensor

from ..attacks import cw, deepfool, fgsm, fmn, penalty, pgd
from ..attacks.engine.gradient import input_gradient
from ..contract.input_validation import Loss, Model
from ..data.datasets import mnist
from ..evaluation.accuracy import accuracy, predict, robust_accuracy
from ..losses import cross_entropy, margin, squared_penalty
from ..models.networks import mnist_classifier
from ..threat import L2, Linf
from .ledger import Finding, mean, median, share

MNIST = "the shipped MNIST classifier"
LAMBDAS = (0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
TUTORIAL = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


@cache
def digits(n: int) -> tuple[Model, Tensor, Tensor]:
    """Return the classifier and the first `n` test digits that it reads correctly."""
    model = mnist_classifier()
    x, y = mnist("test", 2 * n)
    right = (predict(model, x).argmax(1) == y).nonzero().flatten()[:n]
    return model, x[right], y[right]


def far(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return the L2 distance of each image from its clean one, (n,)."""
    return L2(0).distance(x, x_adv)


def flat() -> Finding:
    """Push digits in random directions by a hundredth, and count the labels that change."""
    model, x, y = digits(10)
    generator = torch.Generator().manual_seed(0)
    push = torch.randn(1000, 1, 28, 28, generator=generator)
    push = 0.01 * push / push.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    changed = sum(
        int((predict(model, (one + push).clamp(0, 1)).argmax(1) != label).sum())
        for one, label in zip(x, y, strict=True)
    )
    return share(
        changed, 10_000, "random pushes that change the label",
        setting=f"{MNIST}, ten digits, 1,000 pushes of L2 length 0.01 each", holds=changed < 10,
    )  # fmt: skip


def over_lambdas(loss: Loss, targeted: bool) -> tuple[Tensor, Tensor]:
    """Return whether each of 50 digits is fooled at each λ, and its L2 distance there, both (50, 10)."""
    model, x, y = digits(50)
    aim = (y + 1) % 10 if targeted else y
    m = len(LAMBDAS)
    clean, label = x.repeat_interleave(m, 0), aim.repeat_interleave(m, 0)
    weight = torch.tensor(LAMBDAS).repeat(len(x))
    x_adv = penalty(model, clean, label, weight=weight, loss=loss, steps=150, step_size=0.05, targeted=targeted)
    fooled = (predict(model, x_adv).argmax(1) == label) == targeted
    return fooled.view(-1, m), far(clean, x_adv).view(-1, m)


squared = cache(partial(over_lambdas, squared_penalty, True))
entropy = cache(partial(over_lambdas, cross_entropy, True))
from_label = cache(partial(over_lambdas, cross_entropy, False))
PENALTY = f"{MNIST}, target = the next digit, squared L2 distance, ten λ from 0.01 to 1000, Adam, 150 steps"


def squared_reach() -> Finding:
    """Count the digits that reach their target at some λ, with (F − T)²."""
    return _reached(squared()[0])


def entropy_reach() -> Finding:
    """Count the digits that reach their target at some λ, with CE."""
    return _reached(entropy()[0])


def _reached(found: Tensor) -> Finding:
    hits = int(found.any(1).sum())
    return share(hits, len(found), "digits that reach T", setting=PENALTY, holds=hits >= 0.9 * len(found))


def both_pull() -> Finding:
    """Compare the smallest λ that fools each digit under the two penalties."""
    lams = torch.tensor(LAMBDAS)
    smallest = [torch.where(fooled, lams, torch.inf).amin(1) for fooled, _ in (squared(), entropy())]
    both = smallest[0].isfinite() & smallest[1].isfinite()
    ratio = (smallest[0] / smallest[1])[both]
    return median(
        ratio, "digits that both forms fool", setting=PENALTY, unit=" times", holds=bool(ratio.median() >= 10),
        note="Number: the smallest λ with (F − T)², divided by the smallest with CE. While the network is sure, the softmax lets "
        "next to nothing of (F − T)² through.",
    )  # fmt: skip


def overshoots() -> Finding:
    """Compare the non-targeted form's nearest success over all λ with the nearest adversarial example known."""
    model, x, y = digits(50)
    fooled, d = from_label()
    nearest = torch.where(fooled, d, torch.inf).amin(1)
    known = far(x, fmn(model, x, y))
    found = nearest.isfinite()
    ratio = (nearest / known)[found]
    return median(
        ratio, "digits that are fooled at some λ", unit=" times", holds=bool(ratio.median() <= 2),
        setting=f"{MNIST}, ten λ from 0.01 to 1000, Adam, 150 steps; the best λ of each digit, beside the nearest that FMN finds",
        note=f"{int(found.sum())} of {len(x)} digits are fooled at some λ. −CE hardly pulls while the network is sure and never stops "
        "pulling afterwards. Capping it (Carlini and Wagner's hinge) mends this: see 02.cw.",
    )  # fmt: skip


def linear() -> Finding:
    """Correlate the rise of the margin under a small FGSM step with what the gradient foretells."""
    model, x, y = digits(1000)
    gradient, logits = input_gradient(model, x, y, margin)
    x_adv = fgsm(model, x, y, threat=Linf(0.02))
    foretold = ((x_adv - x) * gradient).flatten(1).sum(1)
    rise = margin(predict(model, x_adv), y) - margin(logits, y)
    r = torch.corrcoef(torch.stack([foretold, rise]))[0, 1].item()
    low, high = (math.tanh(math.atanh(r) + z / math.sqrt(len(x) - 3)) for z in (-1.96, 1.96))
    slope = (foretold * rise).sum() / foretold.square().sum()
    return Finding(
        f"r = {r:.2f}", len(x), "digits", f"{MNIST}, FGSM L∞ 0.02; the margin's rise against gradient · change",
        holds=r >= 0.9, number=r, interval=(low, high),
        note=f"The rise is {slope:.2f} times what the tangent foretells.",
    )  # fmt: skip


def tutorial() -> Finding:
    """Measure accuracy under FGSM at the radii of the PyTorch tutorial."""
    x, y = mnist("test")
    model = mnist_classifier()
    right = [robust_accuracy(model, x, y, fgsm, Linf(eps)) for eps in TUTORIAL]
    values = [float(one) for one in right]
    close = all(
        abs(ours - theirs) <= 0.1
        for ours, theirs in zip(values, (0.961, 0.874, 0.711, 0.488, 0.272, 0.142), strict=True)
    )
    return Finding(
        " / ".join(f"{100 * v:.1f}" for v in values) + "%", len(x), "test digits",
        f"{MNIST} ({accuracy(model, x, y):.1%} clean), FGSM at L∞ .05 / .1 / .15 / .2 / .25 / .3",
        holds=close and values == sorted(values, reverse=True), number=values[3], interval=right[3].interval, unit="%",
        note="The interval is that of ε = .2. Accuracy falls with ε as in the tutorial, but sooner; its network is another one, larger and with dropout.",
    )  # fmt: skip


def climbs_higher() -> Finding:
    """Attack the PGD-trained digits with FGSM, PGD-100, and PGD-100 with restarts."""
    x, y = mnist("test", 500)
    model = mnist_classifier("pgd")
    attacks = (
        fgsm,
        partial(pgd, steps=100, drop_adversarial=True),
        partial(pgd, steps=100, restarts=3, drop_adversarial=True),
    )
    one, many, again = (robust_accuracy(model, x, y, attack, Linf(0.3)) for attack in attacks)
    return Finding(
        f"{one:.1%}, {many:.1%}, {again:.1%}", len(x), "test digits still read correctly",
        "the shipped PGD-trained MNIST network, L∞ 0.3: FGSM, PGD-100, PGD-100 with 3 restarts",
        holds=one > many >= again, number=float(again), interval=again.interval, unit="%",
        note="The interval is that of the restarts.",
    )  # fmt: skip


def tangent_jumps() -> Finding:
    """Compare DeepFool's relative distance with that of the smallest FGSM step that fools."""
    model, x, y = digits(200)
    ladder = torch.arange(1, 61) / 100
    m = len(ladder)
    clean, label = x.repeat_interleave(m, 0), y.repeat_interleave(m, 0)
    stepped = fgsm(model, clean, label, threat=Linf(ladder.repeat(len(x))))
    wrong = (predict(model, stepped).argmax(1) != label).view(-1, m)
    by_step = torch.where(wrong, far(clean, stepped).view(-1, m), torch.inf).amin(1)
    jumped = deepfool(model, x, y)
    by_jump = torch.where(predict(model, jumped).argmax(1) != y, far(x, jumped), torch.inf)
    both = by_step.isfinite() & by_jump.isfinite()
    length = x.flatten(1).norm(dim=1)
    relative = (by_jump / length)[both]
    ratio = (by_step / length)[both].mean() / relative.mean()
    most = int((wrong.float().mean(0) >= 0.9).nonzero()[0])
    common = (far(clean, stepped).view(-1, m)[:, most] / length).mean() / relative.mean()
    return mean(
        relative, "digits that both fool", unit=" of ‖x‖", setting=f"{MNIST}; ‖x′ − x‖₂ / ‖x‖₂; FGSM at the smallest of 60 L∞ radii that fools",
        holds=bool(ratio >= 2),
        note=f"The smallest FGSM step that fools each digit is {ratio:.1f} times as long on average, the step at the one radius that "
        f"fools 90% of them {common:.1f} times. DeepFool fools {int(by_jump.isfinite().sum())} of {len(x)}, FGSM {int(by_step.isfinite().sum())}.",
    )  # fmt: skip


@cache
def carlini_wagner() -> tuple[Tensor, Tensor]:
    """Return whether each of 100 digits is fooled by Carlini and Wagner's attack, and its L2 distance, (100,)."""
    model, x, y = digits(100)
    x_adv = cw(model, x, y)
    return predict(model, x_adv).argmax(1) != y, far(x, x_adv)


def nearest() -> Finding:
    """Measure the mean distance of Carlini and Wagner's results."""
    fooled, d = carlini_wagner()
    return mean(
        d[fooled], "digits", setting=f"{MNIST}, L2, any wrong class, 9 searches of 100 steps",
        holds=bool(fooled.all()) and bool(d.mean() <= 1.36),
        note=f"{int(fooled.sum())} of {len(fooled)} digits are fooled.",
    )  # fmt: skip


def fast_and_near() -> Finding:
    """Compare FMN's distances, after 100 gradients, with Carlini and Wagner's after 909."""
    model, x, y = digits(100)
    fooled, d = carlini_wagner()
    x_adv = fmn(model, x, y, steps=100)
    both = fooled & (predict(model, x_adv).argmax(1) != y)
    ratio = (far(x, x_adv) / d)[both]
    return median(
        ratio, "digits that both fool", setting=f"{MNIST}, L2; FMN's distance divided by Carlini and Wagner's (02.cw)",
        unit=" times", holds=bool(ratio.median() <= 1.05) and bool(both.all()),
    )  # fmt: skip
