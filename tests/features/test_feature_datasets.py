"""Data sets of non-robust features and of robust ones: what their builders promise, and that they teach."""

import pytest
import torch
from torch import nn

from cs329t_robust import L2, Linf, accuracy
from cs329t_robust.data import datasets
from cs329t_robust.features.feature_datasets import Penultimate, Relabelled, non_robust_dataset, robustify, targets_for
from cs329t_robust.models.networks import SmallCNN, mnist_classifier
from cs329t_robust.training.fit import fit


@pytest.fixture(scope="module")
def digits():
    return datasets.mnist("train", n=64)


@pytest.fixture(scope="module")
def built(digits):
    return non_robust_dataset(mnist_classifier(), *digits, L2(2.0), steps=10)


def test_random_targets_are_all_classes_alike_and_say_nothing_of_the_picture():
    y = torch.arange(10).repeat(2000)
    t = targets_for(y, 10, seed=3)
    assert torch.equal(t, targets_for(y, 10, seed=3))
    assert not torch.equal(t, targets_for(y, 10, seed=4))
    table = torch.zeros(10, 10).index_put((y, t), torch.ones(len(y)), accumulate=True) / 2000
    assert (table - 0.1).abs().max() < 0.03  # four standard errors; 0.1 on the diagonal too


def test_next_targets_go_round():
    assert targets_for(torch.tensor([0, 1, 2]), 3, "next").tolist() == [1, 2, 0]


def test_the_perturbed_pictures_lie_in_the_threat_and_mostly_reach_their_label(built, digits):
    assert torch.equal(built.clean, digits[0])
    assert torch.equal(built.true, digits[1])
    assert L2(2.0).distance(built.clean, built.x).max() <= 2.0 + 1e-5
    assert 0 <= built.x.min() <= built.x.max() <= 1
    assert torch.equal(built.reached, mnist_classifier()(built.x).argmax(1) == built.y)
    before = (mnist_classifier()(built.clean).argmax(1) == built.y).float().mean()
    assert built.reached.float().mean() > before + 0.3


def test_the_same_seed_builds_the_same_set_in_any_batch(built, digits, monkeypatch):
    from cs329t_robust.attacks.engine import batches

    monkeypatch.setitem(batches.AT_ONCE, "cpu", 784 * 10)
    again = non_robust_dataset(mnist_classifier(), *digits, L2(2.0), steps=10)
    torch.testing.assert_close(again.x, built.x)
    assert torch.equal(again.y, built.y)


def test_the_controls(built):
    plain = built.unperturbed()
    assert torch.equal(plain.x, built.clean)
    assert torch.equal(plain.y, built.y)
    n = 6
    x = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1) / 100
    small = Relabelled(0.5 + x, torch.arange(n), torch.full_like(x, 0.5), torch.zeros(n, dtype=torch.long), None)
    moved = small.shuffled(seed=1)
    assert torch.equal(moved.y, small.y)
    source = ((moved.x - 0.5) * 100).round().long().flatten()
    assert sorted(source.tolist()) == list(range(n))
    assert (source != torch.arange(n)).all()  # nobody keeps its own
    along = small.shuffled(seed=1, with_label=True)
    assert torch.equal(along.x, moved.x)
    assert torch.equal(along.y, source)


def test_a_shuffled_perturbation_stays_in_the_image(built):
    x = built.shuffled().x
    assert 0 <= x.min() <= x.max() <= 1


def test_penultimate_is_what_the_last_layer_reads(digits):
    model = mnist_classifier()
    g = Penultimate(model)
    torch.testing.assert_close(model[-1](g(digits[0])), model(digits[0]))
    assert not model[-1]._forward_pre_hooks
    with pytest.raises(ValueError, match=r"last layer is a torch.nn.Linear, got Flatten"):
        Penultimate(nn.Flatten())


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return x.flatten(1)


def test_a_last_layer_that_is_not_used_is_told():
    with pytest.raises(ValueError, match="to be used"):
        Penultimate(Unused())(torch.rand(2, 1, 2, 2))


def test_robustify_inverts_a_linear_representation():
    # g(x) = x through the identity: from anywhere the descent must arrive at x itself
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    x = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    found = robustify(model, x, steps=200, step_size=0.2)
    assert (found - x).flatten(1).norm(dim=1).max() < 0.02


def test_robustify_keeps_what_the_network_cannot_see():
    class Half(nn.Sequential):
        def forward(self, x):
            return super().forward(x[..., :2])

    model = Half(nn.Flatten(), nn.Linear(6, 2)).eval()
    x = torch.rand(4, 1, 3, 4, generator=torch.Generator().manual_seed(1))
    start = torch.rand(4, 1, 3, 4, generator=torch.Generator().manual_seed(2))
    found = robustify(model, x, start=start, steps=200, step_size=0.2)
    assert torch.equal(found[..., 2:], start[..., 2:])
    assert (found - x)[..., :2].abs().max() < 0.02


def test_robustify_comes_closer_and_is_the_same_in_any_batch(digits, monkeypatch):
    model, x = mnist_classifier(), digits[0]
    g, found = Penultimate(model), robustify(model, x, steps=20)
    start = robustify(model, x, steps=0)
    assert all((a != b).any() for a, b in zip(start, x, strict=True))
    before, after = ((g(z) - g(x)).norm(dim=1) for z in (start, found))
    assert (after < before).all()
    assert after.mean() < 0.6 * before.mean()
    assert 0 <= found.min() <= found.max() <= 1
    from cs329t_robust.attacks.engine import batches

    monkeypatch.setitem(batches.AT_ONCE, "cpu", 784 * 10)
    torch.testing.assert_close(robustify(model, x, steps=20), found, rtol=1e-3, atol=1e-3)


def test_models_are_left_as_found(digits):
    model = SmallCNN(seed=3).train()
    model[0].eval()
    modes = [m.training for m in model.modules()]
    state = torch.get_rng_state()
    robustify(model, digits[0][:4], steps=2)
    non_robust_dataset(model, digits[0][:4], digits[1][:4], L2(1.0), steps=2)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_input_is_told(digits):
    x, y = digits
    model = mnist_classifier()
    with pytest.raises(ValueError, match=r"targets: expected 'random' or 'next', got 'others'"):
        non_robust_dataset(model, x, y, Linf(0.1), targets="others")
    with pytest.raises(ValueError, match="labels below 10 classes, got 11"):
        non_robust_dataset(model, x, torch.full_like(y, 11), Linf(0.1))
    with pytest.raises(ValueError, match="at least two pictures"):
        robustify(model, x[:1])
    with pytest.raises(ValueError, match="start: expected the shape of x"):
        robustify(model, x, start=x[:3])
    with pytest.raises(ValueError, match="step_size: expected a length > 0"):
        robustify(model, x, step_size=0)


def test_mislabelled_adversarial_digits_teach_the_right_labels_and_the_controls_do_not():
    x, y = datasets.mnist("train", n=2000)
    x_test, y_test = datasets.mnist("test", n=500)
    built = non_robust_dataset(mnist_classifier(), x, y, L2(2.0), steps=8)
    scores = {}
    for name, made in {"D_rand": built, "plain": built.unperturbed(), "shuffled": built.shuffled()}.items():
        net = SmallCNN(seed=1)
        fit(net, made.x, made.y, epochs=4)
        scores[name] = accuracy(net, x_test, y_test)
    assert scores["D_rand"] > 0.4
    assert max(scores["plain"], scores["shuffled"]) < 0.22
