"""The bound from below: the largest margin that an attack finds."""

import torch
from torch import Tensor

from ..attacks import pgd
from ..contract.input_validation import Model
from ..contract.model_state import borrowed
from ..losses import margin
from ..threat import Threat, rowwise


def attacked(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, steps: int = 100, restarts: int = 5, seed: int = 0
) -> Tensor:
    """Return the largest margin found within the threat, by PGD on the margin or at x itself.

    Parameters
    ----------
    model, x, y, threat, steps, restarts, seed
        As in `pgd`.

    Returns
    -------
    Tensor (n,), typed like `x`
        Some image within the threat has this `losses.margin`; where it is positive, that image is misclassified.

    Raises
    ------
    ValueError
        If an input is unusable.
    """
    x_adv = strongest(model, x, y, threat, steps, restarts, seed)
    with borrowed(model), torch.no_grad():
        return margin(model(x_adv.clone()), y)


def strongest(
    model: Model, x: Tensor, y: Tensor, threat: Threat, steps: int = 100, restarts: int = 5, seed: int = 0
) -> Tensor:
    """Return where `attacked` finds its margins, (n, c, h, w)."""
    x_adv = pgd(model, x, y, threat=threat, steps=steps, restarts=restarts, loss=margin, seed=seed)
    with borrowed(model), torch.no_grad():
        worse = margin(model(x_adv.clone()), y) >= margin(model(x.detach().clone()), y)
    return torch.where(rowwise(worse, x), x_adv, x.detach())
