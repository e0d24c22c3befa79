"""What each attack finds on 32 digits, as recorded: how many are adversarial, and how far they were moved.

A change of the engine must not change these. Where a change is meant, record them anew, and say why in the commit:
``python tests/attacks/test_verdicts.py`` prints the table.
"""

from functools import partial

import pytest
import torch

from cs329t_robust import (
    L0,
    L1,
    L2,
    Linf,
    Masked,
    apgd,
    apgd_t,
    autoattack,
    cw,
    deepfool,
    fab_t,
    fgsm,
    fmn,
    losses,
    penalty,
    pgd,
    sparse_rs,
    square,
)
from cs329t_robust.data.datasets import mnist
from cs329t_robust.models.networks import mnist_classifier

MIDDLE = torch.zeros(28, 28)
MIDDLE[8:20, 8:20] = 1
LADDER = torch.linspace(0.02, 0.4, 32)
drop = partial(pgd, drop_adversarial=True)
# name: the attack, the model, what distance is measured; if it aims at a label
RUNS = {
    "fgsm": (partial(fgsm, threat=Linf(0.1)), "standard", Linf(0.0), False),
    "fgsm-L2-targeted": (partial(fgsm, threat=L2(2.0), targeted=True), "standard", L2(0.0), True),
    "pgd": (partial(pgd, threat=Linf(0.1), steps=20), "standard", Linf(0.0), False),
    "pgd-drop": (partial(drop, threat=Linf(0.35), steps=15, restarts=4), "pgd", Linf(0.0), False),
    "pgd-ladder": (partial(drop, threat=Linf(LADDER), steps=20, restarts=2), "pgd", Linf(0.0), False),
    "pgd-momentum": (partial(pgd, threat=L2(2.0), steps=20, momentum=0.8), "pgd", L2(0.0), False),
    "pgd-L1": (partial(drop, threat=L1(6.0), steps=20), "standard", L1(0.0), False),
    "pgd-L0": (partial(drop, threat=L0(20), steps=20), "standard", L0(0.0), False),
    "pgd-masked": (partial(pgd, threat=Masked(L2(3.0), MIDDLE), steps=20), "standard", L2(0.0), False),
    "pgd-targeted": (
        partial(drop, threat=Linf(0.08), steps=10, restarts=3, targeted=True),
        "standard",
        Linf(0.0),
        True,
    ),
    "apgd": (partial(apgd, threat=Linf(0.33), steps=30), "pgd", Linf(0.0), False),
    "apgd-drop": (
        partial(apgd, threat=L2(1.0), steps=20, restarts=2, drop_adversarial=True),
        "standard",
        L2(0.0),
        False,
    ),
    "apgd-L1": (partial(apgd, threat=L1(6.0), steps=40), "standard", L1(0.0), False),
    "apgd_t": (partial(apgd_t, threat=Linf(0.33), steps=25, targets=5), "pgd", Linf(0.0), False),
    "fab_t": (partial(fab_t, threat=L2(1.4), steps=15, targets=4), "standard", L2(0.0), False),
    "deepfool": (deepfool, "standard", L2(0.0), False),
    "deepfool-Linf": (partial(deepfool, norm="Linf"), "pgd", Linf(0.0), False),
    "fmn": (partial(fmn, steps=30), "standard", L2(0.0), False),
    "fmn-Linf": (partial(fmn, norm="Linf", steps=30), "pgd", Linf(0.0), False),
    "fmn-L1": (partial(fmn, norm="L1", steps=30), "standard", L1(0.0), False),
    "fmn-L0-targeted": (partial(fmn, norm="L0", steps=30, targeted=True), "standard", L0(0.0), True),
    "cw": (partial(cw, steps=20, searches=4), "standard", L2(0.0), False),
    "penalty": (partial(penalty, weight=20.0, loss=losses.cross_entropy, steps=30), "standard", L2(0.0), False),
    "square": (partial(square, threat=Linf(0.1), queries=120), "standard", Linf(0.0), False),
    "square-hope": (partial(square, threat=Linf(0.35), queries=400, hope=0.6), "pgd", Linf(0.0), False),
    "square-L2": (partial(square, threat=L2(1.5), queries=120), "standard", L2(0.0), False),
    "sparse_rs-L0": (partial(sparse_rs, threat=L0(25), queries=150), "standard", L0(0.0), False),
    "autoattack-fast": (partial(autoattack, threat=Linf(0.33), version="fast"), "pgd", Linf(0.0), False),
}
FOUND = {  # name: images that are adversarial of 32, and the median distance
    "fgsm": (17, 0.1),
    "fgsm-L2-targeted": (2, 1.726),
    "pgd": (22, 0.1),
    "pgd-drop": (31, 0.35),
    "pgd-ladder": (8, 0.2039),
    "pgd-momentum": (2, 1.973),
    "pgd-L1": (12, 6),
    "pgd-L0": (32, 20),
    "pgd-masked": (29, 2.985),
    "pgd-targeted": (1, 0.08),
    "apgd": (30, 0.33),
    "apgd-drop": (14, 0.9943),
    "apgd-L1": (14, 6),
    "apgd_t": (29, 0.33),
    "fab_t": (21, 1.004),
    "deepfool": (32, 1.202),
    "deepfool-Linf": (32, 0.4336),
    "fmn": (32, 1.052),
    "fmn-Linf": (30, 0.3474),
    "fmn-L1": (32, 6.302),
    "fmn-L0-targeted": (28, 17),
    "cw": (32, 1.081),
    "penalty": (11, 0.02655),
    "square": (3, 0.1),
    "square-hope": (32, 0.35),
    "square-L2": (1, 1.498),
    "sparse_rs-L0": (11, 21),
    "autoattack-fast": (32, 0.33),
}


def run(name):
    attack, model, ball, aimed = RUNS[name]
    model, (x, y) = mnist_classifier(model), mnist("test", 32)
    label = (y + 1) % 10 if aimed else y
    x_adv = attack(model, x, label)
    with torch.no_grad():
        adversarial = (model(x_adv).argmax(1) == label) == aimed
    return int(adversarial.sum()), float(ball.distance(x, x_adv).median())


@pytest.mark.parametrize("name", RUNS)
def test_an_attack_finds_what_it_found(name):
    """One digit more or less, and a hundredth of the distance, are what another machine's rounding may change."""
    count, distance = FOUND[name]
    found, far = run(name)
    assert abs(found - count) <= 1
    assert far == pytest.approx(distance, rel=0.01, abs=1 if "0" in name else 0)  # L0 counts pixels


if __name__ == "__main__":
    for name in RUNS:
        count, distance = run(name)
        print(f'    "{name}": ({count}, {distance:.4g}),')
