"""Projected gradient descent: many small steps, each put back into the threat."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..contract.borrowing import borrowed, full_precision
from ..contract.inputs import (
    Loss,
    Model,
    check_count,
    check_finite,
    check_inputs,
    check_logits,
    check_losses,
    check_number,
)
from ..losses import cross_entropy
from ..runtime.progress_bar import section, tick
from ..runtime.randomness import ImageRandom
from ..threat import Threat, rowwise
from .engine.cuda_graph import gradients
from .engine.shrinking import batched, broken, confirmed, looking, select, worth_leaving


@dataclass
class State:
    """The images of one restart that are still climbed; every tensor has as many rows."""

    row: Tensor
    x: Tensor
    y: Tensor
    threat: Threat
    step_size: float | Tensor
    now: Tensor
    gone: Tensor  # broken, but not out of the batch yet
    velocity: float | Tensor = 0.0  # the running sum of the gradients, with momentum


@batched
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
    """Climb the loss in small steps, projecting each back into the threat.

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
        Descend the loss towards `y` instead of climbing away from it.
    loss : callable
        (logits, y) to one value per image, shape (n,); see `cs329t_robust.losses`.
    drop_adversarial : bool
        Stop working on an image once it is misclassified (reaches `y`, if `targeted`). Exact for measuring robust
        accuracy and far cheaper; but such examples sit just past the boundary, weaker for transfer. Under a reduced
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
        best, best_score = x.clone(), x.new_full((len(x),), -torch.inf)
        todo = torch.arange(len(x), device=x.device)
        whole = State(todo, x, y, threat, step_size, x, torch.zeros_like(todo, dtype=torch.bool))
        for restart in range(restarts):
            s = replace(select(whole, todo), row=torch.arange(len(todo), device=x.device))
            if random_start:
                s.now = s.threat.sample(s.x, generator)
            with section(restart / restarts, (restart + 1) / restarts, len(x) - len(todo)):
                found, fallen = _climb(model, s, steps, momentum, targeted, loss, drop_adversarial)
            if restarts == 1:
                best = found
                break
            score = _score(model, check_finite(found), y[todo], loss, targeted, fallen)
            better = score > best_score[todo]
            best[todo[better]], best_score[todo[better]] = found[better], score[better]
            if drop_adversarial:
                standing = score < torch.inf
                todo = todo[standing]
                if not len(todo):
                    break
                if isinstance(generator, ImageRandom):
                    generator = generator.select(standing)
    return check_finite(best)


def _climb(
    model: Model, s: State, steps: int, momentum: float, targeted: bool, loss: Loss, drop_adversarial: bool
) -> tuple[Tensor, Tensor]:
    """Run one restart; with `drop_adversarial`, an image stays as it is once broken, and soon leaves the batch.

    Return the images and which of them are known to be broken.
    """
    done, fallen, tiny = torch.empty_like(s.x), torch.zeros_like(s.gone), torch.finfo(s.x.dtype).tiny
    if not steps:
        with torch.no_grad():
            check_logits(model(s.now.clone()), s.x, s.y)
    gradient, project = gradients(model, s.y, loss, steps, drop_adversarial), s.threat.onto(s.x)
    for step in range(steps):
        tick(step / steps, lambda: int(fallen.index_copy(0, s.row, s.gone).sum()))  # noqa: B023
        grad, logits = gradient(s.now, check=step == 0)
        if drop_adversarial:
            s.gone = s.gone | broken(logits, s.y, targeted)
            if looking(s.x.device, step):
                s.gone = confirmed(model, s.now, s.y, s.gone, targeted)
            if worth_leaving(~s.gone, step, steps - step - 1):
                done[s.row], fallen[s.row] = s.now, s.gone
                staying = (~s.gone).nonzero().flatten()
                s, grad = select(s, staying), grad[staying]
                gradient, project = gradients(model, s.y, loss, steps - step - 1, drop_adversarial), s.threat.onto(s.x)
            if not len(s.row):
                return done, fallen
        if momentum:
            s.velocity = momentum * s.velocity + grad / rowwise(grad.abs().flatten(1).sum(1).clamp_min(tiny), s.x)
            grad = s.velocity
        ahead = project(s.threat.ascend(s.x, s.now, -grad if targeted else grad, s.step_size))
        s.now = torch.where(rowwise(s.gone, s.x), s.now, ahead) if drop_adversarial else ahead
    done[s.row], fallen[s.row] = s.now, confirmed(model, s.now, s.y, s.gone, targeted)
    return done, fallen


def _score(model: Model, x_adv: Tensor, y: Tensor, loss: Loss, targeted: bool, fallen: Tensor) -> Tensor:
    """Return how good each attempt is: infinite for a success, else its loss; what has fallen is not asked again."""
    score = torch.full_like(x_adv[:, 0, 0, 0], torch.inf)
    rows = (~fallen).nonzero().flatten()
    if len(rows):
        with torch.no_grad(), full_precision(x_adv.device):
            logits = model(x_adv[rows])
            losses = loss(logits, y[rows])
            check_losses(losses, rows)
            losses = (-losses if targeted else losses).to(x_adv.dtype)
            score[rows] = torch.where(broken(logits, y[rows], targeted), torch.inf, losses)
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
