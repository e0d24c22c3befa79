"""The settings with which Ilyas et al. is reproduced, one for each data set: data, networks, radii, steps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..data import datasets
from ..models.networks import Bfloat16, SmallCNN, cifar_resnet
from ..threat import L2, Threat
from ..training.fit import Inner

SHIFT = 4  # pixels that a training picture of CIFAR-10 is moved by, at most


@dataclass(frozen=True)
class Setting:
    """What is needed to make the table on one data set.

    Attributes
    ----------
    load : callable
        ``load(split, n) -> (x, y)``.
    network : callable
        ``network(seed)``, an untrained network.
    n : int
        Training pictures; every row of the table is trained on so many.
    eps, det_eps : float
        L2 radius of the perturbations of D_rand, and of D_det.
    steps : int
        Of the perturbations.
    step_size : float or None
    robust_eps : float
        L2 radius that the robust source is trained for.
    test_eps : float
        L2 radius at which robust accuracy is measured.
    invert : int
        Steps of the feature inversion.
    invert_step : float
        Length of the first of them.
    copies : int
        Rebuilt pictures from each original, each from another start; 1 in the paper.
    epochs, robust_epochs : int
        Passes over `n` pictures; see `training`.
    max_lr : float
    augment : bool
        Train on random shifts and mirror images.
    matched : int
        So many original pictures give about the clean accuracy of the robust set; 0 if not known.
    n_attacked : int
        Test pictures on which robust accuracy is measured.
    """

    load: Callable[[str, int | None], tuple[Tensor, Tensor]]
    network: Callable[[int], nn.Module]
    n: int
    eps: float
    det_eps: float
    steps: int
    step_size: float | None
    robust_eps: float
    test_eps: float
    invert: int
    invert_step: float
    copies: int
    epochs: int
    robust_epochs: int
    max_lr: float
    augment: bool
    matched: int
    n_attacked: int

    def training(self, n: int, threat: Threat | None = None) -> dict[str, Any]:
        """Return the arguments of `fit` on `n` pictures, standard or (with a threat) adversarial.

        Fewer pictures than the setting's are gone through more often, more of them less often, so that every network
        takes about as many steps.
        """
        epochs = self.epochs if threat is None else self.robust_epochs
        inner: Inner | None = shifted if self.augment else None
        if threat is not None:
            inner = partial(attacked, steps=5, moved=self.augment)
        return {
            "inner": inner,
            "threat": threat,
            "warm_up": 0.3 if threat is not None else 0.0,
            "epochs": max(1, round(epochs * self.n / n)),
            "max_lr": self.max_lr,
        }


def shifted(model: nn.Module, x: Tensor, y: Tensor, *, seed: int) -> Tensor:
    """Move each picture by up to four pixels, black coming in, and mirror half of them: the usual augmentation."""
    n, _, h, w = x.shape
    draw = torch.Generator().manual_seed(seed)
    down, right = (torch.randint(2 * SHIFT + 1, (n, 1), generator=draw) for _ in range(2))
    columns = torch.arange(w).expand(n, w)
    columns = torch.where(torch.rand(n, 1, generator=draw) < 0.5, w - 1 - columns, columns)
    rows, columns = (down + torch.arange(h)).to(x.device), (right + columns).to(x.device)
    padded = nn.functional.pad(x, (SHIFT,) * 4)
    image = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def attacked(
    model: nn.Module, x: Tensor, y: Tensor, *, threat: Threat, steps: int, moved: bool, seed: int
) -> Tensor:  # fmt: skip
    """Attack each picture by PGD, after the augmentation if `moved`: the inner maximum of the robust source."""
    x = shifted(model, x, y, seed=seed) if moved else x
    return pgd(model, x, y, threat=threat, steps=steps, seed=seed)


def faster(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model as it is searched and trained on this device: in bfloat16 on CUDA, itself elsewhere."""
    return Bfloat16(model) if device.type == "cuda" else model


def ball(eps: float) -> Threat:
    """Return the threat of every radius here: an L2 ball, as in the paper's main experiments."""
    return L2(eps)


DIGITS = Setting(
    load=datasets.mnist, network=SmallCNN, n=4000, eps=2.0, det_eps=4.5, steps=20, step_size=None, robust_eps=2.0,
    test_eps=1.0, invert=40, invert_step=0.7, copies=1, epochs=8, robust_epochs=8, max_lr=5e-3, augment=False,
    matched=1500, n_attacked=500,
)  # fmt: skip
"""The setting of lesson 08: 4,000 MNIST digits, a minute on two cores."""
SETTINGS = {
    "mnist": DIGITS,
    "fashion_mnist": Setting(**{**vars(DIGITS), "load": datasets.fashion_mnist, "matched": 0}),
    "cifar10": Setting(
        load=datasets.cifar10, network=cifar_resnet, n=50_000, eps=0.5, det_eps=0.5, steps=100, step_size=0.1,
        robust_eps=0.5, test_eps=0.25, invert=1000, invert_step=0.2, copies=1, epochs=40, robust_epochs=40, max_lr=1e-3,
        augment=True, matched=0, n_attacked=2000,
    ),
}  # fmt: skip
"""The settings of `cs329t reproduce ilyas`, by the name of their data set."""
