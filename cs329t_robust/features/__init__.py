"""Features, not bugs: data sets of robust and of non-robust features alone, and how useful a feature is."""

from .feature_datasets import Penultimate, Relabelled, non_robust_dataset, robustify, targets_for
from .ilyas import learn, rebuilt, robust, robust_features, sources
from .ilyas_settings import DIGITS, SETTINGS, Setting
from .usefulness import leakage, robust_usefulness, standardised, usefulness

__all__ = [
    "DIGITS",
    "SETTINGS",
    "Penultimate",
    "Relabelled",
    "Setting",
    "leakage",
    "learn",
    "non_robust_dataset",
    "rebuilt",
    "robust",
    "robust_features",
    "robust_usefulness",
    "robustify",
    "sources",
    "standardised",
    "targets_for",
    "usefulness",
]
