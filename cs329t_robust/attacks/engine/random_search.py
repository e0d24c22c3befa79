"""Random search, the loop of Square and Sparse-RS: propose a change, ask what it does, keep it if the margin rises."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...contract.input_validation import Model
from ...runtime.randomness import ImageRandom
from ...threat import rowwise
from .cuda_graph import Step
from .queries import check_margin, confirmed_margin, query
from .search import Search
from .shrinking import Batch, Found


@dataclass(kw_only=True)
class RandomSearchState(Batch):
    """What every random search knows of its images; `x_adv` is the best proposal so far."""

    margin: Tensor  # by how much `x_adv` is adversarial: above 0 it is
    random: ImageRandom

    def is_open(self) -> Tensor:
        """Return which images are still searched, (n,)."""
        return self.margin <= 0


class _Best(Found):
    """Of each image the best proposal; its margin says whether that is adversarial."""

    def take(self, s: RandomSearchState) -> None:
        """Take in where the rows are: before some leave, and when the search ends."""
        s.adversarial = s.margin > 0
        super().take(s)

    def count(self, s: RandomSearchState) -> int:
        """Return how many images are adversarial so far."""
        s.adversarial = s.margin > 0
        return super().count(s)


Proposal = dict[str, Tensor]  # the fields of the state that it changes, `x_adv` among them


class _Queries(Search):
    """A search that asks for margins rather than for gradients."""

    def question(self) -> Step:
        """Return what the model is asked in each step."""
        model, batch, targeted = self.model, self.batch, self.targeted
        return lambda x_adv, check: (query(model, x_adv, batch.y, targeted, check=check),)

    def query(self, x_adv: Tensor) -> Tensor:
        """Return the margin by which each of these images is adversarial."""
        self.left -= 1
        return self.ask(x_adv)[0]

    def finish(self) -> Found:
        """Return what was found."""
        if not self.over:
            self.found.take(self.batch)
        return self.found


def random_search(
    model: Model,
    s: RandomSearchState,
    propose: Callable[[int], Proposal],
    queries: int,
    targeted: bool,
    hopeful: Callable[[int], Tensor | None] = lambda step: None,
) -> Tensor:
    """Ask for so many proposals, and return the best images.

    Parameters
    ----------
    s : RandomSearchState
        With the margins at x. Images leave it once they are adversarial.
    propose : callable
        The number of a query to a proposal for each image that is left; the first is taken whatever its margin.
    hopeful : callable, optional
        The number of a query to the images that are not given up there, or to None where none is.
    """
    search = _Queries(model, s, found=_Best(s.x), targeted=targeted, drop=True)
    for step in search.steps(queries):
        if search.looking():
            s.margin = confirmed_margin(model, s.x_adv, s.y, s.margin, targeted)
        searched, chosen = s.is_open(), hopeful(step)
        if chosen is not None:  # who is given up must not depend on the batch
            (searched,) = search.shrink_to(searched & chosen, searched, now=True)
        else:
            (searched,) = search.shrink_to(searched, searched)
        if search.over:
            break
        proposal = propose(step)
        margin = search.query(proposal["x_adv"])
        if step == 0:  # the only answer that is taken whatever it is
            check_margin(margin)
        better = searched & ((margin > s.margin) | (step == 0))
        for name, new in {**proposal, "margin": margin}.items():
            old = getattr(s, name)
            setattr(s, name, torch.where(rowwise(better, old), new, old))
    return search.finish().x_adv
