"""What a student's function did besides answering: did it change its arguments or the model, or keep the graph?"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .agreement import frozen

IN_PLACE = (
    "Your function changed its argument `{}` in place; the caller's tensor is different now. Start from {}.clone()."
)
TRAIN_MODE = (
    "The model came in eval mode and was left in train mode: dropout is on and BatchNorm's statistics move. "
    "Leave model.train() out, or put back what was there: model.train(was) with was = model.training."
)
EVAL_MODE = (
    "The model came in train mode and was left in eval mode: the training that goes on would be another one. "
    "Put it back: model.train(was) with was = model.training."
)
WEIGHTS = "The model's weights or statistics are not what they were: an attack changes the input, never the model."
GRAPH = "The result still hangs on the autograd graph (requires_grad is True), so memory grows with every call. Return it detached: .detach()."
FROZEN = "The model's parameters were left with requires_grad switched; put it back, or better leave it alone."
NOTE_WEIGHT_GRADIENTS = (
    "Right, with one side effect: loss.backward() also filled the .grad of the model's weights, and a later optimiser "
    "would use it. torch.autograd.grad(loss, x) differentiates with respect to the image alone."
)
NOTE_FLAG = "Right, with one side effect: the caller's tensor was left with requires_grad=True. Work on x.clone().detach().requires_grad_()."


@dataclass
class SideEffects:
    """What was noticed: faults, which cost a point, and notes, which do not; each is told once."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, sentences: list[str], sentence: str) -> None:
        """Remember a sentence once."""
        if sentence not in sentences:
            sentences.append(sentence)


def observed(
    function: Callable[..., Any], args: tuple, effects: SideEffects, keeps_graph: bool = False, trains: bool = False
) -> Any:
    """Call ``function(*args)``, note in `effects` what it did besides answering, and return a copy of its answer.

    Where the function `trains`, the model's weights and their gradients are what it is for, and none of its effects.
    """
    names = list(inspect.signature(function).parameters) if _readable(function) else [f"argument {i}" for i in range(9)]
    tensors = [(name, arg, arg.clone()) for name, arg in zip(names, args, strict=False) if isinstance(arg, Tensor)]
    models = [(arg, _state(arg)) for arg in args if isinstance(arg, nn.Module)]
    answer = function(*args)
    for name, arg, before in tensors:
        if arg.shape != before.shape or not torch.equal(arg.detach(), before):
            effects.add(effects.faults, IN_PLACE.format(name, name))
        elif arg.requires_grad:
            effects.add(effects.notes, NOTE_FLAG)
    for model, before in models:
        after = _state(model)
        if after["modes"] != before["modes"]:
            effects.add(effects.faults, EVAL_MODE if before["modes"][0] else TRAIN_MODE)
        if not trains and any(not torch.equal(a, b) for a, b in zip(after["values"], before["values"], strict=True)):
            effects.add(effects.faults, WEIGHTS)
        if after["flags"] != before["flags"]:
            effects.add(effects.faults, FROZEN)
        elif not trains and after["gradients"] != before["gradients"]:
            effects.add(effects.notes, NOTE_WEIGHT_GRADIENTS)
    if isinstance(answer, Tensor) and answer.requires_grad and not keeps_graph:
        effects.add(effects.faults, GRAPH)
    return frozen(answer)


def _state(model: nn.Module) -> dict[str, list]:
    return {
        "modes": [module.training for module in model.modules()],
        "values": [value.detach().clone() for value in model.state_dict().values()],
        "flags": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad is not None for p in model.parameters()],
    }


def _readable(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True
