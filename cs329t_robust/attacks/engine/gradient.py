"""The one gradient every white-box attack is made of: of the loss, with respect to the pixels."""

from contextlib import suppress
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ...contract.input_validation import Loss, Model, check_logits, check_losses
from ...contract.model_state import reduced
from .first_layer import first_layer

NO_GRADIENT = (
    "model: expected logits that depend on x through autograd, got logits without a gradient; the model (or "
    "the loss) detaches, uses NumPy or its own torch.no_grad(). Gradient attacks need it differentiable"
)
CHANNELS_LAST = {"cuda"}  # where a reduced precision is fastest on images that lie so


class Marked:
    """Models of which something was found out, for as long as they live."""

    def __init__(self) -> None:
        self._by_id: WeakValueDictionary[int, object] = WeakValueDictionary()

    def add(self, model: Model) -> None:
        """Mark a model; a callable that cannot be referred to weakly stays unmarked."""
        with suppress(TypeError):
            self._by_id[id(model)] = model

    def __contains__(self, model: Model) -> bool:
        return id(model) in self._by_id


_rigid = Marked()


def logits_of(model: Model, x: Tensor) -> Tensor:
    """Return the model's logits for a copy of `x`: one that works in place spoils nobody's images.

    On a GPU at reduced precision colour images are handed over channels last, as tensor cores read them; a model that
    cannot take them so (`view` is a usual reason) gets them as they are.
    """
    if x.shape[1] >= 3 and x.device.type in CHANNELS_LAST and reduced(x.device) and model not in _rigid:
        with suppress(RuntimeError):
            return model(x.clone(memory_format=torch.channels_last))
        logits = model(x.clone())  # raises by itself what has another reason
        _rigid.add(model)
        return logits
    with first_layer(x):
        return model(x.clone())


def input_gradient(model: Model, x_adv: Tensor, y: Tensor, loss: Loss, *, check: bool = False) -> tuple[Tensor, Tensor]:
    """Return the gradient of each image's own loss with respect to its pixels, and the logits.

    One forward pass and one backward pass to the input. The losses are summed, never averaged: each image's
    gradient is its own, whatever the batch. Logits of a lower precision than the images' are raised to it before
    the loss.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x_adv : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
    loss : callable
        (logits, y) to one value per image, shape (n,).
    check : bool
        Inspect logits and losses, which makes the host wait for a GPU: attacks ask for it in the first step only.

    Returns
    -------
    Tensor (n, c, h, w), Tensor (n, k)
        The gradient, and the detached logits.

    Raises
    ------
    ValueError
        With `check`, if the logits or the losses are not what was asked for; always, if the model hides its gradient.
    """
    x_adv = x_adv.detach().requires_grad_()
    logits = logits_of(model, x_adv)
    if check or logits.ndim != 2:  # a `squeeze()` in the model takes the batch away where one image is left
        check_logits(logits, x_adv, y)
    logits = logits.to(x_adv.dtype)
    losses = loss(logits, y)
    if check:
        check_losses(losses, y)
    return gradient_of(losses.sum(), x_adv).contiguous(), logits.detach()


def gradient_of(value: Tensor, x: Tensor, *, again: bool = False) -> Tensor:
    """Return the gradient of the number `value` to `x`, or raise a ValueError; `again` keeps the graph for another."""
    grad = None
    if value.requires_grad:
        (grad,) = torch.autograd.grad(value, x, retain_graph=again, allow_unused=True)
    if grad is None:
        raise ValueError(NO_GRADIENT)
    return grad
