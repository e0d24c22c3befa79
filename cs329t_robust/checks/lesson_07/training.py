"""Exercise 07.6: min–max for a linear model, whose inner maximum needs no attack."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..agreement import agree
from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..message_wording import part
from ..shared_probes import generator, matches


def _loss_with(**parts: Callable) -> Callable[..., Tensor]:
    """Build the loss out of replaceable parts: the margin, the price of the adversary, how both join, the loss."""
    margin = parts.get("margin", lambda w, x, y: y * (x @ w))
    price = parts.get("price", lambda w, eps: eps * w.abs().sum())
    join = parts.get("join", lambda m, price: m - price)
    loss = parts.get("loss", lambda m: F.softplus(-m))
    return lambda w, x, y, eps: loss(join(margin(w, x, y), price(w, eps)))


_loss = _loss_with()


def _loss_cases(seed: int) -> list[tuple]:
    cases = []
    for n, d, eps in ((9, 4, 0.3), (5, 6, 0.0), (6, 3, 1.1)):
        draw = generator(seed + d)
        y = 1.0 - 2.0 * torch.randint(2, (n,), generator=draw)
        y[:2] = torch.tensor([1.0, -1.0])
        cases.append((torch.randn(d, generator=draw), torch.randn(n, d, generator=draw), y, eps))
    return cases


def _standard(run: Run) -> str:
    for (_, _, _, eps), answer, expected in run:
        if eps == 0 and not agree(answer, expected):
            return f"at ε = 0 this is log(1 + exp(−y⟨w, x⟩)), on average {expected.mean():.4f} here; yours {answer.mean():.4f}"
    return ""


def _not_less_than_an_attack(run: Run) -> str:
    for (w, x, y, eps), answer, _ in run:
        for trial in range(20):
            delta = eps * (2 * torch.rand(x.shape, generator=generator(trial)) - 1)
            reached = F.softplus(-y * ((x + delta) @ w))
            beaten = int((reached > answer + 1e-4).sum())
            if beaten:
                return f"with ε = {eps}, a random δ within ε reaches a higher loss than your maximum for {part(beaten, len(x), 'example')}"
    return ""


def _has_a_gradient(run: Run) -> str:
    for (w, x, y, eps), _, _ in run:
        leaf = w.clone().requires_grad_()
        value = run.call(leaf, x, y, eps)
        if not isinstance(value, Tensor) or not value.requires_grad:
            return "the value carries no gradient back to w (a detach, .item(), float() or no_grad is in the way), so it cannot be trained on"
    return ""


_PARTS = Parts(
    _loss_with,
    [
        (
            "L2 price",
            {"price": lambda w, eps: eps * w.norm()},
            "Your adversary costs ε‖w‖₂, which belongs to an L2 ball; in L∞ it costs ε‖w‖₁.",
        ),
        (
            "price forgotten",
            {"join": lambda m, price: m},
            "ε is not used: this is standard training.",
        ),
        (
            "adversary helps",
            {"join": lambda m, price: m + price},
            "Your adversary helps: the margin grows by ε‖w‖₁. It has to shrink.",
        ),
        (
            "label forgotten",
            {"margin": lambda w, x, y: x @ w},
            "y is missing: the margin is y⟨w, x⟩, positive where the classifier is right.",
        ),
        (
            "wrong sign in the loss",
            {"loss": F.softplus},
            "The sign in the exponent is flipped: the loss log(1 + exp(−margin)) must fall where the margin grows.",
        ),
        (
            "hinge",
            {"loss": lambda m: (1 - m).clamp_min(0)},
            "This is the hinge loss max(0, 1 − margin); the exercise asks for the logistic one, log(1 + exp(−margin)).",
        ),
        (
            "exponential",
            {"loss": lambda m: (-m).exp()},
            "This is exp(−margin); the logistic loss is log(1 + exp(−margin)).",
        ),
        (
            "largest weight as the price",
            {"price": lambda w, eps: eps * w.abs().max()},
            "Your adversary moves one feature only, the one with the largest weight; in L∞ every feature moves by ε: ε‖w‖₁.",
        ),
        (
            "weights with their signs",
            {"price": lambda w, eps: eps * w.sum()},
            "You added up the weights with their signs; the adversary picks the sign of each change, so |w_i| counts.",
        ),
    ],
)

ROBUST_LOSS = Exercise(
    "07.6",
    "robust_loss",
    _loss,
    _loss_cases,
    [
        Probe("is the logistic loss at ε = 0", 1, _standard, essential=True),
        Probe("is at least what any δ within ε reaches", 1, _not_less_than_an_attack),
        Probe("is log(1 + exp(−(y⟨w, x⟩ − ε‖w‖₁)))", 2, matches("value")),
        Probe("carries a gradient to w", 1, _has_a_gradient),
    ],
    [
        *_PARTS.single,
        Mistake(
            "penalty beside the loss",
            lambda w, x, y, eps: F.softplus(-y * (x @ w)) + eps * w.abs().sum(),
            "You added ε‖w‖₁ to the loss, as the lasso does. The adversary sits *inside*: it takes ε‖w‖₁ from the margin, before the logarithm.",
        ),
        Mistake(
            "gradient step as the attack",
            lambda w, x, y, eps: F.softplus(-y * ((x + eps * w.sign()) @ w)),
            "Your δ is ε·sign(w) for both classes, which helps the class +1. The worst is −ε·y·sign(w).",
        ),
        Mistake(
            "mean over the examples",
            lambda *args: _loss(*args).mean(),
            "You averaged over the examples: return one loss for each, shape (n,). The mean comes in the training loop.",
        ),
        Mistake(
            "sum over the examples",
            lambda *args: _loss(*args).sum(),
            "You summed over the examples: return one loss for each, shape (n,).",
        ),
    ],
    "The worst δ is −ε·y·sign(w), so y⟨w, x + δ⟩ = y⟨w, x⟩ − ε‖w‖₁. Then F.softplus(−margin); softplus(z) is log(1 + exp(z)).",
    returns="vector",
    like=1,
    keeps_graph=True,
    parts=_PARTS,
)
