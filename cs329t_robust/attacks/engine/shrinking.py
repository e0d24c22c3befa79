"""What leaves a batch, and when: the rows that an attack still works on, and what is kept of those it is done with."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from ...runtime.randomness import ImageRandom
from ...threat import Threat

LEAVING_COSTS = {"cpu": 0.5, "cuda": 5.0}  # each row of a batch, in steps; on a GPU a recorded step is recorded anew
LOOK = {"cuda": 10}  # steps between looks at how many are done, where a look makes the host wait for the device


@dataclass(kw_only=True)
class Batch:
    """The rows that an attack still works on: of each its image, its label, its settings and where the search is.

    An attack that remembers more derives a class of its own. Every field is one value for all rows, or has an entry for
    each of them: a tensor of as many rows, a threat, a random stream. So rows leave all fields together.
    """

    x: Tensor
    y: Tensor
    x_adv: Tensor
    threat: Threat | None = None
    image: Tensor | None = None  # which of the images a row belongs to; there may be several, one for each target
    adversarial: Tensor | None = None

    def __post_init__(self) -> None:
        """Give each image one row, and call none adversarial, unless something else was said."""
        self._onto: Callable[[Tensor], Tensor] | None = None
        if self.image is None:
            self.image = torch.arange(len(self.x), device=self.x.device)
        if self.adversarial is None:
            self.adversarial = torch.zeros_like(self.y, dtype=torch.bool)

    def project(self, x_adv: Tensor) -> Tensor:
        """Return `x_adv` put back into each row's threat."""
        if self._onto is None:
            self._onto = self.threat.onto(self.x)
        return self._onto(x_adv)

    def select(self, rows: Tensor) -> Self:
        """Return a batch of these rows alone."""
        return replace(self, **self._parts(rows))

    def keep_only(self, rows: Tensor) -> None:
        """Let all other rows leave."""
        for name, part in self._parts(rows).items():
            setattr(self, name, part)
        self._onto = None

    def _parts(self, rows: Tensor) -> dict[str, object]:
        parts = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Threat | ImageRandom):
                parts[field.name] = value.select(rows)
            elif isinstance(value, Tensor) and value.ndim:
                parts[field.name] = value[rows]
        return parts


class Found:
    """What an attack has found for each image: an image to return, and whether it is known to be adversarial.

    Attributes
    ----------
    x_adv : Tensor (n, c, h, w)
    adversarial : Tensor (n,)
    """

    def __init__(self, x: Tensor) -> None:
        self.x_adv, self.adversarial = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def take(self, s: Batch) -> None:
        """Take in where the rows are: before some leave, and when the search ends."""
        self.x_adv[s.image], self.adversarial[s.image] = s.x_adv, s.adversarial

    def count(self, s: Batch) -> int:
        """Return how many images are adversarial so far."""
        return int(self.adversarial.index_copy(0, s.image, s.adversarial).sum())


def looking(device: torch.device, step: int) -> bool:
    """Tell whether a step looks at how many rows are done: each one, unless the host would have to wait for that."""
    return step % LOOK.get(device.type, 1) == 0


def worth_leaving(staying: Tensor, step: int, left: int) -> bool:
    """Tell whether the rows that are done would cost more in the steps that are left than a smaller batch does."""
    if not looking(staying.device, step):
        return False
    done = len(staying) - int(staying.sum())
    return done > 0 and done * left >= LEAVING_COSTS.get(staying.device.type, LEAVING_COSTS["cpu"]) * len(staying)


def first_rows(image: Tensor, chosen: Tensor, n: int) -> Tensor:
    """Return the first chosen row of each of n images that has one; `image` names the image of each row."""
    rows = chosen.nonzero().flatten()
    first = torch.full((n,), len(image), device=image.device).scatter_reduce(0, image[rows], rows, "amin")
    return first[first < len(image)]
