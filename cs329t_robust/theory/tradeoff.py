"""The strong and the weak features of Tsipras et al.: what makes a classifier accurate lets an adversary in."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..contract.input_validation import check_count
from .confidence_intervals import check_number, check_weights, normal_cdf


@dataclass(frozen=True)
class StrongWeak:
    """y = ±1, equally likely; x₁ is y with probability p, else −y; d weak features are normal around η·y, spread 1.

    Parameters
    ----------
    d : int >= 1
        Weak features; x has d + 1 columns, the strong one first.
    p : float in [0.5, 1)
        How often the strong feature is right.
    eta : float > 0
        How far the weak ones lean.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    Tsipras, Santurkar, Engstrom, Turner & Mądry 2019, "Robustness may be at odds with accuracy", arXiv:1805.12152,
    section 2.1.
    """

    d: int = 100
    p: float = 0.95
    eta: float = 0.3

    def __post_init__(self) -> None:
        check_count("d", self.d, 1)
        check_number("p", self.p, 0.5, 1, closed="low")
        check_number("eta", self.eta, 0, math.inf)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw n examples: x (n, d + 1) and y (n,) of ±1, float32."""
        check_count("n", n, 1)
        y = 1.0 - 2.0 * torch.randint(2, (n,), generator=generator)
        strong = torch.where(torch.rand(n, generator=generator) < self.p, y, -y)
        weak = self.eta * y[:, None] + torch.randn(n, self.d, generator=generator)
        return torch.cat([strong[:, None], weak], 1), y

    def attack(self, x: Tensor, y: Tensor) -> Tensor:
        """Shift every weak feature by −2η·y, so that it leans the other way; the strong one stays. Needs ε >= 2η."""
        if x.ndim != 2 or x.shape[1] != self.d + 1 or y.shape != x.shape[:1]:
            raise ValueError(f"x, y: expected (n, {self.d + 1}) and (n,), got {tuple(x.shape)} and {tuple(y.shape)}")
        return torch.cat([x[:, :1], x[:, 1:] - 2 * self.eta * y[:, None]], 1)

    def accuracy(self, w: Tensor, eps: float = 0.0, bias: float = 0.0) -> Tensor:
        """Return the exact accuracy of sign(⟨w, x⟩ + bias) against every change of at most `eps` a feature.

        Parameters
        ----------
        w : Tensor (d + 1,) or (m, d + 1)
        eps : float >= 0
            0 gives the standard accuracy.

        Returns
        -------
        Tensor () or (m,), float64
            The mean over y = ±1 and over the strong feature being right or wrong of Φ(margin / ‖weak weights‖₂),
            where the margin is ±w₁ + η·Σ(weak weights) + y·bias − ε‖w‖₁. A tie counts as wrong.
        """
        w = check_weights(w, self.d + 1)
        eps = check_number("eps", eps, 0, math.inf, closed="low")
        strong, weak = w[..., 0], w[..., 1:]
        lean, spread, price = self.eta * weak.sum(-1), weak.norm(dim=-1), eps * w.abs().sum(-1)
        total = torch.zeros_like(lean)
        for share, side in ((self.p, 1), (1 - self.p, -1)):
            for y in (1, -1):
                margin = side * strong + lean + y * bias - price
                total += share / 2 * torch.where(spread > 0, normal_cdf(margin / spread), (margin > 0).double())
        return total

    def bound(self, delta: float) -> float:
        """Return how robust, against ε = 2η, a classifier of standard accuracy 1 − `delta` or more can be at most.

        Returns
        -------
        float
            min(1, p/(1 − p) · δ). It holds for every classifier, not for linear ones alone (theorem 2.1).
        """
        delta = check_number("delta", delta, 0, 1, closed="low high")
        return min(1.0, self.p / (1 - self.p) * delta)

    def weak_only(self) -> Tensor:
        """Return the weights of the average of the weak features, (d + 1,)."""
        return torch.cat([torch.zeros(1), torch.full((self.d,), 1 / self.d)])

    def strong_only(self) -> Tensor:
        """Return the weights of the classifier that looks at the strong feature alone, (d + 1,)."""
        return torch.cat([torch.ones(1), torch.zeros(self.d)])

    def mixed(self, ratio: float) -> Tensor:
        """Return weights (d + 1,): w₁ = `ratio`, equal weak ones of length 1 together; infinity: the strong alone."""
        ratio = check_number("ratio", ratio, 0, math.inf, closed="low high")
        weak = torch.full((self.d,), self.d**-0.5, dtype=torch.float64)
        return (
            self.strong_only().double()
            if ratio == math.inf
            else torch.cat([torch.tensor([ratio], dtype=torch.float64), weak])
        )

    def best_ratio(self, eps: float = 0.0) -> float:
        """Return the ratio of `mixed` with the highest accuracy against `eps`; infinity: the strong feature alone.

        With m = (η − ε)√d the accuracy is pΦ(m + r(1 − ε)) + (1 − p)Φ(m − r(1 + ε)). Its slope in r is zero where
        2εr² − 2mr + L = 0, with L = log(p(1 − ε) / ((1 − p)(1 + ε))); the smaller root is the peak, if there is one. At
        ε = 0 it is L/2m, the Bayes classifier. For η <= ε < 1 the strong feature alone is best.
        """
        eps = check_number("eps", eps, 0, 1, closed="low")
        m = (self.eta - eps) * math.sqrt(self.d)
        odds = math.log(self.p * (1 - eps) / ((1 - self.p) * (1 + eps)))
        if m <= 0 or m * m < 2 * eps * odds:
            return math.inf
        peak = max(
            0.0, odds / (m + math.sqrt(m * m - 2 * eps * odds))
        )  # the smaller root, written without cancellation
        return peak if self.accuracy(self.mixed(peak), eps) >= self.p else math.inf


def adversarial_training(x: Tensor, y: Tensor, eps: float, *, steps: int = 500, max_lr: float = 0.1) -> Tensor:
    """Train a linear classifier by min over w of the mean of log(1 + exp(−(y⟨w, x⟩ − ε‖w‖₁))).

    For a linear model the inner maximum is known: the worst δ is −ε·y·sign(w), and it costs ε‖w‖₁ of margin. So this is
    the lecture's min–max solved without an attack; eps = 0 is standard training (logistic regression).

    Parameters
    ----------
    x, y : Tensor (n, k), Tensor (n,) of ±1
    eps : float >= 0
    steps, max_lr : int, float
        Of Adam on all examples, with a one-cycle schedule.

    Returns
    -------
    Tensor (k,)

    Raises
    ------
    ValueError
        If `x` and `y` do not fit each other, `y` holds anything but ±1, or a setting is out of range.
    """
    if x.ndim != 2 or y.shape != x.shape[:1] or not bool((y.abs() == 1).all()):
        raise ValueError(f"x, y: expected (n, k) and (n,) of ±1, got {tuple(x.shape)} and {tuple(y.shape)}")
    eps = check_number("eps", eps, 0, math.inf, closed="low")
    check_count("steps", steps, 1)
    w = torch.zeros(x.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([w], lr=max_lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr, total_steps=steps, final_div_factor=1e4)
    signed = y[:, None] * x
    for _ in range(steps):
        loss = F.softplus(eps * w.abs().sum() - signed @ w).mean()
        (w.grad,) = torch.autograd.grad(loss, w)
        optimiser.step()
        schedule.step()
    return w.detach()
