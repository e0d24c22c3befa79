"""Time our attacks beside a bare loop with as many gradients, interleaved, on the shipped classifier."""

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .. import __version__
from ..attacks import fgsm, pgd
from ..attacks.engine.cuda_graph import RECORDERS
from ..data import datasets
from ..evaluation.accuracy import predict
from ..models.networks import mnist_classifier
from ..threat import Linf

EPS, STEPS = 0.1, 40


def bare(model: nn.Module, x: Tensor, y: Tensor, *, steps: int, step_size: float, eps: float = EPS) -> Tensor:
    """Climb in the shortest loop that is still PGD: no checks, no random start, nothing dropped."""
    x_adv = x.clone()
    for _ in range(steps):
        x_adv.requires_grad_()
        (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model(x_adv), y, reduction="sum"), x_adv)
        delta = (x_adv.detach() + step_size * grad.sign() - x).clamp(-eps, eps)
        x_adv = (x + delta).clamp(0, 1)
    return x_adv


class Captured:
    """A bare loop as one recording, made in the first call and replayed in the others: the ceiling on a GPU."""

    def __init__(self, run: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
        self.run, self.replay = run, None

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Return what the loop returns; every call must bring the same model, labels and shape."""
        if self.replay is None:
            self.replay = RECORDERS[x.device.type](lambda images: (self.run(model, images, y),), x)
        return self.replay(x)[0]


def contenders(
    attack: str, device: str = "cpu"
) -> dict[tuple[str, str], Callable[[nn.Module, Tensor, Tensor], Tensor]]:
    """Return what is timed for an attack: (mode, who) to a function (model, x, y) -> x_adv.

    Where the device can record, the bare loop stands there a second time, as one recording.

    Raises
    ------
    ValueError
        If `attack` has no bare loop to stand beside.
    """
    if attack not in ("fgsm", "pgd"):
        raise ValueError(f"attack: expected fgsm or pgd, got {attack!r}")
    loop = partial(
        bare, steps=1 if attack == "fgsm" else STEPS, step_size=EPS if attack == "fgsm" else 2.5 * EPS / STEPS
    )
    floor = {("fixed", "bare"): loop} | ({("fixed", "captured"): Captured(loop)} if device in RECORDERS else {})
    if attack == "fgsm":
        return {("fixed", "ours"): partial(fgsm, threat=Linf(EPS)), **floor}
    ours = partial(pgd, threat=Linf(EPS), steps=STEPS, step_size=2.5 * EPS / STEPS, random_start=False)
    return {("fixed", "ours"): ours, **floor, ("evaluation", "ours"): partial(ours, drop_adversarial=True)}


def bench(attack: str, *, device: torch.device, n: int = 256, runs: int = 7) -> dict:
    """Time an attack against the bare loop: medians of `runs` interleaved runs after one warm-up.

    Parameters
    ----------
    attack : "fgsm" or "pgd"
        At Linf 0.1; PGD with 40 steps.
    device : torch.device
    n : int
        Images: the first of MNIST's test set.
    runs : int >= 1

    Returns
    -------
    dict
        ``rows`` (attack, mode, model, who, seconds, spread, ratio to the bare loop, robust_accuracy), ``machine`` and
        ``versions``.
    """
    x, y = (tensor.to(device) for tensor in datasets.mnist("test", n))
    model = mnist_classifier().to(device)
    timed = contenders(attack, device.type)
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in timed}
    results = {key: run(model, x, y) for key, run in timed.items()}
    for _ in range(runs):
        for key, run in timed.items():
            began = _now(device)
            run(model, x, y)
            seconds[key].append(_now(device) - began)
    floor = statistics.median(seconds["fixed", "bare"])
    rows = [
        {
            "attack": attack,
            "mode": mode,
            "model": "mnist_standard",
            "who": who,
            "seconds": round(statistics.median(seconds[mode, who]), 6),
            "spread": [round(min(seconds[mode, who]), 6), round(max(seconds[mode, who]), 6)],
            "ratio": round(statistics.median(seconds[mode, who]) / floor, 4),
            "robust_accuracy": (predict(model, results[mode, who]).argmax(1) == y).double().mean().item(),
        }
        for mode, who in timed
    ]
    machine = f"{platform.machine()}, {device}, {torch.get_num_threads()} thread(s), n={n}, {runs} runs"
    return {"rows": rows, "machine": machine, "versions": {"cs329t-robust": __version__, "torch": torch.__version__}}


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()
