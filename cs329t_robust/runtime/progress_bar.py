"""One progress bar for whatever takes long: an attack, a whole ensemble, or a measurement of many batches.

Loops say how far they are (`tick`); only the outermost of the nested callers shows a bar, after two seconds, and only
where somebody looks: in a terminal or in Jupyter, never under pytest (so not under nbval), in CI, or with
``CS329T_PROGRESS=0``.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float, int], None]  # share that is done, images that are adversarial
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
PATIENCE = 2.0  # seconds without a bar
EVERY = 0.1  # seconds from one look to the next: counting makes the host wait for a GPU
_told = [0.0]


def tick(share: float, adversarial: Callable[[], int]) -> None:
    """Say that this share of the work is done.

    Parameters
    ----------
    share : float in [0, 1]
    adversarial : callable
        Counts the adversarial images; called only if somebody listens, and only now and then.
    """
    listener = _listener.get()
    if listener is not None and time.monotonic() >= _told[0] + EVERY:
        _told[0] = time.monotonic()
        listener(share, adversarial())


@contextmanager
def section(begin: float, end: float, adversarial: int = 0) -> Iterator[list[int]]:
    """Let ticks inside run from `begin` to `end` of the whole.

    Parameters
    ----------
    begin, end : float in [0, 1]
        Shares of the whole.
    adversarial : int
        Images that were adversarial before.

    Yields
    ------
    list of one int
        How many have become so inside, as far as was said.
    """
    outer, inside = _listener.get(), [0]
    if outer is None:
        yield inside
        return

    def pass_on(share: float, more: int) -> None:
        inside[0] = more
        outer(begin + (end - begin) * share, adversarial + more)

    with _listening(pass_on):
        yield inside


@contextmanager
def bar(name: str, n: int, right: int | None = None) -> Iterator[None]:
    """Show a bar over `n` images with the running robust accuracy, unless an outer caller shows one already.

    Parameters
    ----------
    name : str
        Written before the bar.
    n : int
        Images measured.
    right : int, optional
        How many of them the attack is given; the others were wrong from the start.

    Yields
    ------
    None
    """
    if _listener.get() is not None or not wanted():
        yield
        return
    from tqdm.auto import tqdm

    with tqdm(total=n, desc=name, unit="image", delay=PATIENCE, bar_format=FORMAT) as shown:

        def show(share: float, adversarial: int) -> None:
            robust = (n if right is None else right) - adversarial
            shown.set_postfix_str(f"robust accuracy <= {robust / n:.3f}", refresh=False)
            shown.update(share * n - shown.n)

        with _listening(show):
            yield
        shown.update(n - shown.n)


@contextmanager
def rows(name: str, n: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over the `n` rows of a table, and none inside.

    Parameters
    ----------
    name : str
        Written before the bar.
    n : int

    Yields
    ------
    callable
        Takes the text of a finished row, and prints it above the bar.
    """
    if _listener.get() is not None or not wanted():
        yield lambda text: print(text, flush=True)
        return
    from tqdm.auto import tqdm

    with tqdm(total=n, desc=name, unit="row") as shown, _listening(lambda share, adversarial: None):

        def done(text: str) -> None:
            shown.write(text)
            shown.update(1)

        yield done


FORMAT = "{l_bar}{bar}| {n:.0f}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


def wanted() -> bool:
    """Tell whether somebody looks at a bar."""
    if os.environ.get("CS329T_PROGRESS", "") == "0" or "CI" in os.environ or "PYTEST_VERSION" in os.environ:
        return False
    return getattr(sys.stderr, "isatty", bool)() or "ipykernel" in sys.modules


@contextmanager
def _listening(listener: Listener) -> Iterator[None]:
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
