"""Inside the sandbox: define the student's function, and answer calls of it. Nothing here knows a right answer."""

import inspect
import os
import pickle
import sys
import traceback
import warnings
from contextlib import suppress
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn

from .program_slice import Unreadable, run
from .protocol import Channel, Kept, pack, unpack


def serve(channel: Channel) -> None:
    """Read the program, say what came of it, and answer calls until the other side hangs up."""
    task, _ = channel.receive()
    warnings.simplefilter("ignore")
    try:
        function = run(task["cells"], task["goal"])[task["goal"]]
    except Unreadable as error:
        channel.send({"broken": str(error)})
        return
    except BaseException as error:
        channel.send({"raised": _raised(error, None)})
        return
    channel.send({"ready": _described(function)})
    client = _Client(channel, function)
    while True:
        client.answer_one()


class _Client:
    """One student's function, and the objects of the judge that it was handed."""

    def __init__(self, channel: Channel, function: Any) -> None:
        self.channel = channel
        self.function = function
        self.args: list[Any] = []

    def answer_one(self) -> None:
        message, blob = self.channel.receive()
        try:
            args = _Unpickler(BytesIO(blob), self).load()  # pickled by the judge: this side is not the trusted one
        except (pickle.UnpicklingError, ImportError, AttributeError, TypeError, RuntimeError) as error:
            self.channel.send({"failed": f"the arguments cannot be rebuilt in the sandbox ({error})"})
            return
        self.args = args
        before = [_state(arg) for arg in args]
        torch.default_generator.set_state(args.pop())
        before.pop()
        try:
            answer = self.function(*args)
            after = [_changes(arg, old) for arg, old in zip(args, before, strict=True)]
            described, numbers = pack([answer, after, torch.default_generator.get_state()])
        except BaseException as error:
            self.channel.send({"raised": _raised(error, self.function), "call": message["call"]})
            return
        self.channel.send({"result": described, "call": message["call"]}, numbers)

    def call_back(self, kept: int, args: tuple, kwargs: dict) -> Any:
        """Call an object that stayed with the judge."""
        described, numbers = pack([[self._kept(a) for a in args], {k: self._kept(v) for k, v in kwargs.items()}])
        self.channel.send({"callback": kept, "arguments": described}, numbers)
        reply, blob = self.channel.receive()
        if "raised" in reply:
            raise RuntimeError(reply["raised"])
        answer = unpack(reply["result"], blob)[0]
        inputs = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Tensor) and arg.requires_grad]
        if torch.is_grad_enabled() and inputs and isinstance(answer, Tensor) and answer.requires_grad:
            return _Joined.apply(self, reply["number"], answer.detach(), *inputs)
        return answer

    def _kept(self, value: Any) -> Any:
        """Name a model by its place among the arguments, where the judge finds its own."""
        at = [i for i, arg in enumerate(self.args) if arg is value and isinstance(arg, nn.Module)]
        return Kept(at[0]) if at else value

    def gradients(self, number: int, grad: Tensor) -> list:
        described, numbers = pack([grad])
        self.channel.send({"backward": number, "arguments": described}, numbers)
        reply, blob = self.channel.receive()
        return unpack(reply["result"], blob)


class _Joined(torch.autograd.Function):
    """Joins the graph here to the judge's graph of a call that ran there."""

    @staticmethod
    def forward(ctx: Any, client: _Client, number: int, answer: Tensor, *inputs: Tensor) -> Tensor:
        ctx.client, ctx.number = client, number
        return answer.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        return (None, None, None, *ctx.client.gradients(ctx.number, grad))


class _Unpickler(pickle.Unpickler):
    """Reads the judge's arguments; an object that stayed there becomes a function that calls it there."""

    def __init__(self, file: BytesIO, client: _Client) -> None:
        super().__init__(file)
        self.client = client

    def persistent_load(self, kept: tuple[int, bool]) -> Any:
        number, is_module = kept

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.client.call_back(number, args, kwargs)

        return _Away(call) if is_module else call


class _Away(nn.Module):
    """A model that stayed with the judge."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)


def _state(arg: Any) -> Any:
    if isinstance(arg, Tensor):
        return arg.detach().clone(), arg.requires_grad
    if isinstance(arg, nn.Module):
        return [value.detach().clone() for value in arg.state_dict().values()]
    return arg.get_state() if isinstance(arg, torch.Generator) else None


def _changes(arg: Any, before: Any) -> Any:
    """Describe what the call changed of an argument, or return None."""
    if isinstance(arg, _Away):
        return None
    if isinstance(arg, Tensor):
        same = arg.shape == before[0].shape and torch.equal(arg.detach(), before[0]) and arg.requires_grad == before[1]
        return None if same else {"value": arg.detach(), "flag": arg.requires_grad}
    if isinstance(arg, torch.Generator):
        return arg.get_state()
    if isinstance(arg, nn.Module):
        values = list(arg.state_dict().values())
        moved = [
            [i, v.detach()] for i, (v, old) in enumerate(zip(values, before, strict=True)) if not torch.equal(v, old)
        ]
        return {
            "modes": [module.training for module in arg.modules()],
            "flags": [p.requires_grad for p in arg.parameters()],
            "gradients": [p.grad is not None for p in arg.parameters()],
            "values": moved,
        }
    return None


def _described(function: Any) -> dict:
    """Say what the judge may know of the function: how it is called, and which names it uses."""
    code = getattr(function, "__code__", None)
    told = {"callable": callable(function), "type": type(function).__name__, "code": None, "parameters": None}
    if code is not None:
        told["code"] = list(code.co_names)
    with suppress(TypeError, ValueError):  # no readable signature: calling it will tell
        told["parameters"] = [_parameter(p) for p in inspect.signature(function).parameters.values()]
    return told


def _parameter(p: inspect.Parameter) -> list:
    note = "" if p.annotation is p.empty else inspect.formatannotation(p.annotation)
    return [p.name, int(p.kind), p.default is not p.empty, _text(p.default), p.annotation is not p.empty, note]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)[:80]


def _raised(error: BaseException, function: Any) -> dict:
    """Describe an exception: its type, its first line, and the line of the student's cell where it arose."""
    code = getattr(function, "__code__", None)
    wanted = code.co_filename if code is not None else "<cell "
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(wanted)]
    where = [frames[-1].lineno, (frames[-1].line or "")[:200]] if frames else None
    known = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    return {"type": type(error).__name__[:80], "known": known[0], "text": str(error)[:2000], "where": where}


def main(connection: Any) -> None:
    """Serve on `connection`, and end the process without running anything that the student left behind."""
    channel = Channel(connection)
    try:
        serve(channel)
    except (EOFError, OSError):
        pass  # the judge hung up: it has all that it wanted
    except BaseException as error:
        sys.stderr.write(f"worker: {error!r}\n")
        os._exit(3)
    os._exit(0)
