"""Usefulness against closed forms, and what leaks."""

import pytest
import torch

from cs329t_robust import L2, Linf
from cs329t_robust.features.usefulness import leakage, robust_usefulness, standardised, usefulness


@pytest.fixture
def plane():
    """A linear feature w·x, images in the middle of the box (no ball reaches its walls), and labels −1, +1."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(1, 3, 4, generator=generator)
    x = 0.4 + 0.2 * torch.rand(200, 1, 3, 4, generator=generator)
    y = torch.where((x * w).flatten(1).sum(1) > (0.5 * w).sum(), 1, -1)
    return lambda images: (images * w).flatten(1).sum(1), w, x, y


def test_standardised_has_mean_0_and_variance_1(plane):
    f, _, x, _ = plane
    values = standardised(f, x)(x)
    assert values.mean().abs() < 1e-4
    assert values.var(unbiased=False).item() == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match="differ from image to image, got 3 for all"):
        standardised(lambda images: images[:, 0, 0, 0] * 0 + 3, x)


def test_usefulness_is_the_correlation(plane):
    f, _, x, y = plane
    g = standardised(f, x)
    assert usefulness(g, x, y) == pytest.approx((y * g(x)).mean().item(), abs=1e-6)
    assert usefulness(g, x, -y) == pytest.approx(-usefulness(g, x, y), abs=1e-6)
    assert 0.7 < usefulness(g, x, y) <= 1


@pytest.mark.parametrize(("threat", "dual"), [(Linf(0.05), 1), (L2(0.2), 2)], ids=repr)
def test_robust_usefulness_of_a_linear_feature_is_less_by_eps_times_the_dual_norm(plane, threat, dual):
    f, w, x, y = plane
    g = standardised(f, x)
    slope = torch.linalg.vector_norm(w.flatten(), ord=dual).item() / f(x).std(unbiased=False).item()
    expected = usefulness(g, x, y) - threat.eps * slope
    assert robust_usefulness(g, x, y, threat) == pytest.approx(expected, abs=1e-3)


def test_robust_usefulness_never_exceeds_usefulness(plane):
    _, _, x, y = plane
    bumpy = lambda images: (40 * images).sin().flatten(1).sum(1)  # noqa: E731
    assert robust_usefulness(bumpy, x, y, L2(0.3)) < usefulness(bumpy, x, y)
    assert robust_usefulness(bumpy, x, y, L2(0.0)) == pytest.approx(usefulness(bumpy, x, y), abs=1e-5)


def test_a_feature_of_labels_that_are_no_signs_is_told(plane):
    f, _, x, _ = plane
    with pytest.raises(ValueError, match="expected −1 or \\+1 for each image"):
        usefulness(f, x, torch.zeros(len(x)))


def test_leakage_finds_what_given_features_say_of_the_label_and_nothing_else():
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(3, (600,), generator=generator)
    x = torch.rand(600, 1, 2, 3, generator=generator)
    x[:, 0, 0, :] = x[:, 0, 0, :] / 2 + torch.nn.functional.one_hot(y, 3) / 2  # the upper row tells the class
    upper, lower = (lambda images: images[:, 0, 0]), (lambda images: images[:, 0, 1])
    assert leakage(upper, x[:400], y[:400], x[400:], y[400:]) > 0.95
    assert leakage(lower, x[:400], y[:400], x[400:], y[400:]) < 0.45
