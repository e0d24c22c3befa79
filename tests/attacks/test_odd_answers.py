"""Answers that no model should give, half precision, and what cannot be meant: never taken for robustness."""

from collections import Counter
from functools import partial

import pytest
import torch
from odd_models import MINIMUM, draws, made
from readable import readable
from torch import nn

from cs329t_robust import (
    L0,
    L1,
    L2,
    Linf,
    Masked,
    Spatial,
    apgd,
    attacks,
    cw,
    deepfool,
    fmn,
    pgd,
    robust_accuracy,
    robustness_curve,
    share_seen_as,
    sparse_rs,
    spatial,
    square,
    train_patch,
)
from cs329t_robust.attacks.engine import batches
from cs329t_robust.attacks.physical.patches import Placements
from cs329t_robust.losses import dlr, targeted_dlr
from cs329t_robust.models import networks
from cs329t_robust.threat import Ball


def certain(images):
    """Return logits that say class 1, without any doubt, from a mean of 0.5 on."""
    bright = images.flatten(1).mean(1)
    logits = torch.stack([0.6 - bright, bright - 0.45], 1)
    return logits.masked_fill((bright > 0.5)[:, None] & (torch.arange(2) == 1), torch.inf)


@pytest.mark.parametrize("attack", MINIMUM, ids=readable)
def test_a_model_that_becomes_certain_is_past_the_boundary(attack):
    x = torch.full((3, 1, 4, 4), 0.49)
    found = attack(certain, x, torch.zeros(3, dtype=torch.long))
    assert (certain(found).argmax(1) == 1).all()
    assert float((found - x).abs().max()) < 0.041


def test_a_pose_whose_loss_is_no_number_hides_no_success():
    def model(images):  # upright: certain of both; turned to the left: class 1
        left, right = images[..., :4].mean((1, 2, 3)), images[..., 4:].mean((1, 2, 3))
        both = torch.stack([torch.zeros_like(left), torch.ones_like(left)], 1)
        return torch.where((left > right)[:, None], both, torch.tensor([torch.inf, torch.inf]))

    x = torch.zeros(1, 1, 8, 8)
    x[..., 5] = 1
    found = spatial(model, x, torch.tensor([0]), threat=Spatial(0, 4), angles=1, shifts=9)
    assert model(found).argmax(1).tolist() == [1]


@pytest.mark.parametrize(
    "attack",
    [
        partial(square, threat=Linf(0.1), queries=1),
        partial(square, threat=L2(0.5), queries=5),
        partial(sparse_rs, threat=L0(3), queries=1),
        partial(spatial, threat=Spatial(10, 1), angles=1, shifts=3),
    ],
    ids=readable,
)
def test_an_answer_that_is_no_number_is_never_taken_for_robustness_without_gradients(attack):
    model, x, y = made()
    clean = x.clone()

    def later(images):
        moved = (images != clean[: len(images)]).flatten(1).any(1) if len(images) == len(x) else torch.ones(len(images))
        return model(images).masked_fill(moved.bool()[:, None], torch.nan)

    with pytest.raises(ValueError, match="NaN"):
        attack(later, x, y)


@pytest.mark.parametrize("attack", [fmn, cw, deepfool, partial(square, threat=Linf(0.1))], ids=readable)
def test_an_image_that_a_tie_decides_against_its_label_comes_back_unchanged(attack):
    model = networks.LinearModel(torch.randn(4, 64, generator=draws()) / 8, torch.ones(4))
    black = torch.zeros(2, 1, 8, 8)  # all four logits tie there, and the first is the answer
    assert torch.equal(attack(model, black, torch.tensor([3, 1])), black)


def test_transfer_returns_an_attempt_also_where_the_victim_rules_the_target_out():
    model, x, y = made()
    deaf = lambda images: model(images).masked_fill(torch.arange(10) == 3, -torch.inf)  # noqa: E731
    found = attacks.transfer(deaf, x, torch.full_like(y, 3), surrogates=[model], threat=Linf(0.1), targeted=True)
    assert (found != x).flatten(1).any(1).all()


@pytest.mark.parametrize("attack", [cw, fmn, deepfool, partial(attacks.penalty, steps=5)], ids=readable)
def test_pixels_without_a_slope_stay_in_half_precision(attack):
    model = networks.LinearModel(torch.eye(2, 16).half())
    x = torch.full((1, 1, 4, 4), 0.5, dtype=torch.float16)
    x[0, 0, 0, 0] = 0.6
    found = attack(model, x, torch.tensor([0]))
    assert found.dtype == torch.float16
    assert torch.equal(found.flatten()[2:], x.flatten()[2:])
    assert attack.func is attacks.penalty if isinstance(attack, partial) else int(model(found).argmax(1)) == 1


def test_a_patch_is_trained_in_half_precision_and_only_where_it_fits():
    model, x, y = made(shape=(3, 12, 12))
    half = lambda images: model(images.float())  # noqa: E731
    patch = train_patch(half, x.half(), y, side=5, placements=Placements((4, 6)), steps=3)
    assert patch.dtype == torch.float16
    with pytest.raises(ValueError, match=r"size: expected a patch that fits into pictures \(12, 12\), got up to 100"):
        train_patch(model, x, y, side=5, steps=1)


def test_cw_never_runs_out_of_numbers_for_c():
    x = torch.full((2, 1, 4, 4), 0.5)
    flat = lambda images: torch.tensor([2.0, 0]) + 1e-3 * images.flatten(1)[:, :2]  # noqa: E731
    assert torch.isfinite(cw(flat, x, torch.tensor([0, 0]), searches=45, steps=2)).all()


def test_ratios_of_logits_that_tie_in_half_precision():
    logits = torch.zeros(2, 3, dtype=torch.float16)
    labels = torch.tensor([0, 1])
    assert dlr(logits, labels).tolist() == [0, 0]
    assert targeted_dlr(logits, labels, 1 - labels).tolist() == [0, 0]


@pytest.mark.parametrize("threat", [Linf(1.0), L2(2.0), L1(10.0)], ids=repr)
def test_square_asks_where_the_mask_is(threat):
    """Drawn over the whole picture, nine of ten proposals would be the image that stands already."""
    mask = torch.zeros(1, 1, 28, 28, dtype=torch.bool)
    mask[..., 20:24, 3:7] = True
    seen = []

    def stubborn(images):
        seen.append(tuple(images.flatten().tolist()))
        return torch.tensor([1.0, 0]).expand(len(images), 2) - images[:, :1, 20, 3] / 100

    x = torch.full((1, 1, 28, 28), 0.5)
    square(stubborn, x, torch.tensor([0]), threat=Masked(threat, mask), queries=200, share=0.02)
    assert Counter(seen).most_common(1)[0][1] < 110, "a square of one pixel repeats its sign half of the time"
    assert len(set(seen)) >= 20


def test_a_model_that_squeezes_the_batch_away_is_told_at_the_last_image():
    model, x, y = made(n=6)
    squeezing = lambda images: model(images).squeeze()  # noqa: E731
    left = iter([6, 6, 1, 1, 1, 1])  # images that stay, as if the others had left

    def leaving(images):
        return squeezing(images[: next(left)])

    for attack in (pgd, apgd, square):
        with pytest.raises(ValueError, match=r"model: expected logits of shape \(1, k\)"):
            attack(squeezing, x[:1], y[:1], threat=Linf(0.2))
    with pytest.raises(ValueError, match="model: expected logits of shape"):
        pgd(leaving, x, y, threat=Linf(0.2))


def test_a_number_for_each_image_is_as_long_as_the_batch_also_in_parts(monkeypatch):
    monkeypatch.setitem(batches.AT_ONCE, "cpu", 3 * 8 * 8 * 6)
    model, x, y = made()
    with pytest.raises(ValueError, match=r"step_size: expected a number or a tensor \(12,\), got shape \(6,\)"):
        pgd(model, x, y, threat=Linf(0.1), steps=2, step_size=torch.full((6,), 0.01))
    assert pgd(model, x, y, threat=Linf(0.1), steps=2, step_size=torch.full((12,), 0.01)).shape == x.shape


def test_weights_made_in_inference_mode():
    with torch.inference_mode():
        model = networks.SmallCNN(seed=0)
    x, y = torch.rand(2, 1, 28, 28, generator=draws()), torch.tensor([0, 1])
    for attack in (partial(pgd, threat=Linf(0.1)), deepfool):
        with pytest.raises(ValueError, match="model: expected weights that autograd can follow"):
            attack(model, x, y)


def test_an_attack_that_takes_no_threat_is_refused_where_one_is_measured():
    model, x, y = made()
    with pytest.raises(ValueError, match=r"attack: expected one that takes threat=..., .* got cw\(steps=3\)"):
        robust_accuracy(model, x, y, partial(cw, steps=3), L2(0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linf(10**400), "Linf: expected eps finite"),
        (lambda: Spatial(10**400, 1), "Spatial: expected degrees"),
        (lambda: pgd(*made(), threat=Linf(0.1), momentum=10**400), "momentum: expected a number from 0 to 1"),
        (lambda: robustness_curve(*made(), pgd, [0.1], threat=Ball), "threat: expected a kind of threat"),
        (lambda: robustness_curve(*made(), pgd, [torch.tensor([0.1, 0.2])]), "eps: expected a sequence of radii"),
        (lambda: share_seen_as(*made(), views="turned"), "views: expected a function"),
        (lambda: pgd(made()[0].forward, *(made()[1].double(), made()[2]), threat=Linf(0.1)), "one device and dtype"),
    ],
)
def test_more_that_cannot_be_meant(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (networks.Normalize((0.5,) * 3, (0.5,) * 3), (2, 4, 8, 8)),
        (nn.BatchNorm2d(3), (2, 1, 8, 8)),
        (nn.MaxPool2d(16), (2, 3, 8, 8)),
        (nn.LayerNorm((3, 8, 8)), (2, 3, 9, 9)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_images_that_do_not_fit_the_first_layer_are_named(layer, shape):
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"model and x: expected images .* got shape \(2,"):
        pgd(model, torch.rand(shape, generator=draws()), torch.tensor([0, 1]), threat=Linf(0.1))
