"""Interval bounds: a box goes in, a box comes out, layer by layer. Cheap, differentiable and loose."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..losses import margin
from ..models.networks import Normalize
from ..threat import Threat
from .network import Box, layers, ready


def propagate(layer: nn.Module, box: Box) -> Box:
    """Return the smallest box that holds what `layer` makes of every point of `box`.

    A linear map sends the middle m to W·m + b and half a side r to |W|·r; a ReLU sends both ends through itself.
    """
    if isinstance(layer, nn.ReLU | nn.Flatten | Normalize):
        return Box(layer(box.low), layer(box.high))
    if isinstance(layer, nn.Linear):
        reach = F.linear(box.reach, layer.weight.abs())
    else:
        settings = layer.stride, layer.padding, layer.dilation, layer.groups
        reach = F.conv2d(box.reach, layer.weight.abs(), None, *settings)
    middle = layer(box.middle)
    return Box(middle - reach, middle + reach)


def worst_logits(model: nn.Module, low: Tensor, high: Tensor, y: Tensor) -> Tensor:
    """Return logits at least as bad for `y` as those of any image between `low` and `high`; differentiable.

    Parameters
    ----------
    model : Sequential
        Of Flatten, Linear, Conv2d, Normalize and ReLU, ending in Linear.
    low, high : Tensor (n, c, h, w)
    y : Tensor (n,)

    Returns
    -------
    Tensor (n, k)
        0 for `y`; for every other class an upper bound of its lead over `y`.

    Raises
    ------
    ValueError
        If the model has another layer.

    References
    ----------
    Gowal et al. 2018, "On the effectiveness of interval bound propagation for training verifiably robust models",
    arXiv:1810.12715.
    """
    *hidden, last = layers(model)
    box = Box(low, high)
    for layer in hidden:
        box = propagate(layer, box)
    lead = last.weight - last.weight[y][:, None]  # (n, k, d): every row minus the label's
    middle = (lead @ box.middle[:, :, None]).squeeze(2)
    if last.bias is not None:
        middle = middle + last.bias - last.bias[y][:, None]
    return middle + (lead.abs() @ box.reach[:, :, None]).squeeze(2)


def interval(model: nn.Module, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
    """Bound the largest margin within the threat from above by interval arithmetic.

    Parameters
    ----------
    model : Sequential
        Of Flatten, Linear, Conv2d, Normalize and ReLU, ending in Linear.
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
        If an input is unusable or the model has another layer.

    Notes
    -----
    Computed in float64 without rounding outwards: a bound within 1e-9 of zero proves nothing.

    References
    ----------
    Gowal et al. 2018, arXiv:1810.12715.
    """
    network, y, box = ready(model, x, y, threat)
    with torch.no_grad():
        return margin(worst_logits(network, box.low, box.high, y), y)
