"""Make the checkpoints of the network that is small enough for exact bounds: train, measure, save with a model card."""

import json
import platform
import time
from functools import partial
from pathlib import Path

import torch

from .. import __version__, certification
from ..attacks import pgd
from ..data import datasets
from ..evaluation.accuracy import accuracy, robust_accuracy
from ..models.networks import SmallDense
from ..runtime.device_and_threads import device, set_threads
from ..threat import Linf
from ..training.fit import fit
from ..training.recipes import RECIPES

METHODS = {"standard": None, "interval": 0.1}  # the radius trained against
EPOCHS = 4
MAX_LR = 1e-2


def train_dense(
    method: str = "standard",
    *,
    out: str | Path,
    epochs: int | None = None,
    eps: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, str]:
    """Train `SmallDense` on MNIST's 60,000 images, measure it on the test images, and save it.

    Parameters
    ----------
    method : "standard" or "interval"
    out : path
        The .safetensors file to write; its header holds the model card.
    epochs : int, optional
        Passes over the data; 4 when not given.
    eps : float, optional
        Radius of "interval"; 0.1 when not given.
    seed : int
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The model card.

    Raises
    ------
    ValueError
        If `method` is unknown, `out` is not a .safetensors path, or `eps` is given to a method without a radius.
    """
    from safetensors.torch import save_file

    out = Path(out)
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)} for this network, got {method!r}")
    if out.suffix != ".safetensors":
        raise ValueError(f"out: expected a path ending in .safetensors, got {str(out)!r}")
    radius = METHODS[method]
    epochs = EPOCHS if epochs is None else epochs
    settings = RECIPES[method].settings(radius if eps is None else eps)
    threads, where = set_threads(), device()
    x, y = (tensor.to(where) for tensor in datasets.mnist("train"))
    model = SmallDense(seed=seed).to(where)
    began = time.process_time()
    fit(model, x, y, epochs=epochs, max_lr=MAX_LR, seed=seed, progress=progress, **settings)
    seconds = time.process_time() - began
    x, y = (tensor.to(where) for tensor in datasets.mnist("test"))
    attack, threat = partial(pgd, steps=40, drop_adversarial=True), Linf(0.05)
    certified = certification.interval(model, x[:1000], y[:1000], threat=threat) < 0
    card = {
        "model": "SmallDense",
        "method": f"{method}: {RECIPES[method].says}",
        "threat": repr(settings.get("threat")),
        "seed": str(seed),
        "epochs": str(epochs),
        "seconds": f"{seconds:.0f} (CPU time)",
        "hardware": f"{platform.machine()} {where}, {threads} thread",
        "versions": json.dumps({"cs329t-robust": __version__, "torch": torch.__version__}),
        "clean": f"{accuracy(model, x, y):.4f} (n=10000)",
        f"pgd40 {threat!r}": f"{robust_accuracy(model, x[:1000], y[:1000], attack, threat):.4f} (n=1000)",
        f"certified by interval bounds {threat!r}": f"{certified.float().mean().item():.4f} (n=1000)",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, out, metadata=card)
    return card
