"""A step that is asked for again and again on images of one shape: on a GPU it may be recorded, and then replayed.

It is off, and every step is plain PyTorch, unless ``CS329T_CUDA_GRAPHS=1``: no recording has run on a GPU yet. Turn it
on once tests/attacks/test_cuda.py has passed on yours.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from threading import Lock

import torch
from torch import Tensor

from ...contract.input_validation import Model
from .gradient import Marked
from .shrinking import LOOK

Answer = tuple[Tensor, ...]
Step = Callable[[Tensor, bool], Answer]  # (images, whether to check what the model says) to anything of the same length
Replay = Callable[[Tensor], Answer]

SETTLED = 3  # calls before a step is recorded, where the batch keeps its size; a shrinking one must outlive a look
SETTING = "CS329T_CUDA_GRAPHS"
WORTH = 10  # calls that must be left for a recording to pay
SAME = 1e-2  # by what share of the largest value a replay may differ from the step itself
_recording = Lock()
_unfit = Marked()  # models that could not be recorded


class Repeated:
    """A step for one batch, recorded where that is on and the device can; make another for another batch or loss.

    The answers are those of the step itself. It is recorded only after a few calls of its own, and the next call runs
    both and compares: where the model is random, waits for the device, keeps a state in Python, or cannot be recorded
    for any other reason, every call stays a call. That costs speed only, and is said once for each model.

    Parameters
    ----------
    model : callable
        Whose step it is; what could not be recorded once is not tried again.
    step : callable
        (images, check) to a tuple of tensors; all else that it uses must stay the same.
    calls : int
        How often it may be asked at most: a handful is not worth a recording.
    shrinking : bool
        Whether the batch may soon be replaced by a smaller one.
    """

    def __init__(self, model: Model, step: Step, calls: int, shrinking: bool) -> None:
        self.model, self.step, self.calls, self.shrinking = model, step, calls, shrinking
        self.asked, self.replay, self.proved = 0, None, False

    def __call__(self, x: Tensor, *, check: bool = False) -> Answer:
        """Return the step's answer, in tensors of their own."""
        if self.proved:
            return self.replay(x)
        answer, self.asked = self.step(x, check), self.asked + 1
        if self.replay is not None:
            self._prove(x, answer)
        elif self.asked == (LOOK.get(x.device.type, 1) + 1 if self.shrinking else SETTLED):
            self._record(x)
        return answer

    def _record(self, x: Tensor) -> None:
        record = RECORDERS.get(x.device.type)
        if record is None or not recording() or self.calls - self.asked < WORTH or self.model in _unfit:
            return
        try:
            with _recording:  # two threads would record each other's work
                self.replay = record(lambda images: self.step(images, False), x)
        except Exception as error:  # whatever the model or the driver objects to, the step itself still runs
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0])

    def _prove(self, x: Tensor, answer: Answer) -> None:
        """Believe the recording only if it says of other images than the recorded ones what the step says."""
        self.proved = all(_same(one, other) for one, other in zip(self.replay(x), answer, strict=True))
        if not self.proved:
            self.replay = None
            self._give_up("asked twice for the same images it gave two answers, as a random model does")

    def _give_up(self, reason: str) -> None:
        _unfit.add(self.model)
        warnings.warn(
            f"model: it cannot be recorded as a CUDA graph ({reason}), so each step of an attack is launched kernel by "
            "kernel. The results are the same, only slower",
            RuntimeWarning,
            stacklevel=2,
        )


def recording() -> bool:
    """Tell whether steps are recorded: only where the environment asks for it."""
    setting = os.environ.get(SETTING, "")
    if setting not in ("", "0", "1"):
        raise ValueError(f"{SETTING}: expected 1 to record an attack's steps as CUDA graphs or 0, got {setting!r}")
    return setting == "1"


def _same(one: Tensor, other: Tensor) -> bool:
    gap, size = (value.nan_to_num().abs().max() for value in (one - other, other))
    return bool(gap <= SAME * size)


class CudaGraph:
    """A step recorded as a CUDA graph: images are copied in, all kernels go off at once, the answer is copied out.

    Raises
    ------
    RuntimeError
        If the step waits for the device (found out before recording begins), or does what a graph cannot hold.
    """

    def __init__(self, step: Replay, x: Tensor) -> None:
        self.device = x.device
        self.x, self.graph, side = x.clone(), torch.cuda.CUDAGraph(), _side(x.device)
        caching, waiting = torch.is_autocast_cache_enabled(), torch.cuda.get_sync_debug_mode()
        side.wait_stream(torch.cuda.current_stream(x.device))
        try:
            torch.set_autocast_cache_enabled(False)  # a weight cast outside the graph would not live as long as it
            with torch.cuda.stream(side):
                step(self.x)  # libraries set themselves up, which may wait
                with warnings.catch_warnings(action="ignore"):  # torch says that it is a prototype
                    torch.cuda.set_sync_debug_mode("error")
                step(self.x)
                # not `with torch.cuda.graph`, which empties the whole memory cache first
                self.graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self.answer = step(self.x)
                finally:
                    self.graph.capture_end()
        finally:
            torch.cuda.set_sync_debug_mode(waiting)
            torch.set_autocast_cache_enabled(caching)
            torch.cuda.current_stream(x.device).wait_stream(side)

    def __call__(self, x: Tensor) -> Answer:
        """Return the answer for other images, in tensors that the next call leaves alone."""
        self.x.copy_(x)
        self.graph.replay()
        return tuple(value.clone() for value in self.answer)

    def __del__(self) -> None:
        """Let the device finish before the graph's memory goes."""
        torch.cuda.synchronize(self.device)


@cache
def _side(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


RECORDERS: dict[str, Callable[[Replay, Tensor], Replay]] = {"cuda": CudaGraph}
