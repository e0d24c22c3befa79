"""Transfer: attack models one has, and try the results on the one that one has not."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_finite, check_inputs
from ..contract.model_state import borrowed, full_precision
from ..threat import Threat, rowwise
from .engine.batches import batched
from .engine.queries import query
from .pgd import pgd


@batched()
def transfer(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    surrogates: Sequence[Model],
    attack: Callable[..., Tensor] = pgd,
    targeted: bool = False,
) -> Tensor:
    """Attack each surrogate, and keep for each image what serves best against the victim.

    Parameters
    ----------
    model : callable
        The victim: only asked for logits, once for each surrogate.
    x, y, threat, targeted
        As in `pgd`.
    surrogates : sequence of callables
        Models from images to logits of the same classes; their gradients are used.
    attack : callable
        ``attack(surrogate, x, y, threat=threat, targeted=targeted) -> x_adv``. Do not drop adversarial images early: an
        example just beyond the surrogate's boundary transfers badly.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: of all surrogates' results the one furthest beyond the victim's
        boundary.

    Raises
    ------
    ValueError
        If an input is unusable or there is no surrogate.

    References
    ----------
    Papernot et al. 2017, "Practical black-box attacks against machine learning", arXiv:1602.02697.
    """
    x, y = check_inputs(model, x, y, threat)
    if callable(surrogates) or not isinstance(surrogates, Sequence) or not len(surrogates):
        raise ValueError(f"surrogates: expected a list of at least one model, got {surrogates!r}; use [model]")
    best, score = x.clone(), x.new_full((len(x),), -torch.inf)
    for surrogate in surrogates:
        x_adv = attack(surrogate, x, y, threat=threat, targeted=targeted)
        if not isinstance(x_adv, Tensor) or x_adv.shape != x.shape:
            got = tuple(x_adv.shape) if isinstance(x_adv, Tensor) else type(x_adv).__name__
            raise ValueError(f"attack: expected it to return images of shape {tuple(x.shape)}, got {got}")
        x_adv = threat.project(x, x_adv)
        with borrowed(model), full_precision(x.device):
            margin = query(model, x_adv, y, targeted, check=True)
        best = torch.where(rowwise((margin > score) | (score == -torch.inf), x), x_adv, best)
        score = torch.maximum(margin, score)
    return check_finite(best)
