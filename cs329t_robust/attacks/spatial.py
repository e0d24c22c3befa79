"""Attack by rotating and shifting: every pose of a grid, or the worst of k random ones."""

import torch
from torch import Tensor

from ..contract.input_validation import Loss, Model, check_count, check_finite, check_inputs, check_logits, check_losses
from ..contract.model_state import borrowed, full_precision
from ..losses import cross_entropy
from ..runtime.randomness import ImageRandom
from ..threat import Spatial, rowwise, warp
from .engine.batches import batched, images_at_once
from .engine.success import is_adversarial


@batched()
def spatial(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Spatial,
    angles: int = 31,
    shifts: int = 5,
    k: int | None = None,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    seed: int = 0,
) -> Tensor:
    """Try poses of each image and keep the first that the model gets wrong.

    Parameters
    ----------
    model, x, y, targeted, loss
        As in `pgd`; the model is only asked for logits.
    threat : Spatial
    angles, shifts : int >= 1
        The grid: so many rotations times so many shifts in each direction; 31·5·5 = 775 poses as published.
    k : int >= 1, optional
        Try this many random poses instead of the grid ("worst of k").
    seed : int
        Each image's random poses follow from the seed and its own pixels.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached: the first pose that succeeds, else the one with the highest loss (lowest, if `targeted`).

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Engstrom et al. 2019, "Exploring the landscape of spatial robustness", arXiv:1712.02779, section 3.
    """
    x, y = check_inputs(model, x, y, threat)
    if not isinstance(threat, Spatial):
        raise ValueError(f"threat: expected Spatial(degrees, pixels), got {threat!r}; for pixels use `pgd`")
    for name, count in (("angles", angles), ("shifts", shifts), ("k", 1 if k is None else k)):
        check_count(name, count, 1)
    check_count("seed", seed, 0)
    random = ImageRandom(seed, x)
    if k is None:
        poses = threat.grid(angles, shifts).to(x).expand(len(x), -1, 3)
    else:
        poses = torch.stack([threat.draw(x, random) for _ in range(k)], 1)
    result, score = x.clone(), x.new_full((len(x),), -torch.inf)
    remaining, tried, room = torch.arange(len(x), device=x.device), 0, images_at_once(x)
    with borrowed(model), torch.no_grad(), full_precision(x.device):  # every pose tried gets a verdict
        while tried < poses.shape[1] and len(remaining):
            m = min(max(1, room // len(remaining)), poses.shape[1] - tried)
            try:
                moved = warp(x[remaining].repeat_interleave(m, 0), poses[remaining, tried : tried + m].reshape(-1, 3))
                logits = model(moved.clone())
            except torch.OutOfMemoryError:
                if m == 1:
                    raise
                room = m * len(remaining) // 2
                continue
            label = y[remaining].repeat_interleave(m)
            check_logits(logits, moved, label)
            value = loss(logits, label)
            check_losses(value, label)
            value = (-value if targeted else value).to(x.dtype)
            value = value.nan_to_num(-torch.inf, torch.inf, -torch.inf)  # a loss that is no number is the worst
            value = torch.where(is_adversarial(logits, label, targeted), torch.inf, value).view(-1, m)
            pick = value.argmax(1)  # the first of several successes
            high, moved = (
                value.amax(1),
                moved.view(-1, m, *x.shape[1:])[torch.arange(len(remaining), device=x.device), pick],
            )
            better = high > score[remaining]
            result[remaining] = torch.where(rowwise(better, x), moved, result[remaining])
            score[remaining] = torch.where(better, high, score[remaining])
            remaining, tried = remaining[score[remaining] < torch.inf], tried + m
    return check_finite(result)
