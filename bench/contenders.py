"""Who stands beside whom: for each attack ours, the bare loop and the peers, all with the same settings."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from cs329t_robust import attacks
from cs329t_robust.attacks.engine.cuda_graph import RECORDERS
from cs329t_robust.cli.bench import Captured, bare
from cs329t_robust.threat import Linf

from . import peers
from .peers import Run

# How many images a race has: many where one image more or less would hide the bar, few where a peer takes minutes.
ATTACKS = {"fgsm": 1000, "pgd": 1000, "pgd-5": 1000, "deepfool": 64, "l2": 64, "apgd-t": 200, "autoattack": 200}
EPS = {"standard": 0.3, "robust": 0.3, "trades": 0.3, "masked": 0.1, "resnet": 8 / 255}
MORE = {("autoattack", "masked"): 500}  # images: few of them stand until the long last stage
WHOLE_EPS = {"standard": 0.1}  # where autoattack has another: at 0.3 nothing would be left for it to do
RACES = {  # what each model is for
    "standard": tuple(ATTACKS),
    "robust": tuple(ATTACKS),
    "trades": ("autoattack",),
    "masked": ("autoattack",),
    "resnet": ("fgsm", "pgd", "pgd-5", "apgd-t"),
}
STEPS = 40
STEP_SHARE = 1 / 15  # of eps: the usual 0.02 at 0.3


@dataclass(frozen=True)
class Race:
    """The contenders of one attack on one model.

    Attributes
    ----------
    threat : Linf or None
        What they must stay within; None for minimum-norm attacks.
    runs : dict
        (mode, who) to a function (model, x, y) -> x_adv.
    """

    threat: Linf | None
    runs: dict[tuple[str, str], Run]


def races(models: list[str] | None, attacks: list[str] | None) -> list[tuple[str, str]]:
    """Return the (model, attack) asked for; without models, those attacks on the models that are there for them."""
    if models:
        return [(model, attack) for model in models for attack in attacks or RACES[model]]
    digits = [model for model in RACES if model != "resnet"]
    return [(model, attack) for model in digits for attack in RACES[model] if attack in (attacks or ATTACKS)]


def count(attack: str, model: str) -> int:
    """Return how many images an attack (one of `ATTACKS`) is run on against a model (one of `EPS`)."""
    return MORE.get((attack, model), ATTACKS[attack])


def radius(attack: str, model: str) -> float:
    """Return the Linf radius at which an attack (one of `ATTACKS`) meets a model (one of `EPS`)."""
    return WHOLE_EPS.get(model, EPS[model]) if attack == "autoattack" else EPS[model]


def race(attack: str, eps: float, auto_attack: Path | None = None, device: str = "cpu") -> Race:
    """Return who is timed for an attack (one of `ATTACKS`) at radius `eps`, which the minimum-norm ones ignore.

    On a device that can record, the bare loop also runs as one recording, "captured": the ceiling there.
    """
    size, restarts = eps * STEP_SHARE, 5 if attack == "pgd-5" else 1
    theirs = peers.contenders(attack, eps=eps, steps=STEPS, step_size=size, restarts=restarts, auto_attack=auto_attack)
    mode = "fixed" if attack in ("fgsm", "pgd", "pgd-5") else "default"
    threat = None if attack in ("deepfool", "l2") else Linf(eps)
    ours = _ours(attack, eps, size)
    if device in RECORDERS and ("fixed", "bare") in ours:
        ours["fixed", "captured"] = Captured(ours["fixed", "bare"])
    return Race(threat, {**ours, **{(mode, who): run for who, run in theirs.items()}})


def _ours(attack: str, eps: float, step_size: float) -> dict[tuple[str, str], Run]:
    """Return our contenders and the bare loop; an attack is looked up when called, so a missing one fails alone."""
    threat = Linf(eps)
    pgd = {"threat": threat, "steps": STEPS, "step_size": step_size}
    return {
        "fgsm": {
            ("fixed", "ours"): partial(_call, "fgsm", {"threat": threat}),
            ("fixed", "bare"): partial(bare, eps=eps, steps=1, step_size=eps),
        },
        "pgd": {
            ("fixed", "ours"): partial(_call, "pgd", {**pgd, "random_start": False}),
            ("evaluation", "ours"): partial(_call, "pgd", {**pgd, "random_start": False, "drop_adversarial": True}),
            ("fixed", "bare"): partial(bare, eps=eps, steps=STEPS, step_size=step_size),
        },
        "pgd-5": {
            ("fixed", "ours"): partial(_call, "pgd", {**pgd, "restarts": 5}),
            ("evaluation", "ours"): partial(_call, "pgd", {**pgd, "restarts": 5, "drop_adversarial": True}),
        },
        "deepfool": {("default", "ours"): partial(_call, "deepfool", {"norm": "L2"})},
        "l2": {
            ("default", "ours fmn"): partial(_call, "fmn", {"norm": "L2"}),
            ("default", "ours cw"): partial(_call, "cw", {}),
        },
        "apgd-t": {
            ("default", "ours"): partial(_call, "apgd_t", {"threat": threat}),
            ("published", "ours"): partial(_call, "apgd_t", {"threat": threat, "keep": 1}),
        },
        "autoattack": {
            ("default", "ours"): partial(_call, "autoattack", {"threat": threat, "version": "standard"}),
            ("fast", "ours"): partial(_call, "autoattack", {"threat": threat, "version": "fast"}),
        },
    }[attack]


def _call(name: str, settings: dict, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return getattr(attacks, name)(model, x, y, **settings)
