"""Auto-PGD: PGD with momentum that halves each image's own step when the loss stops rising. No step size to tune."""

import torch
from torch import Tensor

from ..contract.input_validation import Loss, Model, check_count, check_inputs, check_number
from ..contract.model_state import borrowed
from ..losses import cross_entropy, targeted_dlr
from ..threat import Threat
from .apgd_algorithm import maximise
from .engine.batches import batched
from .engine.success import rivals_at


@batched()
def apgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    steps: int = 100,
    restarts: int = 1,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    drop_adversarial: bool = False,
    seed: int = 0,
) -> Tensor:
    """Maximise the loss with Auto-PGD.

    Parameters
    ----------
    model, x, y, targeted, loss, drop_adversarial, seed
        As in `pgd`.
    threat : Linf, L2 or L1, or one of them `Masked`
    steps : int >= 1
        Steps of each restart, each with one gradient; 100 as published. Where the last one leads is looked at, too.
    restarts : int >= 1

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: the success of the highest loss where one was met (the first one,
        with `drop_adversarial`), else the highest loss.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", arXiv:2003.01690, algorithm 1; for L1 Croce & Hein 2021, "Mind the box", arXiv:2103.01208, algorithm 1
    (from three and two times the radius to the radius itself, section 4).
    """
    x, y = check_inputs(model, x, y, threat)
    sign = -1 if targeted else 1
    return maximise(
        model, x, y, y[:, None], lambda logits, y, _: sign * loss(logits, y), threat=threat, steps=steps,
        restarts=restarts, targeted=targeted, drop=drop_adversarial, seed=seed,
    )  # fmt: skip


@batched()
def apgd_t(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    steps: int = 100,
    targets: int = 9,
    restarts: int = 1,
    keep: float = 0.7,
    drop_adversarial: bool = True,
    seed: int = 0,
) -> Tensor:
    """Maximise the targeted difference-of-logits ratio towards the strongest other classes, all of them in one batch.

    Parameters
    ----------
    model, x, y, threat, restarts, seed
        As in `apgd`; `y` are the true labels, and any other class is a success.
    steps : int >= 1
        Steps of each run, each with one gradient.
    targets : int >= 1
        Classes aimed at, by descending logit at x; fewer where the model has fewer.
    keep : float in (0, 1]
        Share of its targets, rounded up, that an image keeps at each look-back: those that have come furthest. Of 9
        targets 0.7 asks for 0.61 of the gradients, 0.5 for 0.45; 1 follows every target to its end, as published.
    drop_adversarial : bool
        Leave an image alone, with all its targets, once one of them is reached.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: the success of the highest loss where one was met (the first one,
        with `drop_adversarial`), else the highest loss.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Croce & Hein 2020, arXiv:2003.01690, section 4.2 (APGD-T).
    """
    x, y = check_inputs(model, x, y, threat)
    check_count("targets", targets, 1)
    check_number("keep", keep, 0, 1, above=True, unit=" (a share of the targets)")
    with borrowed(model), torch.no_grad():
        classes = rivals_at(model, x, y, targets)
    return maximise(
        model, x, y, classes, targeted_dlr, threat=threat, steps=steps, restarts=restarts, drop=drop_adversarial,
        share=keep, seed=seed,
    )  # fmt: skip
