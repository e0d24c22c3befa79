"""The workbook's package: threats, attacks, training, measuring, drawing and checks for the Robustness lecture."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"


def lazily(package: str, homes: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the `__getattr__`, `__dir__` and `__all__` of a package that imports each public name on first use.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : dict of str to str
        Each public name, and the module below the package that defines it.
    """

    def load(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f".{homes[name]}", package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, listed, sorted(homes)


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
    from .attacks.physical import place, train_patch
    from .attacks.physical.eot import share_seen_as
    from .attacks.physical.views import Views
    from .evaluation.accuracy import accuracy, robust_accuracy, robustness_curve
    from .runtime.device_and_threads import device, set_threads
    from .threat import L0, L1, L2, Linf, Masked, Spatial
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
    "place": "attacks",
    "sparse_rs": "attacks",
    "spatial": "attacks",
    "square": "attacks",
    "train_patch": "attacks",
    "transfer": "attacks",
    "Views": "attacks",
    "share_seen_as": "attacks",
    "robust_accuracy": "evaluation",
    "robustness_curve": "evaluation",
    "accuracy": "evaluation",
    "device": "runtime",
    "set_threads": "runtime",
}
__getattr__, __dir__, _ = lazily(__name__, _HOME)
