"""The sets Δ: distances against NumPy, projections against their definition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cs329t_robust import L2, Linf
from cs329t_robust.threat import Ball

KINDS = [Linf, L2]
SHAPE = (2, 2, 2, 3)
inside = arrays(np.float64, SHAPE, elements=st.floats(0, 1))
anywhere = arrays(np.float64, SHAPE, elements=st.floats(-3, 3))
radii = st.floats(0, 2)
kinds = st.sampled_from(KINDS)


def length(kind, delta):
    flat = delta.reshape(len(delta), -1)
    return np.abs(flat).max(1) if kind is Linf else np.sqrt((flat**2).sum(1))


@given(kinds, inside, anywhere)
def test_distance_is_numpys_norm(kind, x, x_adv):
    got = kind(1).distance(torch.tensor(x), torch.tensor(x_adv))
    np.testing.assert_allclose(got, length(kind, x_adv - x), rtol=1e-12, atol=1e-300)


@given(kinds, inside, anywhere, radii)
def test_projection_lies_in_the_ball_and_the_box(kind, x, x_adv, eps):
    got = kind(eps).project(torch.tensor(x), torch.tensor(x_adv)).numpy()
    assert (length(kind, got - x) <= eps + 1e-12).all()
    assert got.min() >= 0
    assert got.max() <= 1


@given(kinds, inside, anywhere, radii)
def test_projecting_twice_is_projecting_once(kind, x, x_adv, eps):
    x, once = torch.tensor(x), kind(eps).project(torch.tensor(x), torch.tensor(x_adv))
    torch.testing.assert_close(kind(eps).project(x, once), once, rtol=0, atol=1e-12)


@given(kinds, inside, inside, st.floats(0, 1))
def test_members_stay_where_they_are(kind, x, direction, share):
    member = x + share * (direction - x)  # in the box, since the box is convex
    eps = length(kind, member - x).max() * (1 + 1e-9) + 1e-12
    got = kind(eps).project(torch.tensor(x), torch.tensor(member))
    torch.testing.assert_close(got, torch.tensor(member), rtol=0, atol=1e-12)


@given(st.floats(0, 1), st.floats(-3, 3), st.floats(0, 1))
def test_linf_projection_is_the_nearest_point(pixel, moved, eps):
    ladder = np.linspace(max(0, pixel - eps), min(1, pixel + eps), 2001)
    nearest = ladder[np.abs(ladder - moved).argmin()]
    got = Linf(eps).project(torch.full((1, 1, 1, 1), pixel).double(), torch.full((1, 1, 1, 1), moved).double())
    assert abs(got.item() - nearest) <= 1e-3


def test_l2_projection_keeps_the_direction_where_the_box_does_not_bind():
    x, delta = torch.full((1, 1, 1, 2), 0.5), torch.tensor([3.0, 4.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(L2(0.1).project(x, x + delta), x + delta * 0.02)


def test_each_image_gets_its_own_radius():
    x, far = torch.full((3, 1, 2, 2), 0.5), torch.full((3, 1, 2, 2), 0.9)
    eps = torch.tensor([0.0, 0.1, 0.2])
    for kind in KINDS:
        torch.testing.assert_close(kind(eps).distance(x, kind(eps).project(x, far)), eps)


@pytest.mark.parametrize("kind", KINDS)
def test_the_steepest_step_maximises_the_linear_gain(kind):
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.full((4, 1, 3, 3), 0.5), torch.randn(4, 1, 3, 3, generator=generator)
    gain = ((kind(1).ascend(x, x, grad, 0.1) - x) * grad).sum((1, 2, 3))
    rival = torch.randn(500, 4, 1, 3, 3, generator=generator)
    rival = torch.stack([r * (0.1 / kind(1).distance(torch.zeros_like(r), r)).view(-1, 1, 1, 1) for r in rival])
    assert (gain >= (rival * grad).sum((2, 3, 4)) - 1e-6).all()
    torch.testing.assert_close(kind(1).distance(x, kind(1).ascend(x, x, grad, 0.1)), torch.full((4,), 0.1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_gradient_stays_and_a_tiny_one_does_not(kind):
    x = torch.full((2, 1, 2, 2), 0.5)
    grad = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 1e-30)])
    moved = kind(1).distance(x, kind(1).ascend(x, x, grad, 0.1))
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_gradient_is_not_hidden(kind):
    x = torch.full((1, 1, 2, 2), 0.5)
    assert kind(1).ascend(x, x, torch.full_like(x, torch.nan), 0.1).isnan().any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_fill_the_ball(kind, dtype):
    x = torch.full((2000, 1, 1, 2), 0.5, dtype=dtype)
    got = kind(0.1).sample(x, torch.Generator().manual_seed(0))
    assert got.dtype == dtype
    share = kind(0.1).distance(x, got) / 0.1
    assert share.max() <= 1 + 1e-5
    # uniform in two dimensions: a quarter of the points lies within half the radius, in either norm
    assert 0.21 < (share < 0.5).double().mean() < 0.29
    assert (got - x).mean().abs() < 0.005


def test_a_threat_is_frozen_prints_itself_and_changes_radius():
    with pytest.raises(AttributeError):
        Linf(0.1).eps = 0.2
    assert repr(Linf(0.1)) == "Linf(eps=0.1)"
    assert repr(L2(torch.tensor([0.1, 0.2]))) == "L2(eps=2 radii)"
    assert isinstance(L2(0.1).with_eps(0.3), L2)
    assert L2(0.1).with_eps(0.3).eps == 0.3
    assert Linf(np.float32(0.5)).eps == 0.5
    assert L2(torch.tensor([0.1, 0.2, 0.3])).select(torch.tensor([2, 0])).eps.tolist() == pytest.approx([0.3, 0.1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("eps", "message"),
    [
        (-0.1, r"expected eps finite and >= 0, got -0\.1"),
        (float("nan"), "got nan"),
        (float("inf"), "got inf"),
        ("0.1", "expected eps as a number or a tensor"),
        (None, "got None"),
        (True, "got True"),
        ([0.1, 0.2], "expected eps as a number or a tensor"),
        (torch.tensor([0.1, -0.2]), r"every eps finite and >= 0, got -0\.2"),
        (torch.tensor([0.1, torch.nan]), "got nan"),
        (torch.tensor([torch.inf]), "got inf"),
        (torch.tensor([[0.1]]), r"shape \(1, 1\)"),
        (torch.tensor([1, 2]), "torch.int64"),
    ],
)
def test_bad_radii(kind, eps, message):
    with pytest.raises(ValueError, match=message):
        kind(eps)


def test_every_threat_is_a_ball():
    assert all(issubclass(kind, Ball) for kind in KINDS)
