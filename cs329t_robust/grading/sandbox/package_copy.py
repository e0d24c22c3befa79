"""The package as the sandbox sees it: a copy without checks, so without a reference, a known mistake or a probe.

Nor has it the rooms that build lessons and read command lines, which no answer needs.
"""

import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent.parent
SANDBOXED = ("__init__.py", "protocol.py", "program_slice.py", "worker.py", "isolation.py", "fork_server.py")
STUB = '''"""Stands for the checks, which are not here while an answer is graded: every check says nothing."""

LESSONS = ()


class _Silent:
    def __getattr__(self, name):
        return lambda function: None


def lesson(number):
    """Return checks that say nothing."""
    return _Silent()
'''


def build(folder: Path) -> Path:
    """Write the sandbox's copy of the package into `folder`, with a link to the data beside it, and return `folder`."""
    copy = folder / "cs329t_robust"
    shutil.copytree(PACKAGE, copy, ignore=_left_out)
    (copy / "checks").mkdir()
    (copy / "checks" / "__init__.py").write_text(STUB)
    data = PACKAGE.parent / "data"
    if data.is_dir():
        (folder / "data").symlink_to(data)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)  # the worker may run as another user
    return folder


def _left_out(folder: str, names: list[str]) -> list[str]:
    here = Path(folder)
    if here == PACKAGE:
        return [name for name in names if name in ("checks", "lessons", "cli", "__pycache__")]
    if here == PACKAGE / "grading":
        return [name for name in names if name not in ("__init__.py", "sandbox")]
    if here == PACKAGE / "grading" / "sandbox":
        return [name for name in names if name not in SANDBOXED]
    return [name for name in names if name == "__pycache__"]
