"""What each of PyTorch's operations does to images, as linear maps and ReLUs; what is not here is not read."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .maps import Convolution, Map, Placed, Product, Rearrange, Same, Scale, Weighted
from .network import Node
from .tracing import Call, Reader, Traced

READERS: dict[str, Reader] = {}
"""By the operation's name; one that ends in an underscore, which works in place, is read as the one without."""


def reads(*names: str) -> Callable[[Reader], Reader]:
    """Register a reader under the names of the operations that it reads."""

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(names, reader))
        return reader

    return register


def values(call: Call, count: int, **defaults: Any) -> list[Any]:
    """Return the arguments of a call by position, then `defaults` by name; refuse others."""
    unknown = set(call.kwargs) - set(defaults)
    if unknown:
        raise call.refused(f"not read with {', '.join(sorted(unknown))}")
    given = list(call.args) + list(defaults.values())[max(len(call.args) - count, 0) :]
    for at, name in enumerate(defaults, count):
        if name in call.kwargs:
            given[at] = call.kwargs[name]
    return given


def only_images(call: Call, *others: Any) -> None:
    """Refuse a call whose first argument does not depend on the images, or of which another does."""
    if not isinstance(call.args[0], Traced) or any(isinstance(other, Traced) for other in others):
        raise call.refused("not read of values that both depend on the images")
    if call.args[0].merged:
        raise call.refused("not read where images and their parts share a dimension")


def beside(call: Call, value: Any) -> Tensor:
    """Return a constant that meets a value in an elementwise operation; refuse one that tells images apart."""
    constant = call.constant(value)
    if constant.ndim > call.out.ndim or (constant.ndim == call.out.ndim and len(constant) != 1):
        raise call.refused(
            f"with a constant of shape {tuple(constant.shape)}, which treats images of a batch differently"
        )
    return constant


def spread(call: Call, value: Traced, factor: float = 1) -> Map:
    """Return the map from one summand to the sum: it may be smaller and is repeated then."""
    if value.merged or value.ndim != call.out.ndim:
        raise call.refused(f"of a value of shape {tuple(value.shape)} to one of shape {tuple(call.out.shape)}")
    if tuple(value.shape[1:]) == call.shape:
        return Same() if factor == 1 else Scale(call.constant(factor))
    return Scale(call.constant(torch.full(call.shape, float(factor), dtype=call.out.dtype, device=call.out.device)))


REARRANGING = (
    "view", "_unsafe_view", "_reshape_alias", "permute", "transpose.int", "t", "squeeze", "squeeze.dim", "squeeze.dims",
    "unsqueeze", "select.int", "slice.Tensor", "expand", "clone", "detach", "alias", "flip", "repeat", "diagonal",
    "roll", "unfold", "lift_fresh", "pixel_shuffle", "pixel_unshuffle", "index.Tensor", "index_select",
)  # fmt: skip
IN_ORDER = {"view", "_unsafe_view", "_reshape_alias", "unsqueeze", "squeeze", "clone", "detach", "alias"}  # by row


@reads(*REARRANGING)
def rearranged(call: Call) -> tuple[Node, bool]:
    """Follow each value to its place, by rearranging numbers in place of values."""
    value = call.args[0]
    places = [one for other in call.args[1:] for one in (other if isinstance(other, list | tuple) else [other])]
    if any(isinstance(one, Traced) for one in places) or not isinstance(value, Traced):
        raise call.refused("at places that depend on the images")
    n, size = call.trace.n, value.sample.numel() // call.trace.n
    if call.name in IN_ORDER:
        return in_order(call, None)
    if call.out.numel() % n or not call.out.numel():
        raise call.refused("its outcome is not one value for each image")
    numbers = torch.arange(n * size, device=value.sample.device).view(value.shape)
    came_from = call.operation(numbers, *call.args[1:], **call.kwargs).reshape(n, -1)
    places = came_from - size * torch.arange(n, device=came_from.device)[:, None]
    if int(places.min()) < 0 or int(places.max()) >= size or not bool((places == places[0]).all()):
        raise call.refused("mixes the images of a batch")
    same_order = places.shape[1] == size and bool((places[0] == torch.arange(size, device=places.device)).all())
    return in_order(call, None if same_order else places[0])


def in_order(call: Call, places: Tensor | None) -> tuple[Node, bool]:
    """Return what images became that still follow each other, each its values from `places`."""
    n, out = call.trace.n, call.out
    if out.ndim == 0 or len(out) % n:
        raise call.refused("mixes the images of a batch")
    merged = len(out) != n
    shape = (len(out) // n, *out.shape[1:]) if merged else call.shape
    return Node(shape, ((call.args[0].node, Rearrange(places, shape)),)), merged


@reads("_to_copy")
def converted(call: Call) -> Node:
    """Take another type that rounds no more than the first, on the same device."""
    only_images(call)
    was, now = call.args[0].sample, call.out
    rounds = not now.is_floating_point() or torch.finfo(now.dtype).eps > torch.finfo(was.dtype).eps
    if rounds or was.device != now.device:
        raise call.refused(f"from {was.dtype} to {now.dtype}, which rounds" if rounds else f"to {now.device}")
    return Node(call.shape, ((call.args[0].node, Same()),))


@reads("relu", "clamp_min", "clamp", "threshold")
def relu(call: Call) -> tuple[Node, bool]:
    """Cut off below zero, under any of its names."""
    value, *limits = call.args
    if call.kwargs or tuple(limits) not in {"relu": [()], "threshold": [(0, 0)]}.get(call.name, [(0,), (0, None)]):
        raise call.refused(f"only read as ReLU, with a limit of 0 below and none above, got {limits or call.kwargs}")
    return Node(call.trace.nodes[value.node].shape, relu_of=value.node), value.merged


@reads("add.Tensor", "sub.Tensor", "rsub.Scalar", "rsub.Tensor", "add.Scalar", "sub.Scalar")
def summed(call: Call) -> Node:
    """Add or subtract a value or a constant."""
    one, other, alpha = values(call, 2, alpha=1)
    signs = [1, alpha]
    if "sub" in call.name:
        signs[1] = -alpha
    if call.name.startswith("rsub"):
        signs = [-alpha, 1]
    terms, bias = [], None
    for value, sign in zip((one, other), signs, strict=True):
        if isinstance(value, Traced):
            terms.append((value.node, spread(call, value, sign)))
        else:
            bias = sign * beside(call, value)
    return Node(call.shape, tuple(terms), bias)


@reads("mul.Tensor", "mul.Scalar", "div.Tensor", "div.Scalar", "neg")
def scaled(call: Call) -> Node:
    """Multiply by a constant or divide by one."""
    value, other = values(call, 2) if call.name != "neg" else (call.args[0], -1.0)
    if call.name.startswith("mul") and not isinstance(value, Traced):
        value, other = other, value
    if not isinstance(value, Traced) or isinstance(other, Traced):
        raise call.refused("only read of a value and a constant factor or divisor")
    if value.merged or value.ndim != call.out.ndim:
        raise call.refused(f"of a value of shape {tuple(value.shape)} to one of shape {tuple(call.out.shape)}")
    factor = beside(call, other)
    if call.name.startswith("div"):
        factor = 1 / factor
    return Node(call.shape, ((value.node, Scale(factor)),))


@reads("mm", "addmm", "linear")
def product(call: Call) -> tuple[Node, bool]:
    """Multiply by a matrix from the right; the values may be merged, (n·m, d)."""
    bias = None
    if call.name == "addmm":
        bias, value, weight, beta, alpha = values(call, 3, beta=1, alpha=1)
        if beta != 1 or alpha != 1 or isinstance(bias, Traced):
            raise call.refused("only read of a constant bias, with beta and alpha of 1")
        bias = beside(call, bias)
    elif call.name == "linear":
        value, weight, bias = values(call, 2, bias=None)
        bias = None if bias is None else beside(call, bias)
    else:
        value, weight = values(call, 2)
    if not isinstance(value, Traced) or isinstance(weight, Traced):
        raise call.refused("only read with a constant matrix on the right")
    matrix = call.constant(weight)
    shape = (*call.trace.nodes[value.node].shape[:-1], matrix.shape[1 if call.name != "linear" else 0])
    return Node(shape, ((value.node, Product(matrix.T if call.name == "linear" else matrix)),), bias), value.merged


@reads("convolution")
def convolved(call: Call) -> Node:
    """Convolve, or convolve transposed, with constant weights."""
    value, weight, bias, *settings = values(call, 9)
    only_images(call, weight, bias)
    if value.ndim != weight.ndim:
        raise call.refused("only read of batches of images")
    shift = None if bias is None else call.constant(bias).view(-1, *[1] * (weight.ndim - 2))
    frozen = tuple(tuple(s) if isinstance(s, list) else s for s in settings)
    return Node(call.shape, ((value.node, Convolution(call.constant(weight), frozen)),), shift)


@reads("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training", "miopen_batch_norm")
def normalised(call: Call) -> Node:
    """Normalise by the running mean and variance: BatchNorm in eval mode."""
    if call.name == "_native_batch_norm_legit_no_training":
        value, weight, bias, mean, variance, _, eps = values(call, 7)
        training = False
    else:
        value, weight, bias, mean, variance, training, _, eps = values(call, 8)
    only_images(call, weight, bias, mean, variance)
    if training or mean is None or variance is None:
        raise call.refused("BatchNorm in train mode, which treats images by their batch; call model.eval()")
    factor = 1 / (call.constant(variance) + eps).sqrt()
    if weight is not None:
        factor = factor * call.constant(weight)
    shift = -call.constant(mean) * factor
    if bias is not None:
        shift = shift + call.constant(bias)
    spread_out = (-1, *[1] * (value.ndim - 2))
    return Node(call.shape, ((value.node, Scale(factor.view(spread_out))),), shift.view(spread_out))


@reads(
    "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "mean.dim", "sum.dim_IntList",
    "constant_pad_nd",
)  # fmt: skip
def weighted(call: Call) -> Node:
    """Take means and sums of each image's values, or surround them by zeros."""
    value, *settings = call.args
    only_images(call, *settings)
    if call.name in ("mean", "sum"):
        values(call, 2, keepdim=False, dtype=None)
        settings = [*settings[:1], call.kwargs.get("keepdim", settings[1] if len(settings) > 1 else False)]
        dims = [] if settings[0] is None else [d % value.ndim for d in settings[0]]
        if not dims or 0 in dims or call.kwargs.get("dtype") not in (None, value.dtype):
            raise call.refused("only read over dimensions of each image, in its own type")
    elif call.name == "constant_pad_nd":
        if len(settings) > 1 and settings[1] != 0:
            raise call.refused(f"only read as a padding with zeros, got {settings[1]}")
        if len(settings[0]) > 2 * (value.ndim - 1):
            raise call.refused("adds images to the batch")
    else:
        dimensions = 3 if call.name.endswith("3d") else 2
        if call.kwargs or value.ndim != dimensions + 2 or (len(settings) > 5 and settings[5] is not None):
            raise call.refused("only read of batches of images, without a divisor of its own")
    frozen = tuple(tuple(s) if isinstance(s, list) else s for s in settings)
    return Node(call.shape, ((value.node, Weighted(call.operation, frozen)),))


@reads("cat", "stack")
def joined(call: Call) -> Node:
    """Put values side by side, for each image, along a dimension or along a new one."""
    parts, dim = values(call, 1, dim=0)
    dim, new, before, terms = dim % call.out.ndim, call.name == "stack", 0, []
    for part in parts:
        if dim == 0 or not isinstance(part, Traced) or part.merged or part.ndim != call.out.ndim - new:
            raise call.refused("only read within each image, of values that all depend on the images")
        width = 1 if new else part.shape[dim]
        terms.append((part.node, Placed(dim, before, call.out.shape[dim] - before - width, new)))
        before += width
    return Node(call.shape, tuple(terms))
