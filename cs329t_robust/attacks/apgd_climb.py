"""Auto-PGD itself: any number of climbs for each image, side by side in one batch, that leave it together.

Algorithm 1 of Croce & Hein 2020, arXiv:2003.01690; in L1 algorithm 1 of Croce & Hein 2021, arXiv:2103.01208.
"""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from ..contract.borrowing import borrowed, reduced
from ..contract.inputs import Model, check_count, check_finite
from ..runtime.progress_bar import section, tick
from ..runtime.randomness import ImageRandom
from ..threat import L0, L1, Masked, Threat, radii, rowwise
from .apgd_state import Found, State
from .engine.cuda_graph import Repeated, gradients
from .engine.gradient import logits_of
from .engine.shrinking import broken, looking, select, worth_leaving

MOMENTUM, RISES = 0.75, 0.75  # the paper's α and ρ
SPARSE_EVERY, SPARSER, SHORTEST = 0.04, 1.5, 0.1  # of "Mind the box": how often, by how much, and to what share
WIDER = ((3, 0.3), (2, 0.3))  # in L1 a climb spends these shares of its steps at so many times the radius, first of all


Objective = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits, labels and targets to what is climbed


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which APGD looks back: 22, 41, 57, …% of the budget, rounded up (the paper's 3.1)."""
    before, now, marks = 0, 22, []
    while now < 100:
        marks.append(-(-now * steps // 100))
        before, now = now, now + max(now - before - 3, 6)
    return marks


def narrowed(steps: int, climbs: int, keep: float) -> dict[int, int]:
    """Return how many of its climbs an image keeps after each look-back that costs it some: `keep`, rounded up."""
    kept = {}
    for mark in dict.fromkeys(checkpoints(steps)):
        before, climbs = climbs, max(1, ceil(keep * climbs - 1e-9))
        if climbs < before:
            kept[mark] = climbs
    return kept


def climb(
    model: Model,
    x: Tensor,
    y: Tensor,
    goals: Tensor,
    objective: Objective,
    *,
    threat: Threat,
    steps: int,
    restarts: int,
    targeted: bool = False,
    drop: bool,
    keep: float = 1,
    seed: int,
) -> Tensor:
    """Climb from a new random start as often as asked, on the images that still stand if `drop`.

    Each image has a climb for each of its `goals`, of which it keeps the share `keep` at each look-back.
    """
    check_count("steps", steps, 1)
    check_count("restarts", restarts, 1)
    check_count("seed", seed, 0)
    if isinstance(threat.ball, L0):
        raise ValueError(f"threat: expected Linf, L2 or L1 for APGD, got {threat!r}; use `fmn` or `sparse_rs`")
    wide = WIDER if isinstance(threat.ball, L1) else ()
    wider = [(times, int(share * steps)) for times, share in wide if int(share * steps)]
    steps -= sum(some for _, some in wider)
    quota = narrowed(steps, goals.shape[1], keep)
    with borrowed(model):
        found, random = Found(x), ImageRandom(seed, x)
        todo, m = torch.arange(len(x), device=x.device), goals.shape[1]
        for restart in range(restarts):
            image = todo.repeat_interleave(m)
            near, each = threat.select(image), (image, x[image], y[image], goals[todo].flatten())
            # in L1 from noise as large as the box, put back into the widest ball
            noisy = x[todo] + 2 * random.uniform(x[todo]) - 1 if wider else threat.select(todo).sample(x[todo], random)
            start = noisy.repeat_interleave(m, 0)
            with section(restart / restarts, (restart + 1) / restarts):
                for times, some in wider:
                    s = _begin(*each, near.at(times * radii(near.eps, start)), start)
                    start = _once(model, s, Found(x), objective, some, targeted, False, {})
                _once(model, _begin(*each, near, start), found, objective, steps, targeted, drop, quota)
            if drop:
                standing = found.score[todo] < torch.inf
                todo, random = todo[standing], random.select(standing)
                if not len(todo):
                    break
    return check_finite(found.x_adv)


def _begin(image: Tensor, x: Tensor, y: Tensor, target: Tensor, threat: Threat, start: Tensor) -> State:
    eps, sparse = radii(threat.eps, x), isinstance(threat.ball, L1)
    start = threat.project(x, start) if sparse else start  # it may come from a wider ball
    low, no = torch.full_like(eps, -torch.inf), torch.zeros_like(y, dtype=torch.bool)
    return State(
        image=image,
        x=x,
        y=y,
        target=target,
        threat=threat,
        now=start,
        last=start,
        step=eps if sparse else 2 * eps,
        best=start,
        best_loss=low,
        best_grad=torch.zeros_like(x),
        won=no,
        sure=no,
        loss=-low,  # the start is no rise
        rises=torch.zeros_like(eps),
        halved=~no,
        best_before=low,
        support=_support(x, start),
    )


def _once(
    model: Model,
    s: State,
    found: Found,
    objective: Objective,
    steps: int,
    targeted: bool,
    drop: bool,
    quota: dict[int, int],
) -> Tensor:
    """Run one climb; rows leave the batch once their image is broken, if `drop`, and where it keeps only the best.

    Return the best points of the rows that have not left.
    """
    sparse = isinstance(s.threat.ball, L1)
    every = max(1, int(SPARSE_EVERY * steps))
    looks, looked = set(checkpoints(steps)), 0
    marks = range(every, steps, every) if sparse else looks
    found.before, shrinking = found.score.clone(), drop or bool(quota)

    def gradients_of(s: State, calls: int) -> Repeated:
        return gradients(model, s.y, lambda logits, y: objective(logits, y, s.target), calls, shrinking)

    gradient, project = gradients_of(s, steps), s.threat.onto(s.x)
    for i in range(steps):
        tick(i / steps, lambda: int((found.score == torch.inf).sum()))
        grad, logits = gradient(s.now, check=i == 0)
        _observe(s, found, grad, objective(logits, s.y, s.target), broken(logits, s.y, targeted), drop)
        if looking(s.x.device, i) and reduced(s.x.device):
            found.record(model, s, targeted)
        if i in marks and sparse:
            grad = _sparser(s, grad)
        elif i in marks:
            grad, looked = _look_back(s, i - looked, grad), i
        staying = found.score[s.image] < torch.inf if drop else torch.ones_like(s.won)
        if i in quota:  # who is given up must not depend on the batch
            staying &= _rank(s) < quota[i]
        # as if at step 0 where it looks back: there a GPU looks, too, at how many are done
        if i in quota or (drop and worth_leaving(staying, 0 if i in looks else i, steps - i - 1)):
            check_finite(s.now, "climbs")  # a model's answer to NaN may pass for robustness
            found.record(model, s, targeted)
            staying = staying.nonzero().flatten()
            s, grad = select(s, staying), grad[staying]
            gradient, project = gradients_of(s, steps - i - 1), s.threat.onto(s.x)
        if not len(s.image):
            return s.best
        s.last, s.now = s.now, _step(s, grad, project, first=i == 0)
    check_finite(s.now, "climbs")
    with torch.no_grad():
        logits = logits_of(model, s.now).to(s.x.dtype)
    _observe(s, found, s.best_grad, objective(logits, s.y, s.target), broken(logits, s.y, targeted), drop)
    found.record(model, s, targeted)
    found.fail(s)
    return s.best


def _observe(s: State, found: Found, grad: Tensor, loss: Tensor, success: Tensor, drop: bool) -> None:
    """Take in what the model says of the point each climb is at; a success gives way to a higher one alone.

    With `drop` it gives way to none, and once an image has one its other climbs can have no more.
    """
    loss = loss.to(s.x.dtype).nan_to_num(nan=torch.finfo(s.x.dtype).min)  # no success is lost for want of a number
    success = success & (found.score[s.image] < torch.inf) if drop else success
    better = (success & ~s.won) | ((loss > s.best_loss) & (~s.won if drop else ~s.won | success))
    s.rises, s.loss = s.rises + (loss > s.loss), loss
    s.won, s.sure = s.won | success, s.sure & ~better
    found.succeed(s, success)
    s.best = torch.where(rowwise(better, s.x), s.now, s.best)
    s.best_grad = torch.where(rowwise(better, s.x), grad, s.best_grad)
    s.best_loss = torch.where(better, loss, s.best_loss)


def _step(s: State, grad: Tensor, project: Callable[[Tensor], Tensor], first: bool) -> Tensor:
    """Return where the next step leads, with momentum from the second on; in L1 a sparse one without."""
    if isinstance(s.threat.ball, L1):
        return project(s.now + _sparse_step(s, grad))
    ahead = project(s.threat.ascend(s.x, s.now, grad, s.step))
    if first:
        return ahead
    return project(s.now.lerp(ahead, MOMENTUM).add_(s.now - s.last, alpha=1 - MOMENTUM))


def _look_back(s: State, since: int, grad: Tensor) -> Tensor:
    """Halve η where f rose too rarely, or where neither η nor f_max changed since the look before; go on from x_max."""
    stuck = (s.rises < RISES * since) | (~s.halved & (s.best_loss <= s.best_before))
    s.step = torch.where(stuck, s.step / 2, s.step)
    s.now = torch.where(rowwise(stuck, s.x), s.best, s.now)
    s.halved, s.best_before, s.rises = stuck, s.best_loss, torch.zeros_like(s.rises)
    return torch.where(rowwise(stuck, s.x), s.best_grad, grad)


def _rank(s: State) -> Tensor:
    """Return the place of each climb among those of its image, 0 for the one that has come furthest."""
    order = s.best_loss.argsort(descending=True, stable=True)
    order = order[s.image[order].argsort(stable=True)]
    first = torch.searchsorted(s.image[order], s.image[order])
    return torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device) - first)


def _sparser(s: State, grad: Tensor) -> Tensor:
    """Adapt to how sparse the best point is: a sparser one starts again from there, with the full step."""
    support = _support(s.x, s.best)
    sparser, full = support / s.support < 0.95, radii(s.threat.eps, s.x)
    s.step = torch.where(sparser, full, (s.step / SPARSER).maximum(SHORTEST * full))
    s.support = support
    s.now = torch.where(rowwise(sparser, s.x), s.best, s.now)
    return torch.where(rowwise(sparser, s.x), s.best_grad, grad)


def _support(x: Tensor, x_adv: Tensor) -> Tensor:
    """Return how many values of each image differ, but at least 1, (n,): in float32, since float16 ends at 65,504."""
    return (x_adv != x).flatten(1).sum(1).clamp_min(1).float()


def _sparse_step(s: State, grad: Tensor) -> Tensor:
    """Return a step of L1 length `s.step` along the signs of the steepest values: fewer than the best point changed."""
    if isinstance(s.threat, Masked):
        grad = grad.where(s.threat.mask, 0)
    steep = grad.abs().flatten(1)
    place = (steep.shape[1] - s.support / SPARSER).long().clamp_min(0)
    least = steep.sort(1).values.gather(1, place[:, None])
    sign = grad.sign().where(grad == grad, grad) * (grad.abs() >= rowwise(least, grad))
    count = sign.abs().flatten(1).sum(1, dtype=torch.float32).clamp_min(1)
    return sign * rowwise((s.step / count).to(s.step), grad)
