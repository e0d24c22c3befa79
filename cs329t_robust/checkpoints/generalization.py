"""Generalization from few and from many digits: clean and robust accuracy, on the training set and beyond it.

One table answers two of the lecture's questions: is robust generalization harder, and does robustness improve accuracy?
"""

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..attacks import pgd, spatial
from ..contract.input_validation import check_count
from ..data import datasets
from ..evaluation.accuracy import accuracy, robust_accuracy
from ..models.networks import SmallCNN
from ..runtime import data_folder
from ..theory import Estimate, mean_of
from ..threat import Linf, Spatial
from ..training.fit import fit

EPS = 0.1
STEPS, BATCH = 400, 128  # weight updates for small sets; large ones are gone through twice
CLIMB = 3  # gradient steps of the inner maximum in training
METHODS: dict[str, tuple[int, dict[str, Any]]] = {  # name: (times the updates, settings of fit)
    "standard": (1, {}),
    "standard, longer": (1 + CLIMB, {}),  # as many gradients as adversarial training takes
    "augmentation": (1, {"inner": partial(spatial, k=1), "threat": Spatial(degrees=15, pixels=2)}),
    "adversarial": (1, {"inner": partial(pgd, steps=CLIMB), "threat": Linf(EPS), "warm_up": 0.3}),
}
SIZES = (100, 1000, 10_000, 60_000)
SEEDS = (0, 1, 2)
MEASURED = 400  # images that robust accuracy is measured on; clean accuracy is on all test images
ATTACK = partial(pgd, steps=20, drop_adversarial=True)


def subset(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return n training digits drawn by `seed`, another draw for each seed."""
    x, y = datasets.mnist("train")
    check_count("n", n, 1)
    if n > len(x):
        raise ValueError(f"n: expected at most {len(x):,} training digits, got {n}")
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:n]
    return x[rows], y[rows]


def trained(method: str, n: int, seed: int = 0) -> nn.Module:
    """Train a `SmallCNN` on `subset(n, seed)` by one of `METHODS`, on the same number of weight updates for each.

    400 updates of up to 128 digits, or two passes if that is more; four times as many for "standard, longer", which
    spends as many gradients as "adversarial" does with its three inner steps.

    Parameters
    ----------
    method : {"standard", "standard, longer", "augmentation", "adversarial"}
    n : int
        How many training digits.
    seed : int
        Of their choice, and of the first weights.

    Returns
    -------
    SmallCNN

    Raises
    ------
    ValueError
        If `method` is unknown or n is out of range.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    times, settings = METHODS[method]
    x, y = subset(n, seed)
    per_epoch = -(-n // BATCH)
    epochs = times * max(2, round(STEPS / per_epoch))
    model = SmallCNN(seed=seed)
    fit(model, x, y, epochs=epochs, batch_size=min(n, BATCH), max_lr=2e-3, seed=seed, **settings)
    return model


def measured(model: nn.Module, n: int, seed: int) -> dict[str, float]:
    """Return clean and robust accuracy (PGD-20, L∞ 0.1) on the training digits and on the test digits.

    Parameters
    ----------
    model : Module
        Digits (n, 1, 28, 28) to logits (n, 10).
    n : int
        How many training digits it has seen.
    seed : int
        Which ones, as in `trained`.

    Returns
    -------
    dict of str to float
        By the names of the columns of `shipped`.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    found = {}
    for name, (x, y) in {"train": subset(n, seed), "test": datasets.mnist("test")}.items():
        found[f"clean {name}"] = float(accuracy(model, x, y))
        few = slice(0, MEASURED)
        found[f"robust {name}"] = float(robust_accuracy(model, x[few], y[few], ATTACK, Linf(EPS)))
    return {key: round(value, 4) for key, value in found.items()}


def measure(
    sizes: Sequence[int] = SIZES,
    seeds: Sequence[int] = SEEDS,
    methods: Sequence[str] = tuple(METHODS),
    known: Sequence[dict] = (),
) -> Iterator[list[dict]]:
    """Yield the table after each training: rows of `known` are kept, the others are trained and measured."""
    rows = list(known)
    done = {(row["method"], row["n"], row["seed"]) for row in rows}
    for n in sizes:
        for seed in seeds:
            for method in methods:
                if (method, n, seed) in done:
                    continue
                began = time.process_time()
                model = trained(method, n, seed)
                spent = time.process_time() - began
                row = {"method": method, "n": n, "seed": seed, "seconds": round(spent, 1)} | measured(model, n, seed)
                rows.append(row)
                yield rows


def shipped(path: Path | None = None) -> list[dict]:
    """Return the rows of the table at `path`; without one, of that which data/ ships.

    Parameters
    ----------
    path : Path, optional
        Another file of the same form.

    Returns
    -------
    list of dict
        With the columns method, n, seed, and clean and robust accuracy on training and test digits.

    Raises
    ------
    DataError
        If data/ has no such table; the message says how to get it or to make it again.
    """
    command = "cs329t generalization --json FILE"
    path = path or data_folder.shipped("generalization.json", command, first="cs329t data --get mnist")
    return json.loads(path.read_text("utf-8"))


def summary(rows: Sequence[dict], method: str, what: str) -> dict[int, Estimate]:
    """Return, for each n, the mean over the seeds of a column such as "robust test", with its 95% interval.

    Parameters
    ----------
    rows : sequence of dict
        What `shipped` returns.
    method : str
        A value of the column "method".
    what : str
        A column.

    Returns
    -------
    dict of int to Estimate

    Raises
    ------
    ValueError
        If there is no such method or column.
    """
    sizes = sorted({row["n"] for row in rows if row["method"] == method})
    if not sizes or what not in rows[0]:
        raise ValueError(f"method, what: expected {', '.join(METHODS)} and a column, got {method!r} and {what!r}")
    column = {n: [row[what] for row in rows if row["method"] == method and row["n"] == n] for n in sizes}
    return {n: mean_of(torch.tensor(values, dtype=torch.float64)) for n, values in column.items()}


def gain(rows: Sequence[dict], method: str, other: str, what: str = "clean test") -> dict[int, Estimate]:
    """Return how much `method` is ahead of `other`, for each number of training digits n.

    Parameters
    ----------
    rows : sequence of dict
        What `shipped` returns.
    method, other : str
        Values of the column "method".
    what : str
        The column that is compared.

    Returns
    -------
    dict of int to Estimate
        Paired by seed, so by training set.

    Raises
    ------
    ValueError
        If an n has fewer than two seeds in common.
    """
    value = {(row["method"], row["n"], row["seed"]): row[what] for row in rows}
    found: dict[int, list[float]] = {}
    for name, n, seed in value:
        if name == method and (other, n, seed) in value:
            found.setdefault(n, []).append(value[method, n, seed] - value[other, n, seed])
    return {n: mean_of(torch.tensor(found[n], dtype=torch.float64)) for n in sorted(found)}
