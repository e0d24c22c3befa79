"""One fork server for all tests of a module, where this machine allows a sandbox."""

import pytest

from cs329t_robust.grading.sandbox.launcher import Launcher, SandboxError, strongest


@pytest.fixture(scope="session")
def level():
    """The sandbox "full", or skip."""
    try:
        found, why = strongest()
    except SandboxError as error:
        pytest.skip(str(error))
    if found != "full":
        pytest.skip(f"needs namespaces: {why}")
    return found


@pytest.fixture(scope="module")
def launcher(level):
    launcher = Launcher(level)
    yield launcher
    launcher.close()
