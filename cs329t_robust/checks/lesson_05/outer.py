"""Exercise 05.3: the outer minimum, one pass over the data."""

import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...attacks import fgsm
from ...threat import Linf
from ..agreement import agree
from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..shared_probes import generator, images, labels

_SHAPE = (10, 1, 4, 4)


def _net(seed: int) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
    draw = generator(seed + 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * (1.5 / parameter.shape[-1] ** 0.5))
    return model.train()


def weights(model: nn.Module, *_: object) -> Tensor:
    """Return all of the model's weights in one row, (p,)."""
    return torch.cat([value.detach().flatten() for value in model.state_dict().values()])


def _batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(x.split(size), y.split(size), strict=True)


def _mean(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z, y)


def _outer_with(
    batches: Callable[[Tensor, Tensor, int], Iterator[tuple[Tensor, Tensor]]] = _batches,
    images_of: Callable[[nn.Module, Tensor, Tensor, Callable], Tensor] = lambda model, x, y, inner: inner(model, x, y),
    prepare: Callable[[nn.Module, Tensor, Tensor, Callable], Tensor] = lambda model, x, y, inner: x,
    loss: Callable[[Tensor, Tensor], Tensor] = _mean,
    target: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda model, x, y: y,
    side: int = 1,
    clean: float = 0.0,
    zero: str = "before",
    order: str = "backward, step",
    times: int = 1,
) -> Callable[..., None]:
    """Build a pass over the data; each argument replaces one part of it by a wrong one."""

    def outer_min(
        model: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, inner: Callable, batch_size: int
    ) -> None:
        for xb, yb in batches(prepare(model, x, y, inner), y, batch_size):
            x_adv = images_of(model, xb, yb, inner)
            if zero == "before":
                optimiser.zero_grad()
            value = side * loss(model(x_adv), target(model, xb, yb))
            if clean:
                value = value + clean * loss(model(xb), yb)
            value.backward()
            if zero == "between":
                optimiser.zero_grad()
            for _ in range(times if order == "backward, step" else 0):
                optimiser.step()
        if order == "one step at the end":
            optimiser.step()

    return outer_min


def _outer_cases(seed: int) -> list[tuple]:
    cases = []
    for i, (rate, eps, size) in enumerate(((0.5, 0.2, 4), (0.2, 0.1, 5))):
        model = _net(seed + i)
        optimiser = torch.optim.SGD(model.parameters(), lr=rate)
        inner = partial(fgsm, threat=Linf(eps))
        cases.append((model, optimiser, images(seed + i, _SHAPE), labels(seed + i, _SHAPE[0]), inner, size))
    return cases


def _moves_downhill(run: Run) -> str:
    for args, answer, expected in run:
        start = weights(args[0])
        if agree(answer, start):
            return "the model's weights are the same as before: nothing was learned"
        if not bool(answer.isfinite().all()):
            return "some of the model's weights are NaN or infinite afterwards"
        cosine = F.cosine_similarity(answer - start, expected - start, dim=0).item()
        if cosine < 0.5:
            way = "against" if cosine < -0.5 else "across"
            return f"the weights went {way} the way that the loss at x + δ falls (cosine {cosine:.2f}, 1 is perfect)"
    return ""


def _on_perturbed(run: Run) -> str:
    for i, (_, answer, expected) in enumerate(run):
        args = run.cases[i]
        clean = _net_after(_outer_with(images_of=lambda m, x, y, inner: x), args)
        if (answer - expected).norm() > 0.5 * (clean - expected).norm():
            return "the weights are not those of learning from x + δ; with another inner maximum they must be others"
    return ""


def _net_after(function: Callable, args: tuple) -> Tensor:
    """Run a pass on a copy of the model, with an optimiser of its own, and return the copy's weights."""
    model = copy.deepcopy(args[0])
    rate = args[1].param_groups[0]["lr"]
    function(model, torch.optim.SGD(model.parameters(), lr=rate), *args[2:])
    return weights(model)


def _exact(run: Run) -> str:
    for args, answer, expected in run:
        if not agree(answer, expected):
            start = weights(args[0])
            ratio = ((answer - start).norm() / (expected - start).norm()).item()
            return (
                f"the weights moved {ratio:.2f} times as far as they should, and differ by up to "
                f"{(answer - expected).abs().max():.2g}"
            )
    return ""


def _reversed(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return iter(list(_batches(x, y, size))[::-1])


def _both(model: nn.Module, x: Tensor, y: Tensor, inner: Callable) -> Tensor:
    return torch.cat([x, inner(model, x, y)])


_NOT_DELTA = "`inner` returns x + δ, not δ; you add x a second time."

_PARTS = Parts(
    lambda **parts: _outer_with(**parts),
    [
        (
            "gradients added up",
            {"zero": "never"},
            "The gradients of all batches add up: backward() adds to .grad. Call optimiser.zero_grad() before it, for each batch.",
        ),
        (
            "inner maximum not used",
            {"images_of": lambda model, x, y, inner: x},
            "The model learns from x itself: this is standard training. Call inner(model, xb, yb) for each batch, and take the loss there.",
        ),
        (
            "inner taken for δ",
            {"images_of": lambda model, x, y, inner: x + inner(model, x, y)},
            _NOT_DELTA,
        ),
        (
            "inner taken for δ, clipped",
            {"images_of": lambda model, x, y, inner: (x + inner(model, x, y)).clamp(0, 1)},
            _NOT_DELTA,
        ),
        (
            "clean loss added",
            {"clean": 1.0},
            "You also learn from x itself: its loss is added to that at x + δ. The lecture's formula has only x + δ.",
        ),
        (
            "all attacked beforehand",
            {
                "prepare": lambda model, x, y, inner: inner(model, x, y),
                "images_of": lambda model, x, y, inner: x.detach(),
            },
            "All images are attacked once, before the first step, so later batches learn from images that fool the old weights. "
            "The maximum is inside the minimum: attack each batch with the weights of that moment.",
        ),
        (
            "sum of the losses",
            {"loss": lambda z, y: F.cross_entropy(z, y, reduction="sum")},
            "The losses of a batch are summed, so the step is as many times too long as the batch has images: E is a mean.",
        ),
        (
            "up instead of down",
            {"side": -1},
            "The weights climb the loss: the outer problem is a minimum, so backward() on the loss itself, not on −loss.",
        ),
        (
            "only the first batch",
            {"batches": lambda x, y, size: iter([(x[:size], y[:size])])},
            "Only the first batch is learned: go on through all of them (is there a return inside the loop?).",
        ),
        (
            "ragged batch dropped",
            {"batches": lambda x, y, size: (b for b in _batches(x, y, size) if len(b[0]) == size)},
            "The last batch is left out because it is smaller: learn from it as well.",
        ),
        (
            "all images in one batch",
            {"batches": lambda x, y, size: iter([(x, y)])},
            "All images go into one step: a step for each batch of batch_size images.",
        ),
        (
            "batches in another order",
            {"batches": _reversed},
            "The batches come last to first; take them in the order of x.",
        ),
        (
            "softmax before cross-entropy",
            {"loss": lambda z, y: F.cross_entropy(z.softmax(1), y)},
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
        ),
        (
            "the model's prediction in place of y",
            {"target": lambda model, x, y: model(x).argmax(1)},
            "The model learns its own predictions; the labels that were passed in are not used.",
        ),
        (
            "two steps a batch",
            {"times": 2},
            "Two steps are taken for each batch: one.",
        ),
        (
            "one step at the end",
            {"order": "one step at the end"},
            "optimiser.step() is called once, after the loop, and learns from the last batch alone: step for each batch.",
        ),
    ],
)


def _clean_and_perturbed(model, optimiser, x, y, inner, batch_size) -> None:  # noqa: ANN001
    for xb, yb in _batches(x, y, batch_size):
        optimiser.zero_grad()
        F.cross_entropy(model(_both(model, xb, yb, inner)), torch.cat([yb, yb])).backward()
        optimiser.step()


OUTER_MIN = Exercise(
    "05.3",
    "outer_min",
    _outer_with(),
    _outer_cases,
    [
        Probe("moves the weights to where the loss falls", 1, _moves_downhill, essential=True),
        Probe("learns from x + δ, found by the inner maximum", 1, _on_perturbed),
        Probe("is the outer minimum exactly, batch by batch", 3, _exact),
    ],
    [
        *_PARTS.single,
        Mistake(
            "nothing learned",
            _outer_with(zero="between"),
            "Every step is taken with an empty gradient. Either zero_grad() comes between backward() and step(), or step() comes before "
            "backward(): zero_grad, backward, step is the order.",
        ),
        Mistake(
            "clean and perturbed images",
            _clean_and_perturbed,
            "The model learns from clean and perturbed images half and half. Goodfellow et al. did so; the lecture's formula "
            "has the loss at x + δ alone.",
        ),
    ],
    "For each batch: x_adv = inner(model, xb, yb); optimiser.zero_grad(); F.cross_entropy(model(x_adv), yb).backward(); optimiser.step().",
    like=2,
    after=weights,
    parts=_PARTS,
)
