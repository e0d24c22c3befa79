"""Start the fork server, and hand out one fresh sandbox after another."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import package_copy
from .isolation import FIRST_UID, LEVELS
from .protocol import Channel

FOLDER = "cs329t-grading-"  # and the judge's process number
TRIAL = "import colorsys\ndef f():\n    return colorsys"  # a module that nothing has loaded yet
START = (
    "import socket, sys; sys.path.insert(0, {home!r}); from cs329t_robust.grading.sandbox import fork_server; "
    "fork_server.main(socket.socket(fileno={fd}))"
)


class SandboxError(ValueError):
    """No sandbox can be made on this machine; the message says what would help."""


class Sandbox:
    """One sandbox in use: its channel, and after `close` how it ended."""

    def __init__(self, connection: socket.socket, lifeline: int, verdict: int) -> None:
        self.channel = Channel(connection)
        self._connection, self._lifeline, self._verdict = connection, lifeline, verdict
        self._told: dict | None = None

    def close(self) -> dict:
        """End the sandbox if it has not ended, and return how it did: {"ended": …, "detail": …}."""
        if self._told is None:
            self._connection.close()
            os.close(self._lifeline)
            with os.fdopen(self._verdict, "rb") as pipe:
                text = pipe.read()
            self._told = json.loads(text) if text else {"ended": "sandbox", "detail": "the supervisor ended silently"}
        return self._told


class Launcher:
    """The fork server of one judge, seen from outside.

    Parameters
    ----------
    level : str
        "full", "user" or "none", see `sandbox`.
    slot : int
        Which of several judges at once this is; root gives each a user of its own.
    """

    def __init__(self, level: str, slot: int = 0) -> None:
        self.level, self.uid = level, FIRST_UID + slot if os.geteuid() == 0 else None
        _tidy_up()
        self._folder = tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-")
        Path(self._folder.name).chmod(0o755)
        self._home = package_copy.build(Path(self._folder.name) / "home")
        self._tree = Path(self._folder.name) / "tree"
        if level == "full":
            self._tree.mkdir()
        self._control, theirs = socket.socketpair()
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "USER": "student",
            "LOGNAME": "student",
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "CUDA_VISIBLE_DEVICES": "",
            "CS329T_DEVICE": "cpu",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
        command = [sys.executable, "-I", "-c", START.format(home=str(self._home), fd=theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, cwd="/", stdin=subprocess.DEVNULL
        )
        theirs.close()
        if self._control.recv(6) != b"ready\n":
            raise SandboxError("the sandbox's fork server ended before it was ready; its message is above")

    @contextmanager
    def fresh_sandbox(self, seconds: int, memory: int) -> Iterator[Sandbox]:
        """Hand out a fresh sandbox with so many seconds and MB."""
        ours, theirs = socket.socketpair()
        life_read, life_write = os.pipe()
        told_read, told_write = os.pipe()
        job = {
            "level": self.level,
            "uid": self.uid,
            "home": str(self._home),
            "tree": str(self._tree),
            "seconds": seconds,
            "memory": memory,
        }
        socket.send_fds(self._control, [json.dumps(job).encode()], [theirs.fileno(), life_read, told_write])
        theirs.close()
        os.close(life_read)
        os.close(told_write)
        sandbox = Sandbox(ours, life_write, told_read)
        try:
            yield sandbox
        finally:
            sandbox.close()

    def close(self) -> None:
        """End the fork server and remove its folder."""
        self._control.close()
        self._process.wait()
        self._folder.cleanup()


def _tidy_up() -> None:
    """Remove the folders of judges that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        pid = folder.name.removeprefix(FOLDER).split("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (PermissionError, ValueError):
            continue  # another user's, or none of ours


def strongest(allow_none: bool = False) -> tuple[str, str]:
    """Return the strongest level that works on this machine, and why no stronger one does.

    Raises
    ------
    SandboxError
        If only "none" is left and `allow_none` is False.
    """
    reasons = []
    for level in LEVELS:
        if level == "user" and os.geteuid() != 0:
            reasons.append("user: only root can give the students' processes a user of their own")
            continue
        if level == "none" and not allow_none:
            break
        trouble = _trial(level)
        if not trouble:
            return level, "; ".join(reasons)
        reasons.append(f"{level}: {trouble}")
    raise SandboxError(
        f"expected a way to keep answers from this machine's files, got none ({'; '.join(reasons)}). Grade on Linux "
        "with user namespaces, or as root in a container; --unprotected runs answers with your own rights, for answers "
        "that you have read."
    )


def _trial(level: str) -> str:
    """Run a harmless answer at that level and return what went wrong, or an empty string."""
    launcher = Launcher(level)
    try:
        with launcher.fresh_sandbox(30, 1024) as sandbox:
            try:
                sandbox.channel.send({"cells": [{"role": "answer", "source": TRIAL}], "goal": "f"})
                answer, _ = sandbox.channel.receive(30)
            except (EOFError, OSError):
                answer = {}
            told = sandbox.close()
        if "raised" in answer:
            return f"the sandbox's user cannot read Python's own files ({answer['raised']['text']})"
        return "" if "ready" in answer else told["detail"] or told["ended"]
    finally:
        launcher.close()
