"""The Gaussian model of Schmidt et al.: one example teaches to classify, about √d to classify robustly."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract.input_validation import check_count
from .confidence_intervals import Estimate, check_number, check_weights, mean_of, normal_cdf, smallest

AT_ONCE = 1 << 22  # numbers drawn at a time


@dataclass(frozen=True)
class GaussianModel:
    """Two classes y = ±1, equally likely; x given y is normal around y·θ with standard deviation σ in each coordinate.

    Parameters
    ----------
    d : int >= 1
        Dimension. θ is (1, …, 1), of length √d; any other vector of ±1 is the same up to flipping coordinates.
    sigma : float > 0

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The theorems take σ = c·d^¼ (`at_scale`). Everything here is about the linear classifier sign(⟨ŵ, x⟩) with ŵ the
    mean of y_i·x_i, which is the paper's upper bound; its lower bound is about any learner, which no simulation shows.

    References
    ----------
    Schmidt, Santurkar, Tsipras, Talwar & Mądry 2018, "Adversarially robust generalization requires more data",
    arXiv:1804.11285, section 2.1.
    """

    d: int
    sigma: float

    def __post_init__(self) -> None:
        check_count("d", self.d, 1)
        check_number("sigma", self.sigma, 0, math.inf)

    @classmethod
    def at_scale(cls, d: int, c: float = 0.65) -> "GaussianModel":
        """Return the model with σ = c·d^¼, at which one example already gives a standard error near Φ(−1/c²)."""
        check_count("d", d, 1)
        return cls(d, check_number("c", c, 0, math.inf) * d**0.25)

    @property
    def theta(self) -> Tensor:
        """The mean of class +1, (d,)."""
        return torch.ones(self.d, dtype=torch.float64)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw n examples: x (n, d) float32 and y (n,) of ±1."""
        check_count("n", n, 1)
        y = 1.0 - 2.0 * torch.randint(2, (n,), generator=generator)
        return y[:, None] + self.sigma * torch.randn(n, self.d, generator=generator), y

    def error(self, w: Tensor, eps: float = 0.0) -> Tensor:
        """Return the exact error of sign(⟨w, x⟩) against every change of at most `eps` in each coordinate.

        Parameters
        ----------
        w : Tensor (d,) or (m, d)
        eps : float >= 0
            0 gives the standard error.

        Returns
        -------
        Tensor () or (m,), float64
            Φ(−(⟨w, θ⟩ − ε‖w‖₁) / (σ‖w‖₂)).
        """
        w = check_weights(w, self.d)
        eps = check_number("eps", eps, 0, math.inf, closed="low")
        margin = w.sum(-1) - eps * w.abs().sum(-1)
        return normal_cdf(-margin / (self.sigma * w.norm(dim=-1)))

    def estimates(self, n: int, draws: int, generator: torch.Generator) -> Tensor:
        """Draw ŵ, the mean of n products y_i·x_i, `draws` times: (draws, d) float32, from its exact law N(θ, σ²/n)."""
        check_count("n", n, 1)
        check_count("draws", draws, 1)
        return 1 + self.sigma / math.sqrt(n) * torch.randn(draws, self.d, generator=generator)

    def expected_error(self, n: int, eps: float, generator: torch.Generator, draws: int = 20) -> Estimate:
        """Return the error of ŵ from n examples, averaged over `draws` training sets, with its 95% interval."""
        check_count("draws", draws, 2)
        chunk = max(1, AT_ONCE // self.d)
        sizes = [min(chunk, draws - start) for start in range(0, draws, chunk)]
        return mean_of(torch.cat([self.error(self.estimates(n, size, generator), eps) for size in sizes]))

    def typical_error(self, n: float, eps: float = 0.0) -> float:
        """Return the error of a typical ŵ from n examples, in closed form (n need not be whole).

        With s = σ/√n, ⟨ŵ, θ⟩, ‖ŵ‖₁ and ‖ŵ‖₂² are sums over d independent coordinates and hardly differ from their
        means d, d·E|1 + s·g| and d·(1 + s²) for large d; those are put into `error`'s formula.
        """
        n = check_number("n", n, 0, math.inf)
        eps = check_number("eps", eps, 0, math.inf, closed="low")
        s = self.sigma / math.sqrt(n)
        margin = math.sqrt(self.d) * (1 - eps * _folded_mean(s)) / (self.sigma * math.sqrt(1 + s * s))
        return normal_cdf(-margin).item()

    def typical_need(self, target: float, eps: float = 0.0) -> float:
        """Return the n, not necessarily whole, at which `typical_error` falls to `target` < ½; infinity if never."""
        target = check_number("target", target, 0, 0.5)
        low, high = 1e-9, 1e18
        if self.typical_error(high, eps) > target:
            return math.inf
        while high / low > 1 + 1e-9:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self.typical_error(middle, eps) <= target else (middle, high)
        return high

    def learn(self, target: float, eps: float, generator: torch.Generator, limit: int = 10_000) -> int | None:
        """Draw examples one by one until the error of ŵ is at most `target`; return how many, None beyond `limit`."""
        target = check_number("target", target, 0, 1)
        check_count("limit", limit, 1)
        total = torch.zeros(self.d)
        for n in range(1, limit + 1):
            x, y = self.sample(1, generator)
            total += x[0] * y
            if self.error(total, eps) <= target:  # the mean and the sum are one classifier
                return n
        return None

    def expected_need(
        self, target: float, eps: float, generator: torch.Generator, draws: int = 20, limit: int = 10_000
    ) -> int | None:
        """Return the smallest n whose `expected_error` is at most `target`, or None beyond `limit`."""
        target = check_number("target", target, 0, 1)
        return smallest(lambda n: self.expected_error(n, eps, generator, draws).value <= target, limit)


def _folded_mean(s: float) -> float:
    """Return E|1 + s·g| for a standard normal g."""
    return s * math.sqrt(2 / math.pi) * math.exp(-0.5 / s**2) + 1 - 2 * normal_cdf(-1 / s).item()
