"""Make the checkpoints that data/checkpoints ships: train, measure, save as .safetensors with a model card inside."""

import json
import platform
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..attacks import apgd, autoattack, pgd, square
from ..data import datasets
from ..evaluation.accuracy import accuracy, robust_accuracy
from ..models.networks import SmallCNN
from ..runtime.device_and_threads import device, set_threads
from ..threat import Linf, Threat
from ..training.distributed import first, joined
from ..training.fit import fit
from ..training.recipes import RECIPES

ATTACKS = {
    "pgd40": partial(pgd, steps=40, drop_adversarial=True),
    "apgd": partial(apgd, drop_adversarial=True),
    "square": square,
    "autoattack": autoattack,
}


def train_mnist(
    method: str = "standard",
    *,
    out: str | Path,
    epochs: int | None = None,
    eps: float | None = None,
    seed: int = 0,
    measure: int = 0,
    progress: bool = False,
) -> dict[str, str]:
    """Train the small CNN on MNIST's 60,000 images, measure it on the 10,000 test images, and save it.

    While it trains, its state is kept beside `out`, in a file that ends in ``.training.safetensors``. After a kill the
    same call goes on from there, to the same weights.

    Parameters
    ----------
    method : str
        One of `RECIPES`: "standard", "gaussian", "fgsm", "fast", "free", "pgd", "trades", "pgd_l2", "interval" or
        "masked".
    out : path
        The .safetensors file to write; its header holds the model card.
    epochs : int, optional
        Passes over the data; the recipe's own when not given.
    eps : float, optional
        Radius to train against; the recipe's own when not given.
    seed : int
    measure : int
        Of so many test images, measure robust accuracy under PGD-40, APGD, Square and AutoAttack as well; minutes for a
        robust model. 0: under PGD-40 alone, on 1,000.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The model card: method, seed, epochs, seconds, hardware, versions, clean and robust accuracy.

    Raises
    ------
    ValueError
        If `method` is unknown, `out` is not a .safetensors path, or `eps` is given to a method without a radius.
    """
    from safetensors.torch import save_file

    if method not in RECIPES:
        raise ValueError(f"method: expected one of {', '.join(RECIPES)}, got {method!r}")
    out = Path(out)
    if out.suffix != ".safetensors":
        raise ValueError(f"out: expected a path ending in .safetensors, got {str(out)!r}")
    recipe = RECIPES[method]
    settings = recipe.settings(eps)
    epochs = recipe.epochs if epochs is None else epochs
    threads, where = set_threads(), device()
    state = out.with_suffix(".training.safetensors")
    with joined():
        x, y = (tensor.to(where) for tensor in datasets.mnist("train"))
        model = SmallCNN(seed=seed).to(where)
        history = fit(model, x, y, epochs=epochs, seed=seed, resume=state, progress=progress and first(), **settings)
        threat = settings.get("threat") or Linf(0.1)
        card = {
            "model": "SmallCNN",
            "method": f"{method}: {recipe.says}",
            "threat": repr(settings.get("threat")),
            "seed": str(seed),
            "epochs": str(epochs),
            "seconds": f"{history[-1].seconds:.0f} ({history[-1].cpu_seconds:.0f} of CPU time)",
            "hardware": f"{platform.machine()} {where}, {threads} thread",
            "versions": json.dumps({"cs329t-robust": __version__, "torch": torch.__version__}),
        }
        if first():
            x, y = (tensor.to(where) for tensor in datasets.mnist("test"))
            card |= measured(model, x, y, threat, measure)
            out.parent.mkdir(parents=True, exist_ok=True)
            save_file(
                {name: value.cpu().contiguous() for name, value in model.state_dict().items()}, out, metadata=card
            )
            state.unlink(missing_ok=True)
    return card


def measured(model: torch.nn.Module, x: Tensor, y: Tensor, threat: Threat, n: int = 0) -> dict[str, str]:
    """Return clean accuracy on all images, and robust accuracy on the first `n` (0: under PGD-40 alone, on 1,000)."""
    found: dict[str, Any] = {"clean": accuracy(model, x, y)}
    for name, attack in ATTACKS.items() if n else [("pgd40", ATTACKS["pgd40"])]:
        few = slice(0, n or 1000)
        found[f"{name} {threat!r}"] = robust_accuracy(model, x[few], y[few], attack, threat)
    return {name: f"{float(value):.4f} (n={value.n})" for name, value in found.items()}
