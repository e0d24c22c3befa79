"""Several processes that train one model, as `torchrun` starts them: each takes its share of a batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


def several() -> bool:
    """Say whether this process is one of several that `torch.distributed` joins."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def first() -> bool:
    """Tell whether this process is the one that writes files and shows progress."""
    return not several() or dist.get_rank() == 0


def my_share(rows: Tensor) -> Tensor:
    """Return this process's share of a batch: every k-th row of it, where there are k processes."""
    return rows[dist.get_rank() :: dist.get_world_size()] if several() else rows


def sum_over_processes(*tensors: Tensor | None) -> None:
    """Add each tensor up over all processes, in place; one message for all of them."""
    present = [tensor for tensor in tensors if tensor is not None]
    if not several() or not present:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in present])
    dist.all_reduce(flat)
    for tensor, part in zip(present, flat.split([tensor.numel() for tensor in present]), strict=True):
        tensor.copy_(part.view_as(tensor))


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did, and part from them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or several():
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
