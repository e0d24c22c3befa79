"""Linear relaxation: each ReLU is enclosed between two lines, and the lines are followed back to the pixels."""

import torch
from torch import Tensor, nn

from ..threat import Threat
from .network import Box, Stage, ready, stages


def linear(model: nn.Module, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
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
    ValueError
        If an input is unusable or the model has another layer.

    Notes
    -----
    A ReLU whose input ranges over [l, u], l < 0 < u, lies below the line from (l, 0) to (u, u), and above slope·z with
    slope 1 if u > −l, else 0. The published bounds can lose to interval arithmetic; wherever that is tighter, it is
    taken. Dense matrices are used for convolutions too, so a network of the size of `SmallCNN` takes about a second
    an image.

    References
    ----------
    Zhang et al. 2018, "Efficient neural network robustness certification with general activation functions" (CROWN),
    arXiv:1811.00866; Wong & Kolter 2018, arXiv:1711.00851 (the same relaxation, seen from the dual).
    """
    network, y, box = ready(model, x, y, threat)
    maps = stages(network, x.shape[1:])
    boxes = [Box(low.flatten(), high.flatten()) for low, high in zip(box.low, box.high, strict=True)]
    return torch.stack(
        [bound_margins(maps, around, int(label))[0].max() for around, label in zip(boxes, y, strict=True)]
    )


def bound_margins(maps: list[Stage], box: Box, y: int) -> tuple[Tensor, list[Box]]:
    """Bound, for one image, how far each class can get ahead of `y`.

    Returns
    -------
    Tensor (k,)
        Upper bounds; −inf for `y` itself.
    list of Box
        What every ReLU's input ranges over.
    """
    inputs, now = [], box
    for depth, stage in enumerate(maps[:-1]):
        seen = _image(stage, now)
        if depth:
            seen = _tightened(seen, maps[: depth + 1], inputs, box)
        inputs.append(seen)
        now = Box(seen.low.clamp_min(0), seen.high.clamp_min(0))
    last = maps[-1]
    lead = Stage(last.weight - last.weight[y], last.bias - last.bias[y])
    top = torch.minimum(_highest(lead.weight, lead.bias, maps[:-1], inputs, box), _image(lead, now).high)
    top[y] = -torch.inf
    return top, inputs


def _image(stage: Stage, box: Box) -> Box:
    middle, reach = stage.weight @ box.middle + stage.bias, stage.weight.abs() @ box.reach
    return Box(middle - reach, middle + reach)


def _tightened(seen: Box, maps: list[Stage], inputs: list[Box], box: Box) -> Box:
    """Return a box that lies within `seen`: wherever a ReLU's sign is open, ask the linear bounds as well."""
    *below, stage = maps
    low, high = seen.low.clone(), seen.high.clone()
    unsure = ((low < 0) & (high > 0)).nonzero().flatten()
    weight, bias = stage.weight[unsure], stage.bias[unsure]
    high[unsure] = torch.minimum(high[unsure], _highest(weight, bias, below, inputs, box))
    low[unsure] = torch.maximum(low[unsure], -_highest(-weight, -bias, below, inputs, box))
    return Box(low, high)


def _highest(weight: Tensor, bias: Tensor, maps: list[Stage], inputs: list[Box], box: Box) -> Tensor:
    """Bound weight·v + bias from above, (m,), where v is what the ReLU after the last of `maps` gives."""
    for stage, seen in zip(reversed(maps), reversed(inputs), strict=True):
        up, offset, down = _lines(seen)
        bias = bias + weight.clamp_min(0) @ offset
        weight = weight.clamp_min(0) * up + weight.clamp_max(0) * down
        bias = bias + weight @ stage.bias
        weight = weight @ stage.weight
    return weight @ box.middle + weight.abs() @ box.reach + bias


def _lines(seen: Box) -> tuple[Tensor, Tensor, Tensor]:
    """Return slope and offset of the line above each ReLU, and the slope of the line through 0 below it."""
    low, high = seen.low, seen.high
    width = (high - low).clamp_min(torch.finfo(low.dtype).tiny)
    up = torch.where(low >= 0, 1.0, torch.where(high <= 0, 0.0, high / width))
    offset = torch.where((low < 0) & (high > 0), -up * low, 0.0)
    down = torch.where((low >= 0) | (high > -low), 1.0, 0.0).where(high > 0, 0.0)
    return up, offset, down
