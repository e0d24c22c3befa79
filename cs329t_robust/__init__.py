"""The workbook's package: threats, attacks, training, measuring, drawing and checks for the Robustness lecture."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "L0": "threat",
    "L1": "threat",
    "L2": "threat",
    "Linf": "threat",
    "Masked": "threat",
    "Spatial": "threat",
    "apgd": "attacks",
    "apgd_t": "attacks",
    "autoattack": "attacks",
    "cw": "attacks",
    "deepfool": "attacks",
    "fab_t": "attacks",
    "fgsm": "attacks",
    "fmn": "attacks",
    "penalty": "attacks",
    "pgd": "attacks",
    "physical": "attacks",
    "place": "attacks.patches",
    "sparse_rs": "attacks",
    "spatial": "attacks",
    "square": "attacks",
    "train_patch": "attacks.patches",
    "transfer": "attacks",
    "Views": "attacks.views",
    "share_seen_as": "attacks.physical",
    "robust_accuracy": "evaluation",
    "robustness_curve": "evaluation",
    "accuracy": "evaluation",
    "device": "runtime",
    "set_threads": "runtime",
}
__all__ = [
    "L0",
    "L1",
    "L2",
    "Linf",
    "Masked",
    "Spatial",
    "Views",
    "__version__",
    "accuracy",
    "apgd",
    "apgd_t",
    "autoattack",
    "cw",
    "deepfool",
    "device",
    "fab_t",
    "fgsm",
    "fmn",
    "penalty",
    "pgd",
    "physical",
    "place",
    "robust_accuracy",
    "robustness_curve",
    "set_threads",
    "share_seen_as",
    "sparse_rs",
    "spatial",
    "square",
    "train_patch",
    "transfer",
]

if TYPE_CHECKING:
    from .attacks import (
        apgd,
        apgd_t,
        autoattack,
        cw,
        deepfool,
        fab_t,
        fgsm,
        fmn,
        penalty,
        pgd,
        physical,
        sparse_rs,
        spatial,
        square,
        transfer,
    )
    from .attacks.patches import place, train_patch
    from .attacks.physical import share_seen_as
    from .attacks.views import Views
    from .evaluation import accuracy, robust_accuracy, robustness_curve
    from .runtime import device, set_threads
    from .threat import L0, L1, L2, Linf, Masked, Spatial


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that `import cs329t_robust` stays instant."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
