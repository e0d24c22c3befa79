"""The same contract on a CUDA device; skipped, and said so, on a machine without one."""

import pytest
import torch
from attack_table import ROWS

from cs329t_robust import Linf, accuracy, data, models, pgd, robust_accuracy
from cs329t_robust.evaluation import check_member
from cs329t_robust.recipes import RECIPES
from cs329t_robust.threat import Masked
from cs329t_robust.training import fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; this machine has none")


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
    model = models.LinearModel(torch.eye(5, 12))
    here = pgd(model, x, torch.arange(8) % 5, threat=Linf(0.1), steps=0)
    there = pgd(model.cuda(), x.cuda(), (torch.arange(8) % 5).cuda(), threat=Linf(0.1), steps=0)
    torch.testing.assert_close(there.cpu(), here)


def test_measuring_agrees_with_the_cpu():
    model, (x, y) = models.mnist_classifier(), data.mnist("test", 200)
    here = robust_accuracy(model, x, y, pgd, Linf(0.1))
    there = robust_accuracy(model.cuda(), x.cuda(), y.cuda(), pgd, Linf(0.1))
    assert abs(float(here) - float(there)) <= 0.01


def test_training_learns_there():
    x, y = (tensor.cuda() for tensor in data.mnist("train", 2000))
    model = models.SmallCNN(seed=0).cuda()
    fit(model, x, y, epochs=2, **RECIPES["fast"].settings(0.1))
    assert accuracy(model, x, y) > 0.7
