"""The linear maps that a network is read as; each acts on a batch of values (n, …), image by image."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Map:
    """A linear map W: values (n, …) of one kind to values of another."""

    @property
    def mixes(self) -> bool:
        """Whether an output may depend on more than one input."""
        return True

    def apply(self, v: Tensor) -> Tensor:
        """Return W·v."""
        raise NotImplementedError

    def absolute(self, reach: Tensor) -> Tensor:
        """Return |W|·reach: what half the sides of a box become."""
        return self.apply(reach)

    def transpose(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return rows·W, (m, *shape), for rows (m, …) over W's outputs and inputs of `shape`; differentiable."""
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            at = rows.new_zeros(len(rows), *shape, requires_grad=True)
            return torch.autograd.grad(self.apply(at), at, rows, create_graph=differentiable)[0]


@dataclass(frozen=True, eq=False)
class Rearrange(Map):
    """Values in another order or shape, some left out or repeated: by their places, or in the same order if None."""

    places: Tensor | None
    shape: tuple[int, ...]
    mixes = False

    def apply(self, v: Tensor) -> Tensor:
        flat = v if self.places is None else v.flatten(1)[:, self.places]
        return flat.reshape(len(v), *self.shape)

    def transpose(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        if self.places is None:
            return rows.reshape(len(rows), *shape)
        return super().transpose(rows, shape)


@dataclass(frozen=True, eq=False)
class Scale(Map):
    """Values times a factor each, spread out where the factor has more dimensions or entries."""

    factor: Tensor
    mixes = False

    def apply(self, v: Tensor) -> Tensor:
        return v * self.factor

    def absolute(self, reach: Tensor) -> Tensor:
        return reach * self.factor.abs()


@dataclass(frozen=True, eq=False)
class Same(Map):
    """Values as they are."""

    mixes = False

    def apply(self, v: Tensor) -> Tensor:
        return v

    def transpose(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        return rows


@dataclass(frozen=True, eq=False)
class Product(Map):
    """The matrix product v·weight over the last dimension; weight (d, k)."""

    weight: Tensor

    def apply(self, v: Tensor) -> Tensor:
        return v @ self.weight

    def absolute(self, reach: Tensor) -> Tensor:
        return reach @ self.weight.abs()

    def transpose(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        return rows @ self.weight.T


@dataclass(frozen=True, eq=False)
class Convolution(Map):
    """A convolution; `settings` in PyTorch's order: stride, padding, dilation, transposed, output padding, groups."""

    weight: Tensor
    settings: tuple[Any, ...]

    def apply(self, v: Tensor) -> Tensor:
        return torch.ops.aten.convolution(v, self.weight, None, *self.settings)

    def absolute(self, reach: Tensor) -> Tensor:
        return torch.ops.aten.convolution(reach, self.weight.abs(), None, *self.settings)


@dataclass(frozen=True, eq=False)
class Weighted(Map):
    """Means, sums and paddings: PyTorch's own operation, whose weights are known to be >= 0."""

    operation: Callable[..., Tensor]
    settings: tuple[Any, ...]

    def apply(self, v: Tensor) -> Tensor:
        return self.operation(v, *self.settings)


@dataclass(frozen=True, eq=False)
class Placed(Map):
    """Values with zeros before and after them along a dimension, a new one if `new`: a part of what is joined."""

    dim: int
    before: int
    after: int
    new: bool
    mixes = False

    def apply(self, v: Tensor) -> Tensor:
        v = v.unsqueeze(self.dim) if self.new else v
        return torch.constant_pad_nd(v, [0, 0] * (v.ndim - 1 - self.dim) + [self.before, self.after])

    def transpose(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        part = rows.narrow(self.dim, self.before, rows.shape[self.dim] - self.before - self.after)
        return part.squeeze(self.dim) if self.new else part


def equal(one: Any, other: Any) -> bool:
    """Tell whether two maps, or what they are made of, are the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one is other or (one.shape == other.shape and torch.equal(one, other))
    if isinstance(one, Map):
        return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other
