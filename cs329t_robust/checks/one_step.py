"""One gradient step x′ = clip(x + ε·sign(∇)), and what students replace in it; exercises 01.2, 01.3 and 02.3 share it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def step(
    x: Tensor,
    grad: Tensor,
    eps: float,
    side: int = 1,
    direction: Callable[[Tensor], Tensor] = torch.sign,
    size: Callable[[float], float] = lambda eps: eps,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda x, move: (x + move).clamp(0, 1),
) -> Tensor:
    """Take one step along `grad`; each argument from `side` on replaces one part of it by a wrong one."""
    return finish(x, side * size(eps) * direction(grad))


NO_SIGN = "You stepped along the gradient itself; take its sign, so that every pixel moves by the whole ε."
UNIT = "You scaled the gradient to L2 length 1: that is the L2 step. In L∞ every pixel moves by ε: take the sign."

WRONG_STEPS = [
    (
        "not clipped to the image",
        {"finish": lambda x, move: x + move},
        "The result is no valid image: clamp(0, 1) is missing, or comes before the step. It must be last.",
    ),
    (
        "change clipped, not the image",
        {"finish": lambda x, move: x + move.clamp(0, 1)},
        "You clipped the change ε·sign(∇) to [0, 1], so it lost its negative half; clip the sum x + ε·sign(∇).",
    ),
    (
        "change clipped, then the image",
        {"finish": lambda x, move: (x + move.clamp(0, 1)).clamp(0, 1)},
        "You clipped the change to [0, 1] before adding it, so no pixel gets darker; clip only the sum.",
    ),
    (
        "clipped to [-1, 1]",
        {"finish": lambda x, move: (x + move).clamp(-1, 1)},
        "Pixels below 0 are left: you clipped to [−1, 1], or only from above; these images live in [0, 1].",
    ),
    (
        "clipped to [0, 255]",
        {"finish": lambda x, move: (x + move).clamp(0, 255)},
        "Pixels above 1 are left: you clipped to [0, 255], or only from below; these images live in [0, 1].",
    ),
    (
        "perturbation returned",
        {"finish": lambda x, move: move},
        "You returned the perturbation alone; add it to x.",
    ),
    (
        "clipped perturbation returned",
        {"finish": lambda x, move: move.clamp(0, 1)},
        "You returned the perturbation alone, clipped; add it to x first.",
    ),
    ("no sign", {"direction": lambda g: g}, NO_SIGN),
    ("no sign, mean loss", {"direction": lambda g: g / len(g)}, NO_SIGN),
    ("scaled to length one", {"direction": lambda g: F.normalize(g.flatten(1)).view_as(g)}, UNIT),
    (
        "scaled by the batch's length",
        {"direction": lambda g: g / g.norm()},
        "You divided the gradient by the length of the whole batch's; no normalising here: take the sign of every pixel.",
    ),
    (
        "scaled by the largest pixel",
        {"direction": lambda g: g / g.flatten(1).abs().amax(1).view(-1, 1, 1, 1)},
        "You scaled the gradient so that its largest pixel moves by ε; every pixel has to: take the sign.",
    ),
    (
        "scaled by the largest pixel of the batch",
        {"direction": lambda g: g / g.abs().max()},
        "You divided the gradient by its largest value in the whole batch; every pixel has to move by ε: take the sign.",
    ),
    (
        "absolute value",
        {"direction": lambda g: g.abs().sign()},
        "The absolute value loses the gradient's sign, so every pixel moves the same way.",
    ),
    (
        "one sign for the batch",
        {"direction": lambda g: g.mean().sign().expand_as(g)},
        "One sign is used for all pixels (the mean's); every pixel has its own.",
    ),
    (
        "epsilon forgotten",
        {"size": lambda eps: 1.0},
        "ε is missing: every pixel moves by a whole unit.",
    ),
    (
        "epsilon twice",
        {"size": lambda eps: 2 * eps},
        "ε is applied twice: pixels move by 2ε.",
    ),
    (
        "epsilon squared",
        {"size": lambda eps: eps * eps},
        "ε is multiplied in twice: pixels move by ε² only.",
    ),
    (
        "epsilon divided by 255",
        {"size": lambda eps: eps / 255},
        "ε is already in units of the [0, 1] pixel range; you divided it by 255 again.",
    ),
]

LOGIT = "You differentiated the logit (a score) of the class, not the cross-entropy of the logits: F.cross_entropy(logits, labels)."
WRONG_LOSSES = [
    ("the label's logit", {"loss": lambda z, y: -z.gather(1, y[:, None]).sum()}, LOGIT),
    (
        "softmax before cross-entropy",
        {"loss": lambda z, y: F.cross_entropy(z.softmax(1), y, reduction="sum")},
        "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
    ),
]
