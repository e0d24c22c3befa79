"""Training one sticker for many pictures and poses: expectation over transformations."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...contract.input_validation import (
    Loss,
    Model,
    check_count,
    check_finite,
    check_flag,
    check_function,
    check_inputs,
    check_logits,
    check_losses,
    check_number,
)
from ...contract.model_state import borrowed
from ...losses import cross_entropy
from ..engine.gradient import gradient_of, logits_of
from .eot import total_variation
from .patches import Placements, outline


def train_patch(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    side: int = 64,
    placements: Placements | None = None,
    steps: int = 200,
    batch_size: int = 8,
    step_size: float = 0.05,
    tv: float = 0.0,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Train one patch on many pictures and poses: expectation over transformations.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
        Backgrounds; each step draws `batch_size` of them with replacement.
    y : Tensor (n,), integer
        True labels; with `targeted`, the labels to reach.
    side : int >= 1
        The patch's own resolution.
    placements : Placements, optional
    steps, batch_size : int >= 1
    step_size : float > 0
        Adam's first learning rate; it falls to zero along half a cosine.
    tv : float >= 0
        Weight of the patch's total variation.
    targeted : bool
        Whether `y` holds the labels to reach.
    loss : callable
        (logits, y) to one value per picture, shape (n,).
    seed : int
        Backgrounds and poses follow from it.
    progress : callable, optional
        Told each step's number and mean loss.

    Returns
    -------
    Tensor (c, side, side)
        Detached, in [0, 1]; grey outside the disc of a round patch.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Brown et al. 2017, "Adversarial patch", arXiv:1712.09665, section 2.
    """
    x, y = check_inputs(model, x, y)
    for name, count in (("side", side), ("steps", steps), ("batch_size", batch_size)):
        check_count(name, count, 1)
    check_count("seed", seed, 0)
    check_number("step_size", step_size, 0, above=True)
    check_number("tv", tv, 0)
    check_function("loss", loss, "cross_entropy")
    check_flag("targeted", targeted)
    placements = Placements() if placements is None else placements
    if not isinstance(placements, Placements):
        raise ValueError(f"placements: expected Placements(size=(40, 100)), got {placements!r}")
    generator = torch.Generator().manual_seed(seed)
    inside = outline(side, placements.shape).to(x.device)
    with borrowed(model):
        wide = torch.promote_types(x.dtype, torch.float32)  # Adam divides by less than half precision knows
        patch = torch.full((x.shape[1], side, side), 0.5, dtype=wide, device=x.device).requires_grad_()
        optimiser = torch.optim.Adam([patch], lr=step_size)
        for step in range(steps):
            rows = torch.randint(len(x), (batch_size,), generator=generator).to(x.device)
            logits = logits_of(model, placements(x[rows], patch, generator))
            if not step:
                check_logits(logits, x[rows], y)
            losses = loss(logits, y[rows])
            check_losses(losses, rows)
            mean = losses.mean()
            patch.grad = gradient_of(mean if targeted else -mean, patch)
            if tv:
                patch.grad += tv * gradient_of(total_variation(patch[None], inside).sum(), patch)
            optimiser.param_groups[0]["lr"] = step_size * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            optimiser.step()
            patch.data.clamp_(0, 1)
            if progress is not None:
                progress(step, mean.item())
        found = torch.where(inside, patch.detach(), 0.5).to(x.dtype)
    return check_finite(found[None])[0]
