"""Projected gradient descent: many small steps along the gradient, each put back into the threat."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import (
    Loss,
    Model,
    check_count,
    check_finite,
    check_inputs,
    check_logits,
    check_losses,
    check_number,
)
from ..contract.model_state import borrowed, full_precision
from ..losses import cross_entropy
from ..runtime.progress_bar import section
from ..runtime.randomness import ImageRandom
from ..threat import Threat, rowwise
from .engine.batches import batched
from .engine.search import Search
from .engine.shrinking import Batch, Found
from .engine.success import is_adversarial


@dataclass(kw_only=True)
class PGDState(Batch):
    """The images of one restart."""

    step_size: float | Tensor
    velocity: float | Tensor = 0.0  # the running sum of the gradients, with momentum


@batched("step_size")
def pgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    steps: int = 40,
    step_size: float | Tensor | None = None,
    restarts: int = 1,
    random_start: bool = True,
    momentum: float = 0.0,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    drop_adversarial: bool = False,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Maximise the loss in small steps, projecting each back into the threat.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found: modes, parameter gradients, everything.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels; with `targeted`, the labels to reach.
    threat : Linf, L2, L1 or L0, or one of them `Masked`
        Its `eps` may be a tensor (n,): one radius for each image.
    steps : int >= 0
        Gradient steps of each restart; 0 returns the start.
    step_size : float or Tensor (n,), > 0, optional
        Length of a step in the threat's norm; 2.5·eps/steps when not given (Madry et al. 2018).
    restarts : int >= 1
        Runs from different starts; each image keeps a success, else its highest loss (lowest, if `targeted`).
    random_start : bool
        Start at a random point of the threat instead of at x. More than one restart needs it.
    momentum : float in [0, 1]
        Step along the gradients' running sum, of which each step keeps this share. 0.0 is plain PGD; 1.0 is the
        momentum iterative method, whose examples transfer better: with ``random_start=False`` and
        ``step_size=eps / steps`` exactly that of Dong et al. 2018.
    targeted : bool
        Minimise the loss towards `y` instead of maximising it.
    loss : callable
        (logits, y) to one value per image, shape (n,); see `cs329t_robust.losses`.
    drop_adversarial : bool
        Stop working on an image once it is misclassified (reaches `y`, if `targeted`). Exact for measuring robust
        accuracy and far cheaper; but such examples lie just beyond the boundary, weaker for transfer. Under a reduced
        precision (`torch.autocast`, TF32) one forward pass in full precision has to confirm it first.
    seed : int
        Each image's starts follow from the seed and its own pixels: the same in any batch, order, or device.
    generator : torch.Generator, optional
        Draw the starts from this instead, one batch after the other (for training); never the global state.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: the last step's images when ``restarts=1``.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.

    References
    ----------
    Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", arXiv:1706.06083, section 2.1.
    Dong et al. 2018, "Boosting adversarial attacks with momentum", arXiv:1710.06081, algorithm 1.
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("steps", steps, 0)
    check_count("restarts", restarts, 1)
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts: expected 1 without a random start (all would be equal), got {restarts}")
    check_number("momentum", momentum, 0, 1)
    step_size = _checked_step_size(step_size, threat, steps, x)
    if not isinstance(generator, torch.Generator | None):
        raise ValueError(f"generator: expected a torch.Generator, got {generator!r}; a number goes into seed")
    if generator is None:
        check_count("seed", seed, 0)
        generator = ImageRandom(seed, x)

    with borrowed(model):
        images = PGDState(x=x, y=y, x_adv=x, threat=threat, step_size=step_size)
        best, best_score = x.clone(), x.new_full((len(x),), -torch.inf)
        remaining = torch.arange(len(x), device=x.device)
        for restart in range(restarts):
            s = images.select(remaining)
            s.image = torch.arange(len(remaining), device=x.device)
            if random_start:
                s.x_adv = s.threat.sample(s.x, generator)
            with section(restart / restarts, (restart + 1) / restarts, len(x) - len(remaining)):
                found = _pgd(model, s, steps, momentum, targeted, loss, drop_adversarial)
            if restarts == 1:
                best = found.x_adv
                break
            score = _score(model, found, y[remaining], loss, targeted)
            better = score > best_score[remaining]
            best[remaining[better]], best_score[remaining[better]] = found.x_adv[better], score[better]
            if drop_adversarial:
                robust = score < torch.inf
                remaining = remaining[robust]
                if not len(remaining):
                    break
                if isinstance(generator, ImageRandom):
                    generator = generator.select(robust)
    return check_finite(best)


def _pgd(
    model: Model, s: PGDState, steps: int, momentum: float, targeted: bool, loss: Loss, drop_adversarial: bool
) -> Found:
    """Run the algorithm once, from where the images are."""
    if not steps:
        with torch.no_grad():
            check_logits(model(s.x_adv.clone()), s.x, s.y)
    search = Search(model, s, loss, targeted=targeted, drop=drop_adversarial)
    for _ in search.steps(steps):
        grad = search.gradient()  # of loss(θ, x', y), with respect to x'
        if momentum:
            s.velocity = momentum * s.velocity + _scaled(grad)
            grad = s.velocity
        x_adv = s.threat.ascend(s.x, s.x_adv, grad, s.step_size)  # in L∞ x' + η·sign(grad)
        x_adv = s.project(x_adv)  # back into Δ
        search.move(x_adv)
    return search.finish()


def _scaled(grad: Tensor) -> Tensor:
    """Return each image's gradient at an L1 length of 1, as the momentum method adds them up."""
    return grad / rowwise(grad.abs().flatten(1).sum(1).clamp_min(torch.finfo(grad.dtype).tiny), grad)


def _score(model: Model, found: Found, y: Tensor, loss: Loss, targeted: bool) -> Tensor:
    """Return how good each image is: infinite if it is adversarial, else its loss; only what may not be is asked."""
    x_adv = check_finite(found.x_adv)
    score = torch.full_like(x_adv[:, 0, 0, 0], torch.inf)
    rows = (~found.adversarial).nonzero().flatten()
    if len(rows):
        with torch.no_grad(), full_precision(x_adv.device):
            logits = model(x_adv[rows])
            losses = loss(logits, y[rows])
            check_losses(losses, rows)
            losses = (-losses if targeted else losses).to(x_adv.dtype)
            score[rows] = torch.where(is_adversarial(logits, y[rows], targeted), torch.inf, losses)
    return score


def _checked_step_size(given: float | Tensor | None, threat: Threat, steps: int, x: Tensor) -> float | Tensor:
    if given is None:
        size = 2.5 * threat.eps / max(steps, 1)
        return size.to(x.dtype).expand(len(x)) if isinstance(size, Tensor) else size
    if isinstance(given, Tensor):
        if given.device != x.device or given.numel() not in (1, len(x)) or given.ndim > 1:
            raise ValueError(
                f"step_size: expected a number or a tensor ({len(x)},) on {x.device}, "
                f"got shape {tuple(given.shape)} on {given.device}"
            )
        if not bool((given.isfinite() & (given > 0)).all()):
            raise ValueError("step_size: expected every step finite and > 0, got one zero, negative, infinite or NaN")
        return given.detach().to(x.dtype).flatten().expand(len(x))
    check_number("step_size", given, 0, above=True, unit=" in pixel units of [0, 1], such as 2/255")
    return float(given)
