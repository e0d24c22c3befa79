"""Exact nearest points under two limits at once: a norm (or a hyperplane) and the image box [0, 1].

All of them fill pixels up to a common level, as water fills a row of glasses: each pixel starts at its own level, takes
what its slope says, and stops when it meets the box. The level at which the whole row holds a given amount is found
exactly, by sorting, in one pass for the whole batch.
"""

import torch
from torch import Tensor

IN_CACHE = 1 << 15  # pixel values, 41 digits: what a CPU's cache holds while it projects, which halves the time


def level(start: Tensor, length: Tensor, slope: Tensor, goal: Tensor) -> Tensor:
    """Return the least t at which Σ slope·clamp(t − start, 0, length) reaches `goal`, for each row.

    Parameters
    ----------
    start, length, slope : Tensor (n, d)
        Where each term begins to rise, how long it rises (>= 0, finite) and how fast (>= 0).
    goal : Tensor (n,), >= 0

    Returns
    -------
    Tensor (n,)
        The level where every term is full, if even that does not reach the goal.
    """
    wide = torch.promote_types(start.dtype, torch.float32 if start.device.type == "mps" else torch.float64)
    start, length, slope, goal = (value.to(wide) for value in (start, length, slope, goal))
    marks, order = torch.cat([start, start + length], 1).sort(1)
    rising = torch.cat([slope, -slope], 1).gather(1, order).cumsum(1).clamp_min_(0)
    amount = torch.zeros_like(marks)  # what the row holds at each mark
    amount[:, 1:] = (rising[:, :-1] * marks.diff(dim=1)).cumsum(1)
    last = (torch.searchsorted(amount, goal[:, None].contiguous(), right=True) - 1).clamp_min_(0)
    rate = rising.gather(1, last)
    missing = (goal[:, None] - amount.gather(1, last)).clamp_min_(0)
    beyond = torch.where(rate > 0, missing / rate.clamp_min(torch.finfo(wide).tiny), 0)
    t = marks.gather(1, last) + beyond
    return torch.minimum(t, marks[:, -1:]).squeeze(1)


def filled(length: Tensor, slope: Tensor, goal: Tensor) -> Tensor:
    """Return the least t >= 0 at which Σ slope·min(t, length) reaches `goal`, for each row: `level` from a start of 0.

    The sum is concave in t, so Newton's steps from 0 never pass the answer and land on it after a few; ten times as
    fast as sorting. A last step, of which the sum is taken in float64, mends what float32 has rounded on the way. Where
    even the full sum falls short, t is at least as large as every length that counts.

    Parameters
    ----------
    length, slope : Tensor (n, d), >= 0
    goal : Tensor (n,), >= 0
    """
    wide = torch.float32 if length.device.type == "mps" else torch.float64
    kind = torch.promote_types(length.dtype, torch.float32)
    length, slope, goal = (value.to(kind) for value in (length, slope, goal))
    t, missing, tiny = torch.zeros_like(goal), goal, torch.finfo(kind).tiny
    rate, rising = torch.full_like(goal, torch.inf), torch.empty_like(length)
    for step in range(length.shape[1] + 1):  # each step passes at least one length
        torch.gt(length, t[:, None], out=rising)  # as numbers: on a CPU, slope times a mask takes seven times as long
        before, rate = rate, rising.mul_(slope).sum(1)
        going = (rate > 0) & (rate < before)  # where no length was passed, t is the answer
        if not bool(going.any()):
            break
        if step:
            missing = (goal - _poured(length, slope, t, kind)).clamp_min_(0)
        t = torch.where(going, t + missing / rate.clamp_min(tiny), t).clamp_max_(1e30)
    missing = goal.to(wide) - _poured(length, slope, t, wide)
    return torch.where(rate > 0, t + missing / rate.clamp_min(tiny), t.to(wide)).clamp_(0, 1e30)


def _poured(length: Tensor, slope: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.minimum(length, t[:, None]).mul_(slope).sum(1, dtype=dtype)


def onto_l1(x: Tensor, x_adv: Tensor, eps: Tensor) -> Tensor:
    """Return the point nearest to `x_adv` (Euclidean) with ‖· − x‖₁ <= eps and in [0, 1].

    Parameters
    ----------
    x, x_adv : Tensor (n, d)
    eps : Tensor (n,)

    References
    ----------
    Croce & Hein 2021, "Mind the box", arXiv:2103.01208, proposition 2.1.
    """
    change = x_adv - x
    wanted = change.abs()
    room = torch.where(change > 0, 1 - x, x)
    t = level(-wanted, room, torch.ones_like(room), eps).clamp_max_(0)
    amount = (wanted + t[:, None]).clamp_min_(0).to(x.dtype).minimum(room)  # t is wide: far out, all else is rounded
    return (x + change.sign() * amount).clamp_(0, 1)


def greedy(x: Tensor, slope: Tensor, budget: Tensor) -> Tensor:
    """Return the point z of [0, 1] with ‖z − x‖₁ <= budget that has the largest slope·(z − x).

    The steepest pixel goes to the edge of the box, then the next, until the budget is spent.

    Parameters
    ----------
    x, slope : Tensor (n, d)
    budget : Tensor (n,)
    """
    steep, order = slope.abs().sort(dim=1, descending=True, stable=True)
    room = torch.where(slope > 0, 1 - x, x).gather(1, order).where(steep > 0, 0)
    before = room.cumsum(1) - room
    amount = (budget[:, None] - before).clamp_min(0).minimum(room)
    return (x + slope.sign() * torch.zeros_like(x).scatter(1, order, amount)).clamp_(0, 1)


def onto_hyperplane(x: Tensor, slope: Tensor, gap: Tensor, norm: str) -> Tensor:
    """Return the nearest z of [0, 1] with slope·(z − x) = gap, in the given norm.

    Where the whole box lies on this side of the hyperplane, the corner of the box that is nearest to it comes back.

    Parameters
    ----------
    x, slope : Tensor (n, d)
    gap : Tensor (n,)
        Signed: negative means that the hyperplane lies against the slope.
    norm : "Linf", "L2" or "L1"

    References
    ----------
    Croce & Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
    arXiv:1907.02044, section 2.2.
    """
    if norm not in ("Linf", "L2", "L1"):
        raise ValueError(f"norm: expected 'Linf', 'L2' or 'L1', got {norm!r}")
    size = max(1, IN_CACHE // x.shape[1] if x.device.type == "cpu" else len(x))
    parts = zip(x.split(size), slope.split(size), gap.split(size), strict=True)
    return torch.cat([_onto_hyperplane(*part, norm) for part in parts])


def _onto_hyperplane(x: Tensor, slope: Tensor, gap: Tensor, norm: str) -> Tensor:
    slope = slope * _sign(gap)
    gap, steep = gap.abs(), slope.abs()
    room = (slope.sign().clamp_min(0) - x).abs()  # 1 − x or x: `torch.where` takes a CPU 20 times as long
    if norm == "L1":
        order = steep.sort(dim=1, descending=True, stable=True).indices
        steep, room = steep.gather(1, order), room.gather(1, order)
        before = (steep * room).cumsum(1) - steep * room
        part = ((gap[:, None] - before) / steep.clamp_min(torch.finfo(x.dtype).tiny)).clamp_min(0).minimum(room)
        amount = torch.zeros_like(x).scatter(1, order, part.where(steep > 0, 0))
    elif norm == "L2":
        kind = torch.finfo(x.dtype)
        reach = (steep.sign() * room / steep.clamp_min(kind.tiny)).clamp_max(min(1e30, kind.max))
        t = filled(reach, steep.square(), gap).to(x.dtype)
        amount = (t[:, None] * steep).minimum(room)
    else:
        t = filled(room, steep, gap).to(x.dtype)
        amount = t[:, None].minimum(room)
    return (x + slope.sign() * amount).clamp_(0, 1)


def _sign(value: Tensor) -> Tensor:
    """Return −1 for negative rows and 1 for all others, shape (n, 1)."""
    return torch.where(value < 0, -1, 1).to(value.dtype)[:, None]
