"""The one gradient every white-box attack is made of: of the loss, with respect to the pixels."""

import torch
from torch import Tensor

from ..contract import Loss, Model, check_logits

NO_GRADIENT = (
    "model: expected logits that depend on x through autograd, got logits without a gradient; the model (or "
    "the loss) detaches, uses NumPy or its own torch.no_grad(). Gradient attacks need it differentiable"
)


def input_gradient(model: Model, x_adv: Tensor, y: Tensor, loss: Loss, *, check: bool = False) -> tuple[Tensor, Tensor]:
    """Return (gradient of each image's own loss with respect to its pixels, detached logits).

    One forward pass and one backward pass to the input. The losses are summed, never averaged: each image's
    gradient is its own, whatever the batch. `check` inspects the logits (it synchronises a GPU), so attacks ask
    for it in the first step only. The model gets a copy, so that one that works in place spoils nobody's images.
    """
    x_adv = x_adv.detach().requires_grad_()
    logits = model(x_adv.clone())
    if check:
        check_logits(logits, x_adv, y)
    losses = loss(logits, y)
    if check and losses.shape != y.shape:
        raise ValueError(
            f"loss: expected one value per image, shape {tuple(y.shape)}, got {tuple(losses.shape)}; "
            "use reduction='none'"
        )
    (grad,) = torch.autograd.grad(losses.sum(), x_adv, allow_unused=True) if losses.requires_grad else (None,)
    if grad is None:
        raise ValueError(NO_GRADIENT)
    return grad, logits.detach()
