"""Measuring distrusts attacking."""

import copy
import pickle
from functools import partial

import pytest
import torch

from cs329t_robust import L2, Linf, accuracy, fgsm, pgd, robust_accuracy, robustness_curve
from cs329t_robust.evaluation.accuracy import Accuracy, attack_name, predict, wilson
from cs329t_robust.models import networks

quick = partial(pgd, steps=10)


def still(model, x, y, *, threat):
    return x.clone()


def shifted(amount):
    def shift(model, x, y, *, threat):
        return x + amount

    return shift


def test_accuracy_counts(linear):
    model, x, y = linear(n=10)
    y[:3] = (y[:3] + 1) % 5
    got = accuracy(model, x, y)
    assert got == 0.7
    assert got.n == 10
    assert got.correct.tolist() == [False] * 3 + [True] * 7
    assert got.attack == got.threat == ""
    assert robust_accuracy(model, x, y, still, Linf(0.1)) == 0.7
    assert robust_accuracy(model, x, (model(x).argmax(1) + 1) % 5, quick, Linf(0.1)) == 0  # nothing left to attack


def test_an_accuracy_is_a_number_that_knows_where_it_came_from():
    got = Accuracy(torch.tensor([True, True, False, True]), "pgd(steps=40)", "Linf(eps=0.1)")
    assert isinstance(got, float)
    assert got == 0.75
    assert f"{got:.2f}" == "0.75"
    assert str(got).startswith("robust accuracy (pgd(steps=40), Linf(eps=0.1)): 0.750 (n=4, 95% interval ")
    assert str(Accuracy(torch.tensor([True]))).startswith("clean accuracy: 1.000 (n=1")
    for same in [copy.copy(got), copy.deepcopy(got), pickle.loads(pickle.dumps(got))]:
        assert same == got
        assert str(same) == str(got)
        assert torch.equal(same.correct, got.correct)


@pytest.mark.parametrize(("right", "n"), [(0, 7), (7, 7), (1, 2), (83, 200), (999, 1000)])
def test_the_interval_is_wilsons(right, n):
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_predict_batches_and_leaves_the_model(crooked, untouched):
    snapshot, assert_same = untouched
    model, x = crooked(), torch.rand(10, 1, 3, 4)
    before = snapshot(model)
    logits = predict(model, x)
    assert not logits.requires_grad
    torch.testing.assert_close(predict(model, x, batch_size=3), logits)
    accuracy(model, x, torch.zeros(10, dtype=torch.long))
    robust_accuracy(model, x, torch.zeros(10, dtype=torch.long), quick, Linf(0.1))
    assert_same(before, snapshot(model))
    model.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        predict(model, x)
    assert_same(before, snapshot(model))
    assert torch.equal(predict(crooked().eval(), x), logits)


def test_measuring_spares_images_from_a_model_that_works_in_place(linear):
    model, x, y = linear()
    kept = x.clone()
    accuracy(lambda images: model(images.zero_()), x, y)
    assert torch.equal(x, kept)


def test_robust_accuracy_strictly_falls_on_digits(digits):
    model, x, y = digits
    assert accuracy(model, x, y) > 0.95
    shares = [robust_accuracy(model, x, y, quick, Linf(eps)) for eps in (0, 0.05, 0.1, 0.2)]
    assert shares[0] == accuracy(model, x, y)
    assert shares[0] > shares[1] > shares[2] > shares[3]
    shares = [robust_accuracy(model, x, y, quick, L2(eps)) for eps in (0, 1, 2, 3)]
    assert shares[0] > shares[1] > shares[2] > shares[3]


def test_pgd_is_stronger_than_fgsm_is_stronger_than_noise(digits):
    model, x, y = digits
    noise = partial(pgd, steps=0)
    by = [robust_accuracy(model, x, y, attack, Linf(0.1)) for attack in (noise, fgsm, quick)]
    assert by[0] > by[1] > by[2]


def test_an_image_is_right_only_if_right_before_and_after(linear):
    """An attack cannot win an image back, and only images that are right are attacked, each with its own radius."""
    model, x, y = linear(n=6)
    wrong = (y + 1) % 5
    labels, radii, seen = torch.cat([y[:3], wrong[3:]]), torch.linspace(0.1, 0.6, 6).double(), []

    def spy(model, x, y, *, threat):
        seen.append((x.clone(), threat.eps))
        x += 1  # the evaluator's images, not these, are what counts
        return x - 1

    got = robust_accuracy(model, x, labels, spy, Linf(radii), batch_size=2)
    assert got.correct.tolist() == [True] * 3 + [False] * 3
    torch.testing.assert_close(torch.cat([images for images, _ in seen]), x[:3])
    torch.testing.assert_close(torch.cat([eps for _, eps in seen]), radii[:3])
    assert [len(images) for images, _ in seen] == [2, 1]


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (shifted(0.11), r"within Linf\(eps=0.1\), got 7 of 7 outside: the worst is 0.11 away, allowed 0.1; project"),
        (shifted(0.1001), "7 of 7 outside"),
        (shifted(0.9), r"adversarial images in \[0, 1\], got \[.*; clip them with clamp\(0, 1\)"),
        (shifted(-0.9), r"adversarial images in \[0, 1\], got \[-"),
        (shifted(torch.nan), "expected finite adversarial images, got NaN"),
        (shifted(torch.inf), "expected finite adversarial images"),
        (lambda model, x, y, *, threat: x[:-1], r"shape \(7, 1, 3, 4\), got \(6, 1, 3, 4\)"),
        (lambda model, x, y, *, threat: x.flatten(1), r"got \(7, 12\)"),
        (lambda model, x, y, *, threat: (x, y), "got tuple"),
        (lambda model, x, y, *, threat: None, "got NoneType"),
        (lambda model, x, y, *, threat: x.float(), "in torch.float64 on cpu, got torch.float32"),
        (lambda model, x, y, *, threat: x.to("meta"), "got torch.float64 on meta"),
        ("pgd", r"attack: expected a function .* got 'pgd'"),
        (None, "attack: expected a function"),
    ],
)
def test_an_attack_that_cheats_is_an_error(linear, attack, message):
    model, x, y = linear()
    with pytest.raises(ValueError, match=message):
        robust_accuracy(model, x, y, attack, Linf(0.1))


def test_one_image_outside_is_enough(linear):
    model, x, y = linear()

    def leaves(model, x, y, *, threat):
        x = x.clone()
        x[4, 0, 0, 0] += 0.3
        return x

    with pytest.raises(ValueError, match=r"got 1 of 7 outside: the worst is 0.3 away, allowed 0.2"):
        robust_accuracy(model, x, y, leaves, L2(torch.full((7,), 0.2).double()))
    assert robust_accuracy(model, x, y, leaves, L2(0.31)) >= 0


@pytest.mark.parametrize("eps", [0.0503, 0.0507, 0.2, 1.0])
def test_rounding_on_a_flat_photograph_is_not_leaving_the_ball(eps):
    """150,528 pixels that all round the same way add up to 1e-5 in L2, which is nobody's fault."""
    x = torch.full((1, 3, 224, 224), 0.9)
    model = networks.LinearModel(torch.stack([torch.ones(150528), -torch.ones(150528)]) * 1e-6)
    robust_accuracy(model, x, torch.zeros(1, dtype=torch.long), fgsm, L2(eps))


def test_chunks_measure_the_same(digits):
    model, x, y = digits
    whole = robust_accuracy(model, x[:50], y[:50], quick, Linf(0.1))
    assert robust_accuracy(model, x[:50], y[:50], quick, Linf(0.1), batch_size=7) == pytest.approx(whole, abs=0.021)
    assert 0 < whole < 1


@pytest.mark.parametrize("kind", [Linf, L2])
def test_a_curve_is_its_single_radii_made_cumulative(crooked, kind):
    model = crooked().double().eval()
    x = torch.rand(40, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    y = model(x).argmax(1)
    radii = [0.1, 0.0, 0.02, 0.05, 0.3]
    curve = robustness_curve(model, x, y, quick, radii, threat=kind)
    assert curve.eps == tuple(sorted(radii))
    standing = torch.ones(40, dtype=torch.bool)
    for eps, share in zip(curve.eps, curve.accuracy, strict=True):
        standing &= robust_accuracy(model, x, y, quick, kind(eps)).correct
        assert torch.equal(share.correct, standing)
        assert share.threat == repr(kind(eps))
        assert share.attack == "pgd(steps=10)"
    assert curve.accuracy[0] == accuracy(model, x, y)
    assert curve.accuracy[0] > curve.accuracy[-1]


def test_a_curve_never_rises_even_for_an_erratic_attack(linear):
    model, x, y = linear(n=30)

    def erratic(model, x, y, *, threat):
        found = fgsm(model, x, y, threat=threat)
        return torch.where((threat.eps > 0.25).view(-1, 1, 1, 1), x, found)

    curve = robustness_curve(model, x, y, erratic, [0, 0.1, 0.2, 0.3, 0.4])
    shares = list(curve.accuracy)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[2] == shares[4]


@pytest.mark.parametrize(
    ("eps", "settings", "message"),
    [
        ([], {}, "eps: expected at least one radius, got none"),
        ([0.1, -0.1], {}, r"finite and >= 0, got -0\.1"),
        ([0.1, float("nan")], {}, "got nan"),
        (0.1, {}, r"eps: expected a sequence of radii such as \[0, 0.1\], got 0\.1"),
        ([0.1], {"threat": Linf(0.1)}, "expected a kind of threat"),
        ([0.1], {"threat": float}, "expected a kind of threat"),
        ([0.1], {"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_curves(linear, eps, settings, message):
    model, x, y = linear()
    with pytest.raises(ValueError, match=message):
        robustness_curve(model, x, y, quick, eps, **settings)


def test_a_curve_checks_its_images_first(linear):
    model, x, y = linear()
    for images in [x.numpy(), (x * 255).byte(), x.tolist(), x[:0]]:
        with pytest.raises(ValueError, match="x: expected"):
            robustness_curve(model, images, y, quick, [0.1])
    with pytest.raises(ValueError, match="y: expected"):
        robustness_curve(model, x, y[:-1], quick, [0.1])


def test_attacks_have_readable_names():
    assert attack_name(pgd) == "pgd"
    assert attack_name(partial(pgd, steps=5, threat=Linf(0.1))) == "pgd(steps=5)"
    assert attack_name(partial(pgd, threat=Linf(0.1))) == "pgd"
