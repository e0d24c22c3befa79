"""Attributions against closed forms on a linear model, their axioms on networks, and the forgery's promises."""

import pytest
import torch
from torch import nn

from cs329t_robust import L2, Linf
from cs329t_robust.evaluation.accuracy import check_member
from cs329t_robust.explanation import attributions, human_alignment


@pytest.fixture(scope="module")
def curved():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    x = torch.rand(6, 1, 3, 4, generator=torch.Generator().manual_seed(1))
    return net, x, net(x).argmax(1)


def test_a_linear_models_attributions_are_its_weights(linear):
    model, x, y = linear()
    rows = model.weight[y].detach().view_as(x)
    torch.testing.assert_close(attributions.saliency(model, x, y), rows)
    torch.testing.assert_close(attributions.smooth_grad(model, x, y, samples=3), rows)
    torch.testing.assert_close(attributions.integrated_gradients(model, x, y, baseline=0.25), (x - 0.25) * rows)


def test_integrated_gradients_add_up(curved):
    net, x, y = curved
    baseline = x.flip(0)
    parts = attributions.integrated_gradients(net, x, y, baseline=baseline, steps=256).flatten(1).sum(1)
    rise = (net(x) - net(baseline)).gather(1, y[:, None])[:, 0].detach()
    torch.testing.assert_close(parts, rise, atol=5e-3, rtol=0)


@pytest.mark.parametrize("look", [attributions.saliency, attributions.smooth_grad, attributions.integrated_gradients])
def test_each_image_is_explained_alone_and_the_model_left_as_it_was(crooked, untouched, look):
    snapshot, assert_same = untouched
    model = crooked()
    x = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([0, 1, 2, 3, 4])
    before = snapshot(model)
    whole = look(model, x, y)
    assert_same(before, snapshot(model))
    assert not whole.requires_grad
    alone = torch.cat([look(model, x[i : i + 1], y[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(look(model, x, y), whole)


def test_smooth_grad_follows_its_seed(curved):
    net, x, y = curved
    one = attributions.smooth_grad(net, x, y, seed=1)
    assert torch.equal(one, attributions.smooth_grad(net, x, y, seed=1))
    assert not torch.equal(one, attributions.smooth_grad(net, x, y, seed=2))


def test_the_object_is_the_ink_and_its_rim():
    x = torch.zeros(2, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    x[1, 0, 0, 0] = 0.1
    assert attributions.object_area(x).tolist() == pytest.approx([9 / 25, 0])
    even, signed = torch.ones_like(x), torch.ones_like(x)
    signed[:, :, ::2] = -1
    assert attributions.on_object(even, x).tolist() == pytest.approx([9 / 25, 0])
    assert attributions.on_object(signed, x).tolist() == pytest.approx([9 / 25, 0])
    assert attributions.on_object(torch.zeros_like(x), x).tolist() == [0, 0]


def test_alignment_is_a_cosine_without_its_sign():
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    across = torch.zeros_like(x)
    across[:, :, 0, 0], across[:, :, 0, 1] = x[:, :, 0, 1], -x[:, :, 0, 0]
    assert attributions.alignment(-2 * x, x).tolist() == pytest.approx([1, 1, 1])
    assert attributions.alignment(across, x).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert attributions.alignment(0 * x, x).tolist() == [0, 0, 0]


@pytest.mark.parametrize("threat", [Linf(0.05), L2(0.3)], ids=repr)
def test_a_forgery_keeps_the_prediction_and_turns_the_saliency(curved, untouched, threat):
    snapshot, assert_same = untouched
    net, x, y = curved
    before = snapshot(net)
    fake = attributions.forge(net, x, y, threat=threat)
    assert_same(before, snapshot(net))
    check_member(x, fake, threat)
    assert torch.equal(net(fake).argmax(1), net(x).argmax(1))
    turned = attributions.similarity(attributions.saliency(net, x, y), attributions.saliency(net, fake, y))
    assert (turned <= 1 + 1e-6).all()
    assert turned.mean() < 0.95


def test_a_forgery_can_aim_at_a_map(curved):
    net, x, y = curved
    aim = attributions.saliency(net, x.flip(0), y)
    fake = attributions.forge(net, x, y, threat=Linf(0.2), target=aim)
    nearer = attributions.similarity(attributions.saliency(net, fake, y), aim)
    assert (nearer >= attributions.similarity(attributions.saliency(net, x, y), aim) - 1e-6).all()
    assert nearer.mean() > attributions.similarity(attributions.saliency(net, x, y), aim).mean()


def test_a_softened_copy_nears_the_model_and_leaves_it_alone(curved):
    net, x, _ = curved
    far, near = ((attributions.softened(net, s)(x) - net(x)).abs().max().item() for s in (5.0, 500.0))
    assert near < 0.01 < far
    assert any(isinstance(module, nn.ReLU) for module in net)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, x, y: attributions.saliency(net, 255 * x, y), "expected pixel values in"),
        (lambda net, x, y: attributions.saliency(net, x, y + 5), "expected labels below the model's 3"),
        (lambda net, x, y: attributions.smooth_grad(net, x, y, sigma=0), "sigma: expected"),
        (lambda net, x, y: attributions.smooth_grad(net, x, y, sigma=25), "sigma: expected"),
        (lambda net, x, y: attributions.smooth_grad(net, x, y, samples=0), "samples: expected"),
        (lambda net, x, y: attributions.integrated_gradients(net, x, y, steps=0), "steps: expected"),
        (lambda net, x, y: attributions.on_object(x[:, :, 1:], x), "attribution: expected a value for each pixel"),
        (lambda net, x, y: attributions.forge(lambda x: net(x), x, y, threat=Linf(0.1)), "expected a Module"),
        (lambda net, x, y: attributions.softened(nn.Linear(2, 2)), r"expected nn.ReLU modules to soften, found none"),
        (lambda net, x, y: attributions.softened(net, -1), "sharpness: expected"),
        (lambda net, x, y: human_alignment.digit_models(["L1"]), "names: expected some of standard, noise"),
        (lambda net, x, y: human_alignment.nearest_label(x, x[:2], y[:2], k=3), "k: expected 1 to 2"),
        (lambda net, x, y: human_alignment.nearest_label(x, x[:, :, 1:], y), "query: expected images of shape"),
    ],
)
def test_a_mistake_is_a_clear_value_error(curved, call, message):
    with pytest.raises(ValueError, match=message):
        call(*curved)


def test_the_judge_goes_by_the_commonest_of_the_nearest():
    known = torch.tensor([0.0, 0.1, 0.2, 0.9]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    labels = torch.tensor([7, 3, 3, 1])
    query = torch.tensor([0.0, 0.95]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert human_alignment.nearest_label(query, known, labels, k=1).tolist() == [7, 1]
    assert human_alignment.nearest_label(query, known, labels, k=3).tolist() == [3, 3]


def test_the_other_class_is_never_the_own_and_covers_all_others():
    y = torch.arange(10).repeat(200)
    drawn = human_alignment.others(y)
    assert (drawn != y).all()
    assert len({(a, b) for a, b in zip(y.tolist(), drawn.tolist(), strict=True)}) == 90


def test_a_mean_has_its_interval():
    mean = human_alignment.Mean.of(torch.tensor([0.0, 1.0] * 50))
    half = 1.96 * (0.25 * 100 / 99) ** 0.5 / 10
    assert (mean.value, mean.n) == (0.5, 100)
    assert (mean.low, mean.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert str(mean) == "0.50 (0.40 to 0.60)"
