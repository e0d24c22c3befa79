"""Exercise 05.6: TRADES' loss."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..agreement import agree
from ..exercise import Exercise, Parts, Probe, Run
from ..shared_probes import generator, matches


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """Return Σ p·log(p/q) of two rows of probabilities, (n,)."""
    return (p * (p.clamp_min(1e-30).log() - q.clamp_min(1e-30).log())).sum(1)


def _trades_with(
    fit: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda clean, adv, y: F.cross_entropy(clean, y, reduction="none"),
    apart: Callable[[Tensor, Tensor], Tensor] = lambda clean, adv: _kl(clean.softmax(1), adv.softmax(1)),
    weigh: Callable[[Tensor, Tensor, float], Tensor] = lambda ce, kl, beta: ce + beta * kl,
) -> Callable[..., Tensor]:
    """Build TRADES' loss; each argument replaces one part of it by a wrong one."""

    def trades_loss(clean: Tensor, adv: Tensor, y: Tensor, beta: float) -> Tensor:
        return weigh(fit(clean, adv, y), apart(clean, adv), beta)

    return trades_loss


def _trades_cases(seed: int) -> list[tuple]:
    draw = generator(seed + 50)
    return [
        (
            2 * torch.randn(n, k, generator=draw),
            2 * torch.randn(n, k, generator=draw),
            torch.randint(k, (n,), generator=draw),
            beta,
        )
        for n, k, beta in ((6, 4, 6.0), (5, 10, 1.0), (1, 3, 3.0))
    ]


def _follows_both(run: Run) -> str:
    for _, answer, expected in run:
        if len(expected) > 2 and torch.corrcoef(torch.stack([answer, expected]))[0, 1].nan_to_num() < 0.7:
            return "your losses do not rise and fall with the right ones: images that are far apart must cost more"
    return ""


def _without_attack(run: Run) -> str:
    for clean, _, y, beta in run.cases:
        same = run.call(clean.clone(), clean.clone(), y.clone(), beta)
        if not agree(same.detach(), F.cross_entropy(clean, y, reduction="none")):
            return "where x + δ gets the same logits as x, nothing but the cross-entropy at x must remain"
    return ""


def _beta_weighs(run: Run) -> str:
    clean, adv, y, _ = run.cases[0]
    zero, two = (run.call(clean.clone(), adv.clone(), y.clone(), beta).detach() for beta in (0.0, 2.0))
    rise = _kl(clean.softmax(1), adv.softmax(1))
    if agree(zero, F.cross_entropy(clean, y, reduction="none")) and agree(two - zero, 2 * rise):
        return ""
    return (
        f"with β = 0 only the cross-entropy at x must remain, and each unit of β adds the divergence: for the first image {rise[0]:.3g}; yours "
        f"adds {(two - zero)[0].item() / 2:.3g}"
    )


def _log_kl(
    first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor]
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a divergence by F.kl_div of two wrong things."""
    return lambda clean, adv: F.kl_div(first(adv), second(clean), reduction="none").sum(1)


_DIVIDED = lambda t: lambda clean, adv: t(_kl(clean.softmax(1), adv.softmax(1)), clean)  # noqa: E731

_PARTS = Parts(
    lambda **parts: _trades_with(**parts),
    [
        (
            "divergence the other way",
            {"apart": lambda clean, adv: _kl(adv.softmax(1), clean.softmax(1))},
            "This is KL(F(x+δ) ‖ F(x)): the divergence is not symmetric, and F(x) comes first. In torch's F.kl_div that is the *second* argument.",
        ),
        (
            "cross-entropy at the perturbed image",
            {"fit": lambda clean, adv, y: F.cross_entropy(adv, y, reduction="none")},
            "The cross-entropy is taken at x + δ; TRADES wants accuracy at x itself: use the clean logits.",
        ),
        (
            "beta forgotten",
            {"weigh": lambda ce, kl, beta: ce + kl},
            "β is not used: multiply the divergence by it.",
        ),
        (
            "beta on the cross-entropy",
            {"weigh": lambda ce, kl, beta: beta * ce + kl},
            "β weighs the cross-entropy in yours; it belongs to the divergence.",
        ),
        (
            "divided by beta",
            {"weigh": lambda ce, kl, beta: ce + kl / beta},
            "You divide by β. The paper's λ divides; β = 1/λ multiplies.",
        ),
        (
            "both weighed",
            {"weigh": lambda ce, kl, beta: beta * (ce + kl)},
            "β multiplies both terms; it belongs to the divergence alone.",
        ),
        (
            "a mixture",
            {"weigh": lambda ce, kl, beta: (1 - beta) * ce + beta * kl},
            "β is no share: the cross-entropy keeps its full weight, CE + β·KL.",
        ),
        (
            "subtracted",
            {"weigh": lambda ce, kl, beta: ce - beta * kl},
            "You subtract the divergence: training would drive F(x) and F(x+δ) apart.",
        ),
        ("no cross-entropy", {"weigh": lambda ce, kl, beta: beta * kl}, "The cross-entropy at x is missing."),
        (
            "divergence missing",
            {"weigh": lambda ce, kl, beta: ce},
            "The divergence between F(x) and F(x+δ) is missing.",
        ),
        (
            "adversarial training",
            {"fit": lambda clean, adv, y: F.cross_entropy(adv, y, reduction="none"), "weigh": lambda ce, kl, beta: ce},
            "This is the cross-entropy at x + δ, adversarial training's loss; TRADES has the one at x and a divergence.",
        ),
        (
            "mean over the classes",
            {"apart": _DIVIDED(lambda kl, z: kl / z.shape[1])},
            "The divergence is averaged over the classes; it is a sum over them (F.kl_div(…, reduction='none').sum(1)).",
        ),
        (
            "mean over the batch",
            {"apart": _DIVIDED(lambda kl, z: kl.mean().expand(len(z)))},
            "The divergence is averaged over the batch (reduction='batchmean'): every image must keep its own.",
        ),
        (
            "sum over the batch",
            {"apart": _DIVIDED(lambda kl, z: kl.sum().expand(len(z)))},
            "The divergence is summed over the batch: every image must keep its own.",
        ),
        (
            "mean over everything",
            {"apart": _DIVIDED(lambda kl, z: kl.mean().expand(len(z)) / z.shape[1])},
            "The divergence is averaged over images and classes, as F.kl_div does unless told: reduction='none', then .sum(1).",
        ),
        (
            "mean cross-entropy",
            {"fit": lambda clean, adv, y: F.cross_entropy(clean, y).expand(len(y))},
            "The cross-entropy is averaged over the batch: reduction='none' keeps one for each image.",
        ),
        (
            "softmax before cross-entropy",
            {"fit": lambda clean, adv, y: F.cross_entropy(clean.softmax(1), y, reduction="none")},
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
        ),
        (
            "probabilities where logarithms are wanted",
            {"apart": _log_kl(lambda z: z.softmax(1), lambda z: z.softmax(1))},
            "F.kl_div wants its first argument as logarithms: adv.log_softmax(1), not the softmax.",
        ),
        (
            "logarithms as the target",
            {"apart": _log_kl(lambda z: z.log_softmax(1), lambda z: z.log_softmax(1))},
            "F.kl_div takes logarithms first and plain probabilities second: clean.softmax(1). Logarithms (without log_target=True) or logits "
            "there are negative, and their logarithm is NaN.",
        ),
        (
            "logits as logarithms",
            {"apart": _log_kl(lambda z: z, lambda z: z.softmax(1))},
            "F.kl_div's first argument must be log-probabilities; logits do not sum to one: adv.log_softmax(1).",
        ),
        (
            "cross-entropy of the two",
            {"apart": lambda clean, adv: -(clean.softmax(1) * adv.log_softmax(1)).sum(1)},
            "This is the cross-entropy between F(x) and F(x+δ), which is not 0 where they agree: subtract the entropy of F(x), Σ p·log p.",
        ),
        (
            "squared distance",
            {"apart": lambda clean, adv: (clean.softmax(1) - adv.softmax(1)).square().sum(1)},
            "This is a squared distance of the probabilities; TRADES has the KL divergence.",
        ),
        (
            "softmax over the batch",
            {"apart": lambda clean, adv: _kl(clean.softmax(0), adv.softmax(0))},
            "The softmax goes over the batch (dim 0); it goes over the classes, dim 1.",
        ),
    ],
)

TRADES_LOSS = Exercise(
    "05.6",
    "trades_loss",
    _trades_with(),
    _trades_cases,
    [
        Probe("rises where an image is misread, or read otherwise under attack", 1, _follows_both, essential=True),
        Probe("is the cross-entropy at x where the attack changes nothing", 1, _without_attack, essential=True),
        Probe("weighs the divergence by β", 1, _beta_weighs),
        Probe("is CE(y, F(x)) + β·KL(F(x) ‖ F(x+δ)), one for each image", 3, matches("loss")),
    ],
    _PARTS.single,
    "F.cross_entropy(clean, y, reduction='none') + beta * F.kl_div(adv.log_softmax(1), clean.softmax(1), reduction='none').sum(1).",
    returns="vector",
    like=0,
    keeps_graph=True,
    parts=_PARTS,
)
