"""What can be bounded: a network read layer by layer, and the box of images around x."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..contract.input_validation import check_images, check_labels
from ..models.networks import Normalize
from ..threat import Linf, Threat, per_image


@dataclass(frozen=True)
class Box:
    """Every point with low <= z <= high; both (n, …)."""

    low: Tensor
    high: Tensor

    @property
    def middle(self) -> Tensor:
        """Its centre."""
        return (self.low + self.high) / 2

    @property
    def reach(self) -> Tensor:
        """Half its sides."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Stage:
    """All that happens between two ReLUs, as one map z = weight·v + bias; float64."""

    weight: Tensor
    bias: Tensor


def layers(model: nn.Module) -> list[nn.Module]:
    """Return the layers of a network that can be bounded, Sequentials unfolded.

    Raises
    ------
    ValueError
        Unless `model` is a Sequential of Flatten, Linear, Conv2d, Normalize and ReLU that ends in Linear.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a Sequential, whose layers can be read, got {type(model).__name__}")
    known = (nn.Flatten, nn.Linear, nn.Conv2d, nn.ReLU, Normalize)
    found = list(_unfolded(model))
    for layer in found:
        if not isinstance(layer, known) or getattr(layer, "padding_mode", "zeros") != "zeros":
            raise ValueError(
                "model: expected a Sequential of Flatten, Linear, Conv2d (padded with zeros), Normalize and ReLU, got "
                f"{type(layer).__name__}; only for those are bounds implemented"
            )
    if not found or not isinstance(found[-1], nn.Linear):
        last = type(found[-1]).__name__ if found else "no layer"
        raise ValueError(f"model: expected a network that ends in Linear, whose outputs are the logits, got {last}")
    return found


def _unfolded(model: nn.Module) -> Iterator[nn.Module]:
    if isinstance(model, nn.Sequential):
        for part in model:
            yield from _unfolded(part)
    else:
        yield model


def ready(model: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> tuple[nn.Sequential, Tensor, Box]:
    """Return a float64 copy of the network, the labels, and the threat around `x` as a box, or raise a ValueError."""
    check_images(x)
    check_labels(x, y)
    found = layers(model)
    if not isinstance(threat, Linf):
        raise ValueError(f"threat: expected Linf, whose ball is a box, got {threat!r}")
    threat.check(x)
    classes = found[-1].out_features
    if int(y.max()) >= classes:
        raise ValueError(f"y: expected labels below the model's {classes} classes, got {int(y.max())}")
    exact = copy.deepcopy(nn.Sequential(*found)).double().requires_grad_(False)
    x = x.detach().double()
    radius = per_image(threat.eps, x)
    return exact, y.detach().long(), Box((x - radius).clamp_min(0), (x + radius).clamp_max(1))


def stages(model: nn.Sequential, shape: torch.Size) -> list[Stage]:
    """Return the network as dense affine maps between its ReLUs, for images of `shape` (c, h, w).

    Each is read off from what the layers make of zero and of every unit vector, so that convolutions and pooling into
    one vector need no case of their own.
    """
    groups: list[list[nn.Module]] = [[]]
    for layer in layers(model):
        if isinstance(layer, nn.ReLU):
            groups.append([])
        else:
            groups[-1].append(layer)
    found = []
    for group in groups:
        size = shape.numel()
        basis = torch.eye(size, dtype=torch.float64, device=next(model.parameters()).device).view(size, *shape)
        zero, moved = basis[:1] * 0, basis
        with torch.no_grad():
            for layer in group:
                zero, moved = layer(zero), layer(moved)
        shape = zero.shape[1:]
        found.append(Stage((moved - zero).flatten(1).T.contiguous(), zero.flatten()))
    return found
