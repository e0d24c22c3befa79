"""The fork server: has torch loaded, runs nothing of a student's, and forks one fresh process for each answer.

For each job it forks a supervisor, outside the sandbox, and the supervisor forks the worker, inside. The supervisor
kills the worker when the judge hangs up, when time is over, or when its processes use too much memory together, and
says how it ended.
"""

import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from . import isolation, worker

STEP = 0.05  # seconds between two looks at the worker's memory


def main(control: socket.socket) -> None:
    """Do jobs until the judge hangs up: each comes with the worker's socket, a lifeline, and a pipe for the verdict."""
    import torch

    torch.set_num_threads(1)
    torch.ones(2, requires_grad=True).sum().backward()  # once, so that no worker pays for it
    control.sendall(b"ready\n")
    while True:
        text, files, _, _ = socket.recv_fds(control, 65536, 3)
        if not text:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            _supervise(control, json.loads(text), *files)
        for file in files:
            os.close(file)
        os.waitpid(pid, 0)


def _supervise(control: socket.socket, job: dict, connection: int, lifeline: int, verdict: int) -> None:
    """Start the worker, watch it, and say how it ended."""
    control.close()
    told = {"ended": "sandbox", "detail": ""}
    try:
        os.setsid()
        if job["level"] == "full":
            isolation.enter_namespaces()
        else:
            isolation.adopt()
        begun, trouble = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(begun)
            _worker(job, connection, trouble)
        os.close(trouble)
        os.close(connection)
        told = _watch(pid, job, lifeline)
        detail = os.read(begun, 2000).decode(errors="replace")
        if detail:
            told = {"ended": "sandbox", "detail": detail}
        if job["level"] != "full":
            _sweep(job)
    except OSError as error:
        told["detail"] = str(error)
    os.write(verdict, json.dumps(told).encode())
    os._exit(0)


def _worker(job: dict, connection: int, trouble: int) -> None:
    """Enter the sandbox and serve; what fails on the way in goes to the supervisor through `trouble`."""
    try:
        os.setpgid(0, 0)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 if sys.platform == "linux" else 0
        if job["level"] == "full":
            isolation.enter_tree(job["tree"], job["home"], job["uid"])
        else:
            os.makedirs(job["tree"], mode=0o700, exist_ok=True)
            os.chdir(job["tree"])
            if job["level"] == "user":
                os.chown(job["tree"], job["uid"], job["uid"])
        isolation.limit(job["seconds"], job["memory"], used)
        isolation.drop_rights(job["uid"])
        os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()
    except BaseException as error:
        os.write(trouble, f"{type(error).__name__}: {error}".encode())
        os._exit(4)
    worker.main(isolation.keep_only(socket.socket(fileno=connection)))


def _watch(pid: int, job: dict, lifeline: int) -> dict:
    """Wait for the worker's end; kill it when the lifeline closes, time is over or memory runs out."""
    base, end = _anonymous(os.getpid()), time.monotonic() + job["seconds"] + 5
    ended = ""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        readable, _, _ = select.select([lifeline], [], [], STEP)
        if readable:
            ended = "" if _ends_by_itself(pid) else "hung up"
        elif time.monotonic() > end:
            ended = "time"
        elif _used(pid, base) > job["memory"] << 20:
            ended = "memory"
        if readable or ended:
            _kill_all(pid, job)
            _, status = os.waitpid(pid, 0)
            break
    code = os.waitstatus_to_exitcode(status)
    return {"ended": ended or ("signal" if code < 0 else "exit"), "detail": str(abs(code))}


def _ends_by_itself(pid: int) -> bool:
    """Wait a moment for the worker's end: it may be why the judge hung up, or what it does when the judge does."""
    for _ in range(20):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(STEP / 2)
    return False


def _kill_all(pid: int, job: dict) -> None:
    if job["level"] != "full":
        for other in _family(pid):
            _kill(other)
    _kill(pid)  # as process 1 of its namespace it takes every other with it


def _sweep(job: dict) -> None:
    """Leave nothing of the worker's behind where no namespace does so.

    Whoever is forked, or comes to us from a parent that ends, while we look is in no list yet: we look again until
    nobody is left, and wait for nobody whom we may have missed.
    """
    with suppress(ChildProcessError):  # nobody is left
        while True:
            for other in _family(os.getpid()):
                _kill(other)
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(STEP / 10)
    shutil.rmtree(job["tree"], ignore_errors=True)


def _used(pid: int, base: int) -> int:
    """Return the bytes that the worker's processes use, beyond what each inherited."""
    return sum(max(0, _anonymous(other) - base) for other in [pid, *_family(pid)])


def _family(pid: int) -> list[int]:
    """Return every process that descends from `pid`."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            found += [other for child in map(int, children) for other in (child, *_family(child))]
    except OSError:
        return found  # it has ended meanwhile
    return found


def _anonymous(pid: int) -> int:
    """Return the bytes of a process that are neither a file's nor untouched."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
