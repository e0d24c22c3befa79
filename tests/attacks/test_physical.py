"""Painted scenes and pasted patches: known poses against slicing, what may change, seeds, and clear errors."""

import math
from functools import partial

import pytest
import torch
from conftest import draws
from readable import readable

from cs329t_robust import L2, Linf, Masked, Views, physical, place, share_seen_as, train_patch
from cs329t_robust.attacks.physical.eot import printed, total_variation
from cs329t_robust.attacks.physical.patches import Placements, outline
from cs329t_robust.losses import cross_entropy

BLACK_AND_WHITE = [(0, 0, 0), (1, 1, 1)]


def pictures(n=2, height=20, width=30, seed=0):
    return torch.rand(n, 3, height, width, generator=draws(seed), dtype=torch.float64)


def patch_of(side=6, seed=1):
    return torch.rand(3, side, side, generator=draws(seed), dtype=torch.float64)


def pixel_sums(shape=(3, 20, 30), classes=4, seed=0):
    """Make a linear model of pictures: logits are weighted sums of pixels."""
    weight = torch.randn(classes, *shape, generator=draws(seed), dtype=torch.float64)
    return lambda x: torch.einsum("nchw,kchw->nk", x, weight)


# ---- place


def test_pasting_at_a_whole_pixel_is_slicing():
    x, patch = pictures(), patch_of()
    expected = x.clone()
    expected[:, :, 5:11, 7:13] = patch
    torch.testing.assert_close(place(x, patch, centre=(10, 8)), expected, rtol=0, atol=1e-12)


def test_each_picture_has_its_own_pose():
    x, patch = pictures(), patch_of()
    expected = x.clone()
    expected[0, :, 5:11, 7:13] = patch
    expected[1, :, 9:15, 17:23] = (patch.rot90(1, (1, 2)) * 1.5).clamp(max=1)
    centre = torch.tensor([[10.0, 8.0], [20.0, 12.0]])
    found = place(x, patch, centre=centre, degrees=torch.tensor([0.0, 90.0]), light=torch.tensor([1.0, 1.5]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)  # the light comes as float32


def test_twice_the_size_shows_the_patch_enlarged():
    x, patch = torch.zeros(1, 3, 40, 40, dtype=torch.float64), torch.full((3, 6, 6), 0.7, dtype=torch.float64)
    found = place(x, patch, size=12)
    inside = torch.zeros_like(x)
    inside[:, :, 15:25, 15:25] = 0.7  # without the outermost row, where the edge is blurred
    torch.testing.assert_close(found[:, :, 15:25, 15:25], inside[:, :, 15:25, 15:25])
    assert found.sum().item() == pytest.approx(3 * 0.7 * 12 * 12)
    assert found[:, :, :13].abs().max() == 0


def test_a_corner_outside_the_picture_is_lost():
    x, patch = pictures(1), patch_of()
    expected = x.clone()
    expected[:, :, :3, :3] = patch[:, 3:, 3:]
    torch.testing.assert_close(place(x, patch, centre=(0, 0)), expected, rtol=0, atol=1e-12)


def test_a_round_patch_is_a_disc():
    side = 40
    disc = outline(side, "round")
    assert disc.float().mean().item() == pytest.approx(math.pi / 4, abs=0.01)
    assert torch.equal(disc, disc.flip(0))
    assert torch.equal(disc, disc.T)
    x, patch = pictures(1, 60, 60), torch.ones(3, side, side, dtype=torch.float64)
    found = place(x, patch, shape="round")
    changed = ((found - x).abs() > 1e-6).any(1)[0, 10:50, 10:50]
    assert torch.equal(changed, disc)


def test_turning_a_disc_of_one_colour_changes_nothing_but_its_edge():
    x, patch = torch.zeros(1, 3, 60, 60, dtype=torch.float64), torch.ones(3, 40, 40, dtype=torch.float64)
    gap = (place(x, patch, shape="round") - place(x, patch, shape="round", degrees=37)).abs()
    assert gap.sum() < 0.05 * 3 * math.pi * 20**2


def test_patch_picture_and_pose_have_gradients():
    x, patch = pictures().requires_grad_(), patch_of().requires_grad_()
    size = torch.tensor([7.3, 8.1], dtype=torch.float64, requires_grad=True)
    centre = torch.tensor([[10.2, 8.4], [20.3, 12.9]], dtype=torch.float64, requires_grad=True)
    place(x, patch, centre=centre, size=size, degrees=10).square().sum().backward()
    assert all(bool(leaf.grad.abs().sum() > 0) for leaf in (x, patch, size, centre))


def test_the_patchs_gradient_is_the_derivative():
    x, patch = pictures(), 0.2 + 0.6 * patch_of()
    pose = {"centre": (10.3, 8.9), "size": 9.0, "degrees": 20.0, "light": 0.9}
    assert torch.autograd.gradcheck(lambda p: place(x, p, **pose), patch.requires_grad_())


PLACE_ERRORS = [
    ({"size": 0}, "size: expected pixels > 0, got 0"),
    ({"size": torch.ones(3)}, r"size: expected a finite number or a tensor \(2,\), got shape \(3,\)"),
    ({"light": -0.5}, "light: expected a brightness >= 0"),
    ({"degrees": "ten"}, "degrees: expected a finite number"),
    ({"degrees": math.nan}, "degrees: expected a finite number"),
    ({"centre": 3}, r"centre: expected \(across, down\) in pixels"),
    ({"centre": torch.ones(2, 3)}, r"centre: expected \(across, down\) in pixels"),
    ({"shape": "star"}, 'shape: expected "square" or "round", got \'star\''),
    ({"patch": torch.rand(1, 6, 6)}, r"patch: expected shape \(3, side, side\)"),
    ({"patch": torch.rand(3, 6, 5)}, "patch: expected a square tensor"),
    ({"patch": torch.full((3, 6, 6), 255.0)}, r"patch: expected floats in \[0, 1\]"),
]


@pytest.mark.parametrize(("settings", "message"), PLACE_ERRORS, ids=lambda value: str(value)[:30])
def test_an_unusable_pose_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        place(pictures(), **({"patch": patch_of()} | settings))


# ---- train_patch


def test_a_patch_learns_the_colour_that_the_model_wants():
    def model(x):  # how red, how blue: logits of a colour detector
        return torch.stack([x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2))], 1) * 50

    x, y = pictures(6), torch.ones(6, dtype=torch.long)
    lands = Placements(size=(8, 12), shape="square", light=0.0)
    patch = train_patch(model, x, y, side=6, placements=lands, steps=60, targeted=True)
    assert patch[2].mean() > 0.95
    assert patch[0].mean() < 0.05
    away = train_patch(model, x, y, side=6, placements=lands, steps=60)
    assert away[0].mean() > 0.95 > 0.05 > away[2].mean()


def test_a_patch_follows_from_its_seed_and_leaves_everything_alone(crooked, untouched):
    snapshot, assert_same = untouched
    model, x = crooked((3, 12, 12)), pictures(4, 12, 12).float()
    y = torch.arange(4)
    train = partial(train_patch, model, x, y, side=5, placements=Placements(size=(4, 6)), steps=4)
    before, kept = snapshot(model), x.clone()
    one, same, other = train(seed=3), train(seed=3), train(seed=4)
    assert_same(before, snapshot(model))
    assert torch.equal(x, kept)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not one.requires_grad
    assert (one[:, ~outline(5, "round")] == 0.5).all()
    assert 0 <= one.min() <= one.max() <= 1
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(train(seed=3), one)


def test_placements_keep_the_patch_inside():
    x, patch = torch.zeros(64, 1, 50, 70), torch.ones(1, 10, 10)
    found = Placements(size=(12, 20), degrees=0, light=0, shape="square")(x, patch, draws())
    assert (found.sum((1, 2, 3)) > 12**2 - 1).all()
    assert len({round(v.item(), 3) for v in found.sum((1, 2, 3))}) > 32


def test_total_variation_makes_a_patch_smoother():
    model, x = pixel_sums((3, 16, 16)), pictures(4, 16, 16)
    y = torch.zeros(4, dtype=torch.long)
    train = partial(train_patch, model, x, y, side=10, placements=Placements(size=(8, 12)), steps=40)
    rough, smooth = (total_variation(train(tv=weight)[None], outline(10, "round")) for weight in (0.0, 100.0))
    assert smooth < 0.5 * rough


TRAIN_ERRORS = [
    ({"side": 0}, "side: expected a whole number >= 1"),
    ({"steps": 0}, "steps: expected a whole number >= 1"),
    ({"step_size": 0}, "step_size: expected a number"),
    ({"tv": -1}, "tv: expected a number >= 0"),
    ({"x": torch.rand(3, 20, 30)}, "add the missing dimension"),
]


@pytest.mark.parametrize(("settings", "message"), TRAIN_ERRORS, ids=lambda value: str(value)[:30])
def test_training_refuses_bad_settings(settings, message):
    given = {"x": pictures(), "y": torch.zeros(2, dtype=torch.long)} | settings
    with pytest.raises(ValueError, match=message):
        train_patch(pixel_sums(), **given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (20, 10)}, "size: expected a number >= 20"),
        ({"degrees": 200}, "degrees: expected"),
        ({"light": 2}, "light: expected"),
        ({"shape": "star"}, "shape: expected"),
    ],
)
def test_placements_refuse_bad_limits(settings, message):
    with pytest.raises(ValueError, match=message):
        Placements(**settings)


# ---- views


def test_the_middle_of_the_numbers_is_the_picture_itself():
    x = pictures(3)
    still = torch.full((3, 8), 0.5)
    torch.testing.assert_close(Views(40, 0.3, 5, 0.5)(x, still), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(Views()(x, torch.rand(3, 8, generator=draws())), x, rtol=0, atol=1e-12)


def test_views_at_their_limits_are_known_ones():
    x = pictures(1, 20, 20)
    numbers = torch.full((1, 8), 0.5)
    for at, views, expected in [
        (1, Views(degrees=90), x.rot90(1, (2, 3))),
        (2, Views(shift=4), torch.cat([x[..., :4].flip(3), x[..., :-4]], 3)),
        (3, Views(shift=4), torch.cat([x[..., :4, :].flip(2), x[..., :-4, :]], 2)),
        (4, Views(light=0.5), (1.5 * x).clamp(max=1)),
    ]:
        u = numbers.clone()
        u[0, at] = 1
        torch.testing.assert_close(views(x, u), expected, rtol=0, atol=1e-6)


def test_a_closer_view_enlarges_the_middle():
    x = torch.zeros(1, 1, 40, 40)
    x[..., 15:25, 15:25] = 1
    u = torch.full((1, 8), 0.5)
    u[0, 0] = 1
    assert Views(scale=0.5)(x, u).sum().item() == pytest.approx(15 * 15, rel=0.02)


@pytest.mark.parametrize("limits", [{"degrees": -1}, {"scale": 1}, {"shift": math.inf}, {"light": True}])
def test_views_refuse_bad_limits(limits):
    with pytest.raises(ValueError, match=f"{next(iter(limits))}: expected a number"):
        Views(**limits)


# ---- physical (what holds for every attack is in test_every_attack.py)


def test_glasses_reach_the_best_colours_of_a_linear_model_and_touch_nothing_else():
    model, x = pixel_sums(), pictures()
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[4:7, 3:25] = True
    y = torch.tensor([1, 2])
    found = physical(model, x, y, threat=Masked(Linf(1.0), mask), targeted=True, steps=60)
    assert torch.equal(found[:, :, ~mask], x[:, :, ~mask])
    assert (cross_entropy(model(found), y) < cross_entropy(model(x), y)).all()
    assert torch.equal(model(found).argmax(1), y)


def test_the_average_over_views_is_what_is_climbed():
    """In each of two views half of the pixels is lit; only paint on both halves works in both."""

    def halves(x, numbers):
        left = torch.arange(x.shape[3]) < x.shape[3] // 2
        return x * torch.where((numbers[:, 0] < 0.5).view(-1, 1, 1, 1), left, ~left)

    def bright(x):  # dark or bright
        return torch.stack([torch.zeros_like(x[:, 0, 0, 0]), x.mean((1, 2, 3)) - 0.3], 1) * 40

    x, y = torch.zeros(1, 3, 8, 8), torch.tensor([1])
    found = physical(bright, x, y, threat=Linf(1.0), views=halves, samples=6, steps=40, targeted=True)
    assert found.min() > 0.9
    assert share_seen_as(bright, found, y, views=halves).item() == 1
    half = found * (torch.arange(8) < 4)
    assert 0.3 < share_seen_as(bright, half, y, views=halves).item() < 0.7


def test_a_palette_is_kept_to_and_total_variation_smooths():
    model, x, y = pixel_sums(), pictures(), torch.tensor([1, 2])
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[4:12, 3:25] = True
    paint = partial(physical, model, x, y, threat=Masked(Linf(1.0), mask), targeted=True, steps=40)
    found = paint(palette=BLACK_AND_WHITE)
    colours = found[:, :, mask].permute(0, 2, 1).reshape(-1, 3)
    assert ((colours == 0).all(1) | (colours == 1).all(1)).all()
    assert torch.equal(found[:, :, ~mask], x[:, :, ~mask])
    rough, smooth = (total_variation(paint(tv=weight), mask) for weight in (0.0, 1e4))
    assert (smooth < 0.5 * rough).all()


def test_views_are_seeded_and_held_out_ones_are_others():
    met = []

    def watched(x, numbers):
        met.append(numbers.clone())
        return x

    model, x, y = pixel_sums(), pictures(), torch.tensor([1, 2])
    physical(model, x, y, threat=Linf(0.1), views=watched, steps=3, samples=2)
    assert [tuple(numbers.shape) for numbers in met] == [(4, 8)] * 3
    assert len({round(value.item(), 6) for numbers in met for value in numbers.flatten()}) == 3 * 4 * 8
    first, met[:] = met[0], []
    physical(model, x, y, threat=Linf(0.1), views=watched, steps=1, samples=2)
    assert torch.equal(met[0], first)
    share_seen_as(model, x, y, views=watched, samples=3)
    assert not torch.isin(torch.cat(met[1:]), first).any()


def test_total_variation_counts_pairs_inside_the_mask_alone():
    x = torch.zeros(1, 1, 4, 4)
    x[..., 2:] = 1
    whole, left = torch.ones(4, 4, dtype=torch.bool), torch.arange(4) < 2
    assert total_variation(x, whole).item() == pytest.approx(4 / 24)
    assert total_variation(x, left.expand(4, 4)).item() == 0
    assert total_variation(x, torch.zeros(4, 4, dtype=torch.bool)).item() == 0


def test_printing_takes_the_nearest_colour():
    x = torch.tensor([[0.9, 0.1, 0.2], [0.4, 0.6, 0.7]]).T.view(1, 3, 1, 2)
    colours = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5]])
    found = printed(x, colours, torch.tensor([[True, True]]))
    torch.testing.assert_close(found[0, :, 0].T, colours[[0, 2]])
    assert torch.equal(printed(x, colours, torch.tensor([[True, False]]))[..., 1], x[..., 1])


PHYSICAL_ERRORS = [
    ({"samples": 0}, "samples: expected a whole number >= 1"),
    ({"steps": -1}, "steps: expected a whole number >= 0"),
    ({"momentum": 2}, "momentum: expected a number from 0 to 1"),
    ({"tv": -1}, "tv: expected a number >= 0"),
    ({"step_size": 0}, "step_size: expected a number"),
    ({"palette": [(0, 0)]}, "palette: expected colours of 3 numbers each"),
    ({"palette": [(0, 0, 255)]}, r"palette: expected colours in \[0, 1\]"),
    ({"palette": BLACK_AND_WHITE, "threat": Linf(0.5)}, "palette: expected an L∞ threat of radius 1"),
    ({"palette": BLACK_AND_WHITE, "threat": L2(1.0)}, "palette: expected an L∞ threat of radius 1"),
    ({"views": lambda x, numbers: x[:1]}, "views: expected one picture for each of 8 pictures"),
    ({"views": lambda x, numbers: None}, "views: expected one picture for each of 8 pictures"),
]


@pytest.mark.parametrize(("settings", "message"), PHYSICAL_ERRORS, ids=lambda value: readable(value)[:40])
def test_physical_refuses_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        physical(pixel_sums(), pictures(), torch.tensor([1, 2]), **({"threat": Linf(1.0)} | settings))
