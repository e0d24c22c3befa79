"""Make the checkpoint of the road-sign classifier: draw signs, train, measure, save with a model card inside."""

import json
import platform
import time
from functools import partial
from pathlib import Path

import torch

from .. import __version__
from ..attacks import pgd
from ..data.signs import CLASSES, signs
from ..evaluation.accuracy import accuracy, robust_accuracy
from ..models.networks import CHECKPOINTS, SignCNN
from ..runtime.device_and_threads import device, set_threads
from ..threat import Linf
from ..training.fit import fit

SHIPPED = CHECKPOINTS / "signs.safetensors"
PICTURES, EPOCHS, MAX_LR = 12_000, 7, 6e-3
HELD_OUT = 1_000_000  # seed of the test pictures: no training seed comes near it


def train_signs(*, out: str | Path, epochs: int | None = None, seed: int = 0, progress: bool = False) -> dict[str, str]:
    """Train `SignCNN` on 12,000 drawn road signs, measure it on 6,000 drawn from another seed, and save it.

    Parameters
    ----------
    out : path
        The .safetensors file to write; its header holds the model card.
    epochs : int, optional
        Passes over the pictures; 7 when not given.
    seed : int in [0, 1,000,000)
        Of the pictures, of the weights and of the order.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The model card.

    Raises
    ------
    ValueError
        If `out` is not a .safetensors path, or `epochs` or `seed` is out of range.
    """
    from safetensors.torch import save_file

    out = Path(out)
    if out.suffix != ".safetensors":
        raise ValueError(f"out: expected a path ending in .safetensors, got {str(out)!r}")
    if not 0 <= seed < HELD_OUT:
        raise ValueError(f"seed: expected one from 0 to {HELD_OUT - 1} (the test pictures have {HELD_OUT}), got {seed}")
    threads, where = set_threads(), device()
    epochs = EPOCHS if epochs is None else epochs
    began = time.process_time()
    x, y = (tensor.to(where) for tensor in signs(PICTURES, seed=seed))
    drawn = time.process_time()
    model = SignCNN(seed=seed).to(where)
    fit(model, x, y, epochs=epochs, max_lr=MAX_LR, seed=seed, progress=progress)
    trained = time.process_time()
    x, y = (tensor.to(where) for tensor in signs(6000, seed=HELD_OUT))
    attack, threat = partial(pgd, steps=40, drop_adversarial=True), Linf(4 / 255)
    card = {
        "model": "SignCNN",
        "method": f"standard: cross-entropy on {PICTURES} drawn pictures",
        "classes": json.dumps(CLASSES),
        "seed": str(seed),
        "epochs": str(epochs),
        "seconds": f"{drawn - began:.0f} to draw, {trained - drawn:.0f} to train (CPU time)",
        "hardware": f"{platform.machine()} {where}, {threads} thread",
        "versions": json.dumps({"cs329t-robust": __version__, "torch": torch.__version__}),
        "clean": f"{accuracy(model, x, y):.4f} (n=6000, seed {HELD_OUT})",
        "pgd40 Linf(4/255)": f"{robust_accuracy(model, x[:600], y[:600], attack, threat):.4f} (n=600)",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, out, metadata=card)
    return card
