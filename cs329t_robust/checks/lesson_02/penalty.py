"""Exercise 02.1: the lecture's penalty form, d(x, x′) + λ·CE(T, F(x′))."""

from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..shared_probes import SHAPES, alone, classifier, images, labels, matches


def _penalty(model: nn.Module, x: Tensor, x_adv: Tensor, target: Tensor, lam: float) -> Tensor:
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return (x_adv - x).square().flatten(1).sum(1) + lam * ce


def _penalty_cases(seed: int) -> list[tuple]:
    return [
        (classifier(seed, s), images(seed, s), images(seed + 7, s), labels(seed, s[0]), lam)
        for s, lam in zip(SHAPES, (0.7, 3.0), strict=True)
    ]


def _penalty_with(change=None, fooled=None, join=None, at=None):  # noqa: ANN001
    """Build a wrong penalty out of a wrong distance, a wrong cross-entropy, a wrong sum or a wrong image."""
    change = change or (lambda d: d.square().flatten(1).sum(1))
    fooled = fooled or (lambda z, t: F.cross_entropy(z, t, reduction="none"))
    join = join or (lambda d, lam, ce: d + lam * ce)
    at = at or (lambda x, x_adv: x_adv)
    return lambda model, x, x_adv, target, lam: join(change(x_adv - x), lam, fooled(model(at(x, x_adv)), target))


def _grows_with_lam(run: Run) -> str:
    for (model, x, x_adv, target, lam), _, _ in run:
        leaf = x_adv.clone().requires_grad_()
        if not run.call(model, x, leaf, target, lam).requires_grad:
            return "the value carries no gradient back to x′ (a detach, .item(), or no_grad is in the way)"
        low, high = run.call(model, x, x_adv, target, lam), run.call(model, x, x_adv, target, 2 * lam)
        if not bool((high.detach() > low.detach()).all()):
            return f"doubling λ from {lam} to {2 * lam} does not raise the value, although CE(T, F(x′)) > 0"
    return ""


_PARTS = Parts(
    _penalty_with,
    [
        (
            "cross-entropy with a minus sign",
            {"join": lambda d, lam, ce: d - lam * ce},
            "The minus sign belongs to the non-targeted form d − λ·CE(q, F(x′)). Towards a target T the cross-entropy is to "
            "become small, so it is added.",
        ),
        (
            "lambda on the distance",
            {"join": lambda d, lam, ce: lam * d + ce},
            "λ multiplies the wrong term: the lecture's form is d(x, x′) + λ·CE, yours is λ·d(x, x′) + CE.",
        ),
        (
            "distance not squared",
            {"change": lambda d: d.flatten(1).norm(dim=1)},
            "You added the L2 norm itself; this exercise asks for its square (no square root).",
        ),
        (
            "mean over the pixels",
            {"change": lambda d: d.square().flatten(1).mean(1)},
            "Your distance is the mean over the pixels; the squared L2 distance is their sum.",
        ),
        (
            "L1 distance",
            {"change": lambda d: d.abs().flatten(1).sum(1)},
            "Your distance is the L1 norm (absolute values); this exercise asks for the sum of squares.",
        ),
        (
            "distance over the whole batch",
            {"change": lambda d: d.square().sum()},
            "Your distance is summed over the whole batch, so each image pays for all the others: flatten(1), then sum(1).",
        ),
        (
            "cross-entropy averaged over the batch",
            {"fooled": F.cross_entropy},
            "F.cross_entropy averages over the batch unless it is told reduction='none'; each image needs its own value.",
        ),
        (
            "softmax before cross-entropy",
            {"fooled": lambda z, t: F.cross_entropy(z.softmax(1), t, reduction="none")},
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
        ),
        (
            "model evaluated at x",
            {"at": lambda x, x_adv: x},
            "The cross-entropy is measured at the original x; it has to be the model's answer to x′.",
        ),
        (
            "lambda forgotten",
            {"join": lambda d, lam, ce: d + ce},
            "λ is not used: the two terms are simply added.",
        ),
        (
            "distance forgotten",
            {"join": lambda d, lam, ce: lam * ce},
            "Only the cross-entropy is left; the distance d(x, x′) is missing.",
        ),
        (
            "minus the target's logit",
            {"fooled": lambda z, t: -z.gather(1, t[:, None]).squeeze(1)},
            "Your second term is minus the target's logit, as F.nll_loss gives for logits; the cross-entropy needs the log_softmax "
            "first, or F.cross_entropy.",
        ),
        (
            "one minus the probability",
            {"fooled": lambda z, t: 1 - z.softmax(1).gather(1, t[:, None]).squeeze(1)},
            "Your second term is 1 − p(T); the cross-entropy is −log p(T).",
        ),
        (
            "the prediction in place of the target",
            {"fooled": lambda z, t: F.cross_entropy(z, z.argmax(1), reduction="none")},
            "You take the cross-entropy of the model's own prediction; take the target's.",
        ),
        (
            "square of the sum",
            {"change": lambda d: d.flatten(1).sum(1).square()},
            "You squared the sum of the changes, where ups and downs cancel; square each change first, then sum.",
        ),
        (
            "lambda on both",
            {"join": lambda d, lam, ce: lam * (d + ce)},
            "λ multiplies both terms; it belongs to the cross-entropy only.",
        ),
    ],
)

PENALTY = Exercise(
    "02.1",
    "penalty",
    _penalty,
    _penalty_cases,
    [
        Probe("is d(x, x′) + λ·CE(T, F(x′)) for each image", 2, matches("value"), essential=True),
        Probe("grows with λ, and its gradient reaches x′", 1, _grows_with_lam),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3][i : i + 1], a[4])),
        ),
    ],
    [
        *_PARTS.single,
        Mistake(
            "mean over images",
            lambda *args: _penalty(*args).mean(),
            "You averaged over the batch: return one value per image, shape (n,).",
        ),
        Mistake(
            "sum over images",
            lambda *args: _penalty(*args).sum(),
            "You summed over the batch: return one value per image, shape (n,).",
        ),
    ],
    "Write the two terms on two lines, print their shapes (both must be (n,)), and only then add them.",
    returns="vector",
    keeps_graph=True,
    parts=_PARTS,
)
