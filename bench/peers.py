"""The peers' attacks, each as a function (model, x, y, …) -> x_adv, used as their authors would and set as ours are.

Each library is imported by its first call, which is the warm-up, so one that cannot be imported fails alone.
"""

import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[nn.Module, Tensor, Tensor], Tensor]

NAMES = ("torchattacks", "foolbox", "art", "auto-attack")
PACKAGES = ("torchattacks", "foolbox", "adversarial-robustness-toolbox")
CLASSES = 10  # MNIST's; some peers must be told


def contenders(
    attack: str, *, eps: float, steps: int, step_size: float, restarts: int, auto_attack: Path | None
) -> dict[str, Run]:
    """Return the peers that know an attack: their name to a function (model, x, y) -> x_adv.

    Parameters
    ----------
    attack : str
        One of `bench.contenders.ATTACKS`.
    eps : float
        Linf radius; the minimum-norm attacks have none.
    steps, step_size, restarts : int, float, int
        Of PGD.
    auto_attack : Path, optional
        A checkout of the official auto-attack repository, which is on no package index.
    """
    official = {} if auto_attack is None else {"auto-attack": partial(auto_attack_official, path=auto_attack, eps=eps)}
    pgd = {"eps": eps, "steps": steps, "step_size": step_size, "restarts": restarts}
    known: dict[str, dict[str, Run]] = {
        "fgsm": {
            "torchattacks": partial(torchattacks_fgsm, eps=eps),
            "foolbox": partial(foolbox_fgsm, eps=eps),
            "art": partial(art_fgsm, eps=eps),
        },
        "pgd": {
            "torchattacks": partial(torchattacks_pgd, **pgd),
            "foolbox": partial(foolbox_pgd, **pgd),
            "art": partial(art_pgd, **pgd),
        },
        "deepfool": {"torchattacks": torchattacks_deepfool, "foolbox": foolbox_deepfool, "art": art_deepfool},
        "l2": {
            "torchattacks cw": torchattacks_cw,
            "foolbox cw": foolbox_cw,
            "foolbox ddn": foolbox_ddn,
            "foolbox fmn": foolbox_fmn,
        },
        "apgd-t": {
            "torchattacks": partial(torchattacks_apgd_t, eps=eps),
            **{who: partial(run, only="apgd-t") for who, run in official.items()},
        },
        "autoattack": {"torchattacks": partial(torchattacks_autoattack, eps=eps), **official},
    }
    return known["pgd" if attack == "pgd-5" else attack]


def torchattacks_fgsm(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> Tensor:
    """Run torchattacks' FGSM."""
    import torchattacks

    return torchattacks.FGSM(model, eps=eps)(x, y)


def torchattacks_pgd(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, step_size: float, restarts: int
) -> Tensor:
    """Run torchattacks' PGD; restarts through its MultiAttack, which goes on with the survivors only."""
    import torchattacks

    start = restarts > 1
    attacks = [torchattacks.PGD(model, eps, step_size, steps, random_start=start) for _ in range(restarts)]
    return (torchattacks.MultiAttack(attacks) if start else attacks[0])(x, y)


def torchattacks_deepfool(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run torchattacks' DeepFool, 50 steps."""
    import torchattacks

    return torchattacks.DeepFool(model, steps=50, overshoot=0.02)(x, y)


def torchattacks_cw(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run torchattacks' CW, which has one c for all, 500 steps."""
    import torchattacks

    return torchattacks.CW(model, c=1, kappa=0, steps=500, lr=0.01)(x, y)


def torchattacks_apgd_t(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> Tensor:
    """Run torchattacks' targeted APGD with the published 100 steps (its default is 10)."""
    import torchattacks

    return torchattacks.APGDT(model, norm="Linf", eps=eps, steps=100, n_classes=CLASSES)(x, y)


def torchattacks_autoattack(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> Tensor:
    """Run torchattacks' AutoAttack "standard", whose gradient attacks take 10 steps: it offers no way to set them."""
    import torchattacks

    return torchattacks.AutoAttack(model, norm="Linf", eps=eps, version="standard", n_classes=CLASSES, seed=0)(x, y)


def foolbox_fgsm(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> Tensor:
    """Run foolbox's FGSM."""
    from foolbox import attacks

    return _foolbox(attacks.LinfFastGradientAttack(random_start=False), model, x, y, eps)


def foolbox_pgd(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, step_size: float, restarts: int
) -> Tensor:
    """Run foolbox's PGD; restarts through `.repeat`, which keeps each image's first success."""
    from foolbox import attacks

    attack = attacks.LinfPGD(abs_stepsize=step_size, steps=steps, random_start=restarts > 1)
    return _foolbox(attack.repeat(restarts) if restarts > 1 else attack, model, x, y, eps)


def foolbox_deepfool(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run foolbox's DeepFool in L2, 50 steps and 10 candidates."""
    from foolbox import attacks

    return _foolbox(attacks.L2DeepFoolAttack(steps=50, candidates=10, overshoot=0.02), model, x, y, None)


def foolbox_cw(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run foolbox's CW in L2: 9 values of c, up to 500 steps each (its default is 10,000)."""
    from foolbox import attacks

    return _foolbox(attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=500), model, x, y, None)


def foolbox_ddn(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run foolbox's DDN in L2, 100 steps."""
    from foolbox import attacks

    return _foolbox(attacks.DDNAttack(steps=100), model, x, y, None)


def foolbox_fmn(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run foolbox's FMN in L2, 100 steps."""
    from foolbox import attacks

    return _foolbox(attacks.L2FMNAttack(steps=100), model, x, y, None)


def _foolbox(attack: Callable, model: nn.Module, x: Tensor, y: Tensor, eps: float | None) -> Tensor:
    """Return the clipped result, the one foolbox's own success is about."""
    from foolbox import PyTorchModel

    return attack(PyTorchModel(model, bounds=(0, 1), device=x.device), x, y, epsilons=eps)[1]


def art_fgsm(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> Tensor:
    """Run ART's FGSM."""
    from art.attacks.evasion import FastGradientMethod

    return _art(FastGradientMethod(_classifier(model, x), norm=np.inf, eps=eps, batch_size=len(x)), x, y)


def art_pgd(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, step_size: float, restarts: int
) -> Tensor:
    """Run ART's PGD, which picks its PyTorch version by itself."""
    from art.attacks.evasion import ProjectedGradientDescent

    attack = ProjectedGradientDescent(
        _classifier(model, x),
        norm=np.inf,
        eps=eps,
        eps_step=step_size,
        max_iter=steps,
        num_random_init=restarts if restarts > 1 else 0,
        batch_size=len(x),
        verbose=False,
    )
    return _art(attack, x, y)


def art_deepfool(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Run ART's DeepFool, 50 steps and 10 candidates; it attacks the predicted label whatever `y` says."""
    from art.attacks.evasion import DeepFool

    attack = DeepFool(_classifier(model, x), max_iter=50, epsilon=0.02, nb_grads=10, batch_size=len(x), verbose=False)
    return _art(attack, x, y)


@cache
def _art_classifier(model: nn.Module, shape: torch.Size, device: str) -> object:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(shape),
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="gpu" if device == "cuda" else "cpu",
    )


def _classifier(model: nn.Module, x: Tensor) -> object:
    return _art_classifier(model, x.shape[1:], x.device.type)  # made once, as a user would; not timed


def _art(attack: object, x: Tensor, y: Tensor) -> Tensor:
    """Go through NumPy and back: ART's users pay for that, so it is counted."""
    return torch.from_numpy(attack.generate(x=x.cpu().numpy(), y=y.cpu().numpy())).to(x)


def auto_attack_official(
    model: nn.Module, x: Tensor, y: Tensor, *, path: Path, eps: float, only: str | None = None
) -> Tensor:
    """Run the official AutoAttack from its checkout at `path`: "standard", or one of its attacks alone."""
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    from autoattack import AutoAttack

    version = {"version": "standard"} if only is None else {"version": "custom", "attacks_to_run": [only]}
    attack = AutoAttack(model, norm="Linf", eps=eps, seed=0, verbose=False, device=x.device, **version)
    return attack.run_standard_evaluation(x, y, bs=len(x))
