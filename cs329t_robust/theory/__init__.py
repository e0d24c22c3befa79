"""The lecture's two theorems as models to run: robust learning needs more examples, and it may cost accuracy."""

from .bernoulli import BernoulliModel
from .confidence_intervals import Estimate, fit_exponent, mean_of, share_of
from .gaussian import GaussianModel
from .tradeoff import StrongWeak, adversarial_training

__all__ = [
    "BernoulliModel",
    "Estimate",
    "GaussianModel",
    "StrongWeak",
    "adversarial_training",
    "fit_exponent",
    "mean_of",
    "share_of",
]
