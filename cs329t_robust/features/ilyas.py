"""Ilyas et al. 2019: what a network learns from non-robust features alone, and from robust features alone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..evaluation.accuracy import Accuracy, accuracy, robust_accuracy
from ..models.networks import LinearModel, mnist_classifier
from ..threat import Threat
from ..training.fit import fit
from .feature_datasets import Penultimate, Relabelled, non_robust_dataset, robustify
from .ilyas_settings import SETTINGS, Setting, ball, faster
from .usefulness import leakage

Pair = tuple[Tensor, Tensor]
Built = Callable[[], Relabelled]
LEAK = {  # Goh 2019
    ("D_rand", "10 linear"): "23.5", ("D_det", "10 linear"): "none found",
    ("D_rand", "the robust net's"): "", ("D_det", "the robust net's"): "",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    trained_on : str
    paper : str
        The paper's numbers on CIFAR-10 (and on restricted ImageNet after "/"), "" where it has none.
    clean, robust : list of float
        Accuracy on clean test pictures and under attack, one for each seed; `robust` is empty where not measured.
    n, n_attacked : int
        Test pictures behind them.
    seconds : float
        CPU seconds of building the set and of training on it.
    """

    trained_on: str
    paper: str
    clean: list[float]
    robust: list[float]
    n: int
    n_attacked: int
    seconds: float


def learn(setting: Setting, x: Tensor, y: Tensor, seed: int, threat: Threat | None = None) -> nn.Module:
    """Train a fresh network on (x, y), the standard way or (with a threat) adversarially, and return it.

    Parameters
    ----------
    setting : Setting
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
    seed : int
        Of the network's first weights and of the order of the pictures.
    threat : Threat, optional
        What the network is made robust against.

    Returns
    -------
    Module
        In eval mode.

    Raises
    ------
    ValueError
        As `fit` does.
    """
    model = setting.network(seed=seed).to(x.device)
    fit(faster(model, x.device), x, y, seed=seed, **setting.training(len(x), threat))
    return model.eval()


def robust(setting: Setting, model: nn.Module, x: Tensor, y: Tensor) -> Accuracy:
    """Measure robust accuracy at the table's radius: searched by PGD-20 in `faster`, judged in float32.

    Parameters
    ----------
    setting : Setting
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels.

    Returns
    -------
    Accuracy
        Of the first `setting.n_attacked` images.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.
    """
    quick = faster(model, x.device)

    def pgd20(_: nn.Module, x: Tensor, y: Tensor, *, threat: Threat) -> Tensor:
        return pgd(quick, x, y, threat=threat, steps=20, drop_adversarial=quick is model)

    few = slice(0, setting.n_attacked)
    return robust_accuracy(model, x[few], y[few], pgd20, ball(setting.test_eps))


def rebuilt(setting: Setting, network: nn.Module, x: Tensor, y: Tensor) -> Pair:
    """Rebuild every picture from a network's representation, `setting.copies` times from different starts.

    Parameters
    ----------
    setting : Setting
    network : Module
        With a last linear layer; as in `robustify`.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer

    Returns
    -------
    x : Tensor (copies·n, c, h, w) in [0, 1]
        One rebuilt set after the other.
    y : Tensor (copies·n,)

    Raises
    ------
    ValueError
        As `robustify` does.
    """
    how = {"steps": setting.invert, "step_size": setting.invert_step}
    sets = [robustify(network, x, seed=seed, **how) for seed in range(setting.copies)]
    return torch.cat(sets), y.repeat(len(sets))


def sources(dataset: str, setting: Setting, x: Tensor, y: Tensor) -> tuple[nn.Module, nn.Module]:
    """Return the standard network and the robust one that the sets are made with.

    The robust one is trained here, on the pictures that it will rebuild and no others: one that had seen more would put
    into them what it knows of those. The standard one is the shipped one for MNIST.

    Parameters
    ----------
    dataset : str
        A key of `SETTINGS`.
    setting : Setting
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer

    Returns
    -------
    standard, robust : Module
        In eval mode.

    Raises
    ------
    ValueError
        As `fit` does.
    """
    standard = mnist_classifier().to(x.device) if dataset == "mnist" else learn(setting, x, y, 0)
    return standard, learn(setting, x, y, 0, ball(setting.robust_eps))


def rows(
    dataset: str,
    setting: Setting | None = None,
    *,
    seeds: int = 2,
    device: torch.device | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """Make the table row by row, each as soon as it is measured.

    Parameters
    ----------
    dataset : str
        One of `SETTINGS`.
    setting : Setting, optional
        The data set's own when not given.
    seeds : int >= 1
        Fresh networks for each row.
    device : device
    tell : callable
        Is told what is done next.
    """
    setting = setting or SETTINGS[dataset]
    x, y = (t.to(device) for t in setting.load("train", setting.n))
    x_test, y_test = (t.to(device) for t in setting.load("test", None))
    tell("the networks that the sets are made with")
    standard, robust_net = sources(dataset, setting, x, y)
    quick, robust_net = faster(standard, x.device), faster(robust_net, x.device)
    push = partial(non_robust_dataset, quick, x, y, steps=setting.steps, step_size=setting.step_size)
    d_rand, d_det = (
        cache(partial(push, ball(eps), targets=rule))
        for rule, eps in (("random", setting.eps), ("next", setting.det_eps))
    )  # fmt: skip
    for make in _sets(setting, quick, robust_net, (x, y), d_rand, d_det):
        began = time.process_time()
        name, paper, (a, b), attacked = make()
        tell(f"{name}: {seeds} networks")
        nets = [learn(setting, a, b, seed) for seed in range(1, seeds + 1)]
        clean = [float(accuracy(net, x_test, y_test)) for net in nets]
        hard = [float(robust(setting, net, x_test, y_test)) for net in nets] if attacked else []
        yield Row(name, paper, clean, hard, len(x_test), setting.n_attacked, time.process_time() - began)
    tell("robust features alone")
    for name, features in robust_features(setting, robust_net, x, y).items():
        for label, made in (("D_rand", d_rand()), ("D_det", d_det())):
            began = time.process_time()
            score = float(leakage(features, made.x, made.y, x_test, y_test))
            what = f"leak: {label} through {name}"
            yield Row(what, LEAK[label, name], [score], [], len(x_test), 0, time.process_time() - began)


def robust_features(setting: Setting, net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return features that small perturbations hardly move: Goh's ten robust linear ones, and a robust network's.

    Parameters
    ----------
    setting : Setting
    net : Module
        The robust network.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer

    Returns
    -------
    dict of str to callable
        Each from images to features (n, d).

    Raises
    ------
    ValueError
        As `fit` and `Penultimate` do.
    """
    linear = LinearModel(torch.zeros(int(y.max()) + 1, x[0].numel(), device=x.device))
    inner = partial(pgd, steps=5)
    fit(linear, x, y, inner=inner, threat=ball(setting.test_eps), epochs=4, max_lr=5e-3)
    return {"10 linear": linear.eval(), "the robust net's": Penultimate(net)}


def _sets(
    setting: Setting, standard: nn.Module, robust_net: nn.Module, data: Pair, d_rand: Built, d_det: Built
) -> Iterator[Callable[[], tuple[str, str, Pair, bool]]]:
    """Yield a function for each row that makes (its name, the paper's numbers, its set, whether to attack it)."""
    x, y = data
    yield lambda: ("standard", "95 / 97", (x, y), True)
    yield lambda: ("non-robust features (D_det)", "44 / 64", (d_det().x, d_det().y), True)
    yield lambda: ("  control: not perturbed", "", (x, d_det().y), False)
    yield lambda: ("non-robust features (D_rand)", "63", (d_rand().x, d_rand().y), True)
    yield lambda: ("  control: not perturbed", "", (x, d_rand().y), False)
    yield lambda: ("  control: shuffled", "", (d_rand().shuffled().x, d_rand().y), False)
    few = min(setting.matched, len(x))
    if few:
        yield lambda: (f"standard, {few:,} pictures only", "", (x[:few], y[:few]), True)
    yield lambda: ("robust set (D_R)", "84, robust 48", rebuilt(setting, robust_net, x, y), True)
    yield lambda: ("the standard net's set (D_NR)", "88, robust 0", rebuilt(setting, standard, x, y), True)
