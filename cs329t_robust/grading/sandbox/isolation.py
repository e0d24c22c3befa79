"""What a student's process may touch: namespaces, a small file tree, limits. Linux calls that Python has no name for.

Three levels, the strongest that works is used:

``full``
    Namespaces of its own for processes, network, mounts and IPC; a file tree that holds Python, its packages and an
    empty scratch folder, and nothing else of the machine; limits.
``user``
    For root where namespaces are forbidden (most containers): a user of its own, no rights, limits. It can read what
    everybody can read, and reach the network.
``none``
    Limits alone. Only for answers that somebody has read.
"""

import ctypes
import os
import resource
import socket
import sys
import sysconfig
from pathlib import Path

LEVELS = ("full", "user", "none")
FIRST_UID = 61000  # root's workers each get a user of their own, from here on
FILE_LIMIT = 16 << 20  # bytes in one file
SCRATCH_LIMIT = 64 << 20  # bytes in all files
PROCESSES = 24
DESCRIPTORS = 128

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 38, 36
MOUNT_SETATTR, AT_RECURSIVE, ATTR_RDONLY, ATTR_NOSUID = 442, 0x8000, 1, 2


def enter_namespaces() -> None:
    """Leave the machine's namespaces; the next child is process 1 of the new ones."""
    flags = NEWNS | NEWIPC | NEWPID | NEWNET
    if os.geteuid() == 0:
        _call("unshare", flags)
        return
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", flags | NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def enter_tree(tree: str, home: str, uid: int) -> None:
    """Mount on the folder `tree` Python and `home` alone, read-only but for ``/scratch``, and move into it."""
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", tree, "tmpfs", MS_NOSUID, "size=1m,mode=755")
    for folder in [*python_folders(), home, os.path.realpath(Path(home) / "data")]:
        _bind(folder, tree)
    for device in ("null", "zero", "random", "urandom"):
        (Path(tree) / "dev").mkdir(exist_ok=True)
        (Path(tree) / "dev" / device).touch()
        _mount(f"/dev/{device}", f"{tree}/dev/{device}", None, MS_BIND)
    covered = Path(tree + str(installed_package()))
    if covered.is_dir():
        _mount("tmpfs", str(covered), "tmpfs", MS_NOSUID, "size=4k,mode=755")
    scratch = Path(tree) / "scratch"
    scratch.mkdir()
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY | ATTR_NOSUID, 0, 0, 0)
    _call("syscall", MOUNT_SETATTR, -100, tree.encode(), AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
    owner = f",uid={uid},gid={uid}" if os.geteuid() == 0 else ""
    _mount("tmpfs", str(scratch), "tmpfs", MS_NOSUID | MS_NODEV, f"size={SCRATCH_LIMIT},nr_inodes=4096,mode=700{owner}")
    os.chroot(tree)
    os.chdir("/scratch")


def drop_rights(uid: int | None) -> None:
    """Become user `uid` if root, give up every capability, and never regain one."""
    if os.geteuid() == 0 and uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    elif sys.platform == "linux":
        header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        _call("capset", header, nothing)
    if sys.platform == "linux":
        _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit(seconds: int, memory: int, used: int) -> None:
    """Limit this process and its children: CPU seconds, `memory` MB beyond the `used` bytes, files, processes."""
    _lower(resource.RLIMIT_CPU, seconds + 1)
    _lower(resource.RLIMIT_FSIZE, FILE_LIMIT)
    _lower(resource.RLIMIT_NOFILE, DESCRIPTORS)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, used + (memory << 20))
    if sys.platform == "linux":  # elsewhere, and for root, the limit would count processes that are not the student's
        _lower(resource.RLIMIT_NPROC, PROCESSES)


def keep_only(connection: socket.socket) -> socket.socket:
    """Close every other file of this process; standard input and output lead nowhere."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(0, 2)
    kept = connection.detach()
    if kept != 3:
        os.dup2(kept, 3)
    os.set_inheritable(3, False)
    os.closerange(4, 65536)
    return socket.socket(fileno=3)


def adopt() -> None:
    """Become the parent of every process that descends from this one and loses its own parent (Linux)."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def python_folders() -> list[str]:
    """Return the folders that Python and its packages need, the real ones and the names they go by."""
    paths = sysconfig.get_paths()
    wanted = [sys.prefix, sys.base_prefix, *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    wanted += ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"]
    both = {path for name in wanted if os.path.exists(name) for path in (name, os.path.realpath(name))}
    top: list[str] = []
    for path in sorted(both):
        if path != "/" and not any(path == above or path.startswith(above + "/") for above in top):
            top.append(path)
    return top


def installed_package() -> Path:
    """Return the folder where pip put this package, which holds the reference solutions."""
    return Path(sysconfig.get_paths()["purelib"]) / "cs329t_robust"


def _bind(path: str, tree: str) -> None:
    target = Path(tree + path)
    if os.path.isdir(path):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(os.path.realpath(path), str(target), None, MS_BIND | MS_REC)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, options.encode())


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except ValueError:
        if sys.platform == "linux":
            raise  # macOS refuses limits on memory
