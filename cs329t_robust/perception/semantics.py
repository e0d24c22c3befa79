"""Size against meaning: the largest change of a digit that means nothing, and the smallest that changes what it says.

Both are optimisation problems. No person is in the loop: which changes a person reads through is written down as a
family of transformations, and what a picture says is what several judges (networks) agree on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..contract.input_validation import Model, check_count, check_images, check_labels
from ..data.datasets import mnist
from ..evaluation.accuracy import predict
from ..threat import warp

FAMILY = {"degrees": (-12.0, 12.0), "right": (-2.0, 2.0), "down": (-2.0, 2.0), "ink": (0.0, 1.0), "paper": (0.0, 1.0)}
CONTRAST = 0.5  # least difference between ink and paper
DRAWS, ROUNDS, ELITE = 60, 8, 6  # of the cross-entropy method, for each image
SURE = 0.8  # probability with which every judge has to say the class
VISIBLE = 0.25  # a pixel whose change is at least this belongs to a stroke
CANDIDATES = 10


@dataclass(frozen=True)
class Redrawn:
    """Digits whose meaning was changed by few strokes.

    Attributes
    ----------
    x_adv : Tensor (n, 1, h, w)
    label : Tensor (n,)
        What they say now.
    found : Tensor (n,), bool
        False where no candidate convinced the judges; the image is then x.
    """

    x_adv: Tensor
    label: Tensor
    found: Tensor


def transformed(x: Tensor, numbers: Tensor) -> Tensor:
    """Return each image turned, moved and printed in other greys: paper + (ink − paper)·warp(x), (n, c, h, w).

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    numbers : Tensor (n, 5)
        Degrees, pixels right, pixels down, grey of the ink, grey of the paper.
    """
    ink, paper = numbers[:, 3].view(-1, 1, 1, 1), numbers[:, 4].view(-1, 1, 1, 1)
    return (paper + (ink - paper) * warp(x, numbers[:, :3])).clamp(0, 1)


def meaningless(x: Tensor, y: Tensor, judges: Sequence[Model] = (), seed: int = 0) -> Tensor:
    """Search for the image of a harmless family that lies farthest (L2) from each digit and still says `y`.

    The family: turned by up to 12°, moved by up to 2 pixels each way, any grey of ink and paper that differ by at
    least a half. That a person reads the same digit throughout is our assumption; look at the results.

    Parameters
    ----------
    x, y : Tensor (n, c, h, w), Tensor (n,)
    judges : sequence of models
        Each has to give `y` a probability of at least 0.8; none, and the family alone decides.
    seed : int
        Of the cross-entropy method: draw 60 members around a mean, move mean and spread to the best six, eight times.

    Returns
    -------
    Tensor (n, c, h, w)
        x itself where no member that was drawn satisfied the judges.

    Raises
    ------
    ValueError
        If the images, the labels or the seed are unusable.

    References
    ----------
    Rubinstein & Kroese 2004, "The cross-entropy method", chapter 2.
    """
    check_images(x)
    check_labels(x, y)
    check_count("seed", seed, 0)
    generator = torch.Generator().manual_seed(seed)
    low, high = (torch.tensor(ends, dtype=x.dtype) for ends in zip(*FAMILY.values(), strict=True))
    mean, spread = ((low + high) / 2).expand(len(x), 5), ((high - low) / 2).expand(len(x), 5)
    best, far = x.clone(), x.new_zeros(len(x))
    many, labels = x.repeat_interleave(DRAWS, 0), y.repeat_interleave(DRAWS)
    for _ in range(ROUNDS):
        noise = torch.randn(len(x), DRAWS, 5, generator=generator, dtype=x.dtype)
        drawn = (mean[:, None] + spread[:, None] * noise).clamp(low, high)
        seen = transformed(many, drawn.flatten(0, 1))
        allowed = (drawn[..., 3] - drawn[..., 4]).abs() >= CONTRAST
        for judge in judges:
            p = F.softmax(predict(judge, seen), 1).gather(1, labels[:, None])
            allowed = allowed & (p.view(len(x), DRAWS) >= SURE)
        size = (seen - many).flatten(1).norm(dim=1).view(len(x), DRAWS)
        size = torch.where(allowed, size, -1.0)
        top, place = size.topk(ELITE, dim=1)
        better = top[:, 0] > far
        first = torch.arange(len(x)) * DRAWS + place[:, 0]
        best[better], far = seen[first][better], torch.maximum(far, top[:, 0])
        elite = drawn.gather(1, place[..., None].expand(-1, -1, 5))
        fed = (top[:, -1] > 0)[:, None]  # enough members to learn from
        mean = torch.where(fed, elite.mean(1), mean)
        spread = torch.where(fed, elite.std(1) + 0.02 * (high - low), spread)
    return best


def redrawn(x: Tensor, y: Tensor, judges: Sequence[Model], pool: int = 10_000) -> Redrawn:
    """Change what each digit says by the smallest set of strokes (L2) that convinces every judge.

    For each of the ten nearest training digits t with another label: the change t − x falls into strokes, connected
    patches of pixels that change by at least 0.25. Starting with all of them, the largest stroke is taken back that
    the judges do not need, until they need every one that is left. Of the ten, the smallest change is kept.

    Parameters
    ----------
    x, y : Tensor (n, 1, h, w), Tensor (n,)
    judges : sequence of models
        Each has to give the new class a probability of at least 0.8.
    pool : int
        How many training digits are looked through.

    Returns
    -------
    Redrawn

    Raises
    ------
    ValueError
        If the images, the labels or `pool` are unusable.

    References
    ----------
    Tramèr, Behrmann, Carlini, Papernot & Jacobsen 2020, "Fundamental tradeoffs between invariance and sensitivity to
    adversarial perturbations", arXiv:2002.04599, section 4: the idea, and the L0 attack that this one is close to.
    """
    check_images(x)
    check_labels(x, y)
    other, label = mnist("train", n=pool)
    far = torch.cdist(x.flatten(1), other.flatten(1)).masked_fill_(y[:, None] == label, torch.inf)
    nearest = far.topk(CANDIDATES, largest=False).indices
    out, said, found = x.clone(), y.clone(), torch.zeros(len(x), dtype=torch.bool)
    for i in range(len(x)):
        best = torch.inf
        for at in nearest[i].tolist():
            drawn = _fewest_strokes(x[i], other[at], int(label[at]), judges)
            size = torch.inf if drawn is None else (drawn - x[i]).norm().item()
            if drawn is not None and size < best:
                out[i], said[i], found[i], best = drawn, label[at], True, size
    return Redrawn(out, said, found)


def strokes(x: Tensor, other: Tensor) -> Tensor:
    """Return the strokes in which two images (c, h, w) differ, as masks (m, 1, h, w); touching corners join."""
    from scipy.ndimage import label

    changed = ((other - x).abs().amax(0) >= VISIBLE).numpy()
    marks, count = label(changed, structure=np.ones((3, 3)))
    return torch.from_numpy(
        np.stack([marks == k + 1 for k in range(count)])[:, None] if count else np.zeros((0, 1, *marks.shape), bool)
    )


def _fewest_strokes(x: Tensor, other: Tensor, label: int, judges: Sequence[Model]) -> Tensor | None:
    """Return x with a set of `other`'s strokes that the judges need, every one of them, or None."""
    masks = strokes(x, other)
    if not len(masks):
        return None
    size = ((other - x).square() * masks).flatten(1).sum(1)
    kept = torch.ones(len(masks), dtype=torch.bool)
    if not _convinced(_with(x, other, masks, kept[None]), label, judges)[0]:
        return None
    while int(kept.sum()) > 1:
        tries = kept.repeat(len(masks), 1)
        tries.fill_diagonal_(False)
        works = kept & _convinced(_with(x, other, masks, tries), label, judges)
        if not bool(works.any()):
            break
        kept[torch.where(works, size, -1.0).argmax()] = False
    return _with(x, other, masks, kept[None])[0]


def _with(x: Tensor, other: Tensor, masks: Tensor, kept: Tensor) -> Tensor:
    """Return x with the chosen strokes of `other`, one image for each row of `kept` (k, m)."""
    chosen = (kept.float() @ masks.flatten(1).float() > 0).view(len(kept), 1, *x.shape[1:])
    return torch.where(chosen, other, x)


def _convinced(x: Tensor, label: int, judges: Sequence[Model]) -> Tensor:
    """Return which images every judge gives `label` with enough probability, (n,)."""
    sure = torch.ones(len(x), dtype=torch.bool)
    for judge in judges:
        sure &= predict(judge, x).softmax(1)[:, label] >= SURE
    return sure


def neighbours_say(x: Tensor, k: int = 5, pool: int = 10_000) -> Tensor:
    """Return the commonest label among the `k` nearest (L2) of the first `pool` training digits.

    Parameters
    ----------
    x : Tensor (n, 1, 28, 28)
    k : int >= 1
    pool : int >= k

    Returns
    -------
    Tensor (n,), integer

    Raises
    ------
    ValueError
        If `pool` is out of range.
    """
    other, label = mnist("train", n=pool)
    near = torch.cdist(x.flatten(1), other.flatten(1)).topk(k, largest=False).indices
    return F.one_hot(label[near], 10).sum(1).argmax(1)
