"""Lesson 04's table: its arithmetic on made-up distances, its pairs, and the changes of equal size and success."""

import copy
import pickle

import pytest
import torch

from cs329t_robust.data.datasets import mnist
from cs329t_robust.evaluation.accuracy import wilson
from cs329t_robust.perception import norm_table as nt
from cs329t_robust.perception.distances import l0, l1, l2, linf


@pytest.fixture(scope="module")
def pairs(digits):
    return nt.pairs(digits[0], n=40)


@pytest.fixture(scope="session")
def digits():
    from cs329t_robust.models.networks import mnist_classifier

    return mnist_classifier(), *mnist("test", 200)


def table(**rows):
    return nt.Table(tuple(rows), ("m",), torch.tensor([[values] for values in rows.values()]))


def test_shares_count_ties_as_one_half_and_carry_their_interval():
    found = table(near=[1.0, 2.0, 3.0, 9.0], far=[2.0, 2.0, 5.0, 1.0])
    share = found.agreement("m", "near", "far")
    assert float(share) == 2.5 / 4
    assert share.n == 4
    assert share.interval == wilson(2.5, 4)
    assert float(found.farther("near", "far", "m")) == 1.5 / 4
    for same in (copy.deepcopy(share), pickle.loads(pickle.dumps(share))):
        assert (float(same), same.n, same.interval) == (float(share), 4, share.interval)


def test_means_carry_their_interval():
    middle, low, high = table(kind=[1.0, 3.0]).mean("kind", "m")
    assert middle == 2.0
    assert high - middle == pytest.approx(1.96 * 2**0.5 / 2**0.5, rel=1e-3)
    assert middle - low == pytest.approx(high - middle)


def test_pairs_are_what_their_names_say(pairs, digits):
    model = digits[0]
    assert set(pairs.others) == {*nt.SAME, nt.NEAREST, nt.ANY}
    assert torch.equal(pairs.others["one-pixel shift"][:, :, 1:], pairs.x[:, :, :-1])
    for kind, eps in (("PGD at 0.1", 0.1), ("PGD at 0.3", 0.3)):
        assert float(linf(pairs.x, pairs.others[kind]).max()) <= eps + 1e-6
    caught = (model(pairs.others["PGD at 0.1"]).argmax(1) == pairs.y).float().mean()
    assert (model(pairs.others["PGD at 0.3"]).argmax(1) == pairs.y).float().mean() < caught < 0.5
    x, y = mnist("test", 40)
    label = lambda images: y[torch.cdist(images.flatten(1), x.flatten(1)).argmin(1)]  # noqa: E731
    assert torch.equal(label(pairs.others["another of its class"]), y)
    assert bool((label(pairs.others[nt.ANY]) != y).all())
    assert bool((l2(x, pairs.others["another of its class"]) > 0).all())


def test_the_nearest_of_another_class_is_the_nearest():
    x, y = mnist("test", 5)
    other, label = mnist("train", 300)
    found = nt.nearest_of_another_class(x, y, pool=300)
    for i in range(5):
        far = (other[label != y[i]] - x[i]).flatten(1).norm(dim=1)
        assert l2(x[i : i + 1], found[i : i + 1]).item() == pytest.approx(far.min().item(), rel=1e-4)


def test_the_table_holds_each_measure_of_each_pair(pairs, digits):
    by = nt.measures(digits[0])
    found = nt.measure(pairs, by)
    assert found.values.shape == (6, 7, 40)
    torch.testing.assert_close(found.of("PGD at 0.1", "L2"), l2(pairs.x, pairs.others["PGD at 0.1"]))
    assert found.shares().shape == (7, 4)
    assert found.shares()[2, 1].item() == pytest.approx(float(found.agreement("L2", "PGD at 0.1")))


def test_what_the_lesson_says_of_shift_and_attack_holds_on_forty_digits(pairs, digits):
    found = nt.measure(pairs, {name: by for name, by in nt.measures().items() if name in ("L0", "L2", "Linf")})
    assert found.farther("one-pixel shift", "PGD at 0.1", "L2") > 0.9
    assert found.farther("one-pixel shift", "PGD at 0.1", "Linf") == 1
    assert found.farther("one-pixel shift", "PGD at 0.1", "L0") == 0


def test_equal_success_costs_another_size_in_each_norm(digits):
    model, x, y = digits
    x, y = x[:30], y[:30]
    found = nt.nearest_in_each_norm(model, x, y, steps=40)
    radius = nt.radius_of_half(model, x, y, found)
    ruler = {"L0": l0, "L1": l1, "L2": l2, "Linf": linf}
    assert set(found) == set(radius) == set(ruler)
    for norm, x_adv in found.items():
        assert (model(x_adv).argmax(1) != y).float().mean() > 0.9
        inside = ruler[norm](x, x_adv) <= radius[norm]
        assert 0.4 <= (inside & (model(x).argmax(1) == y)).float().mean() <= 0.7
        for other, images in found.items():  # each is the smallest in its own norm
            assert ruler[norm](x, x_adv).median() <= ruler[norm](x, images).median(), (norm, other)


def test_a_radius_is_infinite_where_most_held_out(digits):
    model, x, y = digits
    x = x[:4]
    assert nt.radius_of_half(model, x, y[:4], {"L2": x}) == {"L2": float("inf")}


@pytest.mark.parametrize("distance", [l2, l1, linf])
def test_scaled_changes_have_the_asked_size_inside_the_box(digits, distance):
    _, x, _ = digits
    x = x[:6]
    other = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    size = {l2: 2.0, l1: 20.0, linf: 0.25}[distance]
    found = nt.scaled_to(x, other, size, distance)
    torch.testing.assert_close(distance(x, found), torch.full((6,), size), atol=1e-3, rtol=0)
    assert 0 <= found.min() <= found.max() <= 1


def test_n_is_checked(digits):
    with pytest.raises(ValueError, match="n: expected a whole number >= 20, got 3"):
        nt.pairs(digits[0], n=3)
