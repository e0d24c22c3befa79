"""Which device the workbook computes on, with how many threads, and how it keeps memory."""

import ctypes
import os
import sys
from pathlib import Path

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for mallopt
_LARGE = 1 << 30  # bytes


def device() -> torch.device:
    """Choose the device to compute on: CUDA, then Apple's MPS, then the CPU.

    The environment variable ``CS329T_DEVICE`` (for instance ``cpu`` or ``cuda:1``) overrides the choice.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If ``CS329T_DEVICE`` names a device that torch does not know or that this machine does not have.
    """
    return describe()[0]


def describe() -> tuple[torch.device, str]:
    """Return the chosen device and the reason in words.

    Returns
    -------
    device : torch.device
    reason : str

    Raises
    ------
    ValueError
        If ``CS329T_DEVICE`` names a device that this machine does not have.
    """
    wanted = os.environ.get("CS329T_DEVICE", "").strip()
    if wanted:
        return usable("CS329T_DEVICE", wanted), f"CS329T_DEVICE={wanted}"
    if torch.cuda.is_available():
        return torch.device("cuda"), "a CUDA GPU is present"
    if torch.backends.mps.is_available():
        return torch.device("mps"), "an Apple GPU is present"
    return torch.device("cpu"), "no GPU found"


def usable(setting: str, name: str) -> torch.device:
    """Return the device called `name`.

    Parameters
    ----------
    setting : str
        The option or variable that named it, for the message.
    name : str
        As `torch.device` takes it.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If this machine does not have it.
    """
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(
            f"{setting}: expected a device that this machine has (cpu, cuda, cuda:0, mps), got {name!r} "
            f"({str(error).splitlines()[0]}). Leave it out, or use {setting}=cpu"
        ) from error
    return chosen


def check_writable(setting: str, path: str | None) -> None:
    """Raise a ValueError, before hours of work, if their result could not be written to `path`.

    Parameters
    ----------
    setting : str
        The option that named the path, for the message.
    path : str or None
        None is always fine.

    Raises
    ------
    ValueError
        If it is a folder, or in a folder that does not exist.
    """
    if path and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        raise ValueError(f"{setting}: expected a file in a folder that exists, got {path!r}")


def set_threads(n: int | None = None) -> int:
    """Set the number of CPU threads torch uses, and return it; also `keep_memory`.

    Parameters
    ----------
    n : int, optional
        Threads, at least 1. Without it ``CS329T_THREADS`` is read, else 1 is used: for the small networks of
        this course one thread is as fast as two, and two threads beside another busy process are ten times
        slower than one.

    Returns
    -------
    int
        How many threads torch uses now.

    Raises
    ------
    ValueError
        If `n` or ``CS329T_THREADS`` is not a whole number of at least 1.
    """
    given = (os.environ.get("CS329T_THREADS", "").strip() or "1") if n is None else n
    try:
        count = int(str(given))  # a whole number in words: 2.5 and True are refused
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError(f"threads: expected a whole number >= 1, got {given!r}")
    torch.set_num_threads(count)
    keep_memory()
    return count


def keep_memory() -> bool:
    """Let this process keep the memory that it has freed, and return whether its C library can be told so.

    glibc gives freed memory back to the system above a small threshold, and the next step faults it in again page by
    page. Kept, a training step on a CPU takes about a fifth less time (docs/speed.md). Peak memory is the same. Only
    glibc, so Linux, has the switch; elsewhere nothing happens.

    Returns
    -------
    bool
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(name, _LARGE) for name in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
