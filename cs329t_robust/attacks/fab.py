"""FAB: follow the boundary by projecting onto its linearisation, always pulled back towards the image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite, check_inputs
from ..contract.model_state import borrowed, full_precision
from ..losses import targeted_margin
from ..runtime.randomness import ImageRandom
from ..threat import L1, L2, Linf, Threat, rowwise
from ..threat.projections import onto_hyperplane
from .engine.batches import batched
from .engine.search import Search
from .engine.shrinking import Batch, Found, first_rows
from .engine.success import is_adversarial, rivals_at

PULL, OVERSHOOT, BACK, BISECTIONS = 0.1, 1.05, 0.9, 3  # alpha_max, eta, beta and the final search of the paper


@dataclass(kw_only=True)
class FABState(Batch):
    """One run for each image and target; `adversarial` are those of whose image one was met within the threat."""

    target: Tensor
    nearest: Tensor  # the nearest adversarial point of this run
    distance: Tensor  # and how far it is from x


class FABFound(Found):
    """Of each image the nearest adversarial point of all its runs, and how far it is."""

    def __init__(self, x: Tensor, eps: float | Tensor) -> None:
        self.x_adv, self.distance, self.eps = x.clone(), torch.full_like(x[:, 0, 0, 0], torch.inf), eps

    @property
    def adversarial(self) -> Tensor:
        """Of which images one lies within the threat, (n,)."""
        return self.distance <= self.eps

    def offer(self, s: FABState, adversarial: Tensor) -> None:
        """Let each run remember where it is, if that is adversarial and nearer to its image than all before."""
        distance = s.threat.distance(s.x, s.x_adv).masked_fill(~adversarial, torch.inf)
        nearer = distance < self.distance[s.image]
        s.nearest = torch.where(rowwise(nearer, s.x), s.x_adv, s.nearest)
        s.distance = torch.where(nearer, distance, s.distance)
        self.distance = self.distance.scatter_reduce(0, s.image, distance, "amin")
        s.adversarial = self.distance[s.image] <= s.threat.eps

    def take(self, s: FABState) -> None:
        """Take in, for each image, the point of the run that came nearest."""
        check_finite(s.x_adv, "runs")  # NaN is within no radius and would pass for robustness
        rows = first_rows(s.image, (s.distance == self.distance[s.image]) & s.distance.isfinite(), len(self.distance))
        self.x_adv[s.image[rows]] = s.nearest[rows]

    def count(self, s: FABState) -> int:
        """Return how many images are adversarial so far."""
        return int(self.adversarial.sum())


@batched()
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
        With 0 every run starts at x, with another at a random point of the threat, by the seed and the image's pixels.

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
        found, infinite = FABFound(x, threat.eps), torch.full_like(start[:, 0, 0, 0], torch.inf)
        s = FABState(
            x=x[image], y=y[image], x_adv=start, threat=threat.select(image), image=image, target=goals.flatten(),
            nearest=start, distance=infinite,
        )  # fmt: skip
        search = Search(model, s, lambda logits, y: targeted_margin(logits, y, s.target), found, drop=True)
        for _ in search.steps(steps):
            grad, logits = search.evaluate()
            gap = -targeted_margin(logits, s.y, s.target).to(x.dtype)
            s.x_adv = _step(s, grad, gap, type(threat).__name__)
            with torch.no_grad():
                crossed = is_adversarial(model(s.x_adv.clone()), s.y)
            found.offer(s, crossed & ~s.adversarial)  # who is done stays as it is, whenever it leaves
            s.x_adv = torch.where(rowwise(crossed, s.x), s.x + BACK * (s.x_adv - s.x), s.x_adv)
            search.shrink_to(~s.adversarial)
        search.finish()
        _pull_back(model, x, y, threat, found)
    return check_finite(torch.where(rowwise(found.adversarial, x), found.x_adv, x))


def _step(s: FABState, grad: Tensor, gap: Tensor, norm: str) -> Tensor:
    """Step to the linear boundary from where the run is and from x, and mix the two by their distances."""
    now, x, flat = s.x_adv.flatten(1), s.x.flatten(1), grad.flatten(1)
    from_x = gap + (flat * (now - x)).sum(1)
    ends = onto_hyperplane(torch.cat([now, x]), flat.repeat(2, 1), torch.cat([gap, from_x]), norm)
    ahead, direct = ends[: len(now)], ends[len(now) :]
    both, least = ((now, ahead), (x, direct)), max(1e-8, torch.finfo(x.dtype).tiny)
    one, other = (s.threat.distance(a.view_as(s.x), b.view_as(s.x)).clamp_min(least) for a, b in both)
    pull = (one / (one + other)).clamp(0, PULL)[:, None]
    mixed = (now + OVERSHOOT * (ahead - now)) * (1 - pull) + (x + OVERSHOOT * (direct - x)) * pull
    return (mixed.clamp(0, 1) + 0 * flat).view_as(s.x)  # NaN where the gradient is no number, which a sign would hide


def _pull_back(model: Model, x: Tensor, y: Tensor, threat: Threat, found: FABFound) -> None:
    """Shorten what was found outside the threat along a straight line to x, as far as it stays adversarial."""
    rows = ((found.distance > threat.eps) & found.distance.isfinite()).nonzero().flatten()
    if not len(rows):
        return
    x, y, end = x[rows], y[rows], found.x_adv[rows]
    low, high = torch.zeros_like(found.distance[rows]), torch.ones_like(found.distance[rows])
    with torch.no_grad():
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            point = x + rowwise(middle, x) * (end - x)
            adversarial = is_adversarial(model(point.clone()), y)
            low, high = torch.where(adversarial, low, middle), torch.where(adversarial, middle, high)
    found.x_adv[rows] = x + rowwise(high, x) * (end - x)
    found.distance[rows] = threat.distance(x, found.x_adv[rows])
