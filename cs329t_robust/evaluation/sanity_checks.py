"""Warnings about a measurement: signs that a robust accuracy says more about the attack than about the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..attacks import fgsm, pgd, square, transfer
from ..attacks.engine.gradient import input_gradient
from ..contract.input_validation import Model, check_inputs, module_of
from ..contract.model_state import borrowed
from ..losses import cross_entropy, margin
from ..runtime.randomness import ImageRandom, normal_like, uniform_like
from ..threat import L0, L1, L2, Linf, Masked, Threat, per_image, rowwise, unit
from .accuracy import Accuracy, Attack, attack_name, predict, robust_accuracy

LEVEL = 0.01  # a weaker attack has to lead by more than chance explains once in a hundred times
VANISHED = 1e-30  # largest |gradient| of an image that no attack can follow in float32
MANY = 0.05  # share of images above which a vanished gradient is reported
UNBOUNDED = 0.02  # an attack without limits may miss so many
ATHALYE = "Athalye, Carlini & Wagner 2018, arXiv:1802.00420, section 3.1"
CARLINI = "Carlini et al. 2019, arXiv:1902.06705"


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong.

    Attributes
    ----------
    name : str
        What was looked at.
    says : str
        What was measured, in numbers, and what it suggests.
    source : str
        Where the test comes from.
    """

    name: str
    says: str
    source: str

    def __str__(self) -> str:
        return f"{self.name}: {self.says} ({self.source})"


def suspicions(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    attack: Attack | None = None,
    surrogates: Sequence[Model] = (),
    queries: int = 500,
    seed: int = 0,
) -> list[Finding]:
    """Look for signs that `attack` overstates the robustness of `model`; an empty list is no proof of the contrary.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x, y : Tensor (n, c, h, w), Tensor (n,)
        A hundred images tell much; with fewer than twenty no comparison of two attacks can be beyond chance.
    threat : Linf, L2, L1 or L0, or one of them `Masked`
    attack : callable, optional
        The white-box attack that is to be trusted, ``attack(model, x, y, threat=threat) -> x_adv``; PGD with 40 steps
        when not given.
    surrogates : sequence of callables, optional
        Other models of the same task, from which examples are transferred.
    queries : int >= 1
        Of the Square attack, which looks at logits only (Linf and L2).
    seed : int

    Returns
    -------
    list of Finding
        In the order of the checklist: the model, the threat, the gradient, the attack.

    Raises
    ------
    ValueError
        If an input is unusable, or as in `robust_accuracy`.

    References
    ----------
    Athalye, Carlini & Wagner 2018, "Obfuscated gradients give a false sense of security", arXiv:1802.00420;
    Carlini et al. 2019, "On evaluating adversarial robustness", arXiv:1902.06705.
    """
    x, y = check_inputs(model, x, y, threat)
    attack = partial(pgd, steps=40, drop_adversarial=True, seed=seed) if attack is None else attack
    found = [_unsteady(model, x), _probabilities(model, x), _scale(threat, x), _gradient(model, x, y)]
    trusted = robust_accuracy(model, x, y, attack, threat)
    controls: list[tuple[str, Attack]] = [("noise beats the attack", partial(noise, seed=seed))]
    if not isinstance(threat.ball, L0):
        controls.append(("one step beats many", fgsm))
    if isinstance(threat.ball, Linf | L2):
        controls.append(("black-box beats white-box", partial(square, queries=queries, seed=seed)))
    if surrogates:
        controls.append(("transfer beats white-box", partial(transfer, surrogates=surrogates)))
    found += [_weaker(name, trusted, robust_accuracy(model, x, y, other, threat)) for name, other in controls]
    found.append(_unbounded(model, x, y, attack, threat))
    return [finding for finding in found if finding]


def _unsteady(model: Model, x: Tensor) -> Finding | None:
    """Ask the model twice, just as it came, and once in eval mode: all three should agree."""
    module = module_of(model)
    training = module is not None and any(part.training for part in module.modules())
    parts = module.modules() if training else ()
    kept = [(part, name, buffer) for part in parts for name, buffer in part.named_buffers(recurse=False)]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            for part, name, buffer in kept:  # in train mode BatchNorm's statistics move: let copies of them
                setattr(part, name, buffer.clone())
            first, again = model(x.clone()), model(x.clone())
        finally:
            for part, name, buffer in kept:
                setattr(part, name, buffer)
        if training:
            again = torch.stack([again, predict(model, x)])
    gap = (first - again).abs().max().item()
    if gap == 0:
        return None
    if training:
        return Finding(
            "train mode",
            "the model came in train mode, where dropout and BatchNorm depend on chance and batch: its answers move by "
            f"up to {gap:.2g}. Measuring uses eval mode, so the numbers belong to another model; call model.eval()",
            CARLINI,
        )
    return Finding(
        "random answers",
        f"two calls on the same images differ by up to {gap:.2g}: attack the mean over the randomness, not a draw",
        ATHALYE,
    )


def _probabilities(model: Model, x: Tensor) -> Finding | None:
    answers = predict(model, x)
    off = (answers.sum(1) - 1).abs().max().item()
    if off > 1e-3 or answers.min() < 0:
        return None
    return Finding(
        "probabilities for logits",
        f"every row of the model's answers lies in [0, 1] and sums to 1 (to {off:.0e}): cross-entropy takes a softmax "
        "of them once more, which flattens its gradient; leave the model's last softmax out",
        CARLINI,
    )


def _scale(threat: Threat, x: Tensor) -> Finding | None:
    """Compare the radius with what the image box allows, and with one level of an 8-bit image."""
    largest = _largest(threat.ball, x)
    if largest is None:
        return None
    linf, eps = isinstance(threat.ball, Linf), float(torch.as_tensor(threat.ball.eps).max())
    if eps >= largest:
        says = f"ε = {eps:g}, and no two images are farther apart than {largest:g}: anything goes"
        says += f"; was {eps:g}/255 meant?" if linf and eps > 1 else ""
    elif linf and eps >= 0.5:
        says = f"ε = {eps:g} lets every image become the same grey, where no model can stay above chance"
    elif linf and 0 < eps < 0.5 / 255:
        says = (
            f"ε = {eps:.2g} is less than half a level of an 8-bit image (1/255 = 0.0039): was it divided by 255 twice?"
        )
    else:
        return None
    return Finding("ε out of scale", says, CARLINI)


def _gradient(model: Model, x: Tensor, y: Tensor) -> Finding | None:
    with borrowed(model):
        gradient, _ = input_gradient(model, x, y, cross_entropy)
    largest = gradient.abs().flatten(1).amax(1)
    vanished = int((largest <= VANISHED).sum())
    if vanished <= MANY * len(x):
        return None
    return Finding(
        "vanished gradient",
        f"the gradient of the cross-entropy is zero in every pixel for {vanished} of {len(x)} images: an attack that "
        "follows it stays where it is; climb the margin of the logits, or rescale them",
        ATHALYE,
    )


def noise(model: Model, x: Tensor, y: Tensor, *, threat: Threat, draws: int = 10, seed: int = 0) -> Tensor:
    """Return, for each image, the worst of some random perturbations of the threat's full size: no attack, a control.

    Random signs in Linf, a random direction in L2, the threat's own samples otherwise.
    """
    random, best, value = ImageRandom(seed, x), x.clone(), x.new_full((len(x),), -torch.inf)
    for _ in range(draws):
        tried = _random_member(threat, x, random)
        with borrowed(model), torch.no_grad():
            score = margin(model(tried.clone()), y)
        best = torch.where(rowwise(score > value, x), tried, best)
        value = torch.maximum(score, value)
    return best


def _random_member(threat: Threat, x: Tensor, random: ImageRandom) -> Tensor:
    ball = threat.ball
    if isinstance(ball, Linf):
        return threat.project(x, x + per_image(ball.eps, x) * (uniform_like(x, random) - 0.5).sign())
    if isinstance(ball, L2):
        return threat.project(x, x + per_image(ball.eps, x) * unit(normal_like(x, random)))
    return threat.sample(x, random)


def _weaker(name: str, trusted: Accuracy, other: Accuracy) -> Finding | None:
    """Tell if an attack that should be weaker succeeds on more images than chance explains (McNemar's exact test)."""
    from scipy.stats import binomtest

    missed = int((trusted.correct & ~other.correct).sum())  # adversarial under the other alone
    ahead = int((other.correct & ~trusted.correct).sum())
    if missed <= ahead or binomtest(missed, missed + ahead, 0.5, alternative="greater").pvalue > LEVEL:
        return None
    return Finding(
        name,
        f"robust accuracy is {float(other):.1%} under {other.attack}, {float(trusted):.1%} under {trusted.attack} "
        f"(n={trusted.n}); the first alone succeeds on {missed} images, the second alone on {ahead}. "
        "The attack that is trusted has not converged, or follows a gradient that leads nowhere",
        ATHALYE,
    )


def _unbounded(model: Model, x: Tensor, y: Tensor, attack: Attack, threat: Threat) -> Finding | None:
    """Let the attack change everything: no classifier can be robust where every image may become any other."""
    largest = _largest(threat.ball, x)
    if largest is None or isinstance(threat, Masked):
        return None
    anything = threat.with_eps(largest)
    left = robust_accuracy(model, x, y, attack, anything)
    if left.interval[0] <= UNBOUNDED:
        return None
    return Finding(
        "unbounded attack fails",
        f"at {anything!r}, where any image may become any other, {attack_name(attack)} still leaves a robust "
        f"accuracy of {float(left):.1%} (n={left.n}): it fails for reasons of its own, so its failures at smaller "
        "ε prove nothing",
        ATHALYE,
    )


def _largest(ball: Threat, x: Tensor) -> float | None:
    """Return the distance that no two images exceed."""
    size = x[0].numel()
    return {Linf: 1.0, L2: math.sqrt(size), L1: float(size), L0: float(size // x.shape[1])}.get(type(ball))
