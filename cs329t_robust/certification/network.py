"""A network as it was read, the box of images around x, and what runs backwards through the one over the other."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from .maps import Map, equal


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


@dataclass(frozen=True, eq=False)
class Node:
    """One value of a network, of `shape` for each image: the sum of linear maps of earlier ones, or a ReLU of one.

    Attributes
    ----------
    shape : tuple of int
    terms : tuple of (int, Map)
        Which earlier values are summed, each through which map; none for the images themselves.
    bias : Tensor, optional
        Added to the sum; broadcasts over the images.
    relu_of : int, optional
        Which value this is the ReLU of.
    """

    shape: tuple[int, ...]
    terms: tuple[tuple[int, Map], ...] = ()
    bias: Tensor | None = None
    relu_of: int | None = None

    @property
    def parents(self) -> tuple[int, ...]:
        """The values it is computed from."""
        return tuple(i for i, _ in self.terms) if self.relu_of is None else (self.relu_of,)


@dataclass(frozen=True, eq=False)
class Network:
    """The values of a network in the order of computation: the images first, the logits last."""

    nodes: tuple[Node, ...]

    @property
    def classes(self) -> int:
        """The number of logits."""
        return self.nodes[-1].shape[0]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the logits (n, k) of images x."""
        needed_until = {j: i for i, node in enumerate(self.nodes) for j in node.parents}
        values = {0: x}
        for i, node in enumerate(self.nodes[1:], 1):
            if node.relu_of is not None:
                values[i] = values[node.relu_of].clamp_min(0)
            else:
                total = reduce(add, (one.apply(values[j]) for j, one in node.terms))
                values[i] = total if node.bias is None else total + node.bias
            for j in node.parents:
                if needed_until[j] <= i:
                    values.pop(j, None)
        return values[len(self.nodes) - 1]

    def same_as(self, other: "Network") -> bool:
        """Tell whether both compute the same from the same numbers."""
        return len(self.nodes) == len(other.nodes) and all(
            equal((a.shape, a.terms, a.bias, a.relu_of), (b.shape, b.terms, b.bias, b.relu_of))
            for a, b in zip(self.nodes, other.nodes, strict=True)
        )


def pruned(nodes: list[Node], end: int) -> Network:
    """Return the network that computes value `end`, without the values that it does not need."""
    needed = {0, end}
    for i in range(end, -1, -1):
        if i in needed:
            needed.update(nodes[i].parents)
    place = {old: new for new, old in enumerate(sorted(needed))}

    def moved(node: Node) -> Node:
        relu_of = None if node.relu_of is None else place[node.relu_of]
        return Node(node.shape, tuple((place[j], one) for j, one in node.terms), node.bias, relu_of)

    return Network(tuple(moved(nodes[i]) for i in sorted(needed)))


AtReLU = Callable[[int, Tensor], tuple[Tensor, Tensor] | None]


def follow_back(network: Network, end: int, rows: Tensor, at_relu: AtReLU) -> tuple[dict[int, Tensor], Tensor]:
    """Write rows·(value `end`) as a linear function of earlier values.

    Parameters
    ----------
    network : Network
    end : int
        Which value.
    rows : Tensor (m, *shape of that value)
    at_relu : callable
        Asked, for a ReLU and the rows that have reached it, for the rows over its input and what is added, (m,); None
        to stop there.

    Returns
    -------
    found : dict of int to Tensor (m, …)
        The rows over the images (0) and over each ReLU where they stopped.
    constant : Tensor (m,)
    """
    pending, found = {end: rows}, {}
    constant = rows.new_zeros(len(rows))
    for i in range(end, -1, -1):
        if i not in pending:
            continue
        node, rows = network.nodes[i], pending.pop(i)
        if node.relu_of is not None:
            answer = at_relu(i, rows)
            if answer is None:
                found[i] = rows
                continue
            terms, constant = [(node.relu_of, answer[0])], constant + answer[1]
        elif not node.terms:
            found[i] = rows
            continue
        else:
            if node.bias is not None:
                constant = constant + (rows * node.bias).flatten(1).sum(1)
            terms = [(j, one.transpose(rows, network.nodes[j].shape)) for j, one in node.terms]
        for j, more in terms:
            pending[j] = pending[j] + more if j in pending else more
    return found, constant


@dataclass(frozen=True)
class Stage:
    """A value as an affine function of the images (0) and of ReLUs: z = Σ weights[i]·v_i + bias, dense and flat."""

    weights: dict[int, Tensor]
    bias: Tensor


def stage(network: Network, end: int, like: Tensor) -> Stage:
    """Return value `end` of a network as an affine function of the ReLUs before it and the images, typed as `like`."""
    shape = network.nodes[end].shape
    size = torch.Size(shape).numel()
    rows = torch.eye(size, dtype=like.dtype, device=like.device).view(size, *shape)
    found, constant = follow_back(network, end, rows, lambda i, rows: None)
    return Stage({i: rows.flatten(1) for i, rows in found.items()}, constant)
