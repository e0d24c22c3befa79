"""Borrow a model: run it in eval mode, give it back exactly as it was found, and say at which precision it computes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .input_validation import Model, module_of

_on = torch.backends
UNITS = {  # what may compute float32 at less than its precision (TF32 in convolutions is PyTorch's default on CUDA)
    "cuda": (_on.cuda.matmul, _on.cudnn.conv, _on.cudnn.rnn),
    "cpu": (_on.mkldnn.matmul, _on.mkldnn.conv, _on.mkldnn.rnn),
}
_lent: dict[int, list[int]] = {}  # by id: how many borrow a module now, and the mode it was found in
_lock = threading.Lock()


@contextmanager
def borrowed(model: Model) -> Iterator[None]:
    """Run the model in eval mode with gradients on, and give it back as it was.

    Every submodule gets its own mode back, also after an exception or Ctrl-C: a frozen BatchNorm inside a training
    model stays frozen. Threads may share a model, which goes back when the last one is done. Works inside
    `torch.no_grad()` and `torch.inference_mode()`. Parameter gradients are never touched, because attacks differentiate
    with respect to the input alone.

    Parameters
    ----------
    model : callable
        A module, or a function around one.

    Yields
    ------
    None
    """
    module = module_of(model)
    modules = [part for part in module.modules() if hasattr(part, "training")] if module is not None else []
    counted = []
    try:
        with _lock:
            for part in modules:
                _lent.setdefault(id(part), [0, part.training])[0] += 1
                counted.append(part)
                part.training = False
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        with _lock:
            for part in counted:
                _lent[id(part)][0] -= 1
                if not _lent[id(part)][0]:
                    part.training = _lent.pop(id(part))[1]


def reduced(device: torch.device) -> bool:
    """Tell whether models on this device may compute below the precision of their dtype: by autocast, or by TF32.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    bool
    """
    return torch.is_autocast_enabled(device.type) or bool(_lowered(device))


def _lowered(device: torch.device) -> list:
    return [unit for unit in UNITS.get(device.type, ()) if unit.fp32_precision.startswith(("tf32", "bf16"))]


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Give a verdict: no autocast and no TF32 inside, whatever is set outside; what was set is set again afterwards.

    A search may run as fast as you set PyTorch to run. Whether an image is adversarial is always said in here. A model
    that lowers the precision by itself, as `models.Bfloat16` does, is what it is.

    Parameters
    ----------
    device : torch.device
        Where the model computes.

    Yields
    ------
    None
    """
    word, legacy = _legacy_matmul(), device.type == "cuda" and _legacy_tf32()
    units = [(unit, unit.fp32_precision) for pair in UNITS.values() for unit in pair]
    try:
        if legacy:
            _on.cudnn.allow_tf32 = False
        if word != "highest":
            torch.set_float32_matmul_precision("highest")
        for unit in _lowered(device):
            unit.fp32_precision = "ieee"
        if torch.is_autocast_enabled(device.type):
            with torch.autocast(device.type, enabled=False):
                yield
        else:
            yield
    finally:
        if word != "highest":
            torch.set_float32_matmul_precision(word)
        for unit, value in units:
            if unit.fp32_precision != value:
                unit.fp32_precision = "none"  # inherit, and only if that is not what it was, say it
            if unit.fp32_precision != value:
                unit.fp32_precision = value
        if legacy:
            _on.cudnn.allow_tf32 = True


def _legacy_matmul() -> str:
    """Return the older switch for matrix products, which `torch.backends.cuda.matmul.allow_tf32` must agree with."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it cannot be read where the newer switches say something else
        return "highest"


def _legacy_tf32() -> bool:
    """Tell whether cuDNN's older switch, which `torch.backends.cudnn.flags` reads, is on and in force."""
    try:
        return bool(_on.cudnn.allow_tf32)
    except RuntimeError:  # it cannot be read where convolutions and recurrent layers were set apart
        return False
