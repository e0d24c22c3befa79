"""Randomised smoothing: let a classifier vote on noisy copies of an image, and certify the vote in L2.

The smoothed classifier answers with the class that the base model names most often for x + N(0, σ²I). If that class
has probability at least p > 1/2, no change of Euclidean length below σ·Φ⁻¹(p) alters the answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor, nn

from ..contract.input_validation import Model, check_count, check_images, check_logits, check_model, check_number
from ..contract.model_state import borrowed
from ..evaluation.accuracy import Accuracy, Curve
from ..runtime.randomness import ImageRandom
from ..threat import L2

ABSTAIN = -1
"""The label of an image for which a vote is too close to call; it is no class, so it counts as wrong."""
BLOCK = 100  # noisy copies of an image drawn at a time; fixed, so that the draws do not depend on the batch
AT_ONCE = 1 << 22  # pixel values classified at a time
DEFAULT_ALPHA = 0.001


@dataclass(frozen=True)
class Certificate:
    """What is certified of each image, on the CPU.

    Attributes
    ----------
    prediction : Tensor (n,), integer
        The class voted for; `ABSTAIN` (−1) where the votes do not settle it.
    radius : Tensor (n,), float64
        Within this Euclidean distance the smoothed classifier's answer is `prediction`; 0 where it abstains. With
        probability at least 1 − alpha for each image.
    p : Tensor (n,), float64
        The lower confidence bound on the probability of the class that was selected.
    sigma, alpha : float
    samples : int
        Noisy copies from which `p` was estimated.
    """

    prediction: Tensor
    radius: Tensor
    p: Tensor
    sigma: float
    alpha: float
    samples: int


def votes(model: Model, x: Tensor, *, sigma: float, n: int, seed: int = 0, skip: int = 0) -> Tensor:
    """Count how the model classifies `n` noisy copies of each image.

    Parameters
    ----------
    model : callable
        Images to logits (n, k). It sees x + noise, which is not clipped and so leaves [0, 1].
    x : Tensor (n, c, h, w), float in [0, 1]
    sigma : float > 0
        Standard deviation of the noise at every pixel.
    n : int >= 1
        Copies of each image.
    seed : int
        The copies follow from the seed and the image's own pixels: the same in any batch, order or device.
    skip : int >= 0
        Blocks of 100 copies of this seed to leave out, for draws that are independent of earlier ones.

    Returns
    -------
    Tensor (n, k), integer

    Raises
    ------
    ValueError
        If an input is unusable.
    """
    check_images(x)
    check_model(model, x)
    check_count("n", n, 1)
    check_count("seed", seed, 0)
    _check_sigma(sigma)
    x = x.detach()
    size = max(1, AT_ONCE // (min(n, BLOCK) * x[0].numel()))
    with borrowed(model), torch.no_grad():
        return torch.cat([_votes(model, part, sigma, n, seed, skip) for part in x.split(size)])


def _votes(model: Model, x: Tensor, sigma: float, n: int, seed: int, skip: int) -> Tensor:
    random, counts = ImageRandom(seed, x), None
    random.draws = skip
    for begun in range(0, n, BLOCK):
        copies = min(BLOCK, n - begun)
        logits = model(_noisy(x, sigma, copies, random).flatten(0, 1))
        check_logits(logits, x.repeat_interleave(copies, 0), torch.zeros(1, dtype=torch.long))
        named = torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).view(len(x), copies, -1).sum(1)
        counts = named if counts is None else counts + named
    return counts


def _noisy(x: Tensor, sigma: float, copies: int, random: ImageRandom) -> Tensor:
    """Return the next noisy copies of each image, (n, copies, c, h, w)."""
    uniform = random.numbers(copies * x[0].numel())
    noise = torch.special.ndtri(uniform).to(x.dtype).view(len(x), copies, *x.shape[1:])
    return x[:, None] + sigma * noise


def smoothed_predict(
    model: Model, x: Tensor, *, sigma: float, n: int = 1000, alpha: float = DEFAULT_ALPHA, seed: int = 0
) -> Tensor:
    """Return the smoothed classifier's answer to each image, or `ABSTAIN`.

    Parameters
    ----------
    model, x, sigma, n, seed
        As in `votes`.
    alpha : float in (0, 1)
        Failure probability: how often, at most, an answer is given that is not the smoothed classifier's.

    Returns
    -------
    Tensor (n,), integer
        The class with most votes; −1 where a two-sided binomial test cannot tell the first two apart.

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Cohen, Rosenfeld & Kolter 2019, "Certified adversarial robustness via randomized smoothing", arXiv:1902.02918,
    section 3.2.1 (Predict).
    """
    _check_alpha(alpha)
    return decide(votes(model, x, sigma=sigma, n=n, seed=seed), alpha)


def decide(counts: Tensor, alpha: float = DEFAULT_ALPHA) -> Tensor:
    """Return the class with most of the votes, or `ABSTAIN` where the first two may be equally likely.

    Parameters
    ----------
    counts : Tensor (n, k), integer
        Votes for each class.
    alpha : float in (0, 1)
        Probability of a wrong class that is not abstained from.

    Returns
    -------
    Tensor (n,)
        Integer: a class, or `ABSTAIN`.
    """
    from scipy.stats import binomtest

    top = counts.topk(2, dim=1)
    pairs = top.values.tolist()
    sure = [first > 0 and binomtest(first, first + second, 0.5).pvalue <= alpha for first, second in pairs]
    return top.indices[:, 0].where(torch.tensor(sure, device=counts.device), ABSTAIN)


def certify(
    model: Model,
    x: Tensor,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = DEFAULT_ALPHA,
    seed: int = 0,
) -> Certificate:
    """Certify a radius around each image within which the smoothed classifier's answer does not change.

    Parameters
    ----------
    model, x, sigma, seed
        As in `votes`.
    n0 : int >= 1
        Copies that select the class.
    n : int >= 1
        Other copies, from which the probability of that class is estimated. The radius cannot exceed
        σ·Φ⁻¹(alpha^(1/n)), however sure the model is.
    alpha : float in (0, 1)
        Failure probability of each image's certificate.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    The class is selected and its probability estimated from different copies: a class chosen because it did well in
    the very votes that are then counted would look more likely than it is. The noise has 23 random bits at each pixel
    and ends 5.3 standard deviations from 0; the certificate is for exactly Gaussian noise.

    References
    ----------
    Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918, theorem 1 and section 3.2.2 (Certify).
    """
    _check_alpha(alpha)
    check_count("n0", n0, 1)
    chosen = votes(model, x, sigma=sigma, n=n0, seed=seed).argmax(1).cpu()
    counts = votes(model, x, sigma=sigma, n=n, seed=seed, skip=-(-n0 // BLOCK)).cpu()
    p = lower_bound(counts.gather(1, chosen[:, None]).squeeze(1), n, alpha)
    settled = p > 0.5
    radius = torch.where(settled, sigma * torch.special.ndtri(p), 0.0)
    return Certificate(chosen.where(settled, ABSTAIN), radius, p, float(sigma), float(alpha), n)


def lower_bound(successes: Tensor, n: int, alpha: float = DEFAULT_ALPHA) -> Tensor:
    """Return the one-sided Clopper–Pearson bound of each count, below the true probability with confidence 1 − alpha.

    Parameters
    ----------
    successes : Tensor (n,), integer
        On the CPU.
    n : int
        Trials behind each count.
    alpha : float in (0, 1)

    Returns
    -------
    Tensor (n,), float64 in [0, 1]

    References
    ----------
    Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    """
    from scipy.stats import beta

    hits = successes.double().numpy()
    low = torch.from_numpy(beta.ppf(alpha, hits.clip(1), n - hits.clip(1) + 1))
    return torch.where(successes > 0, low, 0.0)


def certified_accuracy(certificate: Certificate, y: Tensor, radii: Sequence[float]) -> Curve:
    """Return the share of images whose answer is `y` and certified at each radius.

    Parameters
    ----------
    certificate : Certificate
    y : Tensor (n,)
        True labels.
    radii : sequence of float >= 0
        At radius 0 an image counts if the answer is right and not withheld.

    Returns
    -------
    Curve
        Its accuracies carry n and a 95% interval, which is about the choice of images; that a certificate may be wrong
        with probability alpha comes on top.

    Raises
    ------
    ValueError
        If there is not one label for each image, or a radius is negative.
    """
    if len(y) != len(certificate.prediction):
        raise ValueError(f"y: expected one label for each of the {len(certificate.prediction)} images, got {len(y)}")
    radii = sorted(float(r) for r in radii)
    if not radii or not radii[0] >= 0:
        raise ValueError(f"radii: expected at least one radius, each >= 0, got {radii}")
    right = certificate.prediction == y.cpu()
    name = f"certificate(sigma={certificate.sigma:g}, n={certificate.samples}, alpha={certificate.alpha:g})"
    # strictly within: the theorem speaks of changes shorter than the radius
    held = [right & ((certificate.radius > r) | (r == 0)) for r in radii]
    return Curve(tuple(radii), tuple(Accuracy(h, name, repr(L2(r))) for h, r in zip(held, radii, strict=True)))


class Soft(nn.Module):
    """The smoothed classifier in a form that can be attacked: log of the mean softmax over some noisy copies.

    The copies are drawn anew for every image it is shown, so that an attack cannot fit one draw.

    Parameters
    ----------
    model : callable
        Images to logits (n, k).
    sigma : float > 0
    copies : int >= 1
    seed : int

    Raises
    ------
    ValueError
        If `sigma` is no number above 0, or `copies` or `seed` no whole number in its range.

    References
    ----------
    Salman et al. 2019, "Provably robust deep learning via adversarially trained smoothed classifiers",
    arXiv:1906.04584, section 2.2.
    """

    def __init__(self, model: Model, *, sigma: float, copies: int = 16, seed: int = 0) -> None:
        super().__init__()
        _check_sigma(sigma)
        check_count("copies", copies, 1)
        check_count("seed", seed, 0)
        self.model, self.sigma, self.copies, self.seed = model, sigma, copies, seed

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities (n, k) for images (n, c, h, w)."""
        noisy = _noisy(x, self.sigma, self.copies, ImageRandom(self.seed, x))
        log_p = self.model(noisy.flatten(0, 1)).log_softmax(1).view(len(x), self.copies, -1)
        return log_p.logsumexp(1) - math.log(self.copies)


def _check_sigma(sigma: float) -> None:
    check_number("sigma", sigma, 0, above=True, unit=" in pixel units (a standard deviation, such as 0.25)")


def _check_alpha(alpha: float) -> None:
    if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha: expected a failure probability in (0, 1), such as 0.001, got {alpha!r}")
