"""Values over a socket: JSON for structure, safetensors for numbers, and never a pickle from the student's side."""

import json
import socket
import struct
import time
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

TEXT_LIMIT = 1 << 20  # bytes of JSON in one message
BLOB_LIMIT = 64 << 20  # bytes of numbers in one message
DEPTH = 8  # a list of lists of …
HEADER = struct.Struct("<II")
PLAIN = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8}
PLAIN |= {torch.int8, torch.int16, torch.int32, torch.int64}


class ProtocolError(Exception):
    """The other side sent something that is no message."""


class Opaque:
    """Stands for a value that cannot travel: only the name of its type arrives."""


class Pair(tuple):
    """Stands for a pair (values, indices), as torch's ``.max(dim)`` returns it."""

    @property
    def indices(self) -> Any:
        """The second of the two."""
        return self[1]


class Kept:
    """Stands for an object that stayed on the other side."""

    def __init__(self, number: int) -> None:
        self.number = number


class Channel:
    """Messages over a connected socket, each a JSON object and a blob of bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, message: dict, blob: bytes = b"") -> None:
        """Send one message."""
        text = json.dumps(message).encode()
        self.connection.sendall(HEADER.pack(len(text), len(blob)) + text)
        if blob:
            self.connection.sendall(blob)

    def receive(self, seconds: float | None = None) -> tuple[dict, bytes]:
        """Return the next message, or raise TimeoutError, EOFError or ProtocolError."""
        end = None if seconds is None else time.monotonic() + seconds
        text_size, blob_size = HEADER.unpack(self._exactly(HEADER.size, end))
        if text_size > TEXT_LIMIT or blob_size > BLOB_LIMIT:
            raise ProtocolError(f"expected a message of at most {BLOB_LIMIT >> 20} MB, got {blob_size >> 20} MB")
        text, blob = self._exactly(text_size, end), self._exactly(blob_size, end)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("expected a message in JSON, got other bytes") from error
        if not isinstance(message, dict):
            raise ProtocolError(f"expected a JSON object, got a {type(message).__name__}")
        return message, blob

    def _exactly(self, size: int, end: float | None) -> bytes:
        parts, left = [], size
        while left:
            if end is not None:
                remaining = end - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError
                self.connection.settimeout(remaining)
            part = self.connection.recv(min(left, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def pack(values: list[Any]) -> tuple[list, bytes]:
    """Return `values` as JSON and as safetensors bytes; what cannot travel becomes the name of its type."""
    tensors: dict[str, Tensor] = {}
    described = [_describe(value, tensors, 0) for value in values]
    return described, save(tensors) if tensors else b""


def unpack(described: Any, blob: bytes) -> list[Any]:
    """Return the values of `pack`; anything malformed raises ProtocolError, and nothing in it is ever executed."""
    try:
        tensors = load(blob) if blob else {}
        return [_rebuild(entry, tensors, 0) for entry in described]
    except (SafetensorError, ValueError, TypeError, LookupError, OverflowError, RuntimeError) as error:
        raise ProtocolError(f"expected values, got something malformed ({type(error).__name__})") from error


def generator_from(state: Tensor) -> torch.Generator:
    """Return a CPU generator in that state."""
    generator = torch.Generator()
    generator.set_state(state)
    return generator


def _describe(value: Any, tensors: dict[str, Tensor], depth: int) -> list:
    if value is None or isinstance(value, bool | str):
        return ["plain", value]
    if isinstance(value, int):
        return ["int", str(int(value))]
    if isinstance(value, float):
        return ["float", float(value).hex()]
    if isinstance(value, Kept):
        return ["kept", value.number]
    if isinstance(value, Tensor):
        return _describe_tensor(value, tensors)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
        return ["array", isinstance(value, np.generic), _describe_tensor(torch.from_numpy(np.array(value)), tensors)]
    if isinstance(value, tuple | list) and depth < DEPTH and len(value) <= 10000:
        kind = "pair" if hasattr(value, "indices") else "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_describe(entry, tensors, depth + 1) for entry in value]]
    if isinstance(value, dict) and depth < DEPTH and len(value) <= 10000:
        items = [[_describe(k, tensors, depth + 1), _describe(v, tensors, depth + 1)] for k, v in value.items()]
        return ["dict", items]
    return ["opaque", type(value).__name__[:80]]


def _describe_tensor(value: Tensor, tensors: dict[str, Tensor]) -> list:
    with torch._C.DisableTorchFunctionSubclass():
        plain = Tensor.as_subclass(value, Tensor)
        if plain.layout != torch.strided or plain.dtype not in PLAIN or plain.device.type == "meta":
            return ["opaque", f"tensor of {plain.dtype}, {plain.layout}, on {plain.device}"]
        name = str(len(tensors))
        tensors[name] = plain.detach().cpu().contiguous().clone()
        return ["tensor", name, bool(plain.requires_grad)]


def _rebuild(entry: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth > DEPTH + 2:
        raise ValueError("too deep")
    kind, content = entry[0], entry[1]
    if kind == "plain":
        if content is None or isinstance(content, bool | str):
            return content
        raise ValueError("no plain value")
    if kind == "int":
        return int(content)
    if kind == "float":
        return float.fromhex(content)
    if kind == "tensor":
        return tensors[content].requires_grad_() if entry[2] is True else tensors[content]
    if kind == "array":
        array = _rebuild(entry[2], tensors, depth + 1).numpy()
        return array[()] if content else array
    if kind == "dict":
        return {_rebuild(k, tensors, depth + 1): _rebuild(v, tensors, depth + 1) for k, v in content}
    if kind == "kept":
        return Kept(int(content))
    if kind == "opaque":
        return type(str(content)[:80], (Opaque,), {})()
    return {"list": list, "tuple": tuple, "pair": Pair}[kind](_rebuild(e, tensors, depth + 1) for e in content)
