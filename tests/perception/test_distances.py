"""Distances against NumPy, SciPy and closed forms, and what each of them is blind to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance
from skimage.metrics import structural_similarity
from torch import nn

from cs329t_robust.data import DataError
from cs329t_robust.models import networks
from cs329t_robust.perception.distances import (
    feature_maps,
    in_features,
    l0,
    l1,
    l2,
    linf,
    lpips,
    shift,
    ssim,
    transport,
)

NORMS = {
    l0: lambda d: (d != 0).any(1).reshape(len(d), -1).sum(1),
    l1: lambda d: np.abs(d).reshape(len(d), -1).sum(1),
    l2: lambda d: np.sqrt((d**2).reshape(len(d), -1).sum(1)),
    linf: lambda d: np.abs(d).reshape(len(d), -1).max(1),
}
ALL = [*NORMS, ssim, transport]


def pair(shape=(3, 1, 12, 13), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x, other = torch.rand(2, *shape, generator=generator, dtype=dtype)
    keep = torch.rand(shape, generator=generator) < 0.4
    return x, torch.where(keep, x, other)


def named(function):
    return function.__name__


@pytest.mark.parametrize("shape", [(3, 1, 12, 13), (1, 3, 5, 4)])
@pytest.mark.parametrize("distance", NORMS, ids=named)
def test_norms_equal_numpys(distance, shape):
    x, other = pair(shape)
    found = distance(x, other)
    assert found.shape == (shape[0],)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, NORMS[distance]((other - x).numpy()))


@pytest.mark.parametrize("distance", ALL, ids=named)
def test_each_pair_is_measured_alone_both_ways_and_equal_images_are_equal(distance):
    x, other = pair()
    found = distance(x, other)
    alone = torch.cat([distance(x[i : i + 1], other[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(found, alone)
    torch.testing.assert_close(found, distance(other, x))
    torch.testing.assert_close(distance(x, x), torch.full_like(found, float(distance is ssim)))
    assert bool((found > 0).all())
    assert bool((found < 1).all()) or distance is not ssim


def test_ssim_equals_skimages():
    x, other = pair((2, 1, 28, 20))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = [structural_similarity(a[0].numpy(), b[0].numpy(), **options) for a, b in zip(x, other, strict=True)]
    np.testing.assert_allclose(ssim(x, other), expected, atol=1e-6)


def test_ssim_names_images_that_are_too_small():
    x, _ = pair((2, 1, 10, 20))
    with pytest.raises(ValueError, match=r"at least 11 × 11 pixels, the window of SSIM, got 10 × 20"):
        ssim(x, x)


# ---- transport


@given(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 5))
def test_transport_of_a_shift_is_the_shift(down, right, seed):
    x = torch.zeros(1, 1, 14, 13)
    x[:, :, 5:9, 5:8] = pair((1, 1, 4, 3), seed, torch.float32)[0]
    assert transport(x, shift(x, down, right)).item() == pytest.approx((down**2 + right**2) ** 0.5, abs=1e-5)


def test_transport_on_a_line_is_scipys_wasserstein_distance():
    x, other = pair((4, 1, 1, 9))
    places = np.arange(9)
    expected = [
        wasserstein_distance(places, places, a.numpy(), b.numpy())
        for a, b in zip(x[:, 0, 0], other[:, 0, 0], strict=True)
    ]
    np.testing.assert_allclose(transport(x, other), expected, rtol=1e-9)


def test_transport_solves_the_linear_program():
    x, other = pair((1, 3, 3, 4))
    a, b = (v[0].mean(0).flatten().numpy() for v in (x, other))
    a, b = a / a.sum(), b / b.sum()
    places = np.stack(np.divmod(np.arange(12), 4), 1)
    cost = np.linalg.norm(places[:, None] - places, axis=2)
    rows = [np.kron(np.eye(12), np.ones(12)), np.kron(np.ones(12), np.eye(12))]
    best = linprog(cost.flatten(), A_eq=np.vstack(rows), b_eq=np.concatenate([a, b]), method="highs")
    assert transport(x, other).item() == pytest.approx(best.fun, rel=1e-7)


def test_transport_ignores_brightness_and_obeys_the_triangle_inequality():
    x, other = pair()
    third = pair(seed=1)[0]
    torch.testing.assert_close(transport(x, 0.5 * other), transport(x, other))
    assert bool((transport(x, third) <= transport(x, other) + transport(other, third) + 1e-9).all())


def test_transport_names_black_images():
    x, other = pair()
    other[1] = 0
    with pytest.raises(ValueError, match=r"x_adv: expected images with some ink, got 1 of 3 .*image 1"):
        transport(x, other)


# ---- features and LPIPS


def test_feature_distance_follows_its_formula():
    x, other = pair((2, 1, 6, 6))
    maps = lambda z: [z.repeat(1, 2, 1, 1) * torch.tensor([1.0, 2.0]).view(1, 2, 1, 1), 1 - z]  # noqa: E731
    first = ((x > 0).double() - (other > 0).double()).square().mean((1, 2, 3))  # both maps have constant directions
    torch.testing.assert_close(in_features(x, other, maps), first)
    x[:, :, 0, 0] = 0  # no direction at all: the whole unit vector counts, once in 36 places
    torch.testing.assert_close(in_features(x, other, maps), torch.full((2,), 1 / 36, dtype=torch.float64))


def test_feature_maps_leave_the_model_alone(crooked, untouched):
    model = crooked()
    model.body[2] = nn.ReLU()
    snapshot, assert_same = untouched
    x = torch.rand(2, 1, 3, 4)
    before = snapshot(model)
    maps = feature_maps(model)(x)
    assert [tuple(m.shape) for m in maps] == [(2, 6, 3, 4)]
    assert_same(before, snapshot(model))
    assert not any(module._forward_hooks for module in model.modules())
    model.fails = RuntimeError("stop")
    with pytest.raises(RuntimeError, match="stop"):
        feature_maps(model)(x)
    assert not any(module._forward_hooks for module in model.modules())


def test_flat_layers_are_no_maps():
    maps = feature_maps(networks.SmallCNN(seed=0))(torch.rand(2, 1, 28, 28))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 14, 14), (32, 7, 7)]


def test_unusable_features_are_named():
    x, other = pair()
    with pytest.raises(
        ValueError, match=r"features: expected maps of shape \(3, channels, height, width\), got \(3, 156\)"
    ):
        in_features(x, other, lambda z: [z.flatten(1)])
    with pytest.raises(ValueError, match="at least one feature map"):
        in_features(x, other, lambda z: [])
    with pytest.raises(ValueError, match="layers of kind ReLU, ReLU6, got Linear"):
        feature_maps(nn.Linear(2, 2))


def test_lpips_says_which_file_is_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    x = torch.rand(1, 3, 64, 64)
    with pytest.raises(DataError, match=r"squeezenet1_1-\w+\.pth is missing[\s\S]*repair: .*weights='DEFAULT'"):
        lpips(x, x)


def test_lpips_works_once_the_backbone_is_there(tmp_path, monkeypatch):
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        backbone = torchvision.models.squeezenet1_1(weights=None)
    file = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[1]
    (tmp_path / "checkpoints").mkdir()
    torch.save(backbone.state_dict(), tmp_path / "checkpoints" / file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    x, other = pair((2, 3, 64, 64), dtype=torch.float32)
    found = lpips(x, other)
    assert found.shape == (2,)
    assert bool((found > 0).all())
    torch.testing.assert_close(lpips(x, x), torch.zeros(2))
    torch.testing.assert_close(found, lpips(other, x))


def test_lpips_refuses_what_it_was_not_fitted_to():
    with pytest.raises(ValueError, match="net: expected one of alex, squeeze, vgg, got 'resnet'"):
        lpips(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), net="resnet")
    with pytest.raises(ValueError, match=r"colour photographs .*got \(1, 1, 28, 28\); for digits use"):
        lpips(torch.rand(1, 1, 28, 28), torch.rand(1, 1, 28, 28))


# ---- shift


@given(st.integers(-7, 7), st.integers(-7, 7))
def test_shift_is_numpys_roll_without_what_wrapped(down, right):
    x = pair((2, 3, 6, 5))[0]
    expected = np.zeros(x.shape)
    for row in range(6):
        for column in range(5):
            if 0 <= row - down < 6 and 0 <= column - right < 5:
                expected[:, :, row, column] = x[:, :, row - down, column - right]
    np.testing.assert_array_equal(shift(x, down, right), expected)


def test_shift_is_the_lectures_code():
    x = pair((1, 1, 28, 28))[0]
    picture = x[0, 0].numpy()
    xp = np.zeros_like(picture)
    xp[1:28, :] = picture[0:27, :]
    np.testing.assert_array_equal(shift(x, down=1)[0, 0], xp)


def test_shift_copies_and_refuses_fractions():
    x = pair()[0]
    shift(x)[:] = 0
    assert bool(x.any())
    with pytest.raises(ValueError, match=r"right: expected a whole number of pixels, got 0\.5"):
        shift(x, right=0.5)


# ---- bad input


@pytest.mark.parametrize("distance", [*ALL, lambda x, y: in_features(x, y, lambda z: [z])], ids=lambda f: f.__name__)
def test_bad_pairs_are_named(distance):
    x, other = pair()
    with pytest.raises(ValueError, match=r"x_adv: expected the shape of x, \(3, 1, 12, 13\), got \(2, 1, 12, 13\)"):
        distance(x, other[:2])
    with pytest.raises(ValueError, match=r"x_adv: expected pixel values in \[0, 1\], got .*divide by 255"):
        distance(x, 255 * other)
    with pytest.raises(ValueError, match="x: expected a tensor of images"):
        distance(x.numpy(), other)
    with pytest.raises(ValueError, match=r"one dtype and device, got torch\.float64 on cpu and torch\.float32"):
        distance(x, other.float())
