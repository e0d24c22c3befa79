"""Ways to train a robust model: what to hand to `fit` as the inner maximum and as the outer loss, by name.

An inner maximum has an attack's signature; those here serve training only, because what they return may leave the image
box or is too weak to measure with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ..attacks import fgsm, pgd
from ..attacks.engine.gradient import input_gradient
from ..certification import worst_logits
from ..contract.model_state import borrowed
from ..losses import cross_entropy
from ..runtime.randomness import ImageRandom, normal_like, uniform_like
from ..threat import L2, Linf, Threat, per_image
from .fit import Inner, Outer, ordinary


def noise(model: nn.Module, x: Tensor, y: Tensor, *, sigma: float, seed: int) -> Tensor:
    """Add Gaussian noise of standard deviation `sigma` to each pixel: the lecture's δ ~ N(0, σ²I), not clipped.

    Parameters
    ----------
    model : Module
        Not used.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        Not used.
    sigma : float
        In units of the image.
    seed : int

    Returns
    -------
    Tensor (n, c, h, w)
        Outside [0, 1] where the noise leads there, as randomised smoothing needs it.
    """
    return x + sigma * normal_like(x, ImageRandom(seed, x))


def fast(
    model: nn.Module, x: Tensor, y: Tensor, *, threat: Linf, start: float = 1.0, step: float = 1.25, seed: int = 0
) -> Tensor:
    """Take one signed step from a random start that is not clipped to the image box.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.
    threat : Linf
    start, step : float
        Reach of the random start and length of the step, in units of the radius.
    seed : int
        Of the start.

    Returns
    -------
    Tensor (n, c, h, w)
        Within the threat and [0, 1].

    Raises
    ------
    ValueError
        If the threat is not Linf, or the model's answer is unusable.

    Notes
    -----
    Clipping the start to [0, 1] would leave most of MNIST's pixels, which are exactly 0 or 1, at the edge of the box
    where half of the starts fall on the image itself; training then collapses far more often.

    References
    ----------
    Wong, Rice & Kolter 2020, "Fast is better than free", arXiv:2001.03994, algorithm 3.
    """
    if not isinstance(threat, Linf):
        raise ValueError(f"threat: expected Linf for a signed step, got {threat!r}; use partial(pgd, steps=2)")
    eps = per_image(threat.eps, x)
    begun = x + start * eps * (2 * uniform_like(x, ImageRandom(seed, x)) - 1)
    with borrowed(model):
        grad, _ = input_gradient(model, begun, y, cross_entropy)
    return threat.project(x, begun + step * eps * grad.sign())


def trades_attack(model: nn.Module, x: Tensor, y: Tensor, *, threat: Threat, steps: int = 7, seed: int = 0) -> Tensor:
    """Climb the divergence between the predictions at x and at x + δ, from a start 0.001 away: TRADES' inner maximum.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        Not used: the divergence needs no label.
    threat : Threat
    steps : int >= 1
        Of 2.5·eps/steps each.
    seed : int
        Of the start.

    Returns
    -------
    Tensor (n, c, h, w)
        Within the threat and [0, 1].

    Raises
    ------
    ValueError
        If the model's answer is unusable.

    References
    ----------
    Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy", arXiv:1901.08573,
    algorithm 1.
    """

    def apart(logits: Tensor, y: Tensor) -> Tensor:
        return F.kl_div(logits.log_softmax(1), clean, reduction="none").sum(1)

    with borrowed(model):
        clean = model(x).detach().softmax(1)
        x_adv = threat.project(x, x + 0.001 * normal_like(x, ImageRandom(seed, x)))
        for _ in range(steps):
            grad, _ = input_gradient(model, x_adv, y, apart)
            x_adv = threat.project(x, threat.ascend(x, x_adv, grad, 2.5 * threat.eps / steps))
    return x_adv


def trades(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, *, beta: float = 6.0) -> tuple[Tensor, Tensor]:
    """Return each example's CE(y, F(x)) + β·KL(F(x) ‖ F(x_adv)).

    Parameters
    ----------
    model : Module
        Images to logits (n, k).
    x : Tensor (n, c, h, w), float in [0, 1]
    x_adv : Tensor (n, c, h, w)
    y : Tensor (n,), integer
        True labels.
    beta : float >= 0

    Returns
    -------
    loss : Tensor (n,)
    logits : Tensor (n, k)
        At `x_adv`.

    References
    ----------
    Zhang et al. 2019, arXiv:1901.08573, equation 5 (β is its 1/λ).
    """
    clean, logits = model(x), model(x_adv)
    apart = F.kl_div(logits.log_softmax(1), clean.softmax(1), reduction="none").sum(1)
    return cross_entropy(clean, y) + beta * apart, logits


def scaled_logits(
    model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of logits divided by `temperature`, as defensive distillation trains its networks.

    At test time the logits are taken as they are, so large that the softmax is exactly 0 or 1 and its gradient
    vanishes: a defence that only hides the gradient.

    References
    ----------
    Papernot et al. 2016, arXiv:1511.04508 (the defence); Carlini & Wagner 2017, arXiv:1608.04644 (how it falls).
    """
    logits = model(x_adv)
    return cross_entropy(logits / temperature, y), logits


def upper_corner(model: nn.Module, x: Tensor, y: Tensor, *, threat: Linf) -> Tensor:
    """Return x + ε, the upper corner of the threat's box, from which `interval` knows the whole of it: no search.

    Raises
    ------
    ValueError
        If the threat is not `Linf`.
    """
    if not isinstance(threat, Linf):
        raise ValueError(f"threat: expected Linf, whose ball is a box, got {threat!r}")
    return x + per_image(threat.eps, x)


def interval(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, *, clean: float = 0.5) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of the worst logits that interval bounds allow.

    Parameters
    ----------
    model : Module
        One that `worst_logits` can read.
    x : Tensor (n, c, h, w), float in [0, 1]
    x_adv : Tensor (n, c, h, w)
        The upper corner of the box around x; not clipped to [0, 1], so that the lower corner follows from it.
    y : Tensor (n,), integer
        True labels.
    clean : float in [0, 1]
        Share of the loss that is the ordinary one at x.

    Returns
    -------
    loss : Tensor (n,)
    logits : Tensor (n, k)
        The worst ones; that of `y` is 0.

    Raises
    ------
    ValueError
        If the model does something that is not read.

    References
    ----------
    Gowal et al. 2018, arXiv:1810.12715.
    """
    worst = worst_logits(model, (2 * x - x_adv).clamp_min(0), x_adv.clamp_max(1), y)
    return clean * cross_entropy(model(x), y) + (1 - clean) * cross_entropy(worst, y), worst


def first_collapse(one_step: Tensor, many_steps: Tensor) -> int | None:
    """Return the first epoch, counted from 1, after which a network is robust to one step of attack but not to many.

    Parameters
    ----------
    one_step, many_steps : Tensor (epochs,)
        Robust accuracy after each epoch under FGSM and under PGD, at the radius that is trained.

    Returns
    -------
    int or None
        The first epoch with at least 50% under one step and less than half of that under many; None if there is none.

    References
    ----------
    Wong, Rice & Kolter 2020, arXiv:2001.03994, section 5 ("catastrophic overfitting").
    """
    collapsed = (one_step >= 0.5) & (many_steps < 0.5 * one_step)
    return int(collapsed.nonzero()[0]) + 1 if bool(collapsed.any()) else None


@dataclass(frozen=True)
class Recipe:
    """Settings of `fit`, the kind of threat, and the epochs and radius at which the shipped model was trained.

    Attributes
    ----------
    says : str
        The recipe in words.
    epochs : int
        At which the shipped model was trained.
    inner, outer : callable
        As in `fit`.
    kind : callable, optional
        From a radius to a threat, such as `Linf`; None for a method without a threat.
    eps : float, optional
        The shipped model's radius.
    warm_up : float in [0, 1]
        As in `fit`.
    replays : int
        As in `fit`.
    """

    says: str
    epochs: int
    inner: Inner | None = None
    outer: Outer = ordinary
    kind: Callable[[float], Threat] | None = None
    eps: float | None = None
    warm_up: float = 0.0
    replays: int = 1

    def settings(self, eps: float | None = None) -> dict[str, Any]:
        """Return the arguments of `fit` that make the recipe, at another radius if asked.

        Raises
        ------
        ValueError
            If `eps` is given to a recipe without a radius.
        """
        if self.kind is None:
            if eps is not None:
                raise ValueError(f"eps: expected none for a method without a radius, got {eps}")
            return {"inner": self.inner, "outer": self.outer}
        threat = self.kind(self.eps if eps is None else eps)
        return {
            "inner": self.inner, "outer": self.outer, "threat": threat, "warm_up": self.warm_up, "replays": self.replays
        }  # fmt: skip


RECIPES = {
    "standard": Recipe("plain cross-entropy", 2),
    "gaussian": Recipe("Gaussian noise, σ = 0.3", 4, partial(noise, sigma=0.3)),
    "fgsm": Recipe("FGSM without a random start, which collapses", 4, fgsm, kind=Linf, eps=0.3, warm_up=0.3),
    "fast": Recipe("one step from a random start", 5, fast, kind=Linf, eps=0.3, warm_up=0.3),
    "free": Recipe("each batch replayed 8 times", 2, kind=Linf, eps=0.3, warm_up=0.3, replays=8),
    "pgd": Recipe("PGD of 7 steps", 15, partial(pgd, steps=7), kind=Linf, eps=0.3, warm_up=0.3),
    "trades": Recipe("TRADES, β = 6", 12, trades_attack, trades, Linf, 0.3, 0.3),
    "pgd_l2": Recipe("PGD of 7 steps in L2", 8, partial(pgd, steps=7), kind=L2, eps=2.0, warm_up=0.3),
    "interval": Recipe("interval bounds", 8, upper_corner, interval, Linf, 0.1, 0.5),
    "masked": Recipe(
        "a softmax that saturates: hides its gradient", 4, outer=partial(scaled_logits, temperature=100.0)
    ),
}
"""The recipes of `cs329t train mnist`, by the name of their method."""
