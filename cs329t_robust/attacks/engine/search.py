"""The loop around every attack: it counts the steps, asks the model, and lets what is done leave the batch.

    search = Search(model, s, loss)
    for _ in search.steps(40):
        grad = search.gradient()
        search.move(s.project(s.threat.ascend(s.x, s.x_adv, grad, s.step_size)))
    found = search.finish()

What makes this fast is in here, and no attack sees it: smaller batches, recorded steps, confirmation in full precision.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...contract.input_validation import Loss, Model, check_logits
from ...runtime.progress_bar import tick
from ...threat import rowwise
from .cuda_graph import Answer, Repeated, Step
from .gradient import input_gradient, logits_of
from .shrinking import Batch, Found, looking, worth_leaving
from .success import confirmed, is_adversarial


class Search:
    """A search for adversarial images, row by row of a batch.

    Parameters
    ----------
    model : callable
    batch : Batch
        What is searched. Its rows leave it, in place, when they are done.
    loss : callable, optional
        (logits, y) to one value for each row: what is maximised, or minimised if `targeted`. It may use the batch.
    found : Found, optional
        What is told of the rows that leave.
    targeted : bool
        Whether an image is adversarial when it is classified as `y`, rather than when it is not.
    drop : bool
        Whether rows may leave before the last step.
    """

    def __init__(
        self,
        model: Model,
        batch: Batch,
        loss: Loss | None = None,
        found: Found | None = None,
        *,
        targeted: bool = False,
        drop: bool = False,
    ) -> None:
        self.model, self.batch, self.loss, self.targeted, self.drop = model, batch, loss, targeted, drop
        self.found = Found(batch.x) if found is None else found
        self.over = False

    def steps(self, count: int) -> Iterator[int]:
        """Yield the number of each step, until all are done or no row is left to work on."""
        self.left = count  # times that the model may still be asked
        self.ask_anew()
        for self.step in range(count):
            tick(self.step / count, lambda: self.found.count(self.batch))
            yield self.step
            if self.over:
                return

    def gradient(self) -> Tensor:
        """Return the direction in which each row's loss grows, or falls if `targeted`.

        With `drop`, rows that are adversarial stay as they are from now on, and leave as soon as that pays.
        """
        s = self.batch
        grad, logits = self.evaluate()
        if self.drop:
            s.adversarial = s.adversarial | is_adversarial(logits, s.y, self.targeted)
            if self.looking():
                s.adversarial = confirmed(self.model, s.x_adv, s.y, s.adversarial, self.targeted)
            (grad,) = self.shrink_to(~s.adversarial, grad)
        return -grad if self.targeted else grad

    def move(self, x_adv: Tensor) -> None:
        """Go on from `x_adv`; with `drop`, what is adversarial stays as it is."""
        s = self.batch
        s.x_adv = torch.where(rowwise(s.adversarial, s.x), s.x_adv, x_adv) if self.drop else x_adv

    def finish(self) -> Found:
        """Return what was found, that of the rows which never left included."""
        s = self.batch
        if not self.over:
            s.adversarial = confirmed(self.model, s.x_adv, s.y, s.adversarial, self.targeted)
            self.found.take(s)
        return self.found

    def evaluate(self) -> Answer:
        """Return the gradient of each row's loss at `x_adv`, and the logits there."""
        self.left -= 1
        return self.ask(self.batch.x_adv, check=self.step == 0)

    def logits(self, x_adv: Tensor) -> Tensor:
        """Return the logits at `x_adv`, through which an attack may differentiate by itself."""
        self.left -= 1
        logits = logits_of(self.model, x_adv)
        if self.step == 0:
            check_logits(logits, x_adv, self.batch.y)
        return logits

    def looking(self) -> bool:
        """Tell whether this step looks at how many rows are done; a GPU makes the host wait for that."""
        return looking(self.batch.x.device, self.step)

    def all_adversarial(self) -> bool:
        """Tell whether no row is robust any more, as far as this step looks."""
        return self.looking() and bool(self.batch.adversarial.all())

    def shrink_to(self, staying: Tensor, *along: Tensor, now: bool = False, look: bool = False) -> tuple[Tensor, ...]:
        """Let all other rows leave, if that pays; return what is left of the tensors that go along with them.

        `now` lets them leave in any case. `look` counts them also where the host then waits for the device. If no row
        would be left, the search is over: all stay for the rest of this step, its last.
        """
        if not now and not worth_leaving(staying, 0 if look else self.step, self.left):
            return along
        self.found.take(self.batch)
        rows = staying.nonzero().flatten()
        if not len(rows):
            self.over = True
            return along
        self.batch.keep_only(rows)
        self.ask_anew()
        return tuple(value[rows] for value in along)

    def ask_anew(self, loss: Loss | None = None) -> None:
        """Ask other rows from now on, or for another loss."""
        self.loss = self.loss if loss is None else loss
        self.ask = Repeated(self.model, self.question(), self.left, self.drop)

    def question(self) -> Step:
        """Return what the model is asked in each step; not a method, which would keep all tensors in a cycle."""
        model, batch, loss = self.model, self.batch, self.loss
        return lambda x_adv, check: input_gradient(model, x_adv, batch.y, loss, check=check)
