"""Device and threads, and the environment variables that choose them."""

import platform
import subprocess
import sys

import pytest
import torch

from cs329t_robust.runtime import device_and_threads


@pytest.fixture(autouse=True)
def _threads_given_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["cpu", " cpu "])
def test_the_override_wins_even_over_a_gpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CS329T_DEVICE", name)
    assert device_and_threads.device() == torch.device("cpu")
    assert device_and_threads.describe()[1] == "CS329T_DEVICE=cpu"


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
@pytest.mark.parametrize("unset", [True, False])
def test_cuda_then_mps_then_cpu(monkeypatch, cuda, mps, expected, unset):
    monkeypatch.delenv("CS329T_DEVICE", raising=False)
    if not unset:
        monkeypatch.setenv("CS329T_DEVICE", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_and_threads.device().type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:63", "meta", "0", "hpu", "lazy", "nonsense:x"])
def test_a_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setenv("CS329T_DEVICE", name)
    with pytest.raises(ValueError, match=rf"CS329T_DEVICE: expected a device .* got '{name}' .*CS329T_DEVICE=cpu"):
        device_and_threads.device()


def test_threads(monkeypatch):
    monkeypatch.delenv("CS329T_THREADS", raising=False)
    assert device_and_threads.set_threads() == torch.get_num_threads() == 1
    monkeypatch.setenv("CS329T_THREADS", "2")
    assert device_and_threads.set_threads() == torch.get_num_threads() == 2
    assert device_and_threads.set_threads(1) == torch.get_num_threads() == 1
    monkeypatch.setenv("CS329T_THREADS", "")
    assert device_and_threads.set_threads() == 1


@pytest.mark.parametrize("n", [0, -1, 2.5, "two", True])
def test_bad_threads(monkeypatch, n):
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="threads: expected a whole number >= 1, got"):
        device_and_threads.set_threads(n)
    if not isinstance(n, bool):
        monkeypatch.setenv("CS329T_THREADS", str(n))
        with pytest.raises(ValueError, match="threads: expected a whole number >= 1, got"):
            device_and_threads.set_threads()
    assert torch.get_num_threads() == before


FAULTS = """
import resource, sys
from cs329t_robust import runtime
if sys.argv[1] == "keep":
    assert runtime.keep_memory()
for _ in range(20):
    blocks = [bytearray(1 << 20) for _ in range(40)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_kept_memory_is_not_faulted_in_again():
    """40 MB freed and taken again 20 times: 200,000 pages of 4 KiB without the switch, a twentieth with it."""

    def faults(manner):
        command = [sys.executable, "-c", FAULTS, manner]
        return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)

    gone, kept = faults("give back"), faults("keep")
    assert gone - kept > 100_000


def test_where_the_c_library_has_no_switch_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert device_and_threads.keep_memory() is False
