"""The certificate holds as often as it says, and everything about it can be counted."""

from functools import partial

import pytest
import torch
from scipy.stats import binom, binomtest
from torch import nn

from cs329t_robust import L2, pgd, robust_accuracy
from cs329t_robust.certification import randomized_smoothing
from cs329t_robust.certification.randomized_smoothing import (
    ABSTAIN,
    certified_accuracy,
    certify,
    decide,
    lower_bound,
    smoothed_predict,
    votes,
)
from cs329t_robust.models import networks


@pytest.fixture(scope="module")
def halfspace():
    """Make n pictures at chosen signed distances from the boundary of a two-class linear model."""
    weight = torch.randn(12, generator=torch.Generator().manual_seed(0))
    weight = weight / weight.norm()
    model = networks.LinearModel(
        torch.stack([torch.zeros(12), weight]), torch.tensor([0.0, -0.5 * weight.sum().item()])
    )

    def make(distances):
        draw = torch.Generator().manual_seed(1)
        along = 0.2 * (torch.rand(len(distances), 12, generator=draw) - 0.5)
        along = along - (along @ weight)[:, None] * weight
        return model, (0.5 + along + distances[:, None] * weight).view(-1, 1, 3, 4)

    return make


def test_votes_follow_the_closed_form(halfspace):
    distances = torch.tensor([-0.3, -0.1, 0.0, 0.05, 0.2])
    model, x = halfspace(distances)
    counts = votes(model, x, sigma=0.25, n=20_000)
    assert counts.sum(1).tolist() == [20_000] * 5
    p = torch.special.ndtr(distances / 0.25)
    assert torch.allclose(counts[:, 1] / 20_000, p, atol=4 * (0.25 / 20_000) ** 0.5)


@pytest.mark.parametrize("alpha", [0.02, 0.2])
def test_certificates_exceed_the_true_radius_as_rarely_as_they_promise(halfspace, alpha):
    distances = torch.linspace(-0.45, 0.45, 1500)
    model, x = halfspace(distances)
    found = certify(model, x, sigma=0.25, n0=20, n=200, alpha=alpha, seed=3)
    wrong_class = (found.prediction != ABSTAIN) & (found.prediction != (distances > 0).long())
    false = wrong_class | (found.radius > distances.abs() + 1e-6)
    # if the promise holds, more than this happens once in a million runs
    assert int(false.sum()) <= binom.ppf(1 - 1e-6, 1500, alpha)
    # and it is not kept by certifying nothing: nearly all of the promised failures are used where the class is clear
    clear = distances.abs() > 0.1
    assert false[clear].float().mean() > 0.4 * alpha
    assert (found.radius / distances.abs())[clear].median() > 0.75


def test_one_sample_for_both_would_break_the_promise():
    """On a fair coin with many faces, selecting and estimating from the same votes is wrong far too often."""
    draw = torch.Generator().manual_seed(0)
    faces = torch.randint(20, (4000, 50), generator=draw)
    counts = torch.nn.functional.one_hot(faces, 20).sum(1)
    same = lower_bound(counts.amax(1), 50, 0.05) > 1 / 20
    apart = lower_bound(counts[1:].gather(1, counts[:-1].argmax(1)[:, None]).squeeze(1), 50, 0.05) > 1 / 20
    assert same.float().mean() > 0.3
    assert int(apart.sum()) <= binom.ppf(1 - 1e-6, 3999, 0.05)


def test_it_abstains_near_the_boundary_and_only_there(halfspace):
    distances = torch.tensor([-0.5, -0.25, -0.002, 0.0, 0.002, 0.25, 0.5])
    model, x = halfspace(distances)
    answer = smoothed_predict(model, x, sigma=0.25, n=1000)
    assert answer.tolist() == [0, 0, ABSTAIN, ABSTAIN, ABSTAIN, 1, 1]
    found = certify(model, x, sigma=0.25, n=1000)
    assert found.prediction.tolist() == [0, 0, ABSTAIN, ABSTAIN, ABSTAIN, 1, 1]
    assert (found.radius > 0).tolist() == [True, True, False, False, False, True, True]


def test_predict_is_wrong_no_more_often_than_it_says(halfspace):
    distances = torch.full((1500,), 0.01) * (1 - 2 * (torch.arange(1500) % 2))
    model, x = halfspace(distances)
    answer = smoothed_predict(model, x, sigma=0.25, n=100, alpha=0.1)
    wrong = (answer != ABSTAIN) & (answer != (distances > 0).long())
    assert 0 < int(wrong.sum()) <= binom.ppf(1 - 1e-6, 1500, 0.1)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (10, 10), (73, 100), (9990, 10_000)])
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
def test_the_bound_is_scipys_exact_one(hits, n, alpha):
    expected = binomtest(hits, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low
    assert lower_bound(torch.tensor([hits]), n, alpha).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "expected"), [((80, 20), 0), ((5, 95), 1), ((55, 45), -1), ((0, 100), 1), ((50, 50), -1)]
)
def test_decide_is_a_binomial_test_of_the_first_two(counts, expected):
    assert decide(torch.tensor([counts]), 0.001).item() == expected
    assert decide(torch.tensor([[*counts, 0]]), 0.001).item() == expected
    surely = binomtest(max(counts), sum(counts), 0.5).pvalue
    assert (decide(torch.tensor([counts]), surely).item() == ABSTAIN) == (counts == (50, 50) and surely < 1)


def test_no_certificate_exceeds_what_the_samples_can_show():
    model = networks.LinearModel(torch.zeros(2, 4), torch.tensor([1.0, 0.0]))
    found = certify(model, torch.rand(3, 1, 2, 2), sigma=0.5, n=500, alpha=0.01)
    assert found.radius == pytest.approx(
        [0.5 * torch.special.ndtri(torch.tensor(0.01 ** (1 / 500))).item()] * 3, rel=1e-5
    )


def test_the_draws_belong_to_the_image(digits, monkeypatch):
    model, x, _ = digits
    together = votes(model, x[:6], sigma=0.5, n=130, seed=4)
    assert torch.equal(votes(model, x[2:3], sigma=0.5, n=130, seed=4), together[2:3])
    assert torch.equal(votes(model, x[:6].flip(0), sigma=0.5, n=130, seed=4), together.flip(0))
    monkeypatch.setattr(randomized_smoothing, "AT_ONCE", 784 * 100 * 2)
    assert torch.equal(votes(model, x[:6], sigma=0.5, n=130, seed=4), together)
    assert not torch.equal(votes(model, x[:6], sigma=0.5, n=130, seed=5), together)
    first, later = (votes(model, x[:6], sigma=0.5, n=100, seed=4, skip=skip) for skip in (0, 1))
    assert not torch.equal(first, later)
    assert torch.equal(votes(model, x[:6], sigma=0.5, n=200, seed=4), first + later)


def test_noise_is_normal_and_not_clipped():
    seen = []

    def spy(images):
        seen.append(images)
        return torch.zeros(len(images), 3)

    votes(spy, torch.full((2, 1, 20, 20), 0.9), sigma=0.5, n=100)
    noise = (torch.cat(seen) - 0.9) / 0.5
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert (noise.abs() > 1.96).float().mean().item() == pytest.approx(0.05, abs=0.004)
    assert torch.cat(seen).max() > 2


def test_the_model_is_left_as_it_was(crooked, untouched):
    snapshot, assert_same = untouched
    model, x = crooked(), torch.rand(3, 1, 3, 4)
    before = snapshot(model)
    certify(model, x, sigma=0.5, n0=10, n=20)
    assert_same(before, snapshot(model))
    assert torch.equal(votes(model, x, sigma=0.5, n=20), votes(crooked().eval(), x, sigma=0.5, n=20))


def test_certified_accuracy_counts():
    certificate = randomized_smoothing.Certificate(
        torch.tensor([1, 0, ABSTAIN, 2]), torch.tensor([0.5, 0.3, 0.0, 1.0]), torch.ones(4), 0.25, 0.001, 1000
    )
    curve = certified_accuracy(certificate, torch.tensor([1, 1, 1, 2]), [0.6, 0.0, 0.5])
    assert curve.eps == (0.0, 0.5, 0.6)
    assert [float(a) for a in curve.accuracy] == [0.5, 0.25, 0.25]
    assert curve.accuracy[0].n == 4
    assert "certificate(sigma=0.25, n=1000, alpha=0.001)" in str(curve.accuracy[1])


def test_no_attack_goes_below_the_certificate(digits):
    model, x, y = digits
    x, y = x[:10], y[:10]
    certified = certified_accuracy(certify(model, x, sigma=0.25, n=500), y, [0.25]).accuracy[0]
    soft = randomized_smoothing.Soft(model, sigma=0.25, copies=4)
    x_adv = pgd(soft, x, y, threat=L2(0.25), steps=5)
    answer = smoothed_predict(model, x_adv, sigma=0.25, n=500)
    assert not (certified.correct & (answer != y) & (answer != ABSTAIN)).any()


def test_soft_is_the_log_of_the_mean_softmax(digits):
    model, x, y = digits
    seen = []

    def spy(images):
        seen.append(model(images))
        return seen[-1]

    with torch.no_grad():
        p = randomized_smoothing.Soft(spy, sigma=0.3, copies=50, seed=2)(x[:3]).exp()
    assert torch.allclose(p, seen[0].softmax(1).view(3, 50, 10).mean(1), atol=1e-6)
    # it can be attacked: far more is lost than to the same attack on the base model alone or to none
    weak = randomized_smoothing.Soft(model, sigma=0.3, copies=4)
    assert (
        robust_accuracy(weak, x[:20], y[:20], partial(pgd, steps=5), L2(3.0))
        < 0.2
        < robust_accuracy(weak, x[:20], y[:20], partial(pgd, steps=0), L2(0.0))
    )


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"sigma": 0}, r"sigma: expected a number > 0 in pixel units \(a standard deviation, such as 0.25\), got 0"),
        ({"sigma": float("nan")}, "sigma: expected"),
        ({"alpha": 0.0}, "alpha: expected a failure probability in"),
        ({"alpha": 5}, "alpha: expected"),
        ({"n": 0}, "n: expected a whole number >= 1"),
        ({"n0": 1.5}, "n0: expected a whole number >= 1"),
        ({"seed": -1}, "seed: expected a whole number >= 0"),
        ({"x": torch.rand(1, 3, 4)}, r"add the missing dimension with x\[None\]"),
        ({"model": nn.Identity()}, "expected logits of shape"),
    ],
)
def test_bad_input_is_told(halfspace, settings, match):
    model, x = halfspace(torch.tensor([0.1]))
    with pytest.raises(ValueError, match=match):
        certify(**{"model": model, "x": x, "sigma": 0.25} | settings)


def test_labels_and_radii_are_checked():
    certificate = randomized_smoothing.Certificate(torch.tensor([1]), torch.ones(1), torch.ones(1), 0.25, 0.001, 10)
    with pytest.raises(ValueError, match="expected one label for each of the 1 images, got 2"):
        certified_accuracy(certificate, torch.tensor([1, 2]), [0.0])
    with pytest.raises(ValueError, match="expected at least one radius"):
        certified_accuracy(certificate, torch.tensor([1]), [-1.0])
