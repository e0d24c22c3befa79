"""One CPU thread for every test, the same hypothesis examples in every run, and small models to attack."""

import pytest
import torch
from hypothesis import settings
from torch import nn

from cs329t_robust.data import datasets
from cs329t_robust.models import networks

torch.set_num_threads(1)
settings.register_profile("workbook", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("workbook")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one process run all tests that start sandboxes: their limits count every process of the sandbox's user.

    xdist's own marker for this has no effect under pytest 9.2, which does not read the ids that xdist changes.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneProcessForSandboxes(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "sandbox" if nodeid.startswith(("tests/grading/", "tests/capstone/")) else nodeid

    return OneProcessForSandboxes(config, log)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def linear():
    """Make (model, x, y): a linear model, images in the interior of the box, and the classes it predicts."""

    def make(shape=(1, 3, 4), n=7, classes=5, dtype=torch.float64, seed=0):
        generator = draws(seed)
        pixels = shape[0] * shape[1] * shape[2]
        weight = torch.randn(classes, pixels, generator=generator, dtype=dtype) / pixels**0.5
        model = networks.LinearModel(weight, torch.randn(classes, generator=generator, dtype=dtype) / 10)
        x = 0.4 + 0.2 * torch.rand(n, *shape, generator=generator, dtype=dtype)
        return model, x, model(x).argmax(1)

    return make


class Crooked(nn.Module):
    """A small curved network with two BatchNorms, the second of them frozen while the rest trains."""

    def __init__(self, shape=(1, 3, 4), classes=5):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.body = nn.Sequential(
                nn.Conv2d(shape[0], 6, 3, padding=1),
                nn.BatchNorm2d(6),
                nn.Tanh(),
                nn.Dropout(0.5),
                nn.Conv2d(6, 6, 3, padding=1),
                nn.BatchNorm2d(6),
                nn.Tanh(),
                nn.Flatten(),
                nn.Linear(6 * shape[1] * shape[2], classes),
            )
        self.train()
        self.body[5].eval()
        self.body[0].weight.requires_grad_(False)
        self.fails = None

    def forward(self, x):
        if self.fails:
            raise self.fails
        return 3 * self.body(4 * x - 2)


@pytest.fixture
def crooked():
    """Make a network whose modes are mixed, as in fine-tuning; `fails` makes its next call raise."""
    return Crooked


@pytest.fixture(scope="session")
def digits():
    """The first 200 test digits and the shipped classifier."""
    x, y = datasets.mnist("test", 200)
    return networks.mnist_classifier(), x, y


def snapshot(model):
    """Everything that an attack must leave alone, copied."""
    return {
        "modes": [m.training for m in model.modules()],
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random": torch.random.get_rng_state(),
    }


def assert_same(before, after):
    assert before["modes"] == after["modes"]
    assert before["requires_grad"] == after["requires_grad"]
    assert all(torch.equal(before["state"][k], after["state"][k]) for k in before["state"])
    for one, other in zip(before["grad"], after["grad"], strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    assert torch.equal(before["random"], after["random"])


@pytest.fixture
def untouched():
    """Return (snapshot, assert_same): copy a model's modes, state, gradients and torch's random state; compare."""
    return snapshot, assert_same
