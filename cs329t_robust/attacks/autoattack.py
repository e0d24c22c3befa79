"""AutoAttack: four attacks that fail for different reasons, one after the other, each on what is still robust."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_finite, check_inputs, check_logits
from ..contract.model_state import borrowed, full_precision
from ..losses import unsaturated
from ..runtime.progress_bar import section
from ..threat import L1, L2, Linf, Masked, Threat
from .apgd import apgd, apgd_t
from .engine.batches import batched
from .engine.success import is_adversarial
from .fab import fab_t
from .square import square

Stage = Callable[..., Tensor]


def standard(threat: Threat, seed: int) -> list[Stage]:
    """Return the published ensemble: APGD-CE, APGD-T, FAB-T and Square with the published budgets."""
    sparse = isinstance(threat.ball, L1)
    stages: list[Stage] = [
        partial(apgd, steps=100, restarts=5 if sparse else 1, drop_adversarial=True, seed=seed),
        partial(apgd_t, steps=100, targets=5 if sparse else 9, keep=1, seed=seed),
    ]
    if not isinstance(threat, Masked):
        stages.append(partial(fab_t, steps=100, targets=9))
    stages.append(partial(square, queries=5000, seed=seed))
    return stages


def fast(threat: Threat, seed: int) -> list[Stage]:
    """Return the cheap ensemble, which spends its budget only where an attack is getting somewhere.

    APGD maximises cross-entropy, or the DLR where that has no gradient. APGD-T follows 9 targets (5 in L1), and at each
    look-back gives up the half that lags behind. Square gives an image up at 250, 500, 1000, 2000, 4000 queries
    if more than 57%, 23%, 8%, 3%, 0.4% of its margin is left, and takes the others to the published 5000. FAB-T is left
    out in Linf only: on networks trained in Linf it alone succeeds on half of the images in L2 and L1, with all its
    steps.

    So an image is called robust here and adversarial by the standard version if that needs a target that began badly,
    the second half of a run's steps, a late turn of Square, or in Linf FAB-T.
    """
    sparse = isinstance(threat.ball, L1)
    stages: list[Stage] = [
        partial(apgd, steps=50, loss=unsaturated, drop_adversarial=True, seed=seed),
        partial(apgd_t, steps=60, targets=5 if sparse else 9, keep=0.5, seed=seed),
    ]
    if not isinstance(threat, Linf | Masked):
        stages.append(partial(fab_t, steps=100, targets=9))
    stages.append(partial(square, queries=5000, hope=0.6, seed=seed))
    return stages


VERSIONS = {"standard": standard, "fast": fast}


@batched()
def autoattack(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat,
    version: str = "standard",
    seed: int = 0,
) -> Tensor:
    """Run an ensemble of attacks, each on the images that are robust to all before it.

    Parameters
    ----------
    model, x, y, seed
        As in `pgd`; `y` are the true labels. An image that is already misclassified comes back unchanged.
    threat : Linf, L2 or L1, or one of them `Masked`
    version : "standard" or "fast"
        "standard" is the published ensemble with its budgets: APGD on cross-entropy (100 steps), APGD-T and FAB-T (100
        steps towards each of 9 targets), Square (5000 queries). "fast" asks for far less: 50 steps, then 60 steps
        towards targets of which the worse half is given up at each look-back, FAB-T in L2 and L1 alone, then Square on
        images that come closer. In L1 "standard" gives APGD 5 starts, and APGD-T 5 targets.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat: a success where one was met, else the last attack's best attempt.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    FAB-T searches no mask: under one the ensemble goes without it.

    References
    ----------
    Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", arXiv:2003.01690, section 5; for L1 Croce & Hein 2021, "Mind the box", arXiv:2103.01208, section 4.
    """
    x, y = check_inputs(model, x, y, threat)
    if not isinstance(version, str) or version not in VERSIONS:
        raise ValueError(f"version: expected one of {', '.join(VERSIONS)}, got {version!r}")
    check_count("seed", seed, 0)
    if not isinstance(threat.ball, Linf | L2 | L1):
        raise ValueError(f"threat: expected Linf, L2 or L1 for AutoAttack, got {threat!r}")
    result = x.clone()
    with borrowed(model), torch.no_grad(), full_precision(x.device):
        logits = model(x.clone())
        check_logits(logits, x, y)
        remaining = (~is_adversarial(logits, y)).nonzero().flatten()
    stages, right = VERSIONS[version](threat, seed), len(remaining)
    for i, stage in enumerate(stages):
        if not len(remaining):
            break
        with section(i / len(stages), (i + 1) / len(stages), right - len(remaining)):
            found = stage(model, x[remaining], y[remaining], threat=threat.select(remaining))
        with borrowed(model), torch.no_grad(), full_precision(x.device):
            robust = ~is_adversarial(model(found.clone()), y[remaining])
        result[remaining] = found
        remaining = remaining[robust]
    return check_finite(result)
