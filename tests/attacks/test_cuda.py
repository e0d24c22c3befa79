"""The same contract on a CUDA device; skipped, and said so, on a machine without one."""

import warnings
from functools import partial

import pytest
import torch
from attack_table import ROWS

from cs329t_robust import Linf, accuracy, apgd, autoattack, pgd, robust_accuracy, square
from cs329t_robust.attacks.engine import cuda_graph
from cs329t_robust.cli import bench
from cs329t_robust.data import datasets
from cs329t_robust.evaluation.accuracy import check_member, predict
from cs329t_robust.models import networks
from cs329t_robust.threat import Masked
from cs329t_robust.training.fit import fit
from cs329t_robust.training.recipes import RECIPES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; this machine has none")


@pytest.fixture(autouse=True)
def recording(monkeypatch):
    """Record CUDA graphs, which happens only where it is asked for."""
    monkeypatch.setenv("CS329T_CUDA_GRAPHS", "1")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_attack_runs_on_the_device_of_the_images(crooked, row):
    if isinstance(row.threat, Masked):
        pytest.skip("the table's masks lie on the CPU")
    model = crooked((1, 3, 4)).cuda().eval()
    x = torch.rand(8, 1, 3, 4, generator=torch.Generator().manual_seed(0)).cuda()
    y = model(x).argmax(1)
    found = row.run(model, x, y)
    assert found.device == x.device
    if row.threat is not None:
        check_member(x, found, row.threat)
    assert torch.equal(found, row.run(model, x, y))


def test_random_starts_are_those_of_the_cpu():
    x = torch.rand(8, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    model = networks.LinearModel(torch.eye(5, 12))
    here = pgd(model, x, torch.arange(8) % 5, threat=Linf(0.1), steps=0)
    there = pgd(model.cuda(), x.cuda(), (torch.arange(8) % 5).cuda(), threat=Linf(0.1), steps=0)
    torch.testing.assert_close(there.cpu(), here)


def test_measuring_agrees_with_the_cpu():
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 200)
    here = robust_accuracy(model, x, y, pgd, Linf(0.1))
    there = robust_accuracy(model.cuda(), x.cuda(), y.cuda(), pgd, Linf(0.1))
    assert abs(float(here) - float(there)) <= 0.01


def test_training_learns_there():
    x, y = (tensor.cuda() for tensor in datasets.mnist("train", 2000))
    model = networks.SmallCNN(seed=0).cuda()
    fit(model, x, y, epochs=2, **RECIPES["fast"].settings(0.1))
    assert accuracy(model, x, y) > 0.7


@pytest.fixture
def there():
    """The shipped digit classifier and 100 digits, on the device."""
    x, y = datasets.mnist("test", 100)
    return networks.mnist_classifier().cuda(), x.cuda(), y.cuda()


GRAPHS = [
    partial(pgd, threat=Linf(0.1), steps=60),
    partial(pgd, threat=Linf(0.1), steps=60, drop_adversarial=True, restarts=2),
    partial(apgd, threat=Linf(0.1), steps=100, drop_adversarial=True),
    partial(square, threat=Linf(0.1), queries=500),
    partial(autoattack, threat=Linf(0.05)),
]


@pytest.mark.parametrize("attack", GRAPHS, ids=lambda attack: attack.func.__name__)
def test_a_cuda_graph_makes_the_images_of_the_steps_themselves(there, monkeypatch, attack):
    made = []

    def record(step, x):
        made.append(cuda_graph.CudaGraph(step, x))
        return made[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(cuda_graph, "RECORDERS", {"cuda": record})
        found = attack(*there)
    assert made, "no graph was recorded"
    monkeypatch.setattr(cuda_graph, "RECORDERS", {})
    expected = attack(*there)
    assert ((found - expected).abs().flatten(1).amax(1) < 1e-4).double().mean() > 0.95
    model, _, y = there
    robust = [int((predict(model, images).argmax(1) == y).sum()) for images in (found, expected)]
    assert abs(robust[0] - robust[1]) <= 1


class Waiting(torch.nn.Module):
    """A classifier that reads a value in its forward pass."""

    def __init__(self):
        super().__init__()
        self.body = networks.mnist_classifier()

    def forward(self, x):
        return self.body(x * (1.0 if x.sum().item() >= 0 else 0.0))


def test_a_model_that_waits_falls_back_and_it_is_said_once(there):
    model, (_, x, y) = Waiting().cuda(), there
    with pytest.warns(RuntimeWarning, match="cannot be recorded as a CUDA graph") as said:
        found = pgd(model, x, y, threat=Linf(0.1), steps=60, restarts=2)
    assert len(said) == 1
    assert torch.cuda.get_sync_debug_mode() == 0
    torch.testing.assert_close(found, pgd(model, x, y, threat=Linf(0.1), steps=60, restarts=2))
    pgd(there[0], x, y, threat=Linf(0.1), steps=60)  # another model is recorded as if nothing had happened


def test_a_random_model_falls_back(there):
    model, x, y = there
    with pytest.warns(RuntimeWarning, match="random"):
        pgd(torch.nn.Sequential(torch.nn.Dropout(0.0), Noise(), model), x, y, threat=Linf(0.1), steps=60)


class Noise(torch.nn.Module):
    def forward(self, x):
        return x + 0.3 * torch.rand_like(x)


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_no_step_waits_but_for_a_look(there, attack):
    def waits(steps):
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                attack(*there, threat=Linf(0.02), steps=steps, drop_adversarial=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return len(said)

    assert waits(100) - waits(50) <= 60  # a few at each look and each recording, against hundreds


def test_autocast_searches_in_bfloat16_and_the_verdict_is_in_float32(there):
    model, x, y = there
    with torch.autocast("cuda", torch.bfloat16):
        found = robust_accuracy(model, x, y, partial(pgd, drop_adversarial=True), Linf(0.1))
    assert abs(float(found) - float(robust_accuracy(model, x, y, pgd, Linf(0.1)))) <= 0.05


def test_colour_images_are_taken_channels_last():
    model, x = networks.cifar_resnet(seed=0).cuda().eval(), torch.rand(16, 3, 32, 32).cuda()
    y = predict(model, x).argmax(1)
    found = pgd(model, x, y, threat=Linf(8 / 255), steps=20)
    assert found.is_contiguous()
    check_member(x, found, Linf(8 / 255))


def test_the_captured_loop_is_the_bare_one(there):
    timed = bench.contenders("pgd", "cuda")
    for _ in range(2):
        captured_there, bare = timed["fixed", "captured"](*there), timed["fixed", "bare"](*there)
        assert ((captured_there - bare).abs() < 1e-5).double().mean() > 0.99
