"""Measure what lesson 06 claims: a defence that hides its gradient, bounds from both sides, and smoothing's certificate."""

from functools import cache, partial

import torch
from torch import Tensor

from .. import certification
from ..attacks import apgd, autoattack, pgd, square, transfer
from ..certification import randomized_smoothing
from ..contract.input_validation import Model
from ..data.datasets import mnist
from ..evaluation import sanity_checks
from ..evaluation.accuracy import Accuracy, robust_accuracy
from ..losses import margin
from ..models.networks import mnist_classifier, small_dense
from ..threat import L2, Linf
from .ledger import Finding, share

MASKED = "the shipped network trained at temperature 100"
THREAT = Linf(0.1)
WHITE = partial(pgd, steps=40, drop_adversarial=True)
REPAIRED = partial(pgd, steps=40, drop_adversarial=True, loss=margin)
DENSE = "the shipped dense network 784–16–16–10"


def shipped(name: str) -> Model:
    """Return a shipped digit classifier by its training."""
    return mnist_classifier(name)


@cache
def against_masked(name: str) -> Accuracy:
    """Return what an attack leaves of 100 digits on the masked network, at L∞ 0.1."""
    attacks = {
        "PGD": WHITE,
        "APGD": partial(apgd, drop_adversarial=True),
        "margin": REPAIRED,
        "Square": partial(square, queries=1000),
        "transfer": partial(transfer, surrogates=[mnist_classifier()]),
        "AutoAttack": autoattack,
    }
    return robust_accuracy(shipped("masked"), *mnist("test", 100), attacks[name], THREAT)


def defence() -> Finding:
    """Count the digits that stand under PGD, APGD, Square, transfer and PGD on the margin together."""
    left = {name: against_masked(name) for name in ("PGD", "APGD", "Square", "transfer", "margin")}
    robust = torch.stack([a.correct for a in left.values()]).all(0)
    return share(
        robust.sum(), 100, "digits that stand under all of five attacks",
        setting=f"{MASKED}, L∞ 0.1", holds=float(robust.float().mean()) > 0.9,
        note="; ".join(f"{name} alone leaves {float(a):.0%}" for name, a in left.items()),
    )  # fmt: skip


def repaired() -> Finding:
    """Change PGD's loss from the cross-entropy to the margin of the logits."""
    before, after = against_masked("PGD"), against_masked("margin")
    return share(
        after.correct.sum(), 100, "digits that stand under PGD-40 on the margin", setting=f"{MASKED}, L∞ 0.1",
        holds=before > 0.9 and after < 0.3, note=f"on the cross-entropy {float(before):.0%} stand",
    )  # fmt: skip


def black_box() -> Finding:
    """Compare Square, which sees logits only, with PGD and APGD."""
    blind = against_masked("Square")
    best = min(against_masked("PGD"), against_masked("APGD"))
    return share(
        blind.correct.sum(), 100, "digits that stand under Square, 1,000 queries", setting=f"{MASKED}, L∞ 0.1",
        holds=blind < best / 2, note=f"the better of PGD-40 and APGD leaves {float(best):.0%}",
    )  # fmt: skip


def ensemble() -> Finding:
    """Run the standard AutoAttack beside each attack alone."""
    together = against_masked("AutoAttack")
    alone = {name: float(against_masked(name)) for name in ("PGD", "APGD", "Square", "transfer")}
    return share(
        together.correct.sum(), 100, "digits that stand under AutoAttack", setting=f"{MASKED}, L∞ 0.1, standard version",
        holds=float(together) <= min(alone.values()), note=f"the best of {', '.join(alone)} leaves {min(alone.values()):.0%}",
    )  # fmt: skip


def alarms() -> Finding:
    """Ask for warning signs on the masked network and on three honest measurements."""
    x, y = mnist("test", 60)
    honest = [("standard", Linf(0.1)), ("pgd", Linf(0.3)), ("standard", L2(1.0))]
    false = [
        f for name, threat in honest for f in sanity_checks.suspicions(shipped(name), x, y, threat=threat, attack=WHITE)
    ]
    true = sanity_checks.suspicions(shipped("masked"), x, y, threat=THREAT, attack=WHITE)
    names = ", ".join(finding.name for finding in true)
    return share(
        len(true), 8, "signs that show on the masked network",
        setting="60 digits; beside it two honest networks, three threats", holds=len(true) >= 3 and not false,
        note=f"{names}; on the honest ones {len(false)}",
    )  # fmt: skip


@cache
def enclosed(eps: float, n: int) -> tuple[Tensor, list[bool]]:
    """Return attack, exact, linear and interval bounds of n digits on the standard dense network, and what was solved."""
    net, threat = small_dense("standard"), Linf(eps)
    x, y = mnist("test", n)
    exact = [certification.exact(net, x[i : i + 1], y[i : i + 1], threat=threat) for i in range(n)]
    rows = [
        certification.attacked(net, x, y, threat=threat).double(),
        torch.tensor([e.margin for e in exact], dtype=torch.float64),
        *(bound(net, x, y, threat=threat) for bound in (certification.linear, certification.interval)),
    ]
    return torch.stack(rows), [e.solved for e in exact]


def ordered() -> Finding:
    """Count the digits whose four bounds are in order, the exact one solved."""
    rows, solved = enclosed(0.02, 20)
    right = (rows[:-1] <= rows[1:] + 1e-4).all(0) & torch.tensor(solved)
    gap = (rows[1] - rows[0]).max().item()
    return share(
        right.sum(), 20, "digits whose bounds are in order", setting=f"{DENSE}, L∞ 0.02, HiGHS", holds=bool(right.all()),
        note=f"PGD's margin is at most {gap:.1f} below the exact one",
    )  # fmt: skip


def loose() -> Finding:
    """Count what linear and what interval bounds certify on a network that was not trained for either."""
    net, threat = small_dense("standard"), Linf(0.01)
    x, y = mnist("test", 100)
    linear, box = ((bound(net, x, y, threat=threat) < 0) for bound in (certification.linear, certification.interval))
    robust = certification.attacked(net, x, y, threat=threat) < 0
    return share(
        box.sum(), 100, "digits certified by interval bounds", setting=f"{DENSE}, standard training, L∞ 0.01",
        holds=int(box.sum()) < int(linear.sum()) / 2,
        note=f"linear relaxation certifies {int(linear.sum())}, PGD leaves {int(robust.sum())}",
    )  # fmt: skip


def trained() -> Finding:
    """Count what interval bounds certify on a network trained on them."""
    net, threat = small_dense("interval"), Linf(0.05)
    x, y = mnist("test", 500)
    box = certification.interval(net, x, y, threat=threat) < 0
    robust = certification.attacked(net, x, y, threat=threat, steps=40, restarts=2) < 0
    return share(
        box.sum(), 500, "digits certified by interval bounds", setting=f"{DENSE}, trained on interval bounds, L∞ 0.05",
        holds=int(box.sum()) >= 0.9 * int(robust.sum()), note=f"PGD leaves {int(robust.sum())} of 500",
    )  # fmt: skip


def below() -> Finding:
    """Attack the smoothed classifier at half its certified radius and at the whole of it."""
    net, sigma = shipped("gaussian"), 0.3
    x, y = mnist("test", 50)
    certificate = randomized_smoothing.certify(net, x, sigma=sigma, n=1000)
    held = (certificate.prediction == y) & (certificate.radius > 0)
    soft = randomized_smoothing.Soft(net, sigma=sigma, copies=4)
    radius = certificate.radius.float()[held]
    x_adv = pgd(soft, x[held], y[held], threat=L2(0.99 * radius), steps=10)
    answer = randomized_smoothing.smoothed_predict(net, x_adv, sigma=sigma, n=1000)
    turned = (answer != y[held]) & (answer != randomized_smoothing.ABSTAIN)
    return share(
        turned.sum(), int(held.sum()), "certified digits turned by an attack within their radius",
        setting=f"the shipped network trained with noise, σ = {sigma}, 1,000 copies, alpha 0.001; PGD-10 on 4 copies",
        holds=not bool(turned.any()), note=f"{int((answer == randomized_smoothing.ABSTAIN).sum())} made to abstain",
    )  # fmt: skip
