"""The Square attack: random squares, kept when the margin shrinks. It asks for logits only, so nothing can mask it."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite, check_inputs, check_number
from ..contract.model_state import borrowed
from ..runtime.randomness import ImageRandom
from ..threat import L1, L2, Linf, Masked, Threat, allowed_places, per_image, rowwise
from .engine.batches import batched
from .engine.queries import query
from .engine.random_search import Proposal, RandomSearchState, random_search

LOOKS = [250 * 2**k for k in range(16)]
FADE = (
    1.25  # read off 1096 digits of two robust models, of which Square finds 33 adversarial: this gives up two of them
)


@dataclass(kw_only=True)
class SquareState(RandomSearchState):
    """The images that are still robust."""

    margin_at_x: Tensor
    places: Tensor  # the pixels of each image, those first that may change
    room: Tensor  # how many may


@batched()
def square(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    queries: int = 5000,
    share: float = 0.8,
    hope: float | None = None,
    targeted: bool = False,
    seed: int = 0,
) -> Tensor:
    """Search the threat by random squares, without gradients.

    Parameters
    ----------
    model, x, y, targeted, seed
        As in `pgd`; the model is only asked for logits.
    threat : Linf, L2 or L1, or one of them `Masked`
    queries : int >= 1
        Proposals for an image that stays robust, each a forward pass; 5000 as in AutoAttack.
    share : float in (0, 1]
        Share of the picture that the first squares cover; it shrinks on the paper's schedule.
    hope : float > 0, optional
        Give an image up where it is too far behind: after q = 250, 500, 1000, … of Q queries, if of the margin that it
        had at x more than hope·(250/q)^1.25·(1 − q/Q) is left: little progress so far, or too few queries to come.
        The published attack gives up none.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: a success where one was met, else the smallest margin.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    Every image has its own squares, drawn from its own stream. An image leaves the batch once it is adversarial. Under
    a mask each square holds a pixel that may change. A target is approached by its margin, where the authors' code
    takes cross-entropy.

    References
    ----------
    Andriushchenko et al. 2020, "Square attack", arXiv:1912.00049, algorithms 1 to 3.
    For L1 Croce & Hein 2021, "Mind the box", arXiv:2103.01208.
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("queries", queries, 1)
    check_count("seed", seed, 0)
    check_number("share", share, 0, 1, above=True)
    if hope is not None:
        check_number("hope", hope, 0, above=True, unit=" (a share of the margin at x), or None")
    if type(threat.ball) not in MOVES:
        raise ValueError(f"threat: expected Linf, L2 or L1 for the Square attack, got {threat!r}")
    start, propose = MOVES[type(threat.ball)]
    with borrowed(model), torch.no_grad():
        margin, (places, room) = query(model, x, y, targeted, check=True), allowed_places(threat, x)
        s = SquareState(
            x=x, y=y, x_adv=x, threat=threat, margin=margin, random=ImageRandom(seed, x), margin_at_x=margin,
            places=places, room=room,
        )  # fmt: skip

        def proposed(step: int) -> Proposal:
            new = propose(s, share * _schedule(step, queries)) if step else start(s)
            return {"x_adv": s.project(new)}

        def hopeful(step: int) -> Tensor | None:
            if hope is None or step not in LOOKS:
                return None
            return s.margin >= hope * (LOOKS[0] / step) ** FADE * (1 - step / queries) * s.margin_at_x

        return check_finite(random_search(model, s, proposed, queries, targeted, hopeful))


def _schedule(i: int, queries: int) -> float:
    """Return by what the squares' share has shrunk after i of the queries; the paper's steps, scaled to the budget."""
    done = int(i / queries * 10000)
    return 0.5 ** sum(done > mark for mark in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))


def _stripes(s: SquareState) -> Tensor:
    """Start from vertical stripes of ±eps, a random sign for each column and channel."""
    n, c, _, w = s.x.shape
    sign = (s.random.numbers(c * w) - 0.5).sign().to(s.x.dtype).view(n, c, 1, w)
    return s.x + per_image(s.threat.eps, s.x) * sign


def _recolour(s: SquareState, share: float) -> Tensor:
    """Put x ± eps into a random square, one sign a channel."""
    n, c, h, w = s.x.shape
    side = max(1, min(round((share * h * w) ** 0.5), min(h, w)))
    u = s.random.numbers(c + 2)
    inside, _, _ = _window(*_corner(s, u[:, 0], u[:, 1], side), side, h, w)
    sign = (u[:, 2:] - 0.5).sign().to(s.x.dtype).view(n, c, 1, 1)
    return torch.where(inside, s.x + per_image(s.threat.eps, s.x) * sign, s.x_adv)


def _corner(s: SquareState, u: Tensor, v: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the row and the column where each image's square begins: anywhere, or where it holds a pixel of a mask."""
    h, w = s.x.shape[2:]
    if not isinstance(s.threat, Masked):
        return _below(u, h - side + 1), _below(v, w - side + 1)
    number, within = (u * s.room).long().minimum(s.room - 1).clamp_min(0), _below(v, side * side)
    pixel = s.places.gather(1, number[:, None]).squeeze(1)
    row, column = pixel // w - within // side, pixel % w - within % side
    return row.clamp(0, h - side), column.clamp(0, w - side)


def _below(u: Tensor, count: int) -> Tensor:
    """Return whole numbers from 0 to `count` − 1 for random ones from 0 to 1."""
    return (u * count).long().clamp(max=count - 1)


def _window(row: Tensor, column: Tensor, side: int, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return which pixels lie in each image's square, (n, 1, h, w), and their row and column within it."""
    down = torch.arange(h, device=row.device).view(1, 1, h, 1) - row.view(-1, 1, 1, 1)
    right = torch.arange(w, device=row.device).view(1, 1, 1, w) - column.view(-1, 1, 1, 1)
    inside = (down >= 0) & (down < side) & (right >= 0) & (right < side)
    return inside, down.clamp(0, side - 1), right.clamp(0, side - 1)


def _pyramid(height: int, width: int, p: int, like: Tensor) -> Tensor:
    """Return the papers' bump: at distance r from the middle (largest coordinate), the sum of 1/k^(4/p) for k > r."""
    down = (torch.arange(height, device=like.device) - height // 2).abs()
    right = (torch.arange(width, device=like.device) - width // 2).abs()
    r = torch.maximum(down[:, None], right[None])
    farthest = max(height, width) // 2
    k = torch.arange(1, farthest + 2, device=like.device).to(like.dtype)
    bump = (1 / k ** (4 // p)).flip(0).cumsum(0).flip(0)[r]
    return bump / bump.norm(p)


def _bump(side: int, p: int, like: Tensor) -> Tensor:
    """Return the square's shape: a pyramid up and a pyramid down, of length 1 together."""
    half = side // 2
    parts = [_pyramid(half, side, p, like), -_pyramid(side - half, side, p, like)] if half else [like.new_ones(1, 1)]
    bump = torch.cat(parts)
    return bump / bump.norm(p)


def _tiles(s: SquareState, p: int) -> Tensor:
    """Start from a grid of bumps, five by five, each with a random sign, scaled to the radius."""
    n, c, h, w = s.x.shape
    side = max(1, min(h, w) // 5)
    bump = _bump(side, p, s.x)
    down, right = torch.arange(h, device=s.x.device), torch.arange(w, device=s.x.device)
    rows, columns = h // side, w // side
    sign = (s.random.numbers(c * rows * columns) - 0.5).sign().to(s.x.dtype).view(n, c, rows, columns)
    inside = (down < rows * side)[:, None] & (right < columns * side)[None]
    shape = bump[down % side][:, right % side] * inside
    signs = sign[:, :, (down // side).clamp(max=rows - 1)][:, :, :, (right // side).clamp(max=columns - 1)]
    return _scaled(s, shape * signs, p)


def _scaled(s: SquareState, delta: Tensor, p: int) -> Tensor:
    length = delta.flatten(1).norm(p, dim=1)
    return s.x + per_image(s.threat.eps, s.x) * delta / rowwise(length.clamp_min(torch.finfo(length.dtype).tiny), s.x)


def _move(s: SquareState, share: float, p: int) -> Tensor:
    """Take the perturbation out of one random square and put it, as a bump, into another: the length stays eps.

    In L1 the c channels of the bump get c times as much; what is too much the projection takes off all pixels alike, so
    that single channels are left over.
    """
    n, c, h, w = s.x.shape
    side = max(3, round((share * h * w) ** 0.5)) // 2 * 2 + 1
    side = min(side, min(h, w))
    u = s.random.numbers(c + 5)
    to, down, right = _window(*_corner(s, u[:, 0], u[:, 1], side), side, h, w)
    off, _, _ = _window(*_corner(s, u[:, 2], u[:, 3], side), side, h, w)
    bump = _bump(side, p, s.x)
    shape = torch.where(rowwise(u[:, 4] < 0.5, s.x), bump[down, right], bump[right, down]) * to
    sign = (u[:, 5:] - 0.5).sign().to(s.x.dtype).view(n, c, 1, 1)
    delta = s.x_adv - s.x
    new = shape * sign + _unit(delta * to, p)
    free = (per_image(s.threat.eps, s.x) ** p - delta.abs().pow(p).sum((1, 2, 3), keepdim=True)).clamp_min(0) / c
    held = (delta * (to | off)).abs().pow(p).sum((2, 3), keepdim=True)
    new = _unit(new, p) * (free + held) ** (1 / p)
    if p == 1:
        return s.x + torch.where(to, c * new, delta.masked_fill(off, 0))
    return _scaled(s, torch.where(to, new, delta.masked_fill(off, 0)), p)


def _unit(delta: Tensor, p: int) -> Tensor:
    """Return `delta` with every channel scaled to length 1."""
    return delta / delta.flatten(2).norm(p, dim=2).clamp_min(torch.finfo(delta.dtype).tiny)[..., None, None]


MOVES = {
    Linf: (_stripes, _recolour),
    L2: (partial(_tiles, p=2), partial(_move, p=2)),
    L1: (partial(_tiles, p=1), partial(_move, p=1)),
}
