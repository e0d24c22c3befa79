"""Interval bounds: a box goes in, a box comes out, layer by layer. Cheap, differentiable and loose."""

from collections.abc import Callable
from functools import reduce
from operator import add

import torch
from torch import Tensor

from ..contract.input_validation import Model
from ..losses import margin
from ..threat import Threat
from .crosscheck import check_bound
from .network import Box, Network, stage
from .read_network import read_once, ready


def lead_bounds(
    network: Network, box: Box, y: Tensor, tighten: Callable[[int, Box], Box] = lambda i, seen: seen
) -> Tensor:
    """Bound how far each logit can lie above that of `y`, over a box of images.

    A linear map sends the middle m to W·m + b and half a side r to |W|·r; a ReLU sends both ends through itself. What
    comes after the last ReLUs is one linear map, applied to the differences of the logits.

    Parameters
    ----------
    network : Network
    box : Box
        (n, c, h, w).
    y : Tensor (n,)
    tighten : callable, optional
        Given a ReLU and the box of its input, returns a box within that one.

    Returns
    -------
    Tensor (n, k)
        0 for `y`.
    """
    last = stage(network, len(network.nodes) - 1, box.low)
    needed_until = {j: i for i, node in enumerate(network.nodes) for j in node.parents}
    seen = {0: (box.middle, box.reach)}
    for i, node in enumerate(network.nodes[1:], 1):
        if node.relu_of is not None:
            middle, reach = seen[node.relu_of]
            within = tighten(i, Box(middle - reach, middle + reach))
            within = Box(within.low.clamp_min(0), within.high.clamp_min(0))
            seen[i] = within.middle, within.reach
        elif i in needed_until:  # of the logits, only the differences are asked for, below
            middle = reduce(add, (one.apply(seen[j][0]) for j, one in node.terms))
            reach = reduce(add, (one.absolute(seen[j][1]) for j, one in node.terms))
            seen[i] = middle if node.bias is None else middle + node.bias, reach
        for j in node.parents:
            if needed_until[j] <= i and j not in last.weights:
                seen.pop(j, None)
    total = last.bias - last.bias[y][:, None]
    for j, weight in last.weights.items():
        middle, reach = (part.flatten(1)[:, :, None] for part in seen[j])
        lead = weight - weight[y][:, None]  # (n, k, d): every row minus the label's
        total = total + (lead @ middle + lead.abs() @ reach).squeeze(2)
    return total


def worst_logits(model: Model, low: Tensor, high: Tensor, y: Tensor) -> Tensor:
    """Return logits at least as bad for `y` as those of any image between `low` and `high`; differentiable.

    Parameters
    ----------
    model : callable
        As in `interval`. It is read in the modes in which it is, anew each time, so that training may change it.
    low, high : Tensor (n, c, h, w)
    y : Tensor (n,)

    Returns
    -------
    Tensor (n, k)
        0 for `y`; for every other class an upper bound of its lead over `y`.

    Raises
    ------
    ValueError
        If the model does something that is not read.

    Notes
    -----
    The model is not compared with what was read, as `interval` does.

    References
    ----------
    Gowal et al. 2018, "On the effectiveness of interval bound propagation for training verifiably robust models",
    arXiv:1810.12715.
    """
    network = read_once(model, low)
    return lead_bounds(network, Box(low, high), y)


def interval(model: Model, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
    """Bound the largest margin within the threat from above by interval arithmetic.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) to logits (n, k), k >= 2. What it does to images is traced as it runs. Linear layers,
        convolutions padded with zeros, ReLU, flatten and other rearrangements, average pooling, BatchNorm in eval mode,
        `models.Normalize` and other arithmetic with constants, and sums of values (residual connections) are read,
        in whatever way they are called.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,)
        True labels.
    threat : Linf
        Its `eps` may be a tensor (n,).

    Returns
    -------
    Tensor (n,), float64
        No image within the threat has a larger `losses.margin`; where it is negative, none is misclassified.

    Raises
    ------
    ValueError
        If an input is unusable, or the model does something that is not read: another operation, hooks,
        parametrisations, compiled parts, random numbers, decisions by the images' values, a change of itself.
    RuntimeError
        If the model, tried at a few points of the threat, is not what was read or crosses the bound: our own fault.

    Notes
    -----
    Computed in float64 without rounding outwards: a bound within 1e-9 of zero proves nothing, and a model that computes
    in float32 may round beyond it.

    References
    ----------
    Gowal et al. 2018, arXiv:1810.12715.
    """
    network, y, box = ready(model, x, y, threat)
    with torch.no_grad():
        bound = margin(lead_bounds(network, box, y), y)
    check_bound(model, network, box, y, bound, "interval", x.dtype)
    return bound
