"""A submission: a folder with any of white.py, black.py and defence.safetensors, and how each file is run."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from ..grading.sandbox.launcher import Launcher, SandboxError
from ..grading.sandbox.remote_function import Lost, RemoteFunction, rebuilt
from . import tracks
from .tracks import IMAGES, Refused, Score

FILES = {"white": "white.py", "black": "black.py", "defence": "defence.safetensors"}
HEAD = "import torch\nimport cs329t_robust\nfrom cs329t_robust import *\nfrom torch.nn import functional as F\n\n\n"
LONGEST = 100_000  # characters of an attack's source
MEMORY = 2048  # MB beyond torch itself


def write_entry(
    folder: str | Path,
    *,
    white: Callable | None = None,
    black: Callable | None = None,
    defence: nn.Module | None = None,
) -> Path:
    """Write a submission into `folder` and return it; a part that is not given is left as it was.

    Parameters
    ----------
    white, black : function, optional
        Their source is written under a head that imports torch, F and the package's names. Whatever else a function
        needs must stand inside it.
    defence : Module, optional
        A trained `SmallCNN`; its weights are written.

    Raises
    ------
    ValueError
        If a function's source cannot be read.
    """
    from safetensors.torch import save_model

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, function in (("white", white), ("black", black)):
        if function is None:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError) as error:
            raise ValueError(f"{name}: expected a function defined in a cell or a file, got {function!r}") from error
        text = f"{HEAD}{source}\n\nattack = {function.__name__}\n" if function.__name__ != "attack" else HEAD + source
        (folder / FILES[name]).write_text(text, encoding="utf-8")
    if defence is not None:
        save_model(defence, str(folder / FILES["defence"]))
    return folder


def score_entry(
    folder: Path, secret: str, *, level: str, seconds: int, n: int = IMAGES
) -> Iterator[tuple[str, Score | Refused]]:
    """Yield (track, its score or why it is refused) for each part of a submission; attacks run in a sandbox.

    Raises
    ------
    Refused
        If the folder holds none of the three files.
    SandboxError
        If the sandbox itself failed.
    """
    found = {track: folder / name for track, name in FILES.items() if (folder / name).is_file()}
    if not found:
        raise Refused(f"{folder}: expected a folder with any of {', '.join(FILES.values())}, found none of them")
    for track, path in found.items():
        try:
            if track == "defence":
                yield track, tracks.defence(path, secret, n)
            else:
                yield track, _attack(track, path, secret, level, seconds, n)
        except Refused as refusal:
            yield track, refusal


def _attack(track: str, path: Path, secret: str, level: str, seconds: int, n: int) -> Score:
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) > LONGEST:
        raise Refused(f"{track}: expected at most {LONGEST:,} characters of source, got {len(text):,}")
    launcher = Launcher(level)
    try:
        with launcher.fresh_sandbox(seconds, MEMORY) as sandbox:
            why = ""
            try:
                function = RemoteFunction(sandbox.channel, seconds)
                first = function.begin({"cells": [{"role": "answer", "source": text}], "goal": "attack"})
                if "broken" in first:
                    raise Refused(f"{track}: {str(first['broken'])[:500]}")
                if "raised" in first:
                    raise rebuilt(first["raised"])
                return {"white": tracks.white, "black": tracks.black}[track](function, secret, n)
            except Lost as error:
                why = error.why
            except Refused:
                raise
            except (Exception, SystemExit) as error:  # the student's own, rebuilt from its name and text
                raise Refused(f"{track}: the attack raised {type(error).__name__}: {error}") from error
            told = sandbox.close()
    finally:
        launcher.close()
    raise Refused(f"{track}: {_ended(why, told, seconds)}")


def _ended(why: str, told: dict, seconds: int) -> str:
    if told["ended"] == "sandbox" or why.startswith("failed: "):
        raise SandboxError(told["detail"] or why)
    if told["ended"] == "memory":
        return f"the attack was stopped: it used more than {MEMORY} MB"
    if why == "time" or told["ended"] == "time":
        return f"the attack was stopped after {seconds} s"
    if why == "protocol":
        return "what came from the attack's process was no answer"
    return "the attack ended its own process"
