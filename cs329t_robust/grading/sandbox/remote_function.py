"""A student's function as the judge sees it: called like any other, while it runs in a sandbox on copies.

What the call changed of its arguments (a tensor, a model's mode or weights, a generator) is copied back, so the checks
notice it as they do in the notebook. An object that cannot leave the judge, such as a probe's own model or attack,
stays there and is called back.
"""

import builtins
import inspect
import pickle
import time
from collections.abc import Callable
from io import BytesIO
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from .protocol import Channel, Kept, Opaque, ProtocolError, generator_from, pack, unpack

STAYS = "cs329t_robust.checks"  # what is defined there must not reach the sandbox
CALLBACKS = 20_000  # calls of the judge's objects in one call of the student's function
TRAFFIC = 512 << 20  # bytes that they may bring in all; the judge keeps them for the gradients


class Lost(BaseException):
    """The student's process is gone or broke the rules. No check may catch it as an error of the student's function."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class RemoteFunction:
    """The student's function in its sandbox.

    Parameters
    ----------
    channel : Channel
    seconds : float
        Time that defining it and all calls together may take.
    """

    def __init__(self, channel: Channel, seconds: float) -> None:
        self.channel = channel
        self.left = seconds
        self.calls = 0
        self.name, self.is_callable = "function", False
        self._parameters: list | None = None

    def begin(self, program: dict) -> dict:
        """Send the program, and return the worker's first message after reading what it says of the function."""
        self._send(program)
        message, _ = self._receive()
        described = message.get("ready")
        if isinstance(described, dict):
            self.name, self.is_callable = str(described.get("type"))[:80], described.get("callable") is True
            self._parameters = described.get("parameters")
            code = described.get("code")
            if isinstance(code, list):
                self.__code__ = SimpleNamespace(co_names=tuple(map(str, code)), co_filename="<the sandbox>")
        elif not {"broken", "raised"} & set(message):
            raise Lost("protocol")
        return message

    @property
    def __signature__(self) -> inspect.Signature:
        if self._parameters is None:
            raise ValueError("no readable signature")
        try:
            return inspect.Signature([_parameter(*row) for row in self._parameters], __validate_parameters__=False)
        except (TypeError, ValueError) as error:
            raise Lost("protocol") from error

    def __call__(self, *args: Any) -> Any:
        """Call the student's function on copies of `args`, and copy back what it changed of them."""
        self.calls += 1
        file = BytesIO()
        pickler = _Pickler(file)
        pickler.dump([*args, torch.default_generator.get_state()])
        self._send({"call": self.calls}, file.getvalue())
        graphs: dict[int, tuple] = {}
        traffic = 0
        for _ in range(CALLBACKS):
            message, blob = self._receive()
            traffic += len(blob)
            if traffic > TRAFFIC:
                raise Lost("protocol")
            if "callback" in message:
                self._call_back(message, blob, pickler.kept, args, graphs)
            elif "backward" in message:
                self._backward(message, blob, graphs)
            elif "failed" in message:
                raise Lost(f"failed: {str(message['failed'])[:500]}")
            elif message.get("call") != self.calls:
                raise Lost("protocol")
            elif "raised" in message:
                raise rebuilt(message["raised"])
            else:
                return self._result(message, blob, args)
        raise Lost("protocol")

    def _send(self, message: dict, blob: bytes = b"") -> None:
        start = time.monotonic()
        self.channel.connection.settimeout(max(self.left, 1e-3))
        try:
            self.channel.send(message, blob)
        except TimeoutError as error:
            raise Lost("time") from error
        except OSError as error:
            raise Lost("gone") from error
        finally:
            self.left -= time.monotonic() - start

    def _receive(self) -> tuple[dict, bytes]:
        start = time.monotonic()
        try:
            return self.channel.receive(self.left)
        except TimeoutError as error:
            raise Lost("time") from error
        except (EOFError, OSError) as error:
            raise Lost("gone") from error
        except ProtocolError as error:
            raise Lost("protocol") from error
        finally:
            self.left -= time.monotonic() - start

    def _result(self, message: dict, blob: bytes, args: tuple) -> Any:
        try:
            answer, after, random = unpack(message.get("result"), blob)
            torch.default_generator.set_state(random)
            for arg, change in zip(args, after, strict=True):
                _apply(arg, change)
        except (ProtocolError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as error:
            raise Lost("protocol") from error
        return answer

    def _call_back(self, message: dict, blob: bytes, kept: list, args: tuple, graphs: dict) -> None:
        """Call one of the judge's objects for the student, on numbers that came from there."""
        try:
            given, named = unpack(message["arguments"], blob)
            given = [args[value.number] if isinstance(value, Kept) else value for value in given]
            inputs = [v for v in (*given, *named.values()) if isinstance(v, Tensor) and v.requires_grad]
            target = kept[int(message["callback"])]
        except (ProtocolError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise Lost("protocol") from error
        start, failed = time.monotonic(), None
        try:
            with torch.enable_grad():
                answer = target(*given, **named)
        except Exception as error:
            failed = str(error)[:2000]
        self.left -= time.monotonic() - start
        if failed is not None:
            self._send({"raised": failed})
            return
        graphs[len(graphs)] = (answer, inputs)
        described, numbers = pack([answer])
        self._send({"result": described, "number": len(graphs) - 1}, numbers)

    def _backward(self, message: dict, blob: bytes, graphs: dict) -> None:
        try:
            answer, inputs = graphs[message["backward"]]
            (grad,) = unpack(message["arguments"], blob)
            found = torch.autograd.grad(answer, inputs, grad, allow_unused=True, retain_graph=True)
        except (ProtocolError, ValueError, TypeError, LookupError, RuntimeError) as error:
            raise Lost("protocol") from error
        described, numbers = pack(list(found))
        self._send({"result": described}, numbers)


class _Pickler(pickle.Pickler):
    """Copies arguments to the sandbox; an object of the checks' own, or a local function, is kept and called back."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.kept: list[Callable] = []

    def persistent_id(self, value: Any) -> tuple[int, bool] | None:
        home = getattr(value, "__module__", None)
        local = isinstance(value, FunctionType) and "<" in value.__qualname__
        if not local and not str(home).startswith(STAYS):
            return None
        self.kept.append(value)
        return len(self.kept) - 1, isinstance(value, nn.Module)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Generator):
            return generator_from, (value.get_state(),)
        return NotImplemented


class Shown(str):
    """A text that is its own repr, so that a signature prints as the student wrote it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def rebuilt(told: Any) -> BaseException:
    """Return the student's exception, as a built-in of that name or a new class of it; nothing of theirs runs."""
    if not isinstance(told, dict):
        raise Lost("protocol")
    name, text, where = str(told.get("type")), str(told.get("text"))[:2000], told.get("where")
    known = getattr(builtins, str(told.get("known")), None)
    if not (isinstance(known, type) and issubclass(known, BaseException)):
        known = RuntimeError
    if not issubclass(known, Exception | SystemExit):
        known = SystemExit  # KeyboardInterrupt, GeneratorExit: the judge must not stop for it
    try:
        error = known(text) if known.__name__ == name else type(name, (known,), {})(text)
    except (TypeError, ValueError):
        error = RuntimeError(f"{name}: {text}")  # a UnicodeDecodeError wants five arguments
    if isinstance(where, list) and len(where) == 2 and isinstance(where[0], int):
        error.student_line = (where[0], str(where[1]))
    return error


def _parameter(name: str, kind: int, has_default: bool, default: str, has_note: bool, note: str) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect._ParameterKind(kind),
        default=Shown(default) if has_default else inspect.Parameter.empty,
        annotation=Shown(note) if has_note else inspect.Parameter.empty,
    )


def _apply(arg: Any, change: Any) -> None:
    """Do to the judge's argument what the student's call did to its copy."""
    if change is None or isinstance(change, Opaque):
        return
    if isinstance(arg, torch.Generator):
        arg.set_state(change)
    elif isinstance(arg, Tensor):
        arg.data = change["value"].to(arg.dtype)
        if arg.is_leaf:
            arg.requires_grad_(change["flag"] is True)
    elif isinstance(arg, nn.Module):
        _apply_to_model(arg, change)


def _apply_to_model(model: nn.Module, change: dict) -> None:
    for module, mode in zip(model.modules(), change["modes"], strict=True):
        module.training = mode is True
    for parameter, flag, filled in zip(model.parameters(), change["flags"], change["gradients"], strict=True):
        parameter.requires_grad_(flag is True)
        parameter.grad = torch.zeros_like(parameter) if filled is True else None
    values = list(model.state_dict().values())
    for at, value in change["values"]:
        values[at].copy_(value)
