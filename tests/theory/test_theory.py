"""The theorems' models: closed forms against simulation, bounds that may never be broken, exponents, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cs329t_robust.theory import (
    BernoulliModel,
    GaussianModel,
    StrongWeak,
    adversarial_training,
    fit_exponent,
    mean_of,
    share_of,
)
from cs329t_robust.theory.confidence_intervals import smallest


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- estimates


def test_the_mean_carries_students_interval():
    found = mean_of(torch.tensor([1.0, 2.0, 3.0]))
    assert found == pytest.approx((2.0, 2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-5)
    assert str(mean_of(torch.tensor([0.5, 0.5]))) == "0.500 (95% interval 0.500 to 0.500)"


def test_the_intervals_cover_what_they_should():
    values = torch.randn(2000, 8, generator=draws())
    covered = sum(low <= 0 <= high for _, low, high in map(mean_of, values)) / 2000
    assert 0.935 < covered < 0.965
    assert share_of(torch.tensor([True] * 3 + [False])).value == 0.75


def test_a_power_law_gives_its_exponent_and_noise_an_interval_that_covers_it():
    d = torch.tensor([10.0, 100, 1000, 10000], dtype=torch.float64)
    assert fit_exponent(d, 7 * d**0.5) == pytest.approx((0.5, 0.5, 0.5), abs=1e-6)
    hits = 0
    for seed in range(300):
        noisy = 7 * d**0.5 * torch.exp(0.1 * torch.randn(4, generator=draws(seed)))
        _, low, high = fit_exponent(d, noisy)
        hits += low <= 0.5 <= high
    assert 0.91 < hits / 300 < 0.98


@pytest.mark.parametrize(("first", "limit"), [(1, 1), (1, 50), (2, 2), (7, 50), (50, 50), (51, 50), (64, 1000)])
def test_smallest_finds_the_first_and_asks_little(first, limit):
    asked = []
    found = smallest(lambda n: asked.append(n) or n >= first, limit)
    assert found == (first if first <= limit else None)
    assert max(asked) <= limit
    assert len(asked) <= 2 * math.log2(limit) + 2


# ---- the Gaussian model


@pytest.mark.parametrize("eps", [0.0, 0.3, 0.9])
def test_the_gaussian_error_is_that_of_the_exact_attack_on_fresh_examples(eps):
    model, draw = GaussianModel(30, 1.5), draws(1)
    w = torch.randn(30, generator=draw) + 0.7
    x, y = model.sample(40_000, draw)
    attacked = x - eps * y[:, None] * w.sign()
    seen = share_of((attacked @ w) * y <= 0)
    assert seen.low - 0.002 < model.error(w, eps).item() < seen.high + 0.002
    assert 0.01 < seen.value < 0.99


def test_no_change_within_eps_does_worse_than_the_closed_form_says():
    model, draw = GaussianModel(20, 1.0), draws(2)
    w = torch.randn(20, generator=draw).double()
    x, y = model.sample(500, draw)
    worst = (x.double() @ w) * y - 0.4 * w.abs().sum()
    for _ in range(200):
        delta = 0.4 * (2 * torch.rand(500, 20, generator=draw, dtype=torch.float64) - 1)
        assert bool((((x + delta) @ w) * y >= worst - 1e-9).all())


def test_a_batch_of_classifiers_is_one_by_one_and_scale_does_not_matter():
    model = GaussianModel(12, 2.0)
    w = torch.randn(5, 12, generator=draws(3))
    assert torch.equal(model.error(w, 0.2), torch.stack([model.error(row, 0.2) for row in w]))
    torch.testing.assert_close(model.error(w, 0.2), model.error(17 * w, 0.2))


def test_the_estimate_has_the_law_of_the_mean_of_examples():
    model, draw = GaussianModel(40, 3.0), draws(4)
    x, y = model.sample(9 * 3000, draw)
    from_examples = (x * y[:, None]).view(3000, 9, 40).mean(1)
    drawn = model.estimates(9, 3000, draw)
    for w in (from_examples, drawn):
        assert w.mean().item() == pytest.approx(1.0, abs=0.01)
        assert w.var().item() == pytest.approx(3.0**2 / 9, rel=0.02)


@pytest.mark.parametrize(("n", "eps"), [(1, 0.0), (4, 0.5), (16, 0.5), (8, 0.2), (60, 0.8)])
def test_the_typical_error_is_the_expected_one_in_high_dimension(n, eps):
    model = GaussianModel.at_scale(20_000)
    seen = model.expected_error(n, eps, draws(5), draws=40)
    assert abs(model.typical_error(n, eps) - seen.value) < 0.01 + (seen.high - seen.low)


def test_one_example_is_enough_to_classify_whatever_the_dimension():
    for d in (100, 10_000, 1_000_000):
        assert GaussianModel.at_scale(d).typical_error(1) < 0.02
    assert GaussianModel.at_scale(4096).learn(0.1, 0.0, draws(6)) == 1


def test_robustness_needs_more_examples_and_their_number_grows_like_the_root_of_d():
    far = torch.tensor([10.0**k for k in range(8, 13)])
    need = torch.tensor([GaussianModel.at_scale(int(d)).typical_need(0.1, 0.5) for d in far])
    assert 0.49 < fit_exponent(far, need).value < 0.5
    near = [1024, 4096, 16384]
    for d in near:
        model = GaussianModel.at_scale(d)
        need = model.typical_need(0.1, 0.5)
        assert model.typical_error(need, 0.5) == pytest.approx(0.1, abs=1e-6)
        taken = [model.learn(0.1, 0.5, draws(seed)) for seed in range(3)]
        assert all(abs(n - need) < 2 + 0.1 * need for n in taken)
        assert abs(model.expected_need(0.1, 0.5, draws(7)) - math.ceil(need)) <= 1


def test_the_price_grows_with_the_radius_and_some_radii_cannot_be_learned():
    model = GaussianModel.at_scale(16384)
    needs = [model.typical_need(0.1, eps) for eps in (0.0, 0.1, 0.3, 0.5, 0.8)]
    assert needs == sorted(needs)
    assert len(set(needs)) == 5
    assert model.typical_need(0.1, 1.0) == math.inf  # every coordinate of θ can be erased
    assert model.learn(0.1, 1.0, draws(8), limit=20) is None
    assert model.expected_need(0.1, 1.0, draws(8), limit=8) is None


# ---- the Bernoulli model


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("n", [1, 50])
def test_the_bernoulli_error_is_that_of_the_exact_attack(eps, n):
    model, draw = BernoulliModel.at_scale(4000), draws(9)
    w = model.estimate(n, draw)
    seen = model.simulated_error(w, eps, 4000, draw)
    assert seen.low - 0.01 < model.error(w, eps).item() < seen.high + 0.01
    many = torch.stack([model.error(model.estimate(n, draw), eps) for _ in range(30)])
    assert model.typical_error(n, eps) == pytest.approx(many.mean().item(), abs=0.03)


def test_the_coins_have_their_bias_and_the_estimate_is_their_mean():
    model, draw = BernoulliModel(500, 0.2), draws(10)
    x, y = model.sample(2000, draw)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    assert (x * y[:, None]).mean().item() == pytest.approx(0.4, abs=0.005)
    w = torch.cat([model.estimate(4, draw) for _ in range(200)])
    assert set(w.unique().tolist()) == {-1.0, -0.5, 0.0, 0.5, 1.0}
    assert w.mean().item() == pytest.approx(0.4, abs=0.01)
    assert model._mean_size(4) == pytest.approx(w.abs().mean().item(), abs=0.01)
    assert model._mean_size(1) == pytest.approx(1.0)


@pytest.mark.parametrize("eps", [0.1, 0.5, 0.99])
def test_a_threshold_makes_one_example_enough_for_any_radius_below_one(eps):
    model, draw = BernoulliModel.at_scale(10_000), draws(11)
    w = model.estimate(1, draw)
    assert model.simulated_error(w, eps, 1000, draw, threshold=True).high < 0.03
    assert model.simulated_error(w, eps, 1000, draw).low > 0.95
    assert model.typical_error(1, eps, threshold=True) == model.typical_error(1)
    assert model.error(w, eps, threshold=True) == model.error(w)


def test_a_linear_classifier_needs_ever_more_examples_for_robustness():
    models = [BernoulliModel.at_scale(d) for d in (4000, 16_000, 64_000, 256_000)]
    assert all(m.typical_need(0.1) == 1 for m in models)
    needs = [m.typical_need(0.1, m.tau) for m in models]
    assert needs == sorted(needs)
    assert 0.3 < fit_exponent(torch.tensor([float(m.d) for m in models]), torch.tensor(needs).float()).value < 0.55
    assert models[0].typical_need(0.1, 2.1 * models[0].tau, limit=4096) is None  # beyond 2τ even θ itself fails
    for m, need in zip(models, needs, strict=True):
        assert m.typical_error(need, m.tau) <= 0.1 < m.typical_error(need - 1, m.tau)


# ---- strong and weak features


weights = st.lists(st.floats(-3, 3), min_size=6, max_size=6).filter(lambda w: max(map(abs, w)) > 1e-3)


@given(weights, st.floats(0.5, 0.99), st.floats(0.01, 2), st.floats(2, 4), st.floats(-2, 2))
@settings(max_examples=300, deadline=None)
def test_the_theorems_bound_is_never_broken_by_a_linear_classifier(w, p, eta, factor, bias):
    model, w = StrongWeak(5, p, eta), torch.tensor(w)
    delta = 1 - model.accuracy(w, 0.0, bias).item()
    assert model.accuracy(w, factor * eta, bias).item() <= model.bound(min(1.0, max(0.0, delta))) + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_nor_by_a_random_network_under_the_proofs_own_attack(seed):
    model, draw = StrongWeak(20, 0.9, 0.6), draws(seed)
    first, last = torch.randn(21, 30, generator=draw), torch.randn(30, generator=draw)
    first[0] *= 6
    x, y = model.sample(60_000, draw)
    answer = [torch.tanh(z @ first / 5) @ last for z in (x, model.attack(x, y))]
    standard, robust = (share_of(a * y > 0) for a in answer)
    assert robust.low <= model.bound(1 - standard.low)
    assert robust.low <= 0.9 / 0.1 * (1 - standard.low)


def test_the_bound_is_reached_by_the_strong_feature_and_nearly_by_the_mixture():
    model = StrongWeak(100, 0.95, 0.3)
    assert model.bound(0.05) == pytest.approx(0.95)
    assert model.accuracy(model.strong_only(), 0.6).item() == pytest.approx(0.95)
    assert model.bound(0.001) == pytest.approx(0.019)
    assert model.bound(0.9) == 1.0
    assert StrongWeak(100, 0.5, 0.3).bound(0.2) == pytest.approx(0.2)


@pytest.mark.parametrize(("eps", "bias"), [(0.0, 0.0), (0.2, 0.3), (0.6, 0.0), (0.6, -0.5)])
def test_the_accuracy_is_that_of_the_exact_attack_on_fresh_examples(eps, bias):
    model, draw = StrongWeak(10, 0.8, 0.4), draws(12)
    w = torch.randn(11, generator=draw).abs() * 0.5
    x, y = model.sample(40_000, draw)
    seen = share_of(((x - eps * y[:, None] * w.sign()) @ w + bias) * y > 0)
    assert seen.low - 0.002 < model.accuracy(w, eps, bias).item() < seen.high + 0.002


def test_standard_training_takes_the_weak_features_and_falls():
    model = StrongWeak(100, 0.95, 0.3)
    assert model.accuracy(model.weak_only()).item() == pytest.approx(0.99865, abs=1e-4)
    assert model.accuracy(model.weak_only(), 0.6).item() == pytest.approx(0.00135, abs=1e-4)
    x, y = model.sample(4000, draws(13))
    w = adversarial_training(x, y, 0.0)
    assert model.accuracy(w).item() > 0.997
    assert model.accuracy(w, 0.6).item() < 0.02
    assert w[1:].norm() > 3 * w[0]


def test_adversarial_training_keeps_the_weak_features_below_eta_and_drops_them_above():
    model = StrongWeak(100, 0.95, 0.3)
    x, y = model.sample(4000, draws(14))
    share = {eps: _weak_share(adversarial_training(x, y, eps)) for eps in (0.15, 0.25, 0.4, 0.6)}
    assert share[0.15] > share[0.25] > 0.5
    assert max(share[0.4], share[0.6]) < 0.05
    w = adversarial_training(x, y, 0.6)
    assert model.accuracy(w).item() == pytest.approx(0.95, abs=1e-3)
    assert model.accuracy(w, 0.6).item() == pytest.approx(0.95, abs=1e-3)


def _weak_share(w):
    return (w[1:].abs().sum() / w.abs().sum()).item()


def test_the_best_ratio_beats_every_other():
    for eps in (0.0, 0.02, 0.1, 0.17, 0.2, 0.29, 0.3, 0.5, 0.9):
        model = StrongWeak(100, 0.95, 0.3)
        best = model.accuracy(model.mixed(model.best_ratio(eps)), eps).item()
        others = [model.accuracy(model.mixed(r), eps).item() for r in [*torch.linspace(0, 6, 301).tolist(), math.inf]]
        assert best >= max(others) - 1e-12
    assert StrongWeak(100, 0.95, 0.3).best_ratio() == pytest.approx(math.log(19) / 6)
    assert StrongWeak(100, 0.5, 0.3).best_ratio() == 0


def test_the_switch_of_the_best_classifier_nears_eta_as_d_grows():
    switches = []
    for d in (100, 10_000, 100_000):
        model = StrongWeak(d, 0.95, 0.3)
        ladder = torch.linspace(0, 0.4, 81).tolist()
        switches.append(next(eps for eps in ladder if model.best_ratio(eps) == math.inf))
    assert switches == sorted(switches)
    assert switches[0] < 0.22
    assert 0.28 < switches[-1] < 0.3 + 1e-6


def test_the_proofs_attack_moves_the_weak_features_by_two_eta_and_no_other():
    model = StrongWeak(3, 0.9, 0.25)
    x, y = model.sample(50, draws(15))
    moved = model.attack(x, y)
    assert torch.equal(moved[:, 0], x[:, 0])
    torch.testing.assert_close((moved - x)[:, 1:], -0.5 * y[:, None].expand(50, 3))
    assert set(x[:, 0].tolist()) == {-1.0, 1.0}


# ---- bad input


GAUSS, COINS, TWO = GaussianModel(4, 1.0), BernoulliModel(4, 0.1), StrongWeak(4)
BAD = {
    "d": (lambda: GaussianModel(0, 1.0), "d: expected a whole number >= 1, got 0"),
    "sigma": (lambda: GaussianModel(4, 0.0), r"sigma: expected a number in \(0, inf\), got 0.0"),
    "c": (lambda: GaussianModel.at_scale(4, -1.0), "c: expected a number in"),
    "w": (lambda: GAUSS.error(torch.ones(3)), r"w: expected float weights of shape \(4,\) or \(m, 4\)"),
    "w list": (lambda: GAUSS.error([1.0] * 4), "got list"),
    "w integers": (lambda: GAUSS.error(torch.ones(4, dtype=torch.long)), "got torch.int64"),
    "w zero": (lambda: GAUSS.error(torch.zeros(4)), "not all zero"),
    "w NaN": (lambda: COINS.error(torch.tensor([1.0, math.nan, 1, 1])), "expected finite weights"),
    "eps": (lambda: GAUSS.error(torch.ones(4), -0.1), r"eps: expected a number in \[0, inf\), got -0.1"),
    "eps NaN": (lambda: GAUSS.typical_error(1, math.nan), "eps: expected a number"),
    "n": (lambda: GAUSS.sample(0, draws()), "n: expected a whole number >= 1"),
    "target": (lambda: GAUSS.typical_need(0.5), r"target: expected a number in \(0, 0.5\)"),
    "draws": (lambda: GAUSS.expected_error(1, 0.0, draws(), draws=1), "draws: expected a whole number >= 2"),
    "limit": (lambda: GAUSS.learn(0.1, 0.0, draws(), limit=0), "limit: expected"),
    "tau": (lambda: BernoulliModel(4, 0.5), r"tau: expected a number in \(0, 0.5\), got 0.5"),
    "threshold": (lambda: COINS.typical_error(1, 1.0, threshold=True), r"eps: expected a number in \[0, 1\), got 1.0"),
    "one classifier": (lambda: COINS.simulated_error(torch.ones(2, 4), 0.0, 9, draws()), "one classifier"),
    "p": (lambda: StrongWeak(4, 1.0), r"p: expected a number in \[0.5, 1\), got 1.0"),
    "eta": (lambda: StrongWeak(4, 0.9, True), "eta: expected a number"),
    "delta": (lambda: TWO.bound(1.1), r"delta: expected a number in \[0, 1\], got 1.1"),
    "ratio": (lambda: TWO.mixed(-1.0), "ratio: expected"),
    "best eps": (lambda: TWO.best_ratio(1.0), r"eps: expected a number in \[0, 1\), got 1.0"),
    "attack": (lambda: TWO.attack(torch.ones(2, 4), torch.ones(2)), r"expected \(n, 5\) and \(n,\)"),
    "labels": (lambda: adversarial_training(torch.ones(2, 4), torch.tensor([0.0, 1.0]), 0.1), "of ±1"),
    "points": (lambda: fit_exponent(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])), "at least three points"),
    "same d": (lambda: fit_exponent(torch.ones(3), torch.ones(3)), "two or more different d"),
    "negative": (lambda: fit_exponent(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 0, 3])), "positive, finite"),
    "one value": (lambda: mean_of(torch.ones(1)), "at least two"),
    "not bools": (lambda: share_of(torch.ones(3)), "expected bools"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
