"""Exercise 04.5: the best k pixels, according to the gradient."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import count
from ..shared_probes import alone, generator, images, in_image, matches

SHAPES = ((6, 1, 5, 5), (3, 3, 4, 4))


def _gain(x: Tensor, grad: Tensor) -> Tensor:
    """Return what the loss gains, to first order, if each value goes to the better end of [0, 1]."""
    return torch.where(grad > 0, grad * (1 - x), -grad * x)


def _corner(x: Tensor, grad: Tensor) -> Tensor:
    return torch.where(grad > 0, torch.ones_like(x), torch.where(grad < 0, torch.zeros_like(x), x))


def _take(x: Tensor, target: Tensor, worth: Tensor, k: int) -> Tensor:
    """Return x with the k most valuable places (worth is (n, h, w)) set to the target."""
    chosen = torch.zeros_like(worth.flatten(1), dtype=torch.bool).scatter(1, worth.flatten(1).topk(k, 1).indices, True)
    return torch.where(chosen.view(len(x), 1, *x.shape[2:]), target, x)


def _sparse_step(x: Tensor, grad: Tensor, k: int) -> Tensor:
    return _take(x, _corner(x, grad), _gain(x, grad).sum(1), k)


def _cases(seed: int) -> list[tuple]:
    cases = []
    for shape, k in zip(SHAPES, (3, 2), strict=True):
        draw = generator(seed + 7)
        scale = torch.tensor([1.0, 0.01, 5.0, 1.0, 30.0, 0.3])[: shape[0]].view(-1, 1, 1, 1)
        grad = torch.randn(shape, generator=draw) * scale
        x = images(seed, shape)
        if shape[1] == 1:  # steep pixels without room: they are where the gradient points already
            for i in range(shape[0]):
                at = divmod(int(grad[i, 0].abs().argmax()), shape[3])
                x[i, 0, at[0], at[1]] = float(grad[i, 0, at[0], at[1]] > 0)
        cases.append((x, grad, k))
    return cases


def _places(run: Run) -> str:
    for (x, _, k), answer, _ in run:
        changed = ((answer - x).abs() > 1e-6).any(1).flatten(1).sum(1)
        if (changed > k).any():
            return f"k={k}, but up to {count(int(changed.max()), 'pixel')} of an image changed"
        if (changed < k).any():
            return f"k={k}, but in one image only {count(int(changed.min()), 'pixel')} changed: others have no room to move"
    return ""


def _gains(run: Run) -> str:
    for (x, grad, k), answer, expected in run:
        got, best = (((z.clamp(0, 1) - x) * grad).flatten(1).sum(1) for z in (answer, expected))
        at = int((got / best).argmin())
        if got[at] < 0.999 * best[at]:
            return f"k={k}, image {at}: the loss gains {got[at]:.4g} to first order; with the best choice of pixels {best[at]:.4g}"
    return ""


SPARSE_STEP = Exercise(
    "04.5",
    "sparse_step",
    _sparse_step,
    _cases,
    [
        Probe("gains all that k pixels can gain", 2, _gains, essential=True),
        Probe("changes k pixels of each image", 1, _places),
        Probe("stays in the image, [0, 1]", 1, in_image),
        Probe("is right everywhere", 1, matches("pixel")),
        Probe("works on each image alone", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], a[2]))),
    ],
    [
        Mistake(
            "room forgotten",
            lambda x, g, k: _take(x, _corner(x, g), g.abs().sum(1), k),
            "You took the pixels with the largest |gradient|; but a white pixel cannot get whiter. Multiply by the room: 1 − x where the "
            "gradient is positive, x where it is negative.",
        ),
        Mistake(
            "brightening only",
            lambda x, g, k: _take(x, _corner(x, g), (g * (1 - x)).sum(1), k),
            "You rank by grad · (1 − x), which only looks for pixels to brighten; where the gradient is negative, going to 0 gains |grad| · x.",
        ),
        Mistake(
            "signed gradient",
            lambda x, g, k: _take(x, _corner(x, g), g.sum(1), k),
            "You rank by the signed gradient, so pixels that should get darker are never chosen; and a white pixel cannot get whiter.",
        ),
        Mistake(
            "downhill",
            lambda x, g, k: _take(x, _corner(x, -g), _gain(x, -g).sum(1), k),
            "The loss falls: a positive gradient means that a *brighter* pixel raises the loss, so go to 1 there, and to 0 where it is negative.",
        ),
        Mistake(
            "right places, wrong end",
            lambda x, g, k: _take(x, _corner(x, -g), _gain(x, g).sum(1), k),
            "The right pixels, sent to the wrong end: to 1 where the gradient is positive, to 0 where it is negative.",
        ),
        Mistake(
            "all to white",
            lambda x, g, k: _take(x, torch.ones_like(x), _gain(x, g).sum(1), k),
            "You made all chosen pixels white; where the gradient is negative they must become black.",
        ),
        Mistake(
            "flipped",
            lambda x, g, k: _take(x, 1 - x, _gain(x, g).sum(1), k),
            "You inverted the chosen pixels (1 − x); send them to 0 or to 1.",
        ),
        Mistake(
            "least valuable",
            lambda x, g, k: _take(x, _corner(x, g), -_gain(x, g).sum(1), k),
            "You chose the k pixels that gain least; take the largest (topk, or argsort with descending=True).",
        ),
        Mistake(
            "values, not places",
            lambda x, g, k: _values(x, g, k),
            "You chose k values; in a colour image a pixel is a place with all its channels: sum the gains over channels, dimension 1, then choose k places.",
        ),
        Mistake(
            "k of the whole batch",
            lambda x, g, k: _whole_batch(x, g, k),
            "You chose the k best pixels of the whole batch; each image has k of its own: .flatten(1).topk(k, dim=1).",
        ),
        Mistake(
            "added the sign",
            lambda x, g, k: _take(x, x + g.sign(), _gain(x, g).sum(1), k),
            "You added the sign of the gradient without clipping: the pixels must end at exactly 0 or 1.",
        ),
        Mistake(
            "every pixel",
            lambda x, g, k: _corner(x, g),
            "You sent every pixel to the end of its range; only the best k may change.",
        ),
        Mistake(
            "one pixel",
            lambda x, g, k: _take(x, _corner(x, g), _gain(x, g).sum(1), 1),
            "Only the best pixel changes; take k of them.",
        ),
    ],
    "What would each value gain by going to its better end? grad · (1 − x) if grad > 0, −grad · x otherwise; sum over channels. Then "
    "topk along .flatten(1), and set those places to 1 or 0.",
    like=0,
)


def _values(x: Tensor, grad: Tensor, k: int) -> Tensor:
    gain = _gain(x, grad).flatten(1)
    chosen = torch.zeros_like(gain, dtype=torch.bool).scatter(1, gain.topk(k, 1).indices, True)
    return torch.where(chosen.view_as(x), _corner(x, grad), x)


def _whole_batch(x: Tensor, grad: Tensor, k: int) -> Tensor:
    gain = _gain(x, grad).sum(1)
    chosen = torch.zeros_like(gain.flatten(), dtype=torch.bool).scatter(0, gain.flatten().topk(k).indices, True)
    return torch.where(chosen.view(len(x), 1, *x.shape[2:]), _corner(x, grad), x)
