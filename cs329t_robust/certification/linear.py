"""Linear relaxation: each ReLU is enclosed between two lines, and the lines are followed back to the pixels."""

import torch
from torch import Tensor

from ..contract.input_validation import Model
from ..threat import Threat
from .crosscheck import check_bound
from .interval import lead_bounds
from .network import Box, Network, follow_back
from .read_network import ready

NUMBERS = 2**20
"""How many numbers are followed back at a time: images × bounds × values that they depend on; caches are small."""


def linear(model: Model, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
    """Bound the largest margin within the threat from above by linear functions of the pixels.

    Parameters
    ----------
    model, x, y, threat
        As in `interval`.

    Returns
    -------
    Tensor (n,), float64
        No image within the threat has a larger `losses.margin`. Never above `interval`.

    Raises
    ------
    ValueError, RuntimeError
        As in `interval`.

    Notes
    -----
    A ReLU whose input ranges over [l, u], l < 0 < u, lies below the line from (l, 0) to (u, u), and above slope·z with
    slope 1 if u > −l, else 0. The published bounds can lose to interval arithmetic; wherever that is tighter, it is
    taken.

    References
    ----------
    Zhang et al. 2018, "Efficient neural network robustness certification with general activation functions" (CROWN),
    arXiv:1811.00866; Wong & Kolter 2018, arXiv:1711.00851 (the same relaxation, seen from the dual).
    """
    network, y, box = ready(model, x, y, threat)
    sizes = [torch.Size(node.shape).numel() for node in network.nodes]
    inside = max((size for size, node in zip(sizes, network.nodes, strict=True) if node.relu_of is not None), default=1)
    at_once = max(1, NUMBERS // (inside * max(sizes)))
    bounds = []
    with torch.no_grad():
        for first in range(0, len(x), at_once):
            some = slice(first, first + at_once)
            bounds.append(relaxed(network, Box(box.low[some], box.high[some]), y[some])[0].amax(1))
    bound = torch.cat(bounds)
    check_bound(model, network, box, y, bound, "linear", x.dtype)
    return bound


def relaxed(network: Network, box: Box, y: Tensor) -> tuple[Tensor, list[Box | None]]:
    """Bound, for each image, how far the logit of each class can lie above that of `y`.

    Returns
    -------
    Tensor (n, k)
        Upper bounds; −inf for `y` itself.
    list of Box or None
        What every ReLU's input ranges over, at the place of that ReLU among the network's values.
    """
    inputs: list[Box | None] = [None] * len(network.nodes)
    loose = tightness(network)
    largest = max(torch.Size(node.shape).numel() for node in network.nodes)

    def tighten(i: int, seen: Box) -> Box:
        """Return a box within `seen`: wherever a ReLU's sign is open, ask the linear bounds as well."""
        low, high = seen.low.flatten(1), seen.high.flatten(1)
        unsure = (low < 0) & (high > 0)
        asked = unsure.any(0).nonzero().flatten()
        if loose[i] and len(asked):
            above, below = [], []
            for part in asked.split(max(1, NUMBERS // (2 * len(low) * largest))):
                rows = low.new_zeros(len(part), low.shape[1])
                rows[torch.arange(len(part), device=rows.device), part] = 1
                rows = torch.cat([rows, -rows]).view(-1, *network.nodes[i].shape)
                for found, more in zip(
                    (above, below),
                    highest(network, network.nodes[i].relu_of, rows, inputs, box).chunk(2, 1),
                    strict=True,
                ):
                    found.append(more)
            above, below = torch.cat(above, 1), torch.cat(below, 1)
            low, high, unsure = low.clone(), high.clone(), unsure[:, asked]
            high[:, asked] = torch.where(unsure, torch.minimum(high[:, asked], above), high[:, asked])
            low[:, asked] = torch.where(unsure, torch.maximum(low[:, asked], -below), low[:, asked])
            seen = Box(low.view_as(seen.low), high.view_as(seen.high))
        inputs[i] = seen
        return seen

    top = lead_bounds(network, box, y, tighten)
    rows = torch.eye(network.classes, dtype=top.dtype, device=top.device)
    top = torch.minimum(top, highest(network, len(network.nodes) - 1, rows - rows[y][:, None], inputs, box))
    return top.scatter(1, y[:, None], -torch.inf), inputs


def tightness(network: Network) -> list[bool]:
    """Tell, for each value, whether its interval may be wider than what linear functions of the pixels say.

    It is not where every value depends on one pixel of its own, nor right after the first map that mixes those.
    """
    apart, loose = [True], [False]
    for node in network.nodes[1:]:
        one = node.parents[0]
        mixes = node.relu_of is None and (len(node.terms) > 1 or node.terms[0][1].mixes)
        apart.append(apart[one] and not mixes)
        loose.append(loose[one] or len(node.parents) > 1 or (mixes and not apart[one]))
        if node.relu_of is not None:
            loose[-1] = loose[one]
    return loose


def highest(network: Network, end: int, rows: Tensor, inputs: list[Box | None], box: Box) -> Tensor:
    """Bound rows·(value `end`) from above, (n, m), over boxes of n images; rows (m, …) for all, or (n, m, …)."""
    n, shape = len(box.low), network.nodes[end].shape
    rows = rows.expand(n, *rows.shape[-1 - len(shape) :]).reshape(-1, *shape)

    def between_lines(i: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        up, offset, down = (part[:, None] for part in lines(inputs[i]))
        rows = rows.view(n, -1, *rows.shape[1:])
        above = rows.clamp_min(0)
        through = above * up + rows.clamp_max(0) * down
        return through.flatten(0, 1), (above * offset).flatten(2).sum(2).flatten()

    found, constant = follow_back(network, end, rows, between_lines)
    constant = constant.view(n, -1)
    if 0 not in found:
        return constant
    rows = found[0].reshape(n, constant.shape[1], -1)
    middle, reach = box.middle.reshape(n, -1, 1), box.reach.reshape(n, -1, 1)
    return (rows @ middle + rows.abs() @ reach).squeeze(2) + constant


def lines(seen: Box) -> tuple[Tensor, Tensor, Tensor]:
    """Return slope and offset of the line above each ReLU, and the slope of the line through 0 below it."""
    low, high = seen.low, seen.high
    width = (high - low).clamp_min(torch.finfo(low.dtype).tiny)
    up = torch.where(low >= 0, 1.0, torch.where(high <= 0, 0.0, high / width))
    offset = torch.where((low < 0) & (high > 0), -up * low, 0.0)
    down = torch.where((low >= 0) | (high > -low), 1.0, 0.0).where(high > 0, 0.0)
    return up, offset, down
