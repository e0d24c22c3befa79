"""One typed table of every attack, its threats and its properties: what tests of all attacks run over."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cs329t_robust import (
    L0,
    L1,
    L2,
    Linf,
    Masked,
    Spatial,
    Views,
    apgd,
    apgd_t,
    autoattack,
    cw,
    deepfool,
    fab_t,
    fgsm,
    fmn,
    penalty,
    pgd,
    physical,
    sparse_rs,
    spatial,
    square,
    transfer,
)
from cs329t_robust.threat import Threat

MASK = torch.tensor([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]])  # for the images 1×3×4 of `crooked`


@dataclass(frozen=True)
class Row:
    """An attack under one threat: small settings, so that every property is tested of it."""

    name: str
    attack: Callable[..., Tensor]
    threat: Threat | None  # None: a minimum-norm attack or a relaxation, which takes no threat
    targeted: bool = True  # whether it accepts targeted=True
    gradients: bool = True  # white box
    seeded: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.threat}" if self.threat is not None else self.name

    def run(self, model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, **settings: object) -> Tensor:
        if self.threat is not None:
            settings = {"threat": self.threat} | settings
        return self.attack(model, x, y, **settings)


def itself(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, **settings: object) -> Tensor:
    """Transfer from the victim itself: the one surrogate that every test has at hand."""
    return transfer(model, x, y, surrogates=[model], attack=partial(pgd, steps=3), **settings)


NORMS = [Linf(0.1), L2(0.4), L1(1.0)]
ALL_BALLS = [*NORMS, L0(2), Masked(Linf(0.2), MASK), Masked(L2(0.5), MASK), Masked(L1(1.0), MASK), Masked(L0(3), MASK)]
SMOOTH_BALLS = [threat for threat in ALL_BALLS if "L0" not in repr(threat)]
ROWS = [
    *(Row("fgsm", fgsm, threat, seeded=False) for threat in ALL_BALLS),
    *(Row("pgd", partial(pgd, steps=5, restarts=2), threat) for threat in ALL_BALLS),
    *(Row("pgd-momentum", partial(pgd, steps=5, momentum=1.0, drop_adversarial=True), threat) for threat in ALL_BALLS),
    *(Row("apgd", partial(apgd, steps=8), threat) for threat in SMOOTH_BALLS),
    *(Row("apgd_t", partial(apgd_t, steps=8, targets=3), threat, targeted=False) for threat in SMOOTH_BALLS),
    *(Row("apgd_t-keep", partial(apgd_t, steps=8, keep=0.5), threat, targeted=False) for threat in NORMS),
    *(Row("fab_t", partial(fab_t, steps=6), threat, targeted=False, seeded=False) for threat in NORMS),
    *(
        Row("square", partial(square, queries=30), threat, gradients=False)
        for threat in SMOOTH_BALLS
    ),
    *(Row("square-hope", partial(square, queries=300, hope=0.9), threat, gradients=False) for threat in NORMS),
    *(
        Row("sparse_rs", partial(sparse_rs, queries=30), threat, gradients=False)
        for threat in [L0(2), Masked(L0(3), MASK)]
    ),
    Row("spatial-grid", partial(spatial, angles=5, shifts=3), Spatial(30, 1), gradients=False, seeded=False),
    Row("spatial-random", partial(spatial, k=4), Spatial(30, 1), gradients=False),
    *(Row("physical", partial(physical, steps=6, tv=0.1), threat, seeded=False) for threat in ALL_BALLS),
    *(
        Row("physical-views", partial(physical, views=Views(30, 0.1, 1, 0.2), steps=6), threat)
        for threat in [Linf(0.3), L2(0.8), Masked(Linf(0.5), MASK)]
    ),
    *(Row("transfer", itself, threat, seeded=False) for threat in [Linf(0.1), L2(0.4)]),
    *(Row("autoattack-fast", partial(autoattack, version="fast"), threat, targeted=False) for threat in NORMS),
    *(Row(f"deepfool-{norm}", partial(deepfool, norm=norm), None, False, seeded=False) for norm in ("L2", "Linf")),
    *(Row(f"fmn-{norm}", partial(fmn, norm=norm, steps=20), None, seeded=False) for norm in ("L2", "Linf", "L1", "L0")),
    Row("cw", partial(cw, steps=15, searches=3), None, seeded=False),
    Row("penalty", partial(penalty, steps=10), None, seeded=False),
]  # fmt: skip
