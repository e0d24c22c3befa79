"""Exact nearest points under a norm and the box: against bisection, against random rivals, against their definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cs329t_robust.threat.projections import filled, greedy, level, onto_hyperplane, onto_l1

LENGTH = {"L2": lambda d: d.norm(dim=-1), "Linf": lambda d: d.abs().amax(-1), "L1": lambda d: d.abs().sum(-1)}


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_the_level_holds_what_was_poured(seed):
    start, length, slope = draw(30, 9, seed=seed) - 0.5, draw(30, 9, seed=seed + 50), draw(30, 9, seed=seed + 90)
    full = (slope * length).sum(1)
    goal = full * draw(30, seed=seed + 130)
    t = level(start, length, slope, goal)
    torch.testing.assert_close((slope * (t[:, None] - start).clamp_min(0).minimum(length)).sum(1), goal)
    assert (level(start, length, slope, full + 1) >= (start + length).amax(1) - 1e-12).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filling_from_zero_is_the_level(seed, dtype):
    length, slope = draw(30, 50, seed=seed + 50).to(dtype), draw(30, 50, seed=seed + 90).to(dtype)
    slope[0], length[1], slope[2, :40] = 0, 0, 1e-20
    full = (slope * length).sum(1)
    goal = full * draw(30, seed=seed + 130).to(dtype)
    t = filled(length, slope, goal)
    torch.testing.assert_close(t[3:], level(torch.zeros_like(length), length, slope, goal)[3:])
    torch.testing.assert_close((slope * t[:, None].minimum(length)).sum(1), goal.double())
    assert (filled(length, slope, full + 1)[3:] >= length[3:].amax(1) - 1e-6).all()
    assert torch.equal(filled(length[5:6], slope[5:6], goal[5:6]), t[5:6])


@pytest.mark.parametrize("seed", range(5))
def test_onto_l1_is_the_nearest_member(seed):
    x, wish, eps = draw(40, 6, seed=seed), 4 * draw(40, 6, seed=seed + 9) - 1.5, 1.5 * draw(40, seed=seed + 19)
    got = onto_l1(x, wish, eps)
    assert ((got - x).abs().sum(1) <= eps + 1e-12).all()
    assert got.min() >= 0
    assert got.max() <= 1
    # the nearest point of a convex set: no member lies beyond it in the direction of the wish
    rivals = draw(4000, 40, 6, seed=seed + 29)
    inside = (rivals - x).abs().sum(2, keepdim=True)
    rivals = x + (rivals - x) * (eps[:, None] / inside).clamp(max=1)
    assert (((wish - got) * (rivals - got)).sum(2) <= 1e-9).all()


def test_greedy_gains_most_of_all_members():
    x, slope, budget = draw(40, 6), draw(40, 6, seed=1) - 0.5, 2 * draw(40, seed=2)
    got = greedy(x, slope, budget)
    assert ((got - x).abs().sum(1) <= budget + 1e-12).all()
    rivals = draw(4000, 40, 6, seed=3)
    rivals = x + (rivals - x) * (budget[:, None] / (rivals - x).abs().sum(2, keepdim=True)).clamp(max=1)
    assert ((slope * (got - x)).sum(1) >= (slope * (rivals - x)).sum(2) - 1e-12).all()


@pytest.mark.parametrize("norm", LENGTH)
@pytest.mark.parametrize("sign", [-1, 1])
def test_onto_hyperplane_lands_on_the_hyperplane_and_nothing_nearer_does(norm, sign):
    x, slope = draw(40, 5), draw(40, 5, seed=1) - 0.5
    reach = torch.where(sign * slope > 0, (1 - x) * slope.abs(), x * slope.abs()).sum(1)
    gap = sign * reach * draw(40, seed=2)
    got = onto_hyperplane(x, slope, gap, norm)
    torch.testing.assert_close((slope * (got - x)).sum(1), gap)
    rivals = draw(20000, 40, 5, seed=3)
    beyond = (sign * (slope * (rivals - x)).sum(2)) >= gap.abs()
    nearest = LENGTH[norm](rivals - x).masked_fill(~beyond, torch.inf).amin(0)
    assert (LENGTH[norm](got - x) <= nearest + 1e-12).all()


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(sorted(LENGTH)), st.floats(1e-3, 0.999), st.integers(0, 12))
def test_onto_hyperplane_in_float32_is_as_near_as_in_float64(seed, norm, part, decades):
    """Slopes over many decades, zeros among them, and pixels that have no room, as the background of a digit has."""
    x, slope = draw(60, 784, seed=seed).float(), (draw(60, 784, seed=seed + 1) - 0.5).float()
    slope *= 10 ** (-decades * draw(60, 784, seed=seed + 2).float())
    x[:, :400], slope[:, 300:500] = x[:, :400].round(), 0
    gap = part * torch.where(slope > 0, (1 - x) * slope, -x * slope).double().sum(1).float()
    got, wide = onto_hyperplane(x, slope, gap, norm).double(), (x.double(), slope.double())
    missed = ((slope * (got - x)).sum(1) - gap).abs()
    assert (missed <= 1e-5 * gap + 1e-7 * slope.abs().sum(1)).all()  # and 1e-7 is how far rounding moves a pixel
    less, more = (LENGTH[norm](onto_hyperplane(*wide, gap.double() * (1 + by), norm) - x) for by in (-1e-5, 1e-5))
    assert (less - 1e-5 <= LENGTH[norm](got - x)).all()
    assert (LENGTH[norm](got - x) <= more + 1e-5).all()
    one = onto_hyperplane(
        x[50:51], slope[50:51], gap[50:51], norm
    )  # the batch is cut into parts: none knows of the others
    torch.testing.assert_close(one.double(), got[50:51], rtol=0, atol=1e-6)


def test_where_the_box_ends_first_the_nearest_corner_comes_back():
    x, slope = torch.full((1, 3), 0.5).double(), torch.tensor([[1.0, -2.0, 0.5]]).double()
    for norm in LENGTH:
        torch.testing.assert_close(onto_hyperplane(x, slope, torch.tensor([9.0]).double(), norm), (slope > 0).double())


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm: expected 'Linf', 'L2' or 'L1', got 'L3'"):
        onto_hyperplane(draw(1, 2), draw(1, 2), draw(1), "L3")
