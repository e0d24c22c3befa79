"""What other attack libraries get wrong, each a test that ours passes; the rest of the list is in test_every_attack."""

import subprocess
import sys
import warnings
from collections import Counter
from functools import partial

import pytest
import torch
from attack_table import ROWS

from cs329t_robust import Linf, autoattack, cw, deepfool, fmn, penalty, pgd
from cs329t_robust.attacks.autoattack import standard
from cs329t_robust.attacks.engine.batches import images_at_once
from cs329t_robust.models import networks

each = pytest.mark.parametrize("row", ROWS, ids=str)


class Counting(torch.nn.Module):
    """A model that counts how often it is called, and with how many images."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls, self.images = model, 0, 0

    def forward(self, x):
        self.calls, self.images = self.calls + 1, self.images + len(x)
        return self.model(x)


@pytest.mark.parametrize("attack", [cw, partial(penalty, weight=100.0)], ids=["cw", "penalty"])
def test_pixels_that_are_exactly_black_or_white_can_move(attack):
    """By tanh they never could: 83% of MNIST's are exactly 0."""
    generator = torch.Generator().manual_seed(0)
    model = networks.LinearModel(torch.randn(3, 12, generator=generator))
    x = (torch.rand(20, 1, 3, 4, generator=generator) > 0.5).float()
    y = model(x).argmax(1)
    x_adv = attack(model, x, y)
    fell = model(x_adv).argmax(1) != y
    assert int(fell.sum()) > 10
    assert (x_adv != x)[fell].flatten(1).any(1).all()


def test_cw_searches_its_weight_for_each_image():
    """One image stands 30 times further from the boundary than the other; each ends at its own distance."""
    model = networks.LinearModel(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([-0.5, 0.0]))
    x = torch.tensor([[0.51, 0.5], [0.80, 0.5]]).view(2, 1, 1, 2)
    distance = (cw(model, x, torch.tensor([0, 0])) - x).flatten(1).norm(dim=1)
    assert distance.tolist() == pytest.approx([0.01, 0.30], rel=0.05, abs=0.002)


@pytest.mark.parametrize(
    "attack", [cw, deepfool, fmn, partial(fmn, norm="L1")], ids=["cw", "deepfool", "fmn", "fmn-L1"]
)
def test_a_failure_is_no_black_image_and_counts_as_a_failure(attack):
    """No image of the box reaches the other class, though the gradient is there."""
    model = networks.LinearModel(torch.tensor([[0.1, 0.2, 0.1, 0.2], [-0.1, 0.1, 0.1, -0.2]]), torch.tensor([5.0, 0.0]))
    x = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(6, dtype=torch.long)
    x_adv = attack(model, x, y)
    assert (model(x_adv).argmax(1) == y).all()
    assert (x_adv.flatten(1).amax(1) > 0).all()
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1


def far(n):
    """Return a linear model and images that nothing within 0.01 can break."""
    model = Counting(networks.LinearModel(torch.eye(10, 16), 3 * torch.eye(10)[0]))
    x = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.5
    return model, x, model.model(x).argmax(1)


def test_the_standard_ensemble_has_the_published_budgets():
    """On an image that nothing breaks: 100 gradients, 9 × 100, 9 × 100, and 5000 queries."""
    spent = Counter()
    for stage in standard(Linf(0.01), 0):
        model, x, y = far(1)
        stage(model, x, y, threat=Linf(0.01))
        spent[stage.func.__name__] = model.images
    published = {"apgd": 100, "apgd_t": 900, "fab_t": 900, "square": 5000}
    assert set(spent) == set(published)
    for name, budget in published.items():
        extra = spent[name] - budget
        # FAB also asks whether each step went across, and APGD-T where the last one led
        assert 0 <= extra <= {"fab_t": 903, "apgd_t": 12}.get(name, 3), name
    model, x, y = far(1)
    autoattack(model, x, y, threat=Linf(0.01))
    assert model.images >= sum(published.values())


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "transfer"], ids=str)  # it asks its surrogates
def test_the_number_of_calls_does_not_grow_with_the_images(row):
    """A Python loop per image would. The images are equal, so that they also fall together."""
    calls = []
    for n in (1, 6):
        model, x, y = far(1)
        shape = (n, 1, 3, 4)
        model.model = networks.LinearModel(torch.eye(10, 12), 3 * torch.eye(10)[0])
        row.run(model, x[:, :, :3].expand(shape).clone(), y.expand(n).clone())
        calls.append(model.calls)
    assert calls[0] == calls[1] > 0


@each
def test_nothing_is_printed_and_no_warning_given(row, crooked, capsys):
    model, x = crooked((1, 3, 4)).double(), torch.rand(4, 1, 3, 4, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row.run(model, x, torch.arange(4))
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "")


def test_an_unusable_input_says_what_was_expected_and_what_came():
    model, x, y = far(2)
    for bad in (x * 255, x - 1, x[0], x.long()):
        with pytest.raises(ValueError, match=r"x: expected .*, got .*"):
            pgd(model, bad, y, threat=Linf(0.1))


MEMORY = """
import resource, sys, torch
from functools import partial
from cs329t_robust import Linf, attacks
from cs329t_robust.models import networks
torch.set_num_threads(1)
model, attack, n = networks.SmallCNN(seed=0), sys.argv[1], int(sys.argv[2])
settings = {"pgd": {"steps": 2}, "apgd_t": {"steps": 1, "targets": 3}, "square": {"queries": 2}}[attack]
x, y = torch.rand(n, 1, 28, 28), torch.zeros(n, dtype=torch.long)
getattr(attacks, attack)(model, x[:700], y[:700], threat=Linf(0.1), **settings)
begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
getattr(attacks, attack)(model, x, y, threat=Linf(0.1), **settings)
print(begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["pgd", "apgd_t", "square"])
def test_peak_memory_does_not_grow_with_the_images(attack):
    """Beyond the images themselves (given, and returned): 10,000 need at most 1.2 of what 1,000 need."""
    peaks = []
    for n in (1000, 10000):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, attack, str(n)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split()[1]) - 2 * n * 784 * 4 // 1024)
    assert peaks[1] <= 1.2 * peaks[0]
    assert images_at_once(torch.rand(1, 1, 28, 28)) < 1000  # so that both were done in parts
