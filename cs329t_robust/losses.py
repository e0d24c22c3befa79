"""Losses that attacks climb and training descends: each maps logits (n, k) and labels (n,) to one value per example.

Every loss is larger the more wrong the model is about `y`; an attack on a target descends it. The two called
targeted_… take (logits, y, target) and are larger the further the target is ahead: they are climbed.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "adversarial_margin",
    "bounded",
    "cross_entropy",
    "dlr",
    "margin",
    "squared_penalty",
    "targeted_dlr",
    "targeted_margin",
    "unsaturated",
]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return −log p(y) per example, the CE(q, F(x')) of the lecture.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer

    Returns
    -------
    Tensor (n,), >= 0
    """
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the best other logit minus the logit of `y`.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer

    Returns
    -------
    Tensor (n,)
        Positive exactly when `y` is not predicted.

    References
    ----------
    Carlini & Wagner 2017, arXiv:1608.04644, section V.A, f6 without its confidence.
    """
    own = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.amax(1) - own


def adversarial_margin(logits: Tensor, y: Tensor, targeted: bool) -> Tensor:
    """Return by how much each example is adversarial: its margin, or, if `targeted`, how far `y` leads.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer
    targeted : bool
        Whether `y` holds the labels to reach.

    Returns
    -------
    Tensor (n,)
        Positive exactly where the example is adversarial.
    """
    return -margin(logits, y) if targeted else margin(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Return the difference-of-logits ratio, unchanged when the logits are shifted or scaled.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer

    Returns
    -------
    Tensor (n,)
        Positive exactly when `y` is not predicted.

    Notes
    -----
    The published loss divides by the gap between the largest and the third largest logit. With only two classes there
    is no third, and the ratio of the only gap to itself would be a constant that no attack can climb: there the margin
    is returned as it is.

    References
    ----------
    Croce & Hein 2020, arXiv:2003.01690, equation 6.
    """
    if logits.shape[1] < 3:
        return margin(logits, y)
    logits = bounded(logits)
    top = logits.topk(3, dim=1).values
    return margin(logits, y) / (top[:, 0] - top[:, 2] + _small(top))


def unsaturated(logits: Tensor, y: Tensor) -> Tensor:
    """Return cross-entropy; where it is rounded to 0 and has no slope, the DLR, which cannot be above 0 there.

    So a climb that starts on a plateau leaves it by the DLR, and any point where cross-entropy can be seen is higher.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer

    Returns
    -------
    Tensor (n,)
    """
    loss = cross_entropy(logits, y)
    return torch.where(loss > 0, loss, dlr(logits, y))


def targeted_margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return the logit of `target` minus the logit of `y`.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer
    target : Tensor (n,), integer

    Returns
    -------
    Tensor (n,)
        Positive once `target` is ahead.
    """
    return (logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])).squeeze(1)


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return the difference-of-logits ratio between `target` and `y`.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer
    target : Tensor (n,), integer

    Returns
    -------
    Tensor (n,)
        Positive once `target` is ahead.

    Notes
    -----
    The published loss divides by the gap between the largest logit and the mean of the third and the fourth. With three
    classes the third alone is used, with two the gap is returned as it is.

    References
    ----------
    Croce & Hein 2020, arXiv:2003.01690, equation 7.
    """
    logits = bounded(logits)
    gap = targeted_margin(logits, y, target)
    if logits.shape[1] < 3:
        return gap
    top = logits.topk(min(4, logits.shape[1]), dim=1).values
    return gap / (top[:, 0] - top[:, 2:].mean(1) + _small(top))


def _small(top: Tensor) -> float:
    return max(1e-12, torch.finfo(top.dtype).tiny)  # the published 1e-12 is 0 in half precision


def bounded(logits: Tensor) -> Tensor:
    """Return logits that can be subtracted: a class that is ruled out has −inf, a certain one inf; inf − inf is NaN.

    Parameters
    ----------
    logits : Tensor (n, k)

    Returns
    -------
    Tensor (n, k)
        Finite wherever it was no NaN.
    """
    most = torch.finfo(logits.dtype).max / 4
    return logits.clamp(-most, most)


def squared_penalty(logits: Tensor, y: Tensor) -> Tensor:
    """Return (F(x') − T)², the lecture's first relaxation: the squared distance of the softmax to a one-hot `y`.

    Parameters
    ----------
    logits : Tensor (n, k)
    y : Tensor (n,), integer

    Returns
    -------
    Tensor (n,), in [0, 2]
    """
    return (logits.softmax(1) - F.one_hot(y, logits.shape[1])).square().sum(1)
