"""FAB: walk along the boundary by projecting onto its linearisation, always pulled back towards the image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.borrowing import borrowed, full_precision
from ..contract.inputs import Model, check_count, check_finite, check_inputs
from ..losses import targeted_margin
from ..runtime.progress_bar import tick
from ..runtime.randomness import ImageRandom
from ..threat import L1, L2, Linf, Threat, rowwise
from ..threat.projections import onto_hyperplane
from .engine.cuda_graph import Repeated, gradients
from .engine.shrinking import batched, first_rows, rivals_at, select, worth_leaving

PULL, OVERSHOOT, BACK, BISECTIONS = 0.1, 1.05, 0.9, 3  # alpha_max, eta, beta and the final search of the paper


@dataclass
class State:
    """One walk for each image and target; every tensor has as many rows."""

    image: Tensor
    x: Tensor
    y: Tensor
    target: Tensor
    threat: Threat
    now: Tensor
    best: Tensor
    near: Tensor


@batched
def fab_t(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    steps: int = 100,
    targets: int = 9,
    seed: int = 0,
) -> Tensor:
    """Look for the nearest point of each target's boundary, until one lies within the threat.

    Parameters
    ----------
    model, x, y
        As in `pgd`; `y` are the true labels, and any other class is a success.
    threat : Linf, L2 or L1
        An image is done once an adversarial example within this radius has been met.
    steps : int >= 1
        Gradients towards each target.
    targets : int >= 1
        Classes aimed at, by descending logit at x, all in one batch; fewer where the model has fewer.
    seed : int
        With 0 every walk starts at x, with another at a random point of the threat, by the seed and the image's pixels.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: a success where one was met, else x itself.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Croce & Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
    arXiv:1907.02044, algorithm 1; its targeted form is part of AutoAttack, arXiv:2003.01690, section 5.
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("steps", steps, 1)
    check_count("targets", targets, 1)
    check_count("seed", seed, 0)
    if not isinstance(threat, Linf | L2 | L1):
        raise ValueError(f"threat: expected Linf, L2 or L1 for FAB, got {threat!r}")
    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        with torch.no_grad():
            goals = rivals_at(model, x, y, targets)
        image = torch.arange(len(x), device=x.device).repeat_interleave(goals.shape[1])
        start = threat.sample(x, ImageRandom(seed, x))[image] if seed else x[image]
        best, near = x.clone(), torch.full_like(x[:, 0, 0, 0], torch.inf)
        s = State(image, x[image], y[image], goals.flatten(), threat.select(image), start, start, near[image])
        gradient, standing = _gradients(model, s, steps), torch.ones_like(s.image, dtype=torch.bool)
        for i in range(steps):
            tick(i / steps, lambda: int((near <= threat.eps).sum()))  # noqa: B023
            grad, logits = gradient(s.now, check=i == 0)
            s.now = _walk(s, grad, -targeted_margin(logits, s.y, s.target).to(x.dtype), type(threat).__name__)
            with torch.no_grad():
                broken = model(s.now.clone()).argmax(1) != s.y
            near = _offer(s, broken & standing, near)
            s.now = torch.where(rowwise(broken, s.x), s.x + BACK * (s.now - s.x), s.now)
            standing = near[s.image] > s.threat.eps  # who is done stays as it is, whenever it leaves
            if worth_leaving(standing, i, steps - i - 1):
                check_finite(s.now, "walks")  # NaN is within no radius and would pass for robustness
                _keep(s, best, near)
                s, standing = select(s, standing), standing[standing]
                gradient = _gradients(model, s, steps - i - 1)
            if not len(s.image):
                break
        check_finite(s.now, "walks")
        _keep(s, best, near)
        _pull_back(model, x, y, threat, best, near)
    return check_finite(torch.where(rowwise(near <= threat.eps, x), best, x))


def _gradients(model: Model, s: State, calls: int) -> Repeated:
    return gradients(model, s.y, lambda logits, y: targeted_margin(logits, y, s.target), calls, True)


def _walk(s: State, grad: Tensor, gap: Tensor, norm: str) -> Tensor:
    """Step to the linear boundary from where the walk is and from x, and mix the two by their distances."""
    now, x, slope = s.now.flatten(1), s.x.flatten(1), grad.flatten(1)
    from_x = gap + (slope * (now - x)).sum(1)
    ends = onto_hyperplane(torch.cat([now, x]), slope.repeat(2, 1), torch.cat([gap, from_x]), norm)
    ahead, direct = ends[: len(now)], ends[len(now) :]
    both, least = ((now, ahead), (x, direct)), max(1e-8, torch.finfo(x.dtype).tiny)
    one, other = (s.threat.distance(a.view_as(s.x), b.view_as(s.x)).clamp_min(least) for a, b in both)
    pull = (one / (one + other)).clamp(0, PULL)[:, None]
    mixed = (now + OVERSHOOT * (ahead - now)) * (1 - pull) + (x + OVERSHOOT * (direct - x)) * pull
    return (mixed.clamp(0, 1) + 0 * slope).view_as(s.x)  # NaN where the slope is no number, which a sign would hide


def _offer(s: State, broken: Tensor, near: Tensor) -> Tensor:
    """Let each walk that is across, nearer to its image than any before, remember where; return how near they came."""
    distance = s.threat.distance(s.x, s.now).masked_fill(~broken, torch.inf)
    nearer = distance < near[s.image]
    s.best, s.near = torch.where(rowwise(nearer, s.x), s.now, s.best), torch.where(nearer, distance, s.near)
    return near.scatter_reduce(0, s.image, distance, "amin")


def _keep(s: State, best: Tensor, near: Tensor) -> None:
    """Keep, for each image, where the nearest of its walks was, before walks leave."""
    rows = first_rows(s.image, (s.near == near[s.image]) & s.near.isfinite(), len(near))
    best[s.image[rows]] = s.best[rows]


def _pull_back(model: Model, x: Tensor, y: Tensor, threat: Threat, best: Tensor, near: Tensor) -> None:
    """Shorten what was found outside the threat along a straight line to x, as far as it stays adversarial."""
    rows = ((near > threat.eps) & near.isfinite()).nonzero().flatten()
    if not len(rows):
        return
    low, high = torch.zeros_like(near[rows]), torch.ones_like(near[rows])
    with torch.no_grad():
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            point = x[rows] + rowwise(middle, x) * (best[rows] - x[rows])
            broken = model(point.clone()).argmax(1) != y[rows]
            low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
    best[rows] = x[rows] + rowwise(high, x) * (best[rows] - x[rows])
    near[rows] = threat.distance(x[rows], best[rows])
