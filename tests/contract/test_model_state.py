"""A model is lent to several threads at once and given back; the switches of PyTorch's precision are as they were."""

import threading

import pytest
import torch
from torch import nn

from cs329t_robust import Linf, pgd
from cs329t_robust.contract.model_state import UNITS, borrowed, full_precision, reduced
from cs329t_robust.evaluation.accuracy import predict


def test_a_model_that_two_threads_share_goes_back_when_the_last_one_is_done():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.BatchNorm1d(4))
    model[2].eval()
    entered, left, modes = threading.Event(), threading.Event(), []

    def second():
        with borrowed(model):
            entered.set()
            assert left.wait(10)
            modes.append([part.training for part in model])
        modes.append([part.training for part in model])

    other = threading.Thread(target=second)
    with borrowed(model):
        other.start()
        assert entered.wait(10)
    left.set()
    other.join(10)
    assert modes == [[False, False, False], [True, True, False]]


def test_two_threads_that_attack_one_model_in_train_mode_find_what_one_does():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)).train()
    x, y = torch.rand(6, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    alone, found = pgd(model, x, y, threat=Linf(0.2), steps=60), []

    def attack(steps):
        found.append(pgd(model, x, y, threat=Linf(0.2), steps=steps, step_size=2.5 * 0.2 / 60))

    threads = [threading.Thread(target=attack, args=(steps,)) for steps in (20, 60, 40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(torch.equal(one, alone) for one in found) == 2
    assert all(part.training for part in model)
    assert int(model[2].num_batches_tracked) == 0


def test_a_model_that_answers_in_the_same_tensor_each_time():
    weight, buffer = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)), torch.empty(10, 3)

    def model(images):
        return buffer[: len(images)].copy_(images.flatten(1) @ weight)

    x = torch.rand(25, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(predict(model, x, batch_size=10), x.flatten(1) @ weight)


def switches():
    read = [lambda: torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision]
    return [*(said(one) for one in read), *(unit.fp32_precision for units in UNITS.values() for unit in units)]


def said(read):
    try:
        return read()
    except RuntimeError:
        return "mixed"


@pytest.fixture
def restored():
    before = switches()
    yield
    torch.set_float32_matmul_precision("highest")
    for unit, value in zip((unit for units in UNITS.values() for unit in units), before[2:], strict=True):
        if unit.fp32_precision != value:
            unit.fp32_precision = value
    assert switches() == before


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("word", ["highest", "high", "medium"])
def test_full_precision_agrees_with_the_older_switch(device, word):
    torch.set_float32_matmul_precision(word)
    before = switches()
    with full_precision(torch.device(device)):
        assert not reduced(torch.device(device))
        assert torch.backends.cuda.matmul.allow_tf32 is False
    assert switches() == before


@pytest.mark.usefixtures("restored")
def test_full_precision_gives_back_switches_that_were_set_apart():
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    before = switches()
    with full_precision(torch.device("cpu")):
        assert not reduced(torch.device("cpu"))
    assert switches() == before
