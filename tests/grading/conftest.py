"""One sandbox mother for all tests of a module, where this machine allows a sandbox."""

import pytest

from cs329t_robust.grading.sandbox.launcher import Mother, SandboxError, strongest


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
def mother(level):
    mother = Mother(level)
    yield mother
    mother.close()
