"""attack <= exact <= linear <= interval, and the exact value is what trying every case gives."""

from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import nn

from cs329t_robust import L2, Linf, certification
from cs329t_robust.certification.network import stage
from cs329t_robust.certification.read_network import read
from cs329t_robust.losses import margin
from cs329t_robust.models import networks


def dense(seed, sizes=(4, 5, 4, 3), spread=1.5):
    """A random fully-connected ReLU network for images (1, 2, 2)."""
    draw = torch.Generator().manual_seed(seed)
    parts = [nn.Flatten()]
    for inside, outside in pairwise(sizes):
        layer = nn.Linear(inside, outside)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(outside, inside, generator=draw) * spread / inside**0.5)
            layer.bias.copy_(torch.randn(outside, generator=draw) * 0.3)
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1]).double()


def convolutional(seed):
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = nn.Sequential(
            networks.Normalize((0.4,), (0.3,)),
            nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(3, 4, 2, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 2 * 2, 6),
            nn.ReLU(),
            nn.Linear(6, 3, bias=False),
        )
    return model.double(), torch.rand(2, 1, 6, 5, generator=draw, dtype=torch.float64)


def case(seed, eps, n=1):
    x = torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    model = dense(seed)
    return model, x, model(x).argmax(1), Linf(eps)


def stages(model, x):
    """A network without branches as (weight, bias), flat, one for each ReLU and one for the logits."""
    network = read(model, x)
    ends = [node.relu_of for node in network.nodes if node.relu_of is not None] + [len(network.nodes) - 1]
    with torch.no_grad():
        found = [stage(network, end, x.double()) for end in ends]
    assert all(len(one.weights) == 1 for one in found)
    return [SimpleNamespace(weight=next(iter(one.weights.values())), bias=one.bias) for one in found]


def every_case(model, x, y, eps):
    """The largest margin by brute force: for each pattern of the ReLUs a linear program."""
    maps = stages(model, x)
    box = [(max(p - eps, 0), min(p + eps, 1)) for p in x.flatten().tolist()]
    best = -np.inf
    for pattern in product((0, 1), repeat=sum(len(m.bias) for m in maps[:-1])):
        weight, bias, rows, sides, at = np.eye(x.numel()), np.zeros(x.numel()), [], [], 0
        for one in maps[:-1]:
            weight, bias = one.weight.numpy() @ weight, one.weight.numpy() @ bias + one.bias.numpy()
            on = np.array(pattern[at : at + len(bias)])
            at += len(bias)
            rows.append(np.where(on, -1, 1)[:, None] * weight)
            sides.append(np.where(on, 1, -1) * bias)
            weight, bias = on[:, None] * weight, on * bias
        last = maps[-1]
        for target in set(range(len(last.bias))) - {int(y)}:
            lead = (last.weight[target] - last.weight[int(y)]).numpy()
            found = linprog(-lead @ weight, A_ub=np.concatenate(rows), b_ub=np.concatenate(sides), bounds=box)
            if found.status == 0:
                best = max(best, -found.fun + lead @ bias + (last.bias[target] - last.bias[int(y)]).item())
    return best


@pytest.mark.parametrize("seed", range(4))
def test_exact_is_what_trying_every_case_gives(seed):
    model = dense(seed, sizes=(4, 3, 3, 3), spread=2.5)
    x = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = model(x).argmax(1)
    found = certification.exact(model, x, y, threat=Linf(0.3))
    assert found.solved
    assert found.margin == pytest.approx(every_case(model, x, y, 0.3), abs=1e-5)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), eps=st.sampled_from([0.0, 0.03, 0.1, 0.3, 1.0]))
def test_each_bound_is_above_the_one_before(seed, eps):
    model, x, y, threat = case(seed, eps)
    attack = certification.attacked(model, x, y, threat=threat, steps=20, restarts=3).item()
    exact = certification.exact(model, x, y, threat=threat)
    linear = certification.linear(model, x, y, threat=threat).item()
    interval = certification.interval(model, x, y, threat=threat).item()
    assert exact.solved
    assert attack <= exact.margin + 1e-6
    assert exact.margin <= exact.bound <= linear + 1e-6
    assert linear <= interval + 1e-9
    grid = torch.rand(2000, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    near = threat.project(x.expand_as(grid), x + (2 * grid - 1) * eps)
    assert margin(model(near), y.expand(2000)).max() <= exact.margin + 1e-5


def test_the_gaps_are_real():
    """On average over nets each step gains something, so that none of them is a copy of the next."""
    rows = []
    for seed in range(8):
        model, x, y, threat = case(seed, 0.25)
        exact = certification.exact(model, x, y, threat=threat).margin
        rows.append(
            (
                exact,
                certification.linear(model, x, y, threat=threat).item(),
                certification.interval(model, x, y, threat=threat).item(),
            )
        )
    exact, linear, interval = torch.tensor(rows).mean(0).tolist()
    assert exact + 0.02 < linear < interval - 0.2


def test_the_found_point_is_within_the_threat_and_has_that_margin():
    model, x, y, threat = case(5, 0.2)
    found = certification.exact(model, x, y, threat=threat)
    assert threat.distance(x, found.x_adv).item() <= 0.2 + 1e-9
    assert found.x_adv.min() >= 0
    assert found.x_adv.max() <= 1
    assert margin(model(found.x_adv), y).item() == pytest.approx(found.margin, abs=1e-9)


def test_at_radius_zero_all_agree():
    model, x, y, _ = case(3, 0.0)
    expected = margin(model(x), y).item()
    none = Linf(0.0)
    assert certification.exact(model, x, y, threat=none).margin == pytest.approx(expected)
    for bound in (certification.attacked, certification.linear, certification.interval):
        assert bound(model, x, y, threat=none).item() == pytest.approx(expected)


def test_a_linear_model_has_no_gap():
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()
    x = 0.3 + 0.4 * torch.rand(3, 1, 2, 2, generator=draw, dtype=torch.float64)
    y = model(x).argmax(1)
    weight = model[1].weight
    expected = (
        (margin_rows(model(x), y) + 0.1 * (weight[None] - weight[y][:, None]).abs().sum(2))
        .scatter(1, y[:, None], -torch.inf)
        .amax(1)
    )
    for bound in (certification.attacked, certification.linear, certification.interval):
        assert torch.allclose(bound(model, x, y, threat=Linf(0.1)), expected)
    one = certification.exact(model, x[:1], y[:1], threat=Linf(0.1))
    assert one.margin == pytest.approx(expected[0].item())
    assert one.unsure == 0


def margin_rows(logits, y):
    return logits - logits.gather(1, y[:, None])


@pytest.mark.parametrize("seed", range(2))
def test_convolutions_are_bounded_too(seed):
    model, x = convolutional(seed)
    y = model(x).argmax(1)
    threat = Linf(0.15)
    maps = stages(model, x)
    out = x.flatten(1)
    for i, one in enumerate(maps):
        out = (out.relu() if i else out) @ one.weight.T + one.bias
    assert torch.allclose(out, model(x))
    attack = certification.attacked(model, x, y, threat=threat, steps=20, restarts=2)
    linear, interval = (bound(model, x, y, threat=threat) for bound in (certification.linear, certification.interval))
    assert (attack <= linear + 1e-9).all()
    assert (linear < interval).all()
    exact = certification.exact(model, x[:1], y[:1], threat=threat)
    assert exact.solved
    assert attack[0].item() - 1e-6 <= exact.margin <= linear[0].item() + 1e-6


def test_the_shipped_classifier_is_certified_where_it_is_robust(digits):
    model, x, y = digits
    threat = Linf(0.004)
    linear = certification.linear(model, x[:2], y[:2], threat=threat)
    assert (linear < 0).all()
    assert (certification.interval(model, x[:2], y[:2], threat=threat) > linear).all()
    assert (certification.attacked(model, x[:2], y[:2], threat=threat, steps=10, restarts=1) < linear).all()


def test_a_radius_for_each_image():
    model, x, y, _ = case(7, 0.1, n=3)
    radii = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    for bound in (certification.linear, certification.interval):
        each = torch.cat([bound(model, x[i : i + 1], y[i : i + 1], threat=Linf(radii[i].item())) for i in range(3)])
        assert torch.allclose(bound(model, x, y, threat=Linf(radii)), each)


def test_the_time_limit_is_told_honestly():
    model = dense(0, sizes=(4, 40, 40, 5), spread=3.0)
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    y = model(x).argmax(1)
    stopped = certification.exact(model, x, y, threat=Linf(0.5), time_limit=0.2)
    assert not stopped.solved
    assert stopped.margin < stopped.bound <= certification.linear(model, x, y, threat=Linf(0.5)).item() + 1e-6
    assert stopped.margin >= certification.attacked(model, x, y, threat=Linf(0.5), steps=40, restarts=3).item() - 1e-9
    assert str(stopped).startswith(f"largest margin between {stopped.margin:.4f} and {stopped.bound:.4f} (stopped")
    model, x, y, threat = case(0, 0.1)
    assert str(certification.exact(model, x, y, threat=threat)).endswith("open ReLUs)")
    assert "solved" in str(certification.exact(model, x, y, threat=threat, time_limit=60))


def test_worst_logits_bound_every_image_and_carry_gradients():
    model, x, y, _ = case(11, 0.0, n=4)
    low, high = (x - 0.2).clamp_min(0), (x + 0.2).clamp_max(1)
    worst = certification.worst_logits(model, low, high, y)
    assert torch.equal(worst.gather(1, y[:, None]), torch.zeros(4, 1, dtype=torch.float64))
    for t in torch.rand(200, 4, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64):
        assert (margin_rows(model(low + t * (high - low)), y) <= worst + 1e-9).all()
    worst.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in list(model.parameters())[:-1])


def test_the_model_is_left_as_it_was(untouched):
    snapshot, assert_same = untouched
    model, x, y, threat = case(2, 0.1)
    before = snapshot(model)
    for bound in (certification.attacked, certification.exact, certification.linear, certification.interval):
        bound(model, x, y, threat=threat)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize(
    "bound", [certification.linear, certification.interval, certification.exact], ids=lambda b: b.__name__
)
def test_bad_input_is_told(bound):
    model, x, y, threat = case(0, 0.1)
    with pytest.raises(ValueError, match=r"threat: expected Linf, whose ball is a box, got L2\(eps=0\.1\)"):
        bound(model, x, y, threat=L2(0.1))
    refused = {
        "runs tanh in model.1 .Tanh.: not read": nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Linear(4, 3)),
        "train mode, which treats images by their batch; call model.eval": nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)
        ),
        "runs reflection_pad2d in model.0 .Conv2d.: not read": nn.Sequential(
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(4, 3)
        ),
    }
    for told, odd in refused.items():
        with pytest.raises(ValueError, match=rf"expected a network of linear layers, .*{told}"):
            bound(odd.double(), x, y, threat=threat)
    with pytest.raises(ValueError, match=r"answers with shape \(n, 1\), not with logits \(n, k\) of k >= 2"):
        bound(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).double(), x, y, threat=threat)
    with pytest.raises(ValueError, match=r"answers with shape \(n, 1, 2, 2\), not with logits"):
        bound(lambda images: 2 * images, x, y, threat=threat)
    with pytest.raises(ValueError, match="channels and size that the model takes"):
        bound(nn.Sequential(nn.Flatten(), nn.Linear(5, 3)).double(), x, y, threat=threat)
    with pytest.raises(ValueError, match="expected labels below the model's 3 classes, got 7"):
        bound(model, x, torch.tensor([7]), threat=threat)
    with pytest.raises(ValueError, match=r"pixel values in \[0, 1\]"):
        bound(model, x + 9, y, threat=threat)


def test_exact_takes_one_image_and_a_positive_limit():
    model, x, y, threat = case(0, 0.1, n=2)
    with pytest.raises(ValueError, match=r"expected one image \(1, c, h, w\), got 2; call exact for each"):
        certification.exact(model, x, y, threat=threat)
    with pytest.raises(ValueError, match="time_limit: expected seconds > 0 or None, got 0"):
        certification.exact(model, x[:1], y[:1], threat=threat, time_limit=0)
