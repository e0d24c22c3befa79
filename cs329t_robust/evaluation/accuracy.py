"""Measure accuracy, clean and under attack, without trusting the attack: every result is re-scored and re-checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature

import numpy as np
import torch
from torch import Tensor

from ..contract.input_validation import (
    Model,
    check_count,
    check_function,
    check_images,
    check_inputs,
    check_labels,
    check_logits,
    check_model,
    fitting,
)
from ..contract.model_state import borrowed, full_precision
from ..runtime.progress_bar import bar, section
from ..threat import Ball, Linf, Masked, Threat

Attack = Callable[..., Tensor]
ROUNDING = 1e-5  # share of the radius by which rounding may overshoot before an attack has left its threat


class Accuracy(float):
    """A share in [0, 1] that carries what it was measured on.

    Attributes
    ----------
    correct : Tensor (n,), bool
        Which images were classified correctly (under attack, for robust accuracy).
    n : int
        Images measured.
    attack, threat : str
        What was measured against; empty for clean accuracy.
    """

    correct: Tensor
    n: int
    attack: str
    threat: str

    def __new__(cls, correct: Tensor, attack: str = "", threat: str = "") -> "Accuracy":
        self = super().__new__(cls, int(correct.sum()) / len(correct))
        self.correct, self.n, self.attack, self.threat = correct, len(correct), attack, threat
        return self

    def __getnewargs__(self) -> tuple[Tensor, str, str]:  # for copy and pickle
        return self.correct, self.attack, self.threat

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the share."""
        return wilson(int(self.correct.sum()), self.n)

    def __str__(self) -> str:
        low, high = self.interval
        what = f"robust accuracy ({self.attack}, {self.threat})" if self.attack else "clean accuracy"
        return f"{what}: {float(self):.3f} (n={self.n}, 95% interval {low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Curve:
    """Robust accuracy at each radius of a ladder.

    Attributes
    ----------
    eps : tuple of float
        Radii, ascending.
    accuracy : tuple of Accuracy
        One for each radius; never rises, because a ball holds every smaller one.
    """

    eps: tuple[float, ...]
    accuracy: tuple[Accuracy, ...]


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of `successes` out of `n`.

    Parameters
    ----------
    successes, n : int
        0 <= successes <= n, and n >= 1.

    Returns
    -------
    low, high : float in [0, 1]
    """
    share, z2 = successes / n, 1.959963984540054**2 / n
    middle, half = share + z2 / 2, (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))


def predict(model: Model, x: Tensor, batch_size: int = 1000) -> Tensor:
    """Return the logits of images: in eval mode, without gradients, `batch_size` images at a time.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    batch_size : int >= 1

    Returns
    -------
    Tensor (n, k)

    Raises
    ------
    ValueError
        If `x` is not a batch of float images in [0, 1], or the model does not answer with logits (n, k).
    """
    check_images(x)
    check_model(model, x)
    check_count("batch_size", batch_size, 1)
    with borrowed(model), torch.no_grad(), full_precision(x.device), fitting(x):
        chunks = []
        for part in x.split(batch_size):
            logits = model(part.clone())  # a model that works in place spoils its own copy
            check_logits(logits, part, torch.zeros(1, dtype=torch.long))
            chunks.append(logits.clone())  # a model may answer in the same tensor each time
        return torch.cat(chunks)


def accuracy(model: Model, x: Tensor, y: Tensor, batch_size: int = 1000) -> Accuracy:
    """Return the share of images classified as `y`, with its n and interval.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.
    batch_size : int >= 1
        Images classified at a time.

    Returns
    -------
    Accuracy

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    check_images(x)
    check_labels(x, y)
    return Accuracy(_correct(model, x, y, batch_size))


def _correct(model: Model, x: Tensor, y: Tensor, batch_size: int) -> Tensor:
    logits = predict(model, x, batch_size)
    check_logits(logits, x, y)
    return logits.argmax(1) == y


def attack_name(attack: Attack) -> str:
    """Return a readable name: the function's, with the settings bound by `functools.partial`."""
    if isinstance(attack, partial):
        settings = ", ".join(f"{key}={value}" for key, value in attack.keywords.items() if key != "threat")
        return f"{attack_name(attack.func)}({settings})" if settings else attack_name(attack.func)
    return getattr(attack, "__name__", type(attack).__name__)


def check_attack(attack: Attack) -> None:
    """Raise a ValueError unless `attack` can be called, and with a threat: one that measures a distance cannot."""
    check_function("attack", attack, "partial(pgd, steps=40)")
    try:
        settings = signature(attack).parameters.values()
    except (TypeError, ValueError):  # some callables do not tell
        return
    if not any(setting.name == "threat" or setting.kind is setting.VAR_KEYWORD for setting in settings):
        raise ValueError(
            f"attack: expected one that takes threat=..., such as partial(pgd, steps=40), got {attack_name(attack)}; "
            "of a minimum-norm attack, count the results that are adversarial and near enough"
        )


def robust_accuracy(
    model: Model, x: Tensor, y: Tensor, attack: Attack, threat: Threat, *, batch_size: int = 1000
) -> Accuracy:
    """Return the share of images that are classified correctly before and after the attack.

    Only images that the model gets right are attacked. What comes back is not believed: it must lie in the threat
    and in [0, 1], and it is classified again, in full precision: `torch.autocast` around this speeds up the search
    alone, and counts no image as adversarial that the model classifies right.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x, y : Tensor (n, c, h, w), Tensor (n,)
    attack : callable
        ``attack(model, x, y, threat=threat) -> x_adv``; bind settings with `functools.partial`.
    threat : any threat: Linf, L2, L1, L0, one of them `Masked`, or Spatial
    batch_size : int
        Images attacked at a time, so that memory does not grow with n.

    Returns
    -------
    Accuracy
        A float that carries `correct`, `n`, `attack`, `threat` and its 95% interval.

    Raises
    ------
    ValueError
        If an input is unusable, or if the attack returned images outside the threat or outside [0, 1], or of another
        shape: its numbers would mean nothing.
    """
    x, y = check_inputs(model, x, y, threat)
    check_attack(attack)
    name = attack_name(attack)
    correct = _correct(model, x, y, batch_size)
    todo, right, done = correct.nonzero().flatten(), int(correct.sum()), 0
    with bar(name, len(x), right):
        while done < right:
            rows = todo[done : done + batch_size]
            near, end = threat.select(rows), done + len(rows)
            with section(done / right, end / right, right - int(correct.sum())):
                x_adv = attack(model, x[rows], y[rows], threat=near)
            check_member(x[rows], x_adv, near, name)
            correct[rows] = _correct(model, x_adv, y[rows], batch_size)
            done = end
    return Accuracy(correct, name, repr(threat))


def _exact(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64  # Apple's GPUs have no float64


def check_member(x: Tensor, x_adv: Tensor, threat: Threat, name: str = "attack") -> None:
    """Raise a ValueError unless each `x_adv` lies within `threat` of its `x` and in [0, 1].

    The check is made in float64 and allows every pixel to be rounded by half a unit in its last place.
    """
    if not isinstance(x_adv, Tensor) or x_adv.shape != x.shape:
        got = tuple(x_adv.shape) if isinstance(x_adv, Tensor) else type(x_adv).__name__
        raise ValueError(f"{name}: expected adversarial images of shape {tuple(x.shape)}, got {got}")
    if x_adv.dtype != x.dtype or x_adv.device != x.device:
        raise ValueError(
            f"{name}: expected adversarial images in {x.dtype} on {x.device}, got {x_adv.dtype} on {x_adv.device}"
        )
    if not bool(x_adv.isfinite().all()):
        raise ValueError(f"{name}: expected finite adversarial images, got NaN or infinity")
    low, high = x_adv.min().item(), x_adv.max().item()
    if low < 0 or high > 1:
        raise ValueError(
            f"{name}: expected adversarial images in [0, 1], got [{low:.4g}, {high:.4g}]; clip them with clamp(0, 1)"
        )
    exact = _exact(x)
    distance = threat.distance(x.to(exact), x_adv.to(exact))
    eps = torch.as_tensor(threat.eps, device=x.device).to(exact)
    outside = distance > eps * (1 + ROUNDING) + threat.rounding(x)
    if bool(outside.any()):
        worst = distance.sub(eps).argmax()
        raise ValueError(
            f"{name}: expected every image within {threat!r}, got {int(outside.sum())} of {len(x)} outside: the "
            f"worst is {distance[worst].item():.4g} away, allowed {eps.expand(len(x))[worst].item():.4g}; project it"
        )


def robustness_curve(
    model: Model,
    x: Tensor,
    y: Tensor,
    attack: Attack,
    eps: Sequence[float],
    *,
    threat: type[Ball] | Masked = Linf,
    batch_size: int = 1000,
) -> Curve:
    """Return robust accuracy over a ladder of radii: one batched attack, image by radius.

    An image that is adversarial at one radius counts as adversarial at every larger one: balls are nested.

    Parameters
    ----------
    model, x, y, attack, batch_size
        As in `robust_accuracy`.
    eps : sequence of float
        Radii, each >= 0, in any order; 0 is clean accuracy.
    threat : type or Masked
        `Linf`, `L2`, `L1` or `L0`; or a `Masked` threat, whose radius the ladder replaces.

    Returns
    -------
    Curve
        Its accuracies never rise with the radius.

    Raises
    ------
    ValueError
        If `eps` is empty or holds a negative or NaN radius, or as in `robust_accuracy`.
    """
    check_images(x)
    check_labels(x, y)
    values = eps.tolist() if isinstance(eps, Tensor | np.ndarray) else eps
    if isinstance(eps, str) or not isinstance(values, Sequence) or any(getattr(v, "ndim", 0) for v in values):
        raise ValueError(f"eps: expected a sequence of radii such as [0, 0.1], got {eps!r}; use [0.1] for one")
    kind = isinstance(threat, type) and issubclass(threat, Ball) and threat is not Ball
    if not kind and not isinstance(threat, Masked):
        raise ValueError(f"threat: expected a kind of threat, Linf or L2, got {threat!r}; the radii go into eps")
    threat = threat if isinstance(threat, Masked) else threat(0.0)
    radii = sorted(float(threat.with_eps(value).eps) for value in values)
    if not radii:
        raise ValueError("eps: expected at least one radius, got none")
    n, m = len(x), len(radii)
    ladder = torch.tensor(radii, dtype=_exact(x), device=x.device)
    threat.check(x)
    check_attack(attack)
    check_count("batch_size", batch_size, 1)
    name, size = attack_name(attack), max(1, batch_size // m)
    robust, done = torch.ones(n, m, dtype=torch.bool, device=x.device), 0
    with bar(name, n * m):
        for images in torch.arange(n, device=x.device).split(size):  # each image comes m times: not all of them at once
            rows, end = images.repeat_interleave(m), done + len(images)
            around = threat.with_eps(0.0).select(rows).with_eps(ladder.repeat(len(images)))
            with section(done / n, end / n, int((~robust).sum())):
                flat = robust_accuracy(model, x[rows], y[rows], attack, around, batch_size=batch_size)
            robust[images], done = flat.correct.view(-1, m), end
    robust = robust.cumprod(1).bool()
    return Curve(
        tuple(radii),
        tuple(Accuracy(robust[:, i], name, repr(threat.with_eps(radii[i]))) for i in range(m)),
    )
