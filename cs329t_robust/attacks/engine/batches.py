"""Sets of images larger than memory: every attack runs on as many at a time as fit."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import TypeVar

import torch
from torch import Tensor

from ...contract.input_validation import NO_THREAT, Model, check_flag, check_function, check_inputs, fitting
from ...runtime.progress_bar import bar, section
from ...threat import Threat

AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 23}  # pixel values attacked at a time: 668 digits or 3 photographs on a CPU
FUNCTIONS = {"loss": "cross_entropy", "attack": "partial(pgd, steps=40)"}  # settings, and what one could look like
A = TypeVar("A", bound=Callable[..., Tensor])


def batched(*per_image: str) -> Callable[[A], A]:
    """Attack as many images at a time as memory should hold, so that its peak does not grow with their number.

    Where a GPU runs out of memory all the same, they are tried again in halves. Nothing else changes: every attack of
    the package treats each image as if it were alone. A generator draws for one batch after the other. The flags and
    functions among an attack's settings are checked here, once for all attacks.

    Parameters
    ----------
    *per_image : str
        The attack's settings that may be a tensor (n,), one number for each image; a threat's radii always may.
    """

    def decorate(attack: A) -> A:
        flags = {name for name, parameter in signature(attack).parameters.items() if parameter.annotation is bool}

        @wraps(attack)
        def run(model: Model, x: Tensor, y: Tensor, **settings: object) -> Tensor:
            n = len(x) if isinstance(x, Tensor) and x.ndim else 0
            for name, value in settings.items():
                if name in flags:
                    check_flag(name, value)
                if name in FUNCTIONS:
                    check_function(name, value, FUNCTIONS[name])
            # in inference mode nothing made inside could be differentiated
            with torch.inference_mode(False), bar(attack.__name__, n), fitting(x):
                return _in_batches(attack, per_image, model, x, y, settings)

        return run

    return decorate


def images_at_once(x: Tensor) -> int | None:
    """Return how many images of this size are attacked at a time; None if `x` is no batch of images."""
    if not isinstance(x, Tensor) or x.ndim != 4 or x.layout != torch.strided or not x[:1].numel():
        return None
    return max(1, AT_ONCE.get(x.device.type, AT_ONCE["cpu"]) // x[0].numel())


def _in_batches(
    attack: A, per_image: tuple[str, ...], model: Model, x: Tensor, y: Tensor, settings: dict[str, object]
) -> Tensor:
    size = images_at_once(x)
    if size is None or len(x) <= size:
        try:
            return attack(model, x, y, **settings)
        except torch.OutOfMemoryError:
            if len(x) == 1:
                raise
            size = (len(x) + 1) // 2
    x, y = check_inputs(model, x, y, settings.get("threat", NO_THREAT))
    result, begin, adversarial = torch.empty_like(x), 0, 0
    while begin < len(x):
        rows = torch.arange(begin, min(begin + size, len(x)), device=x.device)
        part = {name: _part(name, value, rows, len(x), name in per_image) for name, value in settings.items()}
        try:
            with section(begin / len(x), (begin + len(rows)) / len(x), adversarial) as inside:
                result[rows] = attack(model, x[rows], y[rows], **part)
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
            size = (len(rows) + 1) // 2
            continue
        begin, adversarial = begin + len(rows), adversarial + inside[0]
    return result


def _part(name: str, value: object, rows: Tensor, n: int, per_image: bool) -> object:
    """Return a setting for some rows of the n images."""
    if isinstance(value, Threat):
        return value.select(rows)
    if not per_image or not isinstance(value, Tensor) or value.numel() == 1:
        return value
    if value.shape != (n,):
        raise ValueError(f"{name}: expected a number or a tensor ({n},), got shape {tuple(value.shape)}")
    return value[rows]
