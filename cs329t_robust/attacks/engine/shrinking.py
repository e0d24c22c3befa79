"""The bookkeeping behind "work only on what is not broken yet": batches that shrink, and sets larger than memory."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor

from ...contract.borrowing import full_precision, reduced
from ...contract.inputs import NO_THREAT, Model, check_flag, check_function, check_inputs, check_logits, fitting
from ...runtime.progress_bar import bar, section
from ...threat import Threat

LEAVING_COSTS = {"cpu": 0.5, "cuda": 5.0}  # each row of a batch, in steps; on a GPU the step is recorded anew
LOOK = {"cuda": 10}  # steps between looks at how many are done, where a look makes the host wait for the device
AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 23}  # pixel values attacked at a time: 668 digits or 3 photographs on a CPU
FLAGS = {"targeted", "drop_adversarial", "random_start"}
FUNCTIONS = {"loss": "cross_entropy", "attack": "partial(pgd, steps=40)"}
EACH = {"step_size", "weight"}  # settings that may hold a number for each image
S = TypeVar("S")
A = TypeVar("A", bound=Callable[..., Tensor])


def select(state: S, rows: Tensor) -> S:
    """Return a dataclass of per-image tensors and threats, reduced to `rows` (a mask or an index over n)."""
    rows = rows.nonzero().flatten() if rows.dtype == torch.bool else rows  # once, not once for each tensor

    def part(value: object) -> object:
        if isinstance(value, Threat):
            return value.select(rows)
        return value[rows] if isinstance(value, Tensor) and value.ndim else value

    return replace(state, **{field.name: part(getattr(state, field.name)) for field in fields(state)})


def first_rows(image: Tensor, chosen: Tensor, n: int) -> Tensor:
    """Return the first chosen row of each of n images that has one; `image` names the image of each row."""
    rows = chosen.nonzero().flatten()
    first = torch.full((n,), len(image), device=image.device).scatter_reduce(0, image[rows], rows, "amin")
    return first[first < len(image)]


def looking(device: torch.device, step: int) -> bool:
    """Tell whether a step looks at how many rows are done: each one, unless the host would have to wait for that."""
    return step % LOOK.get(device.type, 1) == 0


def worth_leaving(keep: Tensor, step: int, left: int) -> bool:
    """Tell whether the rows that are done would cost more in the steps that are left than a smaller batch does."""
    if not looking(keep.device, step):
        return False
    done = len(keep) - int(keep.sum())
    return done > 0 and done * left >= LEAVING_COSTS.get(keep.device.type, LEAVING_COSTS["cpu"]) * len(keep)


def broken(logits: Tensor, y: Tensor, targeted: bool = False) -> Tensor:
    """Return which images have succeeded, (n,): those not classified as `y`, or those that are, if `targeted`."""
    return (logits.argmax(1) == y) == targeted


def rivals(logits: Tensor, y: Tensor, m: int) -> Tensor:
    """Return the m classes other than `y` with the largest logits, (n, m), or all of them if there are fewer.

    In place of a class that the model rules out, with a logit of -inf, stands the strongest once more.
    """
    top = logits.scatter(1, y[:, None], -torch.inf).topk(min(m, logits.shape[1] - 1), dim=1)
    return top.indices.where(top.values > -torch.inf, top.indices[:, :1])


def rivals_at(model: Model, x: Tensor, y: Tensor, m: int) -> Tensor:
    """Return the `rivals` of each image's label where the model sees it as it stands, (n, m)."""
    logits = model(x.clone())
    check_logits(logits, x, y)
    return rivals(logits, y, m)


def confirmed(model: Model, x_adv: Tensor, y: Tensor, claimed: Tensor, targeted: bool) -> Tensor:
    """Return which of the images that a search calls broken are; where it runs in full precision, all of them.

    Otherwise they are asked once more, in full precision.
    """
    if not reduced(x_adv.device):
        return claimed
    rows, sure = claimed.nonzero().flatten(), claimed.clone()
    if len(rows):
        with torch.no_grad(), full_precision(x_adv.device):
            sure[rows] = broken(model(x_adv[rows]), y[rows], targeted)
    return sure


def batched(attack: A) -> A:
    """Attack as many images at a time as memory should hold, so that its peak does not grow with their number.

    Where a GPU runs out of memory all the same, they are tried again in halves. Nothing else changes: every attack of
    the package treats each image as if it were alone. A generator draws for one batch after the other. The flags and
    functions among an attack's settings are checked here, once for all attacks.
    """

    @wraps(attack)
    def run(model: Model, x: Tensor, y: Tensor, **settings: object) -> Tensor:
        name, n = attack.__name__, len(x) if isinstance(x, Tensor) and x.ndim else 0
        for flag in FLAGS & settings.keys():
            check_flag(flag, settings[flag])
        for function in FUNCTIONS.keys() & settings.keys():
            check_function(function, settings[function], FUNCTIONS[function])
        # in inference mode nothing made inside could be differentiated
        with torch.inference_mode(False), bar(name, n), fitting(x):
            return in_batches(model, x, y, settings)

    def in_batches(model: Model, x: Tensor, y: Tensor, settings: dict[str, object]) -> Tensor:
        size = images_at_once(x)
        if size is None or len(x) <= size:
            try:
                return attack(model, x, y, **settings)
            except torch.OutOfMemoryError:
                if len(x) == 1:
                    raise
                size = (len(x) + 1) // 2
        x, y = check_inputs(model, x, y, settings.get("threat", NO_THREAT))
        result, begin, fallen = torch.empty_like(x), 0, 0
        while begin < len(x):
            rows = torch.arange(begin, min(begin + size, len(x)), device=x.device)
            part = {name: _part(name, value, rows, len(x)) for name, value in settings.items()}
            try:
                with section(begin / len(x), (begin + len(rows)) / len(x), fallen) as inside:
                    result[rows] = attack(model, x[rows], y[rows], **part)
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise
                size = (len(rows) + 1) // 2
                continue
            begin, fallen = begin + len(rows), fallen + inside[0]
        return result

    return run


def images_at_once(x: Tensor) -> int | None:
    """Return how many images of this size are attacked at a time; None if `x` is no batch of images."""
    if not isinstance(x, Tensor) or x.ndim != 4 or x.layout != torch.strided or not x[:1].numel():
        return None
    return max(1, AT_ONCE.get(x.device.type, AT_ONCE["cpu"]) // x[0].numel())


def _part(name: str, value: object, rows: Tensor, n: int) -> object:
    if isinstance(value, Threat):
        return value.select(rows)
    if name not in EACH or not isinstance(value, Tensor) or value.numel() == 1:
        return value
    if value.shape != (n,):
        raise ValueError(f"{name}: expected a number or a tensor ({n},), got shape {tuple(value.shape)}")
    return value[rows]
