"""Device and threads, and the environment variables that choose them."""

import pytest
import torch

from cs329t_robust import runtime


@pytest.fixture(autouse=True)
def _threads_given_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["cpu", " cpu "])
def test_the_override_wins_even_over_a_gpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CS329T_DEVICE", name)
    assert runtime.device() == torch.device("cpu")
    assert runtime.describe()[1] == "CS329T_DEVICE=cpu"


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
    assert runtime.device().type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:63", "meta", "0", "hpu", "lazy", "nonsense:x"])
def test_a_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setenv("CS329T_DEVICE", name)
    with pytest.raises(ValueError, match=rf"CS329T_DEVICE: expected a device .* got '{name}' .*CS329T_DEVICE=cpu"):
        runtime.device()


def test_threads(monkeypatch):
    monkeypatch.delenv("CS329T_THREADS", raising=False)
    assert runtime.set_threads() == torch.get_num_threads() == 1
    monkeypatch.setenv("CS329T_THREADS", "2")
    assert runtime.set_threads() == torch.get_num_threads() == 2
    assert runtime.set_threads(1) == torch.get_num_threads() == 1
    monkeypatch.setenv("CS329T_THREADS", "")
    assert runtime.set_threads() == 1


@pytest.mark.parametrize("n", [0, -1, 2.5, "two", True])
def test_bad_threads(monkeypatch, n):
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="threads: expected a whole number >= 1, got"):
        runtime.set_threads(n)
    if not isinstance(n, bool):
        monkeypatch.setenv("CS329T_THREADS", str(n))
        with pytest.raises(ValueError, match="threads: expected a whole number >= 1, got"):
            runtime.set_threads()
    assert torch.get_num_threads() == before
