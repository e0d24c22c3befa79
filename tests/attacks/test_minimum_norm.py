"""DeepFool and FMN: the nearest adversarial example, against closed forms and against their contract."""

from functools import partial

import pytest
import torch

from cs329t_robust import L2, Linf, apgd, deepfool, fmn, robust_accuracy

ATTACKS = {"deepfool": deepfool, "fmn": fmn}
BALLS = {"L2": L2(0.0), "Linf": Linf(0.0)}
ORDER = {"L2": 2, "Linf": torch.inf}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
each_norm = pytest.mark.parametrize("norm", BALLS)


@each_attack
@each_norm
@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_linear_models_nearest_point_is_found_within_three_percent_and_never_beaten(
    linear, attack, norm, classes, dtype
):
    model, x, y = linear((3, 4, 5), n=60, classes=classes, dtype=dtype, seed=2)
    nearest = model.distance(x, y, ORDER[norm])
    keep = nearest < (0.9 if norm == "L2" else 0.3)  # so that the box does not bind
    x, y, nearest = x[keep], y[keep], nearest[keep]
    assert len(x) > 8
    x_adv = attack(model, x, y, norm=norm)
    assert (model(x_adv).argmax(1) != y).all()
    found = BALLS[norm].distance(x, x_adv)
    assert (found >= nearest * (1 - 1e-4)).all()
    slack = 1.03 if attack is deepfool else 1.01  # DeepFool's published overshoot is 2%
    assert (found.median() / nearest.median()) <= slack
    assert (found <= nearest * (slack + 0.02) + 5e-4).all()


@each_attack
@each_norm
def test_an_image_that_is_already_wrong_comes_back_unchanged(crooked, attack, norm):
    model = crooked()
    x = torch.rand(6, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = (model.eval()(x).argmax(1) + 1) % 5
    assert torch.equal(attack(model, x, y, norm=norm), x)


@each_attack
@each_norm
def test_the_model_and_the_random_state_are_left_alone(crooked, untouched, attack, norm):
    snapshot, assert_same = untouched
    model = crooked()
    x = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(1))
    y = torch.zeros(5, dtype=torch.long)
    given, before = x.clone(), snapshot(model)
    with torch.inference_mode():
        x_adv = attack(model, x, y, norm=norm, steps=5)
    assert_same(before, snapshot(model))
    assert torch.equal(x, given)
    assert not x_adv.requires_grad
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    model.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        attack(model, x, y, norm=norm, steps=5)
    model.fails = None
    assert_same(before, snapshot(model))


@each_attack
@each_norm
def test_a_batch_is_its_images_one_by_one(digits, attack, norm):
    model, x, y = digits
    together = attack(model, x[:12], y[:12], norm=norm, steps=12)
    alone = torch.cat([attack(model, x[i : i + 1], y[i : i + 1], norm=norm, steps=12) for i in range(12)])
    distance = BALLS[norm].distance
    torch.testing.assert_close(distance(x[:12], together), distance(x[:12], alone), rtol=0.02, atol=1e-3)


@each_norm
def test_on_digits_everything_falls_and_fmn_is_nearer_than_deepfool(digits, norm):
    model, x, y = digits
    results = {name: attack(model, x, y, norm=norm) for name, attack in ATTACKS.items()}
    with torch.no_grad():
        right = model(x).argmax(1) == y
        assert all((model(x_adv).argmax(1) != y).all() for x_adv in results.values())
    median = {name: BALLS[norm].distance(x, x_adv)[right].median() for name, x_adv in results.items()}
    assert median["fmn"] < median["deepfool"]


@each_norm
def test_fmn_agrees_with_pgd_about_who_falls_at_a_radius(digits, norm):
    """A minimum-norm attack and a budgeted one are two roads to the same verdicts."""
    model, x, y = digits
    ball = type(BALLS[norm])
    distance = BALLS[norm].distance(x, fmn(model, x, y, norm=norm))
    eps = distance.median().item()
    robust = robust_accuracy(model, x, y, partial(apgd, drop_adversarial=True), ball(eps)).correct
    clear = (distance / eps - 1).abs() > 0.05  # the two searches may differ by a few per cent of a radius
    assert clear.float().mean() > 0.7
    assert ((distance > eps) == robust)[clear].float().mean() > 0.97


def test_targeted_fmn_reaches_its_target(digits):
    model, x, y = digits
    target = (y[:20] + 1) % 10
    x_adv = fmn(model, x[:20], target, targeted=True)
    assert (model(x_adv).argmax(1) == target).all()


@pytest.mark.parametrize(
    ("attack", "settings", "message"),
    [
        (deepfool, {"norm": "L1"}, "norm: expected 'L2' or 'Linf', got 'L1'"),
        (deepfool, {"steps": 0}, "steps: expected a whole number >= 1, got 0"),
        (deepfool, {"candidates": 1}, "candidates: expected a whole number >= 2, got 1"),
        (deepfool, {"overshoot": -1}, "overshoot: expected a number >= 0, got -1"),
        (fmn, {"norm": "L3"}, "norm: expected one of L2, Linf, L1, L0, got 'L3'"),
        (fmn, {"steps": -2}, "steps: expected a whole number >= 1, got -2"),
        (fmn, {"step_size": 0}, "step_size: expected a number > 0, got 0"),
        (partial(apgd, threat=Linf(0.1)), {"steps": 0}, "steps: expected a whole number >= 1, got 0"),
    ],
)
def test_bad_settings_are_refused_by_name(linear, attack, settings, message):
    model, x, y = linear()
    with pytest.raises(ValueError, match=message):
        attack(model, x, y, **settings)
