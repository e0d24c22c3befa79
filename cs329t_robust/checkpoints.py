"""Make the checkpoints that data/checkpoints ships: train, measure, save as .safetensors with a model card inside."""

import json
import platform
import time
from functools import partial
from pathlib import Path

import torch

from . import __version__, data
from .attacks import pgd
from .evaluation import accuracy, robust_accuracy
from .models import CHECKPOINTS, SmallCNN
from .runtime import device, set_threads
from .threat import Linf
from .training import fit

SHIPPED = {"standard": CHECKPOINTS / "mnist_standard.safetensors"}


def train_mnist(
    method: str = "standard", *, out: str | Path, epochs: int = 2, seed: int = 0, progress: bool = False
) -> dict[str, str]:
    """Train the small CNN on MNIST's 60,000 images, measure it on the 10,000 test images, and save it.

    Parameters
    ----------
    method : str
        "standard": plain cross-entropy.
    out : path
        The .safetensors file to write; its header holds the model card.
    epochs, seed : int
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The model card: method, seed, epochs, seconds, hardware, versions, clean and robust accuracy.

    Raises
    ------
    ValueError
        If `method` is unknown or `out` is not a .safetensors path.
    """
    from safetensors.torch import save_file

    if method not in SHIPPED:
        raise ValueError(f"method: expected one of {', '.join(SHIPPED)}, got {method!r}")
    out = Path(out)
    if out.suffix != ".safetensors":
        raise ValueError(f"out: expected a path ending in .safetensors, got {str(out)!r}")
    threads, where = set_threads(), device()
    x, y = (tensor.to(where) for tensor in data.mnist("train"))
    model = SmallCNN(seed=seed).to(where)
    began = time.perf_counter()
    fit(model, x, y, epochs=epochs, seed=seed, progress=progress)
    seconds = time.perf_counter() - began
    x, y = (tensor.to(where) for tensor in data.mnist("test"))
    attack = partial(pgd, steps=40, drop_broken=True)
    card = {
        "model": "SmallCNN",
        "method": method,
        "seed": str(seed),
        "epochs": str(epochs),
        "seconds": f"{seconds:.0f}",
        "hardware": f"{platform.machine()} {where}, {threads} thread",
        "versions": json.dumps({"cs329t-robust": __version__, "torch": torch.__version__}),
        "clean": f"{accuracy(model, x, y):.4f} (n=10000)",
        "pgd40_linf_0.1": f"{robust_accuracy(model, x[:1000], y[:1000], attack, Linf(0.1)):.3f} (n=1000)",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, out, metadata=card)
    return card
