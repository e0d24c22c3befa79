"""Auto-PGD itself: any number of runs for each image, one for each target, side by side in one batch.

Algorithm 1 of Croce & Hein 2020, arXiv:2003.01690; in L1 algorithm 1 of Croce & Hein 2021, arXiv:2103.01208.
"""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite
from ..contract.model_state import borrowed, reduced
from ..runtime.progress_bar import section
from ..runtime.randomness import ImageRandom
from ..threat import L0, L1, Threat, radii, rowwise
from .apgd_sparse import EVERY, WIDER, look_at_support, sparse_step
from .apgd_state import APGDFound, APGDState
from .engine.gradient import logits_of
from .engine.search import Search
from .engine.success import is_adversarial

ALPHA, RHO = 0.75, 0.75  # the share of each step that is not momentum; the share of steps that should raise the loss

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits, labels and targets to what is maximised


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which APGD looks back: 22, 41, 57, …% of the budget, rounded up (the paper's 3.1)."""
    before, now, marks = 0, 22, []
    while now < 100:
        marks.append(-(-now * steps // 100))
        before, now = now, now + max(now - before - 3, 6)
    return marks


def since_the_last_look(steps: int) -> dict[int, int]:
    """Return how many steps there are before each checkpoint and after the one before it."""
    marks = list(dict.fromkeys(checkpoints(steps)))
    return {mark: mark - before for before, mark in zip([0, *marks], marks, strict=False)}


def targets_left(steps: int, targets: int, share: float) -> dict[int, int]:
    """Return how many of its targets an image keeps after each look back that costs it some: a share, rounded up."""
    left = {}
    for mark in dict.fromkeys(checkpoints(steps)):
        before, targets = targets, max(1, ceil(share * targets - 1e-9))
        if targets < before:
            left[mark] = targets
    return left


def maximise(
    model: Model,
    x: Tensor,
    y: Tensor,
    targets: Tensor,
    objective: Objective,
    *,
    threat: Threat,
    steps: int,
    restarts: int,
    targeted: bool = False,
    drop: bool,
    share: float = 1,
    seed: int,
) -> Tensor:
    """Run APGD from a new random start as often as asked, on the images that are still robust if `drop`.

    Each image has a run for each of its `targets` (n, m), of which it keeps this share at each look back.
    """
    check_count("steps", steps, 1)
    check_count("restarts", restarts, 1)
    check_count("seed", seed, 0)
    if isinstance(threat.ball, L0):
        raise ValueError(f"threat: expected Linf, L2 or L1 for APGD, got {threat!r}; use `fmn` or `sparse_rs`")
    sparse, m = isinstance(threat.ball, L1), targets.shape[1]
    wider = [(times, int(part * steps)) for times, part in WIDER if int(part * steps)] if sparse else []
    steps -= sum(some for _, some in wider)
    left = targets_left(steps, m, share)
    with borrowed(model):
        found, random = APGDFound(model, x, targeted), ImageRandom(seed, x)
        remaining = torch.arange(len(x), device=x.device)
        for restart in range(restarts):
            image = remaining.repeat_interleave(m)
            runs, within = (image, x[image], y[image], targets[remaining].flatten()), threat.select(image)
            # in L1 from noise as large as the box, put back into the widest ball
            noisy = (
                x[remaining] + 2 * random.uniform(x[remaining]) - 1
                if wider
                else threat.select(remaining).sample(x[remaining], random)
            )
            start = noisy.repeat_interleave(m, 0)
            with section(restart / restarts, (restart + 1) / restarts):
                for times, some in wider:
                    s = _begin(*runs, within.at(times * radii(within.eps, start)), start)
                    start = apgd_run(model, s, APGDFound(model, x), objective, some, False, {})
                apgd_run(model, _begin(*runs, within, start), found, objective, steps, drop, left)
            if drop:
                robust = ~found.adversarial[remaining]
                remaining, random = remaining[robust], random.select(robust)
                if not len(remaining):
                    break
    return check_finite(found.x_adv)


def _begin(image: Tensor, x: Tensor, y: Tensor, target: Tensor, threat: Threat, start: Tensor) -> APGDState:
    eps = radii(threat.eps, x)
    if isinstance(threat.ball, L1):  # the start may come from a wider ball
        return APGDState.start(image, x, y, target, threat, threat.project(x, start), eps)
    return APGDState.start(image, x, y, target, threat, start, 2 * eps)


def apgd_run(
    model: Model,
    s: APGDState,
    found: APGDFound,
    objective: Objective,
    steps: int,
    drop: bool,
    left: dict[int, int],
) -> Tensor:
    """Run the algorithm once. Runs leave once their image is adversarial, if `drop`, and where it keeps only the best.

    Return the best points of the runs that have not left.
    """
    sparse, found.score_before = isinstance(s.threat.ball, L1), found.score.clone()
    looks = since_the_last_look(steps)
    marks = range(max(1, int(EVERY * steps)), steps, max(1, int(EVERY * steps))) if sparse else looks
    search = Search(model, s, lambda logits, y: objective(logits, y, s.target), found, drop=drop or bool(left))
    for k in search.steps(steps):
        s.grad, logits = search.evaluate()
        found.observe(s, objective(logits, s.y, s.target), is_adversarial(logits, s.y, found.targeted), drop)
        if k in marks:  # adapt η, and go on from x_max
            look_at_support(s) if sparse else look_back(s, looks[k])
        _let_go(search, found, drop, left.get(k), look=k in looks)
        if search.over:
            return s.best
        s.previous, s.x_adv = s.x_adv, next_point(s, k)
    check_finite(s.x_adv, "runs")
    with torch.no_grad():
        logits = logits_of(model, s.x_adv).to(s.x.dtype)
    s.grad = s.best_grad
    found.observe(s, objective(logits, s.y, s.target), is_adversarial(logits, s.y, found.targeted), drop)
    found.confirm(s)
    found.take_best(s)
    return s.best


def next_point(s: APGDState, k: int) -> Tensor:
    """Return x^(k+1): a step of length η, with momentum from the second on; in L1 a sparse one without."""
    if isinstance(s.threat.ball, L1):
        return s.project(s.x_adv + sparse_step(s))
    z = s.project(s.threat.ascend(s.x, s.x_adv, s.grad, s.step_size))
    if k == 0:
        return z
    return s.project(s.x_adv.lerp(z, ALPHA).add_(s.x_adv - s.previous, alpha=1 - ALPHA))


def look_back(s: APGDState, since: int) -> None:
    """Halve η where f rose too rarely, or where neither η nor f_max changed since the look before; go on from x_max."""
    stuck = (s.rises < RHO * since) | (~s.halved & (s.best_loss <= s.best_before))
    s.step_size = torch.where(stuck, s.step_size / 2, s.step_size)
    s.x_adv = torch.where(rowwise(stuck, s.x), s.best, s.x_adv)
    s.grad = torch.where(rowwise(stuck, s.x), s.best_grad, s.grad)
    s.halved, s.best_before, s.rises = stuck, s.best_loss, torch.zeros_like(s.rises)


def _let_go(search: Search, found: APGDFound, drop: bool, left: int | None, look: bool) -> None:
    """Let runs leave whose image is adversarial, if `drop`, and where it keeps only so many of them."""
    s = search.batch
    if search.looking() and reduced(s.x.device):
        found.confirm(s)
    staying = ~found.adversarial[s.image] if drop else torch.ones_like(s.adversarial)
    if left is not None:  # who is given up must not depend on the batch
        search.shrink_to(staying & (_rank(s) < left), now=True)
    elif drop:
        search.shrink_to(staying, look=look)


def _rank(s: APGDState) -> Tensor:
    """Return the place of each run among those of its image, 0 for the one of the highest loss."""
    order = s.best_loss.argsort(descending=True, stable=True)
    order = order[s.image[order].argsort(stable=True)]
    first = torch.searchsorted(s.image[order], s.image[order])
    return torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device) - first)
