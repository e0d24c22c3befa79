"""Sparse-RS: change k pixels, a few of them moved at a time, kept when the margin shrinks. It asks for logits only."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite, check_inputs, check_number
from ..contract.model_state import borrowed
from ..runtime.randomness import ImageRandom
from ..threat import L0, Masked, Threat, allowed_places, radii
from .engine.batches import batched
from .engine.queries import query
from .engine.random_search import Proposal, RandomSearchState, random_search

# After so many of 10,000 queries the share of moved pixels falls: to a half, a quarter, a fifth, … of what it was.
MARKS = (0, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
DIVISORS = (1, 2, 4, 5, 6, 8, 10, 12, 15, 20)


@dataclass(kw_only=True)
class SparseRSState(RandomSearchState):
    """The images that are still robust. A slot holds one changed pixel."""

    k: Tensor
    places: Tensor  # the pixels of each image, those first that may change
    room: Tensor  # how many may
    slot: Tensor
    colour: Tensor

    def is_open(self) -> Tensor:
        """Return which images are robust and have a pixel that may change, (n,)."""
        return (self.margin <= 0) & (self.k > 0) & (self.room > 0)


@batched()
def sparse_rs(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    queries: int = 2000,
    share: float = 0.3,
    targeted: bool = False,
    seed: int = 0,
) -> Tensor:
    """Search for k pixels and corner colours that make each image adversarial, without gradients.

    Parameters
    ----------
    model, x, y, targeted, seed
        As in `pgd`; the model is only asked for logits.
    threat : L0, or L0 `Masked`
    queries : int >= 1
        Proposals for an image that stays robust, each a forward pass.
    share : float in (0, 1]
        Share of the k pixels that a proposal would move at first; it shrinks on the authors' schedule, from a half on.

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
    The paper moves pixels to places that are still free. Here each moved pixel draws any place that may change; where
    two meet, the first one's colour counts, and fewer than k pixels differ. Every image moves pixels of its own choice,
    where the authors' code moves the same ones in all images. A target is approached by its margin, there by
    cross-entropy.

    References
    ----------
    Croce et al. 2022, "Sparse-RS", arXiv:2006.12834, algorithm 1 and section 3.
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("queries", queries, 1)
    check_count("seed", seed, 0)
    check_number("share", share, 0, 1, above=True)
    if not isinstance(threat.ball, L0):
        raise ValueError(f"threat: expected L0(k) for Sparse-RS, got {threat!r}")
    with borrowed(model), torch.no_grad():
        s = _begin(x, y, threat, query(model, x, y, targeted, check=True), ImageRandom(seed, x))

        def propose(step: int) -> Proposal:
            return _propose(s, share * _schedule(step, queries) if step else 1.0)

        return check_finite(random_search(model, s, propose, queries, targeted))


def _begin(x: Tensor, y: Tensor, threat: Threat, margin: Tensor, random: ImageRandom) -> SparseRSState:
    n, c, h, w = x.shape
    k = radii(threat.eps, x.float()).clamp(max=h * w)  # half precision cannot count
    (places, room), slots = allowed_places(threat, x), max(1, int(k.max()))
    return SparseRSState(
        x=x,
        y=y,
        x_adv=x,
        threat=threat,
        margin=margin,
        random=random,
        k=k,
        places=places,
        room=room,
        slot=torch.zeros(n, slots, dtype=torch.long, device=x.device),
        colour=x.new_zeros(n, slots, c),
    )


def _schedule(i: int, queries: int) -> float:
    """Return by what the share of moved pixels has shrunk after i of the queries."""
    return 1 / DIVISORS[sum(int(i / queries * 10000) > mark for mark in MARKS)]


def _propose(s: SparseRSState, share: float) -> Proposal:
    """Give some slots another place and another colour, each channel 0 or 1."""
    n, slots, c = s.colour.shape
    u = s.random.numbers(slots * (2 + c)).view(n, slots, 2 + c)  # in float32: half precision cannot tell places apart
    key, spot, corner = u[:, :, 0], u[:, :, 1], (u[:, :, 2:] > 0.5).to(s.x.dtype)
    used = torch.arange(slots, device=u.device) < s.k[:, None]
    rank = key.masked_fill(~used, 2).argsort(1).argsort(1)
    fresh = rank < (share * s.k).floor().clamp_min(1)[:, None]
    place = s.places.gather(1, (spot * s.room[:, None]).long())
    slot = torch.where(fresh, place, s.slot)
    colour = torch.where(fresh[:, :, None], corner, s.colour)
    # unused slots repeat the first, and slots that share a place take the colour of the first of them
    shown = torch.where(used, slot, slot[:, :1])
    number = torch.arange(slots, device=u.device).expand_as(shown)
    owner = shown.new_full(s.places.shape, slots).scatter_reduce(1, shown, number, "amin")  # of each pixel, its first
    first = owner.gather(1, shown)
    paint = colour.gather(1, first[:, :, None].expand_as(colour)).mT
    new = s.x.flatten(2).scatter(2, shown[:, None].expand_as(paint), paint).view_as(s.x)
    if isinstance(s.threat, Masked):  # a mask may leave some channels of a pixel alone
        new = torch.where(s.threat.mask, new, s.x)
    return {"x_adv": new, "slot": slot, "colour": colour}
