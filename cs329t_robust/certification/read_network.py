"""What can be bounded: a model is read as the function that runs, or refused in words that name what is not read."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..contract.input_validation import Model, check_inputs, fitting, module_of
from ..contract.model_state import borrowed, full_precision
from ..threat import Linf, Threat, per_image
from .network import Box, Network
from .operations import READERS
from .tracing import READ, Trace, Unreadable

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
COPIES = 5
"""How many images a model is read on: a number that no shape in it is likely to be."""
ORDINARY = frozenset(vars(nn.Module())) - {"training"}


def ready(model: Model, x: Tensor, y: Tensor, threat: Threat) -> tuple[Network, Tensor, Box]:
    """Return the network as it was read, in float64, the labels, and the threat around `x` as a box.

    Raises
    ------
    ValueError
        If an input is unusable or the model cannot be read.
    """
    x, y = check_inputs(model, x, y)
    if not isinstance(threat, Linf):
        raise ValueError(f"threat: expected Linf, whose ball is a box, got {threat!r}")
    threat.check(x)
    network = read(model, x)
    if int(y.max()) >= network.classes:
        raise ValueError(f"y: expected labels below the model's {network.classes} classes, got {int(y.max())}")
    x = x.double()
    radius = per_image(threat.eps, x)
    return network, y, Box((x - radius).clamp_min(0), (x + radius).clamp_max(1))


def read(model: Model, x: Tensor) -> Network:
    """Return the function that a model computes for images like `x` in eval mode, its constants copied to float64.

    Raises
    ------
    ValueError
        If the model cannot be read, or part of it is in train mode and computes something else there.
    """
    module = module_of(model)
    with unchanged(model), full_precision(x.device):
        with borrowed(model):
            found = traced(model, x, torch.float64, gradients=False)
        training = module is not None and any(part.training for part in module.modules())
        if training and not found.same_as(traced(model, x, torch.float64, gradients=False)):
            raise refused("computes something else in train mode; call model.eval()")
    return found


def read_once(model: Model, x: Tensor) -> Network:
    """Return the function that a model computes, in the modes in which it is, with gradients to its weights.

    Raises
    ------
    ValueError
        If the model cannot be read.
    """
    with unchanged(model):
        return traced(model, x, None, torch.is_grad_enabled())


def refused(what: str, where: str = "", operation: str = "") -> Unreadable:
    """Return the error that says what of a model is not read, and what is."""
    what = f"runs {operation}{where}: {what}" if operation else what + where
    return Unreadable(f"model: expected a network of {READ}; got one that {what}")


def traced(model: Model, x: Tensor, dtype: torch.dtype | None, gradients: bool) -> Network:
    """Run the model on a few images like `x` that hold no numbers, and return what it did to them."""
    sample = x.detach()[:1].repeat(COPIES, 1, 1, 1)
    trace = Trace(COPIES, READERS, dtype)
    try:
        with torch.set_grad_enabled(gradients):
            answer = model(trace.begin(sample))
        return trace.network(answer)
    except Exception as error:
        told = trace.refusal or error  # a model may have caught the refusal and gone on
        if isinstance(told, Unreadable):
            raise refused(told.why, whereabouts(model, told.__traceback__), told.operation) from error
        with fitting(x), torch.set_grad_enabled(gradients):
            model(sample)  # if it cannot take images at all, its own error says so
        raise refused(
            f"looks at the numbers in its images, or hands them to code that PyTorch does not show ({error})",
            whereabouts(model, error.__traceback__),
        ) from error


def whereabouts(model: Model, traceback: TracebackType | None) -> str:
    """Return the module that ran when an error came, in words."""
    found, module = None, module_of(model)
    while traceback is not None:
        one = traceback.tb_frame.f_locals.get("self")
        found = one if isinstance(one, nn.Module) else found
        traceback = traceback.tb_next
    if found is None:
        return ""
    names = [name for name, part in module.named_modules() if part is found] if module is not None else []
    return f" in {_called(names[0] if names else '', found)}"


def _called(name: str, part: nn.Module) -> str:
    return f"model.{name} ({type(part).__name__})" if name else type(part).__name__


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Refuse a model with hooks, parametrisations or compiled parts, and one that changes while it runs; undo that.

    Raises
    ------
    ValueError
        If the model is one of those.
    """
    module = module_of(model)
    parts = list(module.named_modules()) if module is not None else []
    globally = [name for name in HOOKS if getattr(nn.modules.module, f"_global{name}")]
    if globally:
        raise refused(f"runs under a hook on all modules ({globally[0]}); remove it first")
    if hasattr(model, "_torchdynamo_orig_callable"):
        raise refused("is a compiled function; hand over the one that it was made from")
    for name, part in parts:
        if any(getattr(part, hooks, None) for hooks in HOOKS):
            raise refused(f"has a hook on {_called(name, part)}; call remove() on the handle that made it")
        if parametrize.is_parametrized(part):
            raise refused(
                f"has parametrised weights in {_called(name, part)}; call "
                "torch.nn.utils.parametrize.remove_parametrizations first"
            )
        if isinstance(part, torch.jit.ScriptModule) or "_orig_mod" in getattr(part, "_modules", {}):
            raise refused(f"is scripted or compiled in {_called(name, part)}; hand over the module it was made from")
    before, drawn = [_state(part) for _, part in parts], _random_state()
    kept = [(dict(vars(part)), dict(part._buffers), dict(part._parameters)) for _, part in parts]
    buffers = [(b, b.detach().clone()) for _, own, _ in kept for b in own.values() if b is not None]
    try:
        yield
    finally:
        changed = [at for at, (_, part) in enumerate(parts) if _state(part) != before[at]]
        for at in changed:
            now = parts[at][1]
            for own, was in zip((vars(now), now._buffers, now._parameters), kept[at], strict=True):
                own.clear()
                own.update(was)
        for buffer, value in buffers:
            if not torch.equal(buffer, value):  # BatchNorm changes its own without counting a version
                with torch.no_grad():
                    buffer.copy_(value)
    if changed:
        raise refused(
            f"changes itself while it runs in {_called(*parts[changed[0]])}; leave out what it keeps from call to call"
        )
    if _random_state() != drawn:
        raise refused("draws random numbers; leave them out")


def _state(part: nn.Module) -> list[tuple[str, Any]]:
    own = {name: value for name, value in vars(part).items() if name not in ORDINARY}
    return [(name, _mark(value)) for name, value in (*own.items(), *part._parameters.items(), *part._buffers.items())]


def _mark(value: Any) -> Any:
    if isinstance(value, Tensor):
        return id(value), 0 if value.is_inference() else value._version
    if isinstance(value, list | dict | set):
        return id(value), len(value)
    return value if isinstance(value, bool | int | float | str) else id(value)


def _random_state() -> tuple[Any, ...]:
    numbers = np.random.get_state(legacy=False)["state"]
    return torch.random.get_rng_state().numpy().tobytes(), random.getstate(), numbers["pos"], int(numbers["key"][0])
