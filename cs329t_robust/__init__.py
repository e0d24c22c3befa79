"""The workbook's package: threats, attacks, training, measuring, drawing and checks for the Robustness lecture."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Linf": "threat",
    "L2": "threat",
    "apgd": "attacks",
    "deepfool": "attacks",
    "fgsm": "attacks",
    "fmn": "attacks",
    "pgd": "attacks",
    "robust_accuracy": "evaluation",
    "robustness_curve": "evaluation",
    "accuracy": "evaluation",
    "device": "runtime",
    "set_threads": "runtime",
}
__all__ = [
    "L2",
    "Linf",
    "__version__",
    "accuracy",
    "apgd",
    "deepfool",
    "device",
    "fgsm",
    "fmn",
    "pgd",
    "robust_accuracy",
    "robustness_curve",
    "set_threads",
]

if TYPE_CHECKING:
    from .attacks import apgd, deepfool, fgsm, fmn, pgd
    from .evaluation import accuracy, robust_accuracy, robustness_curve
    from .runtime import device, set_threads
    from .threat import L2, Linf


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that `import cs329t_robust` stays instant."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
