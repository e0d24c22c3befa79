"""Large changes that mean nothing and small ones that change the meaning: what the searches guarantee."""

import pytest
import torch

from cs329t_robust.data.datasets import mnist
from cs329t_robust.models.networks import CHECKPOINTS, SmallCNN, load, mnist_classifier
from cs329t_robust.perception import semantics
from cs329t_robust.perception.distances import l2


@pytest.fixture(scope="module")
def judges():
    return [mnist_classifier(), load(SmallCNN(seed=0), CHECKPOINTS / "mnist_pgd.safetensors")]


@pytest.fixture(scope="module")
def digits():
    x, y = mnist("test", 100)
    first = [int((y == c).nonzero()[0]) for c in range(10)]
    return x[first], y[first]


def test_a_transformed_digit_follows_the_formula(digits):
    x, _ = digits
    numbers = torch.tensor([0.0, 0.0, 0.0, 0.25, 0.75]).expand(len(x), 5)
    torch.testing.assert_close(semantics.transformed(x, numbers), 0.75 - 0.5 * x, atol=1e-5, rtol=0)


def test_the_farthest_of_the_family_is_an_inverted_one(digits):
    x, y = digits
    found = semantics.meaningless(x, y)
    assert bool((l2(x, found) > 0.93 * l2(x, 1 - x)).all())  # black ink on white paper is a corner of the family
    assert torch.equal(found, semantics.meaningless(x, y))
    assert not torch.equal(found, semantics.meaningless(x, y, seed=1))


def test_judges_hold_the_search_back_and_are_obeyed(digits, judges):
    x, y = digits
    found = semantics.meaningless(x, y, judges)
    for judge in judges:
        sure = judge(found).softmax(1).gather(1, y[:, None]).squeeze(1)
        assert bool((sure >= semantics.SURE - 1e-4).all())
    assert bool((l2(x, found) > 5).all())
    assert l2(x, found).mean() < l2(x, semantics.meaningless(x, y)).mean()


def test_a_judge_that_never_agrees_leaves_the_digit(digits):
    x, y = digits
    never = lambda z: torch.nn.functional.one_hot((y.repeat_interleave(semantics.DRAWS) + 1) % 10, 10) * 9.0  # noqa: E731
    assert torch.equal(semantics.meaningless(x, y, [never]), x)


def test_strokes_are_the_connected_patches():
    x, other = torch.zeros(2, 1, 6, 6)
    other[0, 0, 0] = other[0, 1, 1] = 0.9  # touch at a corner: one stroke
    other[0, 4, 4] = 0.5
    other[0, 4, 0] = 0.2  # too faint
    masks = semantics.strokes(x, other)
    assert masks.shape == (2, 1, 6, 6)
    assert sorted(masks.flatten(1).sum(1).tolist()) == [1, 2]
    assert semantics.strokes(x, x).shape == (0, 1, 6, 6)


def test_redrawn_digits_convince_every_judge_with_strokes_they_need(digits, judges):
    x, y = digits
    found = semantics.redrawn(x, y, judges, pool=3000)
    assert found.found.sum() >= 8
    new = found.x_adv[found.found]
    for judge in judges:
        assert torch.equal(judge(new).argmax(1), found.label[found.found])
    assert bool((found.label != y)[found.found].all())
    assert torch.equal(found.x_adv[~found.found], x[~found.found])
    for i in found.found.nonzero().flatten().tolist():  # taking any stroke back loses a judge
        masks = semantics.strokes(x[i], found.x_adv[i])
        less = torch.stack([torch.where(mask, x[i], found.x_adv[i]) for mask in masks])
        if len(masks) > 1:
            assert not bool(semantics._convinced(less, int(found.label[i]), judges).any())


def test_neighbours_know_digits():
    x, y = mnist("test", 50)
    assert (semantics.neighbours_say(x) == y).float().mean() > 0.9
