"""L1, L0, masks and poses: against their definitions and against torchvision."""

from functools import partial

import pytest
import torch
from torchvision.transforms.functional import InterpolationMode, affine

from cs329t_robust import (
    L0,
    L1,
    L2,
    Linf,
    Masked,
    Spatial,
    apgd,
    autoattack,
    fgsm,
    fmn,
    losses,
    pgd,
    robust_accuracy,
    robustness_curve,
)
from cs329t_robust.evaluation.accuracy import check_member
from cs329t_robust.losses import unsaturated
from cs329t_robust.runtime.randomness import ImageRandom
from cs329t_robust.threat import warp


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_l0_counts_places_and_keeps_the_most_useful():
    x = torch.full((1, 3, 2, 2), 0.5)
    moved = x.clone()
    moved[0, :, 0, 0] = torch.tensor([0.6, 0.4, 0.5])
    moved[0, 1, 1, 1] = 2.0  # clipped to 1
    moved[0, 2, 0, 1] = 0.51
    assert L0(9).distance(x, moved).item() == 3
    kept = L0(1).project(x, moved)
    assert kept[0, 1, 1, 1] == 1
    assert L0(9).distance(x, kept).item() == 1
    assert torch.equal(L0(0).project(x, moved), x)
    with pytest.raises(ValueError, match=r"L0: expected a whole number of pixels, got 1\.5"):
        L0(1.5)


@pytest.mark.parametrize("kind", [L1, L0])
def test_a_linear_model_falls_to_one_step_of_the_exact_size_and_to_none_smaller(linear, kind):
    model, x, y = linear((1, 3, 4), n=40, classes=2, seed=3)
    with torch.no_grad():
        gap = (model(x).gather(1, y[:, None]) - model(x).gather(1, 1 - y[:, None])).squeeze(1)
    slope = model.weight[1 - y] - model.weight[y]
    room = torch.where(slope > 0, 1 - x.flatten(1), x.flatten(1))
    cost, order = (slope.abs() if kind is L1 else slope.abs() * room).sort(1, descending=True)
    gain = cost * room.gather(1, order) if kind is L1 else cost
    needed = gain.detach().cumsum(1)
    full = (needed < gap[:, None]).sum(1)  # pixels that must go all the way
    before = torch.cat([torch.zeros_like(gap)[:, None], needed], 1).gather(1, full[:, None]).squeeze(1)
    keep = full < 12
    if kind is L1:
        spent = (
            (room.gather(1, order).cumsum(1) - room.gather(1, order)).gather(1, full.clamp(max=11)[:, None]).squeeze(1)
        )
        size = (spent + (gap - before) / cost.gather(1, full.clamp(max=11)[:, None]).squeeze(1)).detach()
        above, below = size * 1.001, size * 0.999
    else:
        above, below = full + 1.0, full.double()
    assert keep.float().mean() > 0.5
    falls = lambda eps: (model(fgsm(model, x, y, threat=kind(eps.double()))).argmax(1) != y)[keep]  # noqa: E731
    assert falls(above).all()
    assert not falls(below).any()


@pytest.mark.parametrize("norm", ["L1", "L0"])
def test_fmn_finds_the_closed_form_in_l1_and_whole_pixels_in_l0(linear, norm):
    model, x, y = linear((1, 3, 4), n=30, classes=2, seed=3)
    x_adv = fmn(model, x, y, norm=norm)
    kind = {"L1": L1, "L0": L0}[norm]
    found = kind(0).distance(x, x_adv)
    assert (model(x_adv).argmax(1) != y).all()
    below = kind(found * 0.97 if norm == "L1" else (found - 1).clamp_min(0))
    assert not (model(fgsm(model, x, y, threat=below)).argmax(1) != y).any()


def test_a_mask_is_never_left_and_its_members_are_checked(digits):
    model, x, y = digits
    x, y = x[:50], y[:50]
    mask = torch.zeros(28, 28)
    mask[10:18, 10:18] = 1
    for inner in [Linf(0.9), L2(3.0), L1(20.0), L0(20)]:
        threat = Masked(inner, mask)
        x_adv = pgd(model, x, y, threat=threat, steps=10)
        check_member(x, x_adv, threat)
        assert torch.equal(x_adv * (1 - mask), x * (1 - mask))
        assert (x_adv != x).flatten(1).any(1).all()
        assert (model(x_adv).argmax(1) == y).sum() < (model(x).argmax(1) == y).sum()
    outside = x.clone()
    outside[0, 0, 0, 0] = 0.001
    with pytest.raises(ValueError, match="got 1 of 50 outside: the worst is inf away"):
        check_member(x, outside, Masked(Linf(1.0), mask))
    curve = robustness_curve(model, x, y, pgd, [0.0, 0.3, 0.9], threat=Masked(Linf(0.0), mask))
    assert curve.accuracy[0] > curve.accuracy[2]


def test_each_image_may_have_its_own_mask(digits):
    model, x, y = digits
    mask = draw(6, 1, 28, 28) > 0.7
    threat = Masked(Linf(torch.full((6,), 0.5)), mask)
    x_adv = pgd(model, x[:6], y[:6], threat=threat, steps=3)
    assert not ((x_adv != x[:6]) & ~mask).any()
    rows = torch.tensor([4, 1])
    alone = pgd(model, x[rows], y[rows], threat=threat.select(rows), steps=3)
    torch.testing.assert_close(alone, x_adv[rows])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Masked(0.1, torch.ones(2, 2)), "Masked: expected a threat"),
        (lambda: Masked(Linf(0.1), torch.full((2, 2), 0.5)), "mask of 0 and 1"),
        (lambda: Masked(Linf(0.1), torch.ones(3)), r"expected a mask \(h, w\).*got \(3,\)"),
        (lambda: Masked(Linf(0.1), [[1]]), "got list"),
        (lambda: Spatial(-1, 0), "degrees as a number from 0 to 180, got -1"),
        (lambda: Spatial(10, float("nan")), "pixels as a number from 0 to inf, got nan"),
        (lambda: Spatial(True, 1), "degrees as a number .* got True"),
        (lambda: Spatial("30", 1), "got '30'"),
    ],
)
def test_bad_masks_and_limits(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 33)])
def test_poses_are_torchvisions(shape):
    x = draw(2, *shape).float()
    ours = warp(x, torch.tensor([20.0, 2.0, 3.0]))
    theirs = affine(x, angle=-20, translate=[2, 3], scale=1.0, shear=[0.0], interpolation=InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    shifted = warp(x, torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(shifted[..., 1:], x[..., :-1], rtol=0, atol=1e-4)


def test_poses_are_recognised_and_repainted_images_are_not(digits):
    _, x, _ = digits
    threat = Spatial(30, 3)
    x = x[:60]
    poses = threat.sample(x, ImageRandom(3, x))
    check_member(x, poses, threat)
    with pytest.raises(ValueError, match="got 60 of 60 outside"):
        check_member(x, (poses + 0.1 * draw(*x.shape).float()).clamp(0, 1), threat)
    beyond = warp(x, torch.tensor([45.0, 0.0, 0.0]))
    assert (threat.distance(x, beyond) > threat.eps).float().mean() > 0.9


def test_the_standard_ensemble_is_no_weaker_than_the_fast_one_and_both_beat_pgd(digits):
    model, x, y = digits
    x, y, threat = x[:20], y[:20], Linf(0.06)
    standard, fast = (
        robust_accuracy(model, x, y, partial(autoattack, version=version), threat) for version in ("standard", "fast")
    )
    assert standard <= fast <= robust_accuracy(model, x, y, pgd, threat)
    assert 0 < standard < 1


class Quantised(torch.nn.Module):
    """A defence that only hides its gradient: every pixel is rounded to four levels."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x + ((3 * x).round() / 3 - x).detach() - (x - x.detach()) * (1 - 1e-12))


def test_square_sees_through_a_hidden_gradient(digits):
    model, x, y = digits
    x, y, threat = x[:30], y[:30], Linf(0.2)
    hidden = Quantised(model)
    by_pgd = robust_accuracy(hidden, x, y, pgd, threat)
    by_fast = robust_accuracy(hidden, x, y, partial(autoattack, version="fast"), threat)
    assert by_fast < by_pgd


def test_a_saturated_model_is_climbed_by_the_dlr(digits):
    """Logits times 100 classify as before, but their cross-entropy is 0, and flat, wherever the answer is right."""
    model, x, y = digits
    x, y, threat = x[:40], y[:40], Linf(0.1)
    steep, attack = (lambda x: 100 * model(x)), partial(apgd, steps=20, drop_adversarial=True)
    by_cross_entropy = robust_accuracy(steep, x, y, attack, threat)
    by_both = robust_accuracy(steep, x, y, partial(attack, loss=unsaturated), threat)
    assert by_both < by_cross_entropy
    assert by_both <= robust_accuracy(model, x, y, attack, threat) + 0.05


def test_the_dlr_steps_in_only_where_cross_entropy_is_zero():
    logits = torch.tensor([[3.0, 1.0, 0.0], [1.0, 3.0, 0.0], [300.0, 100.0, 0.0], [300.0, 200.0, 0.0]])
    y = torch.zeros(4, dtype=torch.long)
    loss = unsaturated(logits, y)
    assert loss[:2].equal(losses.cross_entropy(logits[:2], y[:2]))
    torch.testing.assert_close(loss[2:], torch.tensor([-2 / 3, -1 / 3]))
    assert loss[2:].max() < loss[:2].min()  # so that no climb turns back into the plateau
