"""The outer minimum: one training loop; what the examples are perturbed by is an argument."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor, nn

from .contract import check_count, check_images, check_labels, check_logits, check_model
from .losses import cross_entropy

Inner = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the data achieved: its mean loss and accuracy on the (perturbed) training examples."""

    number: int
    loss: float
    accuracy: float


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    inner: Inner | None = None,
    epochs: int = 2,
    batch_size: int = 128,
    max_lr: float = 5e-3,
    seed: int = 0,
    progress: bool = False,
) -> list[Epoch]:
    """Train `model` in place: min over θ of E[max over δ of loss(θ, x + δ, y)], with Adam and a one-cycle schedule.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k), on the device of `x`. Its modes are given back as found; one
        that comes in train mode trains as it is, so that a frozen BatchNorm stays frozen.
    x, y : Tensor (n, c, h, w), Tensor (n,)
    inner : callable, optional
        ``inner(model, x, y, generator) -> x_perturbed``, the inner maximum (or noise); None trains on `x` itself.
    epochs, batch_size : int >= 1
    max_lr : float > 0
        Peak learning rate of the cycle.
    seed : int
        Order of the examples and the inner maximum's randomness; the global random state is not read.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Epoch

    Raises
    ------
    ValueError
        If the data or a setting is unusable, or if the loss becomes NaN.

    References
    ----------
    Smith & Topin 2017, "Super-convergence", arXiv:1708.07120 (the schedule).
    """
    from tqdm.auto import tqdm

    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a torch Module to train, got {type(model).__name__}")
    check_images(x)
    check_labels(x, y)
    check_model(model, x)
    check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    if isinstance(max_lr, bool) or not isinstance(max_lr, Real) or not 0 < max_lr < math.inf:
        raise ValueError(f"max_lr: expected a learning rate > 0, got {max_lr!r}")
    y = y.long()
    generator = torch.Generator().manual_seed(seed)
    batches = -(-len(x) // batch_size)
    optimiser = torch.optim.Adam(model.parameters(), lr=max_lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr, total_steps=epochs * batches)
    modes = {module: module.training for module in model.modules()}
    history = []
    try:
        if not model.training:
            model.train()
        for number in range(1, epochs + 1):
            order = torch.randperm(len(x), generator=generator).to(x.device)
            total, right = torch.zeros((), device=x.device), torch.zeros((), device=x.device)
            for rows in tqdm(order.split(batch_size), disable=not progress, desc=f"epoch {number}/{epochs}"):
                xb, yb = x[rows], y[rows]
                if inner is not None:
                    xb = inner(model, xb, yb, generator)
                logits = model(xb)
                if schedule.last_epoch == 0:
                    check_logits(logits, xb, y)  # all of y, once
                losses = cross_entropy(logits, yb)
                optimiser.zero_grad(set_to_none=True)
                losses.mean().backward()
                optimiser.step()
                schedule.step()
                total += losses.detach().sum()
                right += (logits.argmax(1) == yb).sum()
            history.append(Epoch(number, (total / len(x)).item(), (right / len(x)).item()))
            if history[-1].loss != history[-1].loss:
                raise ValueError(
                    f"fit: expected a finite loss, got NaN in epoch {number}; try a smaller max_lr than {max_lr}"
                )
    finally:
        for module, mode in modes.items():
            module.training = mode
    return history
