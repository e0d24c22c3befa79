"""How robust is it, honestly? Accuracy, clean and under attack, re-scored; and signs that a number flatters."""

from .accuracy import Accuracy, Curve, accuracy, predict, robust_accuracy, robustness_curve, wilson
from .sanity_checks import Finding, suspicions

__all__ = [
    "Accuracy",
    "Curve",
    "Finding",
    "accuracy",
    "predict",
    "robust_accuracy",
    "robustness_curve",
    "suspicions",
    "wilson",
]
