"""Exercise 06.2: a loss whose gradient does not vanish, however large the logits are."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, generator, matches


def _others(z: Tensor, y: Tensor) -> Tensor:
    return z.scatter(1, y[:, None], -torch.inf)


def _own(z: Tensor, y: Tensor) -> Tensor:
    return z.gather(1, y[:, None]).squeeze(1)


def _margin_loss(logits: Tensor, y: Tensor) -> Tensor:
    return _others(logits, y).amax(1) - _own(logits, y)


def _cases(seed: int) -> list[tuple]:
    draw = generator(seed)
    small = torch.randn(6, 4, generator=draw)
    y = torch.randint(4, (6,), generator=draw)
    y[0], y[1] = small[0].argmax(), small[1].argmin()
    sure = 10 * torch.randn(5, 10, generator=draw) - 40  # all negative: a masked-out zero would win
    label = torch.arange(5) % 10
    sure[torch.arange(5), label] += 300  # the softmax is exactly 1 there
    two = torch.randn(3, 2, generator=draw)
    return [(small, y), (sure, label), (two, torch.tensor([0, 1, 1]))]


def _does_not_vanish(run: Run) -> str:
    logits, y = run.cases[1]
    leaf = logits.clone().requires_grad_()
    loss = run.call(leaf, y)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return "the value carries no gradient back to the logits (a detach, .item(), or no_grad is in the way)"
    rival = _others(logits, y).argmax(
        1
    )  # moved by 1, not differentiated: in the grader a graph does not reach this far
    moved = run.call(logits + F.one_hot(rival, logits.shape[1]), y)
    gone = int(((moved - loss).detach().abs() < 1e-4).sum())
    if gone:
        ahead = (_own(logits, y) - _others(logits, y).amax(1)).min().item()
        return (
            f"where the label leads by {ahead:.0f} or more, the loss of {part(gone, len(y), 'image')} stays as it is when the best other "
            "logit rises by 1: its gradient there is exactly zero"
        )
    return ""


def _one_hot_at_zero(z: Tensor, y: Tensor) -> Tensor:
    return (z * (1 - F.one_hot(y, z.shape[1]))).amax(1) - _own(z, y)


def _top_two(z: Tensor, y: Tensor) -> Tensor:
    top = z.topk(2, dim=1).values
    return top[:, 1] - top[:, 0]


MARGIN_LOSS = Exercise(
    "06.2",
    "margin_loss",
    _margin_loss,
    _cases,
    [
        Probe("is the best other logit minus the label's, for each image", 3, matches("value"), essential=True),
        Probe("has a gradient even where the softmax is exactly 1", 2, _does_not_vanish),
        Probe("treats each image on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1]))),
    ],
    [
        Mistake(
            "sign flipped",
            lambda z, y: -_margin_loss(z, y),
            "The sign is flipped: an attack climbs the loss, so it must grow as the other class catches up: other minus own.",
        ),
        Mistake(
            "label not left out",
            lambda z, y: z.amax(1) - _own(z, y),
            "Where the image is still right your loss is 0, with nothing to climb: the label's own logit is in the maximum, or the margin is "
            "cut off at 0 (clamp, relu). Leave the label out of the maximum, and the clamp away.",
        ),
        Mistake(
            "cross-entropy",
            lambda z, y: F.cross_entropy(z, y, reduction="none"),
            "This is the cross-entropy, whose gradient is what the defence hides. Use the logits themselves: best other minus own.",
        ),
        Mistake(
            "probabilities",
            lambda z, y: _margin_loss(z.softmax(1), y),
            "You took the margin of the probabilities. The softmax is what saturates: subtract logits.",
        ),
        Mistake(
            "log-probabilities halved",
            lambda z, y: _margin_loss(z.log_softmax(1).clamp(min=-50), y),
            "You clamp the log-probabilities, which makes them flat where they matter. Subtract the plain logits.",
        ),
        Mistake(
            "hinge from above",
            lambda z, y: _margin_loss(z, y).clamp(max=0),
            "You cut the margin off at 0 from above; keep its value past the boundary as well.",
        ),
        Mistake(
            "masked with zero",
            _one_hot_at_zero,
            "You blank the label's logit with 0. Where all logits are negative that 0 is the largest: blank it with −inf.",
        ),
        Mistake(
            "second minus first",
            _top_two,
            "You subtract the largest logit from the second largest, whoever they are, so your loss can never be positive. "
            "It is the logit of the label y that is subtracted, not that of the model's own prediction.",
        ),
        Mistake(
            "second of all minus own",
            lambda z, y: z.topk(2, dim=1).values[:, 1] - _own(z, y),
            "You take the second largest of all logits. It is the label's rival only where the label is first; where the model is wrong already, the "
            "rival is the first, and the second may be the label itself.",
        ),
        Mistake(
            "mean of the others",
            lambda z, y: (z.sum(1) - _own(z, y)) / (z.shape[1] - 1) - _own(z, y),
            "You took the mean of the other logits; one other class is enough to fool the model: their maximum.",
        ),
        Mistake(
            "sum of the others",
            lambda z, y: z.sum(1) - 2 * _own(z, y),
            "You took the sum of the other logits; one other class is enough to fool the model: their maximum.",
        ),
        Mistake(
            "own logit forgotten",
            lambda z, y: _others(z, y).amax(1),
            "Only the best other logit is left; the label's own has to be subtracted.",
        ),
        Mistake(
            "minus own alone",
            lambda z, y: -_own(z, y),
            "Only the label's logit is left, with a minus; the best other logit is missing.",
        ),
        Mistake(
            "smallest of the others",
            lambda z, y: z.scatter(1, y[:, None], torch.inf).amin(1) - _own(z, y),
            "You took the smallest of the other logits; the class nearest to winning has the largest.",
        ),
        Mistake(
            "mean over the batch",
            lambda z, y: _margin_loss(z, y).mean(),
            "You averaged over the batch: return one value per image, shape (n,).",
        ),
        Mistake(
            "divided by the gap",
            lambda z, y: _margin_loss(z, y) / (_others(z, y).amax(1) - _own(z, y)).abs(),
            "You divide the margin by its own size: what is left is a sign, and a sign has no gradient.",
        ),
    ],
    "A copy of the logits with −inf at the label: logits.scatter(1, y[:, None], -torch.inf). Its maximum, minus logits.gather(1, y[:, None]).",
    returns="vector",
    like=0,
    keeps_graph=True,
)
