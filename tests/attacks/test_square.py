"""The Square attack beside what is known: how far a linear model's margin can be brought in each threat."""

import pytest
import torch
from conftest import draws
from torch.nn.functional import avg_pool2d

from cs329t_robust import L1, L2, Linf, square
from cs329t_robust.models import networks


@pytest.mark.parametrize(
    ("threat", "channels", "least"),
    [(Linf(0.1), 1, 0.9), (L2(0.6), 1, 0.6), (L1(2.0), 1, 0.6),
     (Linf(0.1), 3, 0.85), (L2(0.6), 3, 0.4), (L1(2.0), 3, 0.5)],
    ids=str,
)  # fmt: skip
def test_it_comes_near_the_most_that_a_linear_model_allows_and_never_beyond(threat, channels, least):
    random, shape = draws(), (channels, 12, 12)
    slope = avg_pool2d(torch.randn(1, *shape, generator=random, dtype=torch.float64), 3, 1, 1)
    model = networks.LinearModel(torch.stack([-slope.flatten(), slope.flatten()]), torch.tensor([100.0, -100]).double())
    x = 0.2 + 0.6 * torch.rand(8, *shape, generator=random, dtype=torch.float64)

    @torch.no_grad()
    def gain(x_adv):
        return ((model(x_adv) - model(x)) * torch.tensor([-1, 1])).sum(1)

    most = threat.project(x, threat.ascend(x, x, slope.expand_as(x), threat.eps))
    share = gain(square(model, x, torch.zeros(8).long(), threat=threat, queries=1000)) / gain(most)
    assert least < float(share.min()) <= float(share.max()) <= 1 + 1e-9, share
