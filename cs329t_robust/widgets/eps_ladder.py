"""A ladder of eps: what an attack does to one image at every radius of a list, all computed as one batch."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..attacks import fgsm, pgd
from ..contract.input_validation import Model
from ..evaluation.accuracy import predict
from ..runtime.randomness import ImageRandom, normal_like, uniform_like
from ..threat import L2, Ball, Linf

NORMS: dict[str, type[Ball]] = {"Linf": Linf, "L2": L2}
ATTACKS = ("fgsm", "pgd", "noise")
BATCH_VALUES = 1_600_000  # pixel values attacked at a time: about ten photographs, or 512 digits
BATCH_IMAGES = 512


@dataclass(frozen=True)
class Ladder:
    """What happens to one image at each radius of a ladder, radius 0 first.

    Attributes
    ----------
    delta : Tensor (levels + 1, c, h, w)
        The perturbation x' − x; zero at level 0.
    probabilities : Tensor (levels + 1, k)
        Softmax of the model's logits at exactly x + delta.
    aim : int or None
        The class a targeted attack was to reach.
    """

    delta: Tensor
    probabilities: Tensor
    aim: int | None

    @property
    def predictions(self) -> list[int]:
        """The predicted class at each level."""
        return self.probabilities.argmax(1).tolist()

    @property
    def flipped(self) -> list[bool]:
        """Whether each level reaches the target or, without one, leaves the clean prediction."""
        clean, *_ = predictions = self.predictions
        return [p == self.aim if self.aim is not None else p != clean for p in predictions]

    @property
    def flip(self) -> int | None:
        """The lowest flipped level, or None. Higher ones need not be: attacks are not monotone in eps."""
        return self.flipped.index(True) if True in self.flipped else None


def compute_ladders(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    attack: str,
    norm: str,
    eps: Tensor,
    aim: int | None = None,
    steps: int = 20,
    seed: int = 0,
) -> list[Ladder]:
    """Return the ladder of each image: every image at every radius goes through one batched attack.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x, y : Tensor (n, c, h, w), Tensor (n,)
        Images and true labels.
    attack : {"fgsm", "pgd", "noise"}
        Noise is random signs (Linf) or a random direction (L2), scaled to the radius and clipped to [0, 1]:
        the same signs at each radius.
    norm : {"Linf", "L2"}
    eps : Tensor (levels + 1,)
        Radii, ascending; the first is 0.
    aim : int, optional
        The class to reach; without it the attack leaves `y`. Noise ignores it.
    steps : int
        Gradient steps of PGD.
    seed : int
        Random starts and noise follow from it and from each image's pixels.
    """
    radii = eps[1:].to(x)
    m = len(radii)
    labels = y if aim is None else torch.full_like(y, aim)
    repeated = x.repeat_interleave(m, 0), labels.repeat_interleave(m, 0), radii.repeat(len(x))
    size = max(1, min(BATCH_IMAGES, BATCH_VALUES // x[0].numel()))
    deltas, logits = [], [predict(model, x, size)]
    for part, label, radius in zip(*(tensor.split(size) for tensor in repeated), strict=True):
        threat = NORMS[norm](radius)
        if attack == "noise":
            found = threat.project(part, part + _noise(part, threat, seed))
        else:
            search = fgsm if attack == "fgsm" else partial(pgd, steps=steps, seed=seed)
            found = search(model, part, label, threat=threat, targeted=aim is not None)
        deltas.append((found - part).cpu())
        logits.append(predict(model, found, size))
    delta = torch.cat(deltas).view(len(x), m, *x.shape[1:])
    p = torch.cat(logits).float().softmax(1).cpu()
    clean, attacked = p[: len(x)], p[len(x) :].view(len(x), m, -1)
    return [
        Ladder(
            torch.cat([torch.zeros_like(delta[i, :1]), delta[i]]),
            torch.cat([clean[i : i + 1], attacked[i]]),
            None if attack == "noise" else aim,
        )
        for i in range(len(x))
    ]


def _noise(x: Tensor, threat: Ball, seed: int) -> Tensor:
    """Random signs or a random direction, of the threat's full size; equal images draw alike."""
    draws = ImageRandom(seed, x)
    radius = threat.eps.view(-1, 1, 1, 1)
    if isinstance(threat, Linf):
        return radius * (uniform_like(x, draws) - 0.5).sign()
    direction = normal_like(x, draws)
    return radius * direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
