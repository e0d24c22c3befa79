"""The gradient that training never asks for: through a network's first convolution, down to the pixels.

PyTorch's CPU kernel for it is made for layers of many channels; in one of 1 to 4 input channels it can take a third of
a small network's whole gradient. There the textbook way is 2 to 5 times faster: multiply the gradient at each place of
the output by the weights, and add the patches up where they overlap.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight
from torch.overrides import TorchFunctionMode

CHANNELS = 4  # of the input, and values of a patch for each output channel: up to here patches are faster
PATCH = 6
WORTH = 8000  # pixel values of a batch, 11 digits or 3 small photographs, below which looking at each call costs more
Size = int | tuple[int, int]


def first_layer(x: Tensor) -> AbstractContextManager:
    """Return a context in which a convolution of few input channels hands its gradient down to `x` by patches.

    All else in it is as it was. It does nothing where PyTorch's own way is as fast or faster: for a handful of images,
    on a GPU, in another precision than float32; and with a torch that it cannot ask whether it would do harm.
    """
    worth = x.device.type == "cpu" and x.requires_grad and x.numel() >= WORTH
    return _Patches() if worth and _can_ask() else nullcontext()


def _watched() -> bool:
    """Tell whether autograd is under torch.func, or somebody's hooks get what it saves: torch has no public way to ask.

    The first asks more of a function than is here; a checkpoint, which is made of the second, runs it again outside.
    """
    functions, saved = torch._C._functorch.peek_interpreter_stack(), torch._C._autograd._top_saved_tensors_default_hooks
    return functions is not None or saved(True) is not None


@cache
def _can_ask() -> bool:
    """Tell, once, whether `_watched` sees in this torch what it should; without it all gradients are PyTorch's own."""
    seen = []
    try:
        torch.func.vmap(lambda one: seen.append(_watched()) or one)(torch.zeros(1))
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, lambda saved: saved):
            seen.append(_watched())
    except (AttributeError, TypeError):
        seen.append(False)
    if not all(seen):
        warnings.warn(
            f"torch {torch.__version__} answers otherwise than the attacks ask it, so gradients to the pixels are "
            "computed in PyTorch's own way. The results are the same, only slower",
            RuntimeWarning,
            stacklevel=2,
        )
    return all(seen)


class _Patches(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call `func`, or what stands for ``torch.conv2d``."""
        call = _convolve if func is torch.conv2d else func
        return call(*args, **(kwargs or {}))


def _convolve(
    input: Tensor,  # these are the names that torch.conv2d gives its arguments
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    if dilation not in (1, (1, 1)) or groups != 1 or not _fits(input, weight, stride, padding):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    out = _ToWeights.apply(weight, bias, [input], stride, padding)
    return _ToPixels.apply(input, out, weight, stride, padding)


def _fits(x: Tensor, weight: Tensor, *sizes: Size | str) -> bool:
    return (
        type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and x.requires_grad
        and x.numel() > 0
        and x.ndim == weight.ndim == 4
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and weight.shape[1] <= CHANNELS
        and weight[0].numel() <= PATCH * len(weight)
        and all(isinstance(size, int) or len(size) == 2 for size in sizes)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not _watched()
    )


class _ToWeights(torch.autograd.Function):
    """A convolution whose gradient goes to the weights alone: nobody who asks for another pays for it.

    The images come in a list, where autograd does not look for them. A second derivative finds them all the same.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, weight: Tensor, bias: Tensor | None, images: list[Tensor], stride: Size, padding: Size
    ) -> Tensor:
        """Return ``conv2d``."""
        ctx.stride, ctx.padding = stride, padding
        ctx.save_for_backward(weight, *images)
        return torch.conv2d(*images, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient to the weights, and to the bias."""
        weight, x = ctx.saved_tensors
        to_weight = conv2d_weight(x, weight.shape, grad, ctx.stride, ctx.padding)
        return to_weight, grad.sum((0, 2, 3)) if ctx.needs_input_grad[1] else None, None, None, None


class _ToPixels(torch.autograd.Function):
    """Give the output of a convolution the gradient to its input."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, out: Tensor, weight: Tensor, stride: Size, padding: Size) -> Tensor:
        """Return `out` itself, so that a ReLU may go on in place."""
        ctx.stride, ctx.padding, ctx.shape = stride, padding, x.shape
        ctx.mark_dirty(out)
        ctx.save_for_backward(weight)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient to `x`, and pass the one to `out` on."""
        (weight,) = ctx.saved_tensors
        patches = torch.bmm(weight.flatten(1).T.expand(len(grad), -1, -1), grad.flatten(2))
        patches = patches.view(1, -1, patches.shape[2])  # all images as one of many channels: `fold` has a slow loop
        to_x = F.fold(patches, ctx.shape[2:], weight.shape[2:], padding=ctx.padding, stride=ctx.stride)
        return to_x.view(ctx.shape), grad, None, None, None
