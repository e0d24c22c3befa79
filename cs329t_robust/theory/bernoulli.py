"""The Bernoulli model of Schmidt et al.: here a thresholding nonlinearity removes the price of robust learning."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import check_count
from .confidence_intervals import Estimate, check_number, check_weights, normal_cdf, share_of, smallest


@dataclass(frozen=True)
class BernoulliModel:
    """Two classes y = ±1, equally likely; each coordinate of x is y with probability ½ + τ, else −y.

    Parameters
    ----------
    d : int >= 1
        Dimension. θ is (1, …, 1), as in `GaussianModel`.
    tau : float in (0, 0.5)

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The theorems take τ = c·d^(−¼) (`at_scale`). A linear classifier sign(⟨ŵ, x⟩) with ŵ the mean of y_i·x_i then needs
    many examples for robustness; sign(⟨ŵ, sign(x)⟩) needs one, for every ε < 1.

    References
    ----------
    Schmidt et al. 2018, arXiv:1804.11285, section 2.2.
    """

    d: int
    tau: float

    def __post_init__(self) -> None:
        check_count("d", self.d, 1)
        check_number("tau", self.tau, 0, 0.5)

    @classmethod
    def at_scale(cls, d: int, c: float = 0.8) -> "BernoulliModel":
        """Return the model with τ = c·d^(−¼), at which one example gives a standard error near Φ(−4c²)."""
        check_count("d", d, 1)
        return cls(d, check_number("c", c, 0, math.inf) / d**0.25)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw n examples: x (n, d) of ±1 and y (n,) of ±1, both float32."""
        check_count("n", n, 1)
        y = 1.0 - 2.0 * torch.randint(2, (n,), generator=generator)
        agrees = torch.rand(n, self.d, generator=generator) < 0.5 + self.tau
        return torch.where(agrees, y[:, None], -y[:, None]), y

    def estimate(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ŵ, the mean of n products y_i·x_i, (d,): in each coordinate n coins of bias τ."""
        check_count("n", n, 1)
        heads = torch.full((self.d,), 0.5 + self.tau)
        return 2 * torch.binomial(torch.full((self.d,), float(n)), heads, generator=generator) / n - 1

    def error(self, w: Tensor, eps: float = 0.0, *, threshold: bool = False) -> Tensor:
        """Return the error of a linear classifier under changes of at most `eps` a coordinate, by the normal law.

        Parameters
        ----------
        w : Tensor (d,) or (m, d)
        eps : float >= 0
        threshold : bool
            Whether x passes through sign first. Then an `eps` below 1 changes nothing; from 1 on it is refused, since
            an adversary may put every coordinate at sign(0).

        Returns
        -------
        Tensor () or (m,), float64
            ⟨w, x⟩·y has mean 2τ⟨w, θ⟩ and variance (1 − 4τ²)‖w‖₂²; its sum of d coins is taken as normal.
        """
        w = check_weights(w, self.d)
        eps = self._usable(eps, threshold)
        margin = 2 * self.tau * w.sum(-1) - eps * w.abs().sum(-1)
        return normal_cdf(-margin / (math.sqrt(1 - 4 * self.tau**2) * w.norm(dim=-1)))

    def simulated_error(
        self, w: Tensor, eps: float, n: int, generator: torch.Generator, *, threshold: bool = False
    ) -> Estimate:
        """Attack `n` fresh examples with the exact worst case and return the share that is misclassified."""
        w = check_weights(w, self.d).float()
        if w.ndim != 1:
            raise ValueError(f"w: expected one classifier, shape ({self.d},), got {tuple(w.shape)}")
        eps = check_number("eps", eps, 0, math.inf, closed="low")
        x, y = self.sample(n, generator)
        x = x - eps * y[:, None] * w.sign()
        scores = (x.sign() if threshold else x) @ w
        return share_of(scores * y <= 0)

    def typical_error(self, n: int, eps: float = 0.0, *, threshold: bool = False) -> float:
        """Return the error of a typical ŵ from n examples, in closed form; see `GaussianModel.typical_error`."""
        check_count("n", n, 1)
        eps = self._usable(eps, threshold)
        bias = 2 * self.tau
        spread = math.sqrt((1 - bias**2) * self.d * (bias**2 + (1 - bias**2) / n))
        return normal_cdf(-self.d * (bias**2 - eps * self._mean_size(n)) / spread).item()

    def typical_need(
        self, target: float, eps: float = 0.0, *, threshold: bool = False, limit: int = 1 << 20
    ) -> int | None:
        """Return the smallest n at which `typical_error` is at most `target`, or None beyond `limit`."""
        target = check_number("target", target, 0, 0.5)
        return smallest(lambda n: self.typical_error(n, eps, threshold=threshold) <= target, limit)

    def _mean_size(self, n: int) -> float:
        """Return E|ŵ_i|: the mean size of the average of n coins."""
        heads = torch.arange(n + 1, dtype=torch.float64)
        p = torch.distributions.Binomial(n, torch.tensor(0.5 + self.tau, dtype=torch.float64)).log_prob(heads).exp()
        return (p * (2 * heads / n - 1).abs()).sum().item()

    @staticmethod
    def _usable(eps: float, threshold: bool) -> float:
        eps = check_number("eps", eps, 0, 1 if threshold else math.inf, closed="low")
        return 0.0 if threshold else eps
