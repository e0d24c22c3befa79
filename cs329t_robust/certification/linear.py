"""Linear relaxation: each ReLU is enclosed between two lines, and the lines are followed back to the pixels."""

import torch
from torch import Tensor

from ..contract.inputs import Model
from ..threat import Threat
from .crosscheck import hold
from .interval import boxes, leads_within
from .network import Box, Network, follow_back
from .reading import ready


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
    each = [Box(box.low[i : i + 1], box.high[i : i + 1]) for i in range(len(x))]
    with torch.no_grad():
        bound = torch.stack([relaxed(network, one, y[i : i + 1])[0].max() for i, one in enumerate(each)])
    hold(model, network, box, y, bound, "linear", x.dtype)
    return bound


def relaxed(network: Network, box: Box, y: Tensor) -> tuple[Tensor, list[Box | None]]:
    """Bound, for one image, how far the logit of each class can lie above that of `y`.

    Returns
    -------
    Tensor (k,)
        Upper bounds; −inf for `y` itself.
    list of Box or None
        What every ReLU's input ranges over, at the place of that ReLU among the network's values.
    """
    inputs: list[Box | None] = [None] * len(network.nodes)
    loose = tightness(network)

    def tighten(i: int, seen: Box) -> Box:
        """Return a box within `seen`: wherever a ReLU's sign is open, ask the linear bounds as well."""
        unsure = ((seen.low < 0) & (seen.high > 0)).flatten().nonzero().flatten()
        if loose[i] and len(unsure):
            low, high = seen.low.clone(), seen.high.clone()
            end, shape = network.nodes[i].relu_of, network.nodes[i].shape
            rows = low.new_zeros(len(unsure), torch.Size(shape).numel())
            rows[torch.arange(len(unsure)), unsure] = 1
            rows = rows.view(-1, *shape)
            above = highest(network, end, torch.cat([rows, -rows]), inputs, box)
            high.view(-1)[unsure] = torch.minimum(high.view(-1)[unsure], above[: len(unsure)])
            low.view(-1)[unsure] = torch.maximum(low.view(-1)[unsure], -above[len(unsure) :])
            seen = Box(low, high)
        inputs[i] = seen
        return seen

    top = leads_within(network, boxes(network, box, tighten), y)[0]
    rows = torch.eye(network.classes, dtype=top.dtype, device=top.device)
    top = torch.minimum(top, highest(network, len(network.nodes) - 1, rows - rows[y], inputs, box))
    top[y] = -torch.inf
    return top, inputs


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
    """Bound rows·(value `end`) from above, (m,), over a box of images."""

    def between_lines(i: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        up, offset, down = lines(inputs[i])
        above = rows.clamp_min(0)
        return above * up + rows.clamp_max(0) * down, (above * offset).flatten(1).sum(1)

    found, constant = follow_back(network, end, rows, between_lines)
    if 0 not in found:
        return constant
    rows = found[0].flatten(1)
    return rows @ box.middle.flatten() + rows.abs() @ box.reach.flatten() + constant


def lines(seen: Box) -> tuple[Tensor, Tensor, Tensor]:
    """Return slope and offset of the line above each ReLU, and the slope of the line through 0 below it."""
    low, high = seen.low, seen.high
    width = (high - low).clamp_min(torch.finfo(low.dtype).tiny)
    up = torch.where(low >= 0, 1.0, torch.where(high <= 0, 0.0, high / width))
    offset = torch.where((low < 0) & (high > 0), -up * low, 0.0)
    down = torch.where((low >= 0) | (high > -low), 1.0, 0.0).where(high > 0, 0.0)
    return up, offset, down
