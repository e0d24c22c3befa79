"""The function that runs, traced: images without values go through a model, and each operation on them is written down.

What a model does to images is seen below autograd, where PyTorch dispatches its operations: overridden forwards and
functional calls are operations like any others. `torch.fx` takes a layer for what its class says, and 5 ms a network;
`torch.export` takes 50. This takes 0.3 ms, so nothing is kept that could go stale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .network import Network, Node, pruned

READ = (
    "linear layers, convolutions, ReLU, flatten and other rearrangements, average pooling, BatchNorm in eval mode, "
    "normalisation by constants, and sums (residual connections)"
)


class Unreadable(ValueError):
    """A model does something to its images that is not read.

    Parameters
    ----------
    why : str
    operation : str
        PyTorch's name of what it did, if it is that.
    """

    def __init__(self, why: str, operation: str = "") -> None:
        super().__init__(why)
        self.why, self.operation = why, operation


@dataclass
class Memory:
    """What values that share memory have in common: how often it was overwritten, and whether it is the caller's."""

    version: int = 0
    images: bool = False


class Traced(Tensor):
    """A value that depends on the images: it has a shape and a type, but no numbers to look at."""

    def __new__(cls, sample: Tensor, *_: Any, requires_grad: bool = False) -> "Traced":
        """Make one that looks like `sample`."""
        return Tensor._make_wrapper_subclass(
            cls,
            sample.shape,
            strides=sample.stride(),
            dtype=sample.dtype,
            device=sample.device,
            requires_grad=requires_grad,
        )

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __init__(
        self, sample: Tensor, trace: "Trace", node: int, memory: Memory, merged: bool = False, **_: Any
    ) -> None:
        self.sample, self.trace, self.node, self.merged = sample, trace, node, merged
        self.memory, self.version = memory, memory.version

    def __repr__(self) -> str:
        return f"<a value {tuple(self.shape)} that depends on the images>"

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Write down what is done, in place of doing it."""
        trace = _first(args, kwargs or {}).trace
        try:
            return trace.record(operation, args, kwargs or {})
        except Unreadable as error:
            trace.refusal = trace.refusal or error
            raise


@dataclass(frozen=True)
class Call:
    """One operation as it was called; `out` is what it makes of the samples."""

    trace: "Trace"
    operation: Any
    name: str
    args: tuple
    kwargs: dict[str, Any]
    out: Tensor

    def refused(self, why: str) -> Unreadable:
        """Return the error that says why this operation is not read."""
        return Unreadable(why, self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """What comes out, for each image."""
        return tuple(self.out.shape[1:])

    def constant(self, value: Any) -> Tensor:
        """Return a number or tensor that does not depend on the images, as it is now."""
        return self.trace.constant(value)


Reader = Callable[[Call], Node | tuple[Node, bool]]


class Trace:
    """The values that a model has computed so far, `n` samples at a time.

    Parameters
    ----------
    n : int >= 2
        How many images the samples are.
    dtype : torch.dtype, optional
        Constants are copied to this type; without it they are taken as they are, so that gradients reach them.
    """

    def __init__(self, n: int, readers: dict[str, Reader], dtype: torch.dtype | None = None) -> None:
        self.n, self.readers, self.dtype = n, readers, dtype
        self.nodes: list[Node] = []
        self.taken: list[tuple[Tensor, int]] = []
        self.refusal: Unreadable | None = None

    def begin(self, sample: Tensor, requires_grad: bool = False) -> Traced:
        """Return the images, to be handed to the model."""
        self.nodes.append(Node(tuple(sample.shape[1:])))
        return Traced(sample, self, 0, Memory(images=True), requires_grad=requires_grad)

    def constant(self, value: Any) -> Tensor:
        """Return a number or tensor that does not depend on the images, as it is now."""
        if isinstance(value, Tensor):
            if not value.is_floating_point():
                value = value.to(self.dtype or torch.get_default_dtype())
            if self.dtype is not None:
                with torch.inference_mode(False):
                    return value.detach().to(self.dtype, copy=True)
            self.taken.append((value, value._version if not value.is_inference() else 0))
            return value
        return torch.tensor(value, dtype=self.dtype or torch.get_default_dtype())

    def record(self, operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Write down one operation and return what the model goes on with."""
        name, reader_name, overwrites, views = _known(operation)
        reader = self.readers.get(reader_name)
        if reader is None:
            raise Unreadable("not read" + _hint(name), name)
        for value in _traced(args, kwargs):
            if value.version != value.memory.version:
                raise Unreadable("of a value whose memory an operation in place has overwritten since", name)
        target = args[0] if overwrites else None
        if overwrites and not isinstance(target, Traced):
            raise Unreadable("overwrites a value that does not depend on the images by one that does", name)
        if overwrites and target.memory.images:
            raise Unreadable("overwrites the caller's images; use an operation that is not in place", name)
        made = operation(*_samples(args), **{key: _samples(value) for key, value in kwargs.items()})
        out = made[0] if isinstance(made, tuple) else made
        if self.dtype is not None and torch.is_autocast_enabled(out.device.type):
            raise Unreadable("under autocast, which rounds; leave it out", name)
        read = reader(Call(self, operation, name, args, kwargs, out))
        node, merged = read if isinstance(read, tuple) else (read, False)
        if not merged and (out.ndim == 0 or len(out) != self.n):
            raise Unreadable("its outcome is not one value for each image", name)
        self.nodes.append(node)
        at = len(self.nodes) - 1
        if overwrites:
            if tuple(out.shape) != tuple(target.shape):
                raise Unreadable("changes a shape in place", name)
            target.memory.version += 1
            target.version, target.node, target.sample = target.memory.version, at, out
            return target
        traced = Traced(out, self, at, args[0].memory if views else Memory(), merged)
        return (traced, *(None for _ in made[1:])) if isinstance(made, tuple) else traced

    def network(self, logits: Any) -> Network:
        """Return what was read, once the model has answered; raise Unreadable if that is not its own answer."""
        if self.refusal is not None:
            raise self.refusal
        if not isinstance(logits, Traced) or logits.trace is not self:
            raise Unreadable(
                "answers with something that does not follow from the images by operations that PyTorch shows"
            )
        if logits.version != logits.memory.version:
            raise Unreadable("overwrites its answer in place")
        if any(value._version != version for value, version in self.taken if not value.is_inference()):
            raise Unreadable("changes its own weights while it runs")
        if logits.merged or logits.ndim != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
            raise Unreadable(
                f"answers with shape (n, {', '.join(map(str, logits.shape[1:]))}), not with logits (n, k) of k >= 2"
            )
        return pruned(self.nodes, logits.node)


@cache
def _known(operation: Any) -> tuple[str, str, bool, bool]:
    """Return an operation's name, that of its reader, whether it overwrites its first argument or views it."""
    schema = operation._schema
    written = [a.alias_info is not None and a.alias_info.is_write for a in schema.arguments]
    name = operation.name().removeprefix("aten::")
    base, _, overload = name.partition(".")
    if not any(written):
        views = any(r.alias_info is not None for r in schema.returns)
        return base, name, False, views
    in_place = written[0] and not any(written[1:]) and base.endswith("_")
    overload = "." + overload if overload else ""
    return (base[:-1], base[:-1] + overload, True, False) if in_place else (base, "unread " + name, True, False)


def _hint(name: str) -> str:
    if name in ("_local_scalar_dense", "is_nonzero", "equal", "item"):
        return "; the numbers in the images decide what is computed, and a bound holds for one function only"
    if name in ("empty_like", "bernoulli", "native_dropout", "rand_like", "randn_like", "normal"):
        return "; it draws random numbers (dropout in train mode? call model.eval())"
    return ""


def _traced(args: Any, kwargs: dict[str, Any]) -> list[Traced]:
    found = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Traced):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [one for one in value if isinstance(one, Traced)]
    return found


def _first(args: Any, kwargs: dict[str, Any]) -> Traced:
    return args[0] if args and isinstance(args[0], Traced) else _traced(args, kwargs)[0]


def _samples(value: Any) -> Any:
    if isinstance(value, Traced):
        return value.sample
    if isinstance(value, list | tuple):
        return type(value)(_samples(one) for one in value)
    return value
