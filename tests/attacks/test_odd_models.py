"""Models, masks and settings that are legal but unusual, each of which an attack once got wrong or let through."""

from functools import partial

import pytest
import torch
from odd_models import MINIMUM, draws, made
from readable import readable
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cs329t_robust import (
    L0,
    L1,
    L2,
    Linf,
    Masked,
    Spatial,
    Views,
    apgd,
    apgd_t,
    attacks,
    autoattack,
    cw,
    deepfool,
    fab_t,
    fmn,
    pgd,
    physical,
    place,
    robust_accuracy,
    robustness_curve,
    share_seen_as,
    sparse_rs,
    spatial,
    train_patch,
)
from cs329t_robust.attacks.autoattack import fast
from cs329t_robust.attacks.engine import batches
from cs329t_robust.attacks.physical.patches import Placements
from cs329t_robust.attacks.sparse_rs import _schedule
from cs329t_robust.certification import attacked
from cs329t_robust.losses import dlr, targeted_dlr
from cs329t_robust.models import networks
from cs329t_robust.threat import warp
from cs329t_robust.threat.projections import onto_hyperplane

WITH_A_GRADIENT = [
    partial(pgd, threat=Linf(0.05)),
    partial(apgd_t, threat=Linf(0.05), steps=5),
    partial(fab_t, threat=L2(0.5), steps=5),
    partial(autoattack, threat=Linf(0.01), version="fast"),
    deepfool,
    fmn,
]


@pytest.mark.parametrize("norm", ["L2", "Linf"])
@pytest.mark.parametrize("attack", [fmn, deepfool])
def test_the_nearest_of_many_boundaries_is_found_to_one_percent(attack, norm):
    """The class with the second largest logit is not the nearest: fmn once came back a third too far away."""
    weight = torch.randn(10, 3072, generator=draws()) / 3072**0.5
    model = networks.LinearModel(weight, torch.randn(10, generator=draws(1)) / 10)
    x = 0.2 + 0.6 * torch.rand(64, 3, 32, 32, generator=draws(2))
    y = model(x).argmax(1)
    p = 2 if norm == "L2" else torch.inf
    found = attack(model, x, y, norm=norm)
    ratio = (found - x).flatten(1).norm(dim=1, p=p) / model.distance(x, y, p)
    assert (model(found).argmax(1) != y).all()
    assert 1 - 1e-4 <= ratio.min() <= ratio.max() <= 1.012
    assert ratio.median() <= 1.002


def test_cw_is_near_the_nearest():
    weight = torch.randn(5, 784, generator=draws()) / 28
    model = networks.LinearModel(weight, torch.randn(5, generator=draws(1)) / 10)
    x = 0.2 + 0.6 * torch.rand(40, 1, 28, 28, generator=draws(2))
    y = model(x).argmax(1)
    ratio = (cw(model, x, y) - x).flatten(1).norm(dim=1) / model.distance(x, y, 2)
    assert ratio.median() <= 1.003
    assert ratio.quantile(0.8) <= 1.01


@pytest.mark.parametrize("attack", MINIMUM, ids=readable)
@pytest.mark.parametrize(
    "change",
    [
        lambda z: z * 1e-4,
        lambda z: z + 100,
        lambda z: z.masked_fill(torch.arange(10) == 9, -1e9),
        lambda z: z.masked_fill(torch.arange(10) == 9, -torch.inf),
    ],
    ids=["scaled", "shifted", "masked", "ruled out"],
)
def test_a_distance_does_not_hang_on_the_scale_of_the_logits_or_on_classes_that_are_ruled_out(attack, change):
    model, x, _ = made()
    rest = lambda images: model(images).masked_fill(torch.arange(10) == 9, -30.0)  # noqa: E731
    y = rest(x).argmax(1)
    far = [(attack(one, x, y) - x).flatten(1).norm(dim=1) for one in (rest, lambda images: change(rest(images)))]
    assert (change(rest(attack(lambda images: change(rest(images)), x, y))).argmax(1) != y).all()
    assert far[1].median() <= far[0].median() * (1.25 if attack is cw else 1.01)


@pytest.mark.parametrize("attack", MINIMUM, ids=readable)
def test_where_the_true_class_is_ruled_out_is_past_the_boundary(attack):
    """A model that rules class 0 out at a mean above 0.5, as one that refuses an input by rule does."""
    x, y = torch.full((3, 1, 4, 4), 0.49), torch.zeros(3, dtype=torch.long)

    def model(images):
        bright = images.flatten(1).mean(1)
        logits = torch.stack([0.6 - bright, bright - 0.45], 1)
        return logits.masked_fill((bright > 0.5)[:, None] & (torch.arange(2) == 0), -torch.inf)

    found = attack(model, x, y)
    assert (model(found).argmax(1) == 1).all()
    far = (found - x).abs().amax((1, 2, 3))
    assert float(far.max()) < 0.0101 * (4 if attack is cw else 1)


def test_deepfool_leaves_an_image_that_is_wrong_by_a_hair_alone_in_any_batch():
    model = networks.LinearModel(torch.randn(4, 64, generator=draws()) / 8, torch.ones(4))
    black, x = torch.zeros(1, 1, 8, 8), torch.rand(200, 1, 8, 8, generator=draws(1))
    label = torch.tensor([3])  # all four logits tie there, and the first is the answer
    for found in (
        deepfool(model, black, label),
        deepfool(model, torch.cat([black, x]), torch.cat([label, model(x).argmax(1)])),
    ):
        assert torch.equal(found[:1], black)


@pytest.mark.parametrize("attack", [a for a in WITH_A_GRADIENT if a not in (deepfool, fmn)], ids=readable)
def test_a_class_that_is_ruled_out_is_no_target(attack):
    model, x, _ = made()
    ruled = lambda images: model(images).masked_fill(torch.arange(10) >= 2, -torch.inf)  # noqa: E731
    y = ruled(x).argmax(1)
    assert attack(ruled, x, y).isfinite().all()
    logits = torch.tensor([[1.0, 0.0, -torch.inf, -torch.inf]], requires_grad=True)
    worth = targeted_dlr(logits, torch.tensor([0]), torch.tensor([1])) + dlr(logits, torch.tensor([0]))
    (slope,) = torch.autograd.grad(worth.sum(), logits)
    assert worth.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("attack", [*WITH_A_GRADIENT, partial(physical, threat=Linf(0.05))], ids=readable)
def test_a_model_with_weights_that_detaches_its_images_is_told(attack):
    model, x, y = made()
    with pytest.raises(ValueError, match="depend on x through autograd"):
        attack(lambda images: model(images.detach()), x, y)


def test_a_patch_is_not_trained_on_a_model_that_detaches():
    model, x, y = made()
    with pytest.raises(ValueError, match="depend on x through autograd"):
        train_patch(lambda images: model(images.detach()), x, y, side=3, placements=Placements((3, 4)), steps=2)


def test_float64_logits_for_float32_images():
    model, x, y = made()
    for attack in WITH_A_GRADIENT:
        assert attack(lambda images: model(images).double(), x, y).dtype == torch.float32


def test_a_gradient_that_is_not_a_number_is_never_taken_for_robustness():
    model, x, y = made()
    with pytest.raises(ValueError, match="expected finite gradients"):
        fab_t(lambda images: model(images) + 0 * (images - images.detach()).sqrt().sum(), x, y, threat=L2(5.0), steps=5)


@pytest.mark.parametrize("behind", [lambda m: m.forward, lambda m: partial(m), lambda m: partial(m.__call__)])
def test_the_module_behind_a_method_or_a_partial_is_put_into_eval_mode(behind):
    model, x, y = made()
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), *model).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = [pgd(way, x, y, threat=Linf(0.05)) for way in (net, behind(net))]
    assert torch.equal(*found)
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_frozen_script_has_no_mode():
    model, x, y = made()
    frozen = torch.jit.freeze(torch.jit.script(model.eval()))
    assert (pgd(frozen, x, y, threat=Linf(0.05)) - x).abs().max() <= 0.05 + 1e-6


def test_images_that_are_routed_through_two_first_layers():
    """One of them gets no image at all."""
    ways = [nn.Conv2d(1, 6, 3) for _ in range(2)]
    head = nn.Linear(6, 4)

    def model(images):
        dark = images.mean((1, 2, 3)) < 0
        hidden = images.new_zeros(len(images), 6, 26, 26)
        hidden[dark], hidden[~dark] = ways[0](images[dark]), ways[1](images[~dark])
        return head(hidden.relu().mean((2, 3)))

    x = torch.rand(16, 1, 28, 28, generator=draws())
    assert pgd(model, x, model(x).argmax(1), threat=Linf(0.05)).shape == x.shape


def test_sparse_rs_leaves_the_channels_alone_that_a_mask_does():
    model, x, y = made()
    mask = torch.zeros(3, 8, 8, dtype=torch.bool)
    mask[0] = True
    search = partial(attacks.sparse_rs, queries=30)
    assert robust_accuracy(model, x, y, search, Masked(L0(6), mask)) < 1  # it checks what comes back
    assert torch.equal(search(model, x, y, threat=Masked(L0(6), mask))[:, 1:], x[:, 1:])


def test_sparse_rs_needs_no_room_for_every_pair_of_pixels():
    class Largest(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            self.most = max(self.most, made.numel() if isinstance(made, torch.Tensor) else 0)
            return made

    x, y = torch.rand(4, 1, 28, 28, generator=draws()), torch.zeros(4, dtype=torch.long)
    with Largest() as seen:
        sparse_rs(lambda images: images.flatten(1)[:, :2] * torch.tensor([0.0, -1]), x, y, threat=L0(600), queries=3)
    assert seen.most <= 4 * 600 * 3, "slots times (place, spot, colour)"


def test_sparse_rs_moves_fewer_pixels_on_the_authors_schedule():
    """fra31/sparse-rs, rs_attacks.py, p_selection: a half up to query 50 of 10,000, a twentieth after 8000."""
    seen = [round(1 / _schedule(i, 10_000)) for i in (1, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    assert seen == [2, 2, 4, 5, 6, 8, 10, 12, 15, 20]


def test_a_palette_as_long_as_the_batch_is_not_one_colour_for_each_image(monkeypatch):
    monkeypatch.setattr(batches, "AT_ONCE", {"cpu": 3 * 64 * 2})
    model, x, y = made(n=4)
    palette = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]])
    paint = partial(physical, model, x, y, threat=Masked(Linf(1.0), torch.ones(8, 8)), steps=3)
    assert torch.equal(paint(palette=palette), paint(palette=palette.tolist()))


def test_what_a_view_is_seen_as_is_said_in_full_precision():
    model, x, y = made(n=200)
    views = Views(20, 0.1, 1, 0.2)
    exact = share_seen_as(model, x, y, views=views, samples=8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(share_seen_as(model, x, y, views=views, samples=8), exact)


@pytest.mark.parametrize(
    ("kind", "limits"),
    [("noise", (0, 5)), ("noise", (180, 0)), ("checkers", (30, 3)), ("photograph", (10, 12)), ("half", (30, 3))],
)
def test_any_pose_of_any_picture_is_recognised(kind, limits):
    """It is fitted: once a third of them were taken for repainted pictures, and the attack was refused."""
    threat, side = Spatial(*limits), 96 if kind == "photograph" else 28
    x = torch.rand(6, 1, side, side, generator=draws())
    if kind == "checkers":
        x = ((torch.arange(28)[:, None] // 3 + torch.arange(28) // 3) % 2).float().expand(6, 1, 28, 28)
    elif kind == "photograph":
        x = nn.functional.interpolate(x[:2, :, :9, :9], size=(96, 96), mode="bicubic").clamp(0, 1)
    elif kind == "half":
        x = x.half()
    poses = (2 * torch.rand(len(x), 3, generator=draws(1)) - 1) * torch.tensor(threat.limits)
    seen = warp(x, poses)
    distance = threat.distance(x.double(), seen.double())
    assert (distance <= threat.eps + threat.rounding(x)).all(), distance


def test_the_fast_ensemble_has_fab_where_it_alone_sees_through():
    """In L2 and L1: on an Linf-trained network nothing else in it comes near."""
    names = {repr(threat): [s.func.__name__ for s in fast(threat, 0)] for threat in (Linf(0.1), L2(1.0), L1(8.0))}
    four = ["apgd", "apgd_t", "fab_t", "square"]
    assert list(names.values()) == [["apgd", "apgd_t", "square"], four, four]
    assert "fab_t" not in [s.func.__name__ for s in fast(Masked(L2(1.0), torch.ones(1, 1)), 0)]


BAD = [
    (partial(pgd, threat=Linf(0.1)), {"targeted": "no"}, "targeted: expected True or False, got 'no'"),
    (partial(pgd, threat=Linf(0.1)), {"drop_adversarial": torch.tensor(1)}, "drop_adversarial: expected True or False"),
    (partial(pgd, threat=Linf(0.1)), {"random_start": 1}, "random_start: expected True or False, got 1"),
    (partial(pgd, threat=Linf(0.1)), {"loss": "ce"}, "loss: expected a function such as cross_entropy, got 'ce'"),
    (partial(pgd, threat=Linf(0.1)), {"generator": 0}, "generator: expected a torch.Generator, got 0"),
    (partial(pgd, threat=Linf(0.1)), {"model": nn.Linear}, "got the class Linear; make one"),
    (partial(pgd, threat=Linf(0.1)), {"model": lambda z: torch.ones(len(z), 3).long()}, "floating-point logits"),
    (partial(pgd, threat=Linf(0.1)), {"x": torch.ones(7, 3, 8, 8).to_sparse()}, "use x.to_dense"),
    (partial(pgd, threat=Linf(0.1)), {"x": torch.ones(7, 3, 8, 8).to(torch.float8_e4m3fn)}, "use x.float"),
    (partial(pgd, threat=Linf(0.1)), {"y": torch.ones(7, dtype=torch.uint16)}, "use y.long"),
    (partial(physical, threat=Linf(0.1)), {"views": "turned"}, "views: expected a function such as Views"),
    (partial(physical, threat=Linf(1.0)), {"palette": "red"}, "palette: expected colours in numbers"),
    (partial(autoattack, threat=Linf(0.1)), {"version": ["fast"]}, "version: expected one of standard, fast"),
    (partial(attacks.transfer, threat=Linf(0.1), surrogates=[made()[0]]), {"attack": "pgd"}, "attack: expected a func"),
    (
        partial(attacks.transfer, threat=Linf(0.1), surrogates=[made()[0]]),
        {"attack": lambda model, x, y, **_: x[:2]},
        "attack: expected it to return images of shape",
    ),
    (partial(train_patch, side=3), {"placements": 3}, "placements: expected Placements"),
    (deepfool, {"overshoot": "0.02"}, "overshoot: expected a number >= 0, got '0.02'"),
    (fmn, {"norm": ["L2"]}, "norm: expected one of L2, Linf, L1, L0"),
    (fmn, {"step_size": True}, "step_size: expected a number > 0, got True"),
    (cw, {"confidence": "a"}, "confidence: expected a number >= 0 in logits"),
    *(
        (attack, {"loss": nn.CrossEntropyLoss()}, "loss: expected one value per image")
        for attack in (
            partial(spatial, threat=Spatial(3, 1)),
            partial(physical, threat=Linf(0.1)),
            partial(pgd, threat=Linf(0.01), steps=0, restarts=2),
        )
    ),
]


@pytest.mark.parametrize(("attack", "change", "message"), BAD, ids=lambda value: readable(value)[:60])
def test_what_cannot_be_meant_is_refused_in_words(attack, change, message):
    model, x, y = made(n=7)
    with pytest.raises(ValueError, match=message):
        attack(**{"model": model, "x": x, "y": y} | change)


@pytest.mark.parametrize("eps", ["0.1", ["0.1"], [None], [[0.1]], torch.tensor(0.1), torch.ones(2, 2)])
def test_radii_that_are_no_list_of_numbers(eps):
    model, x, y = made(n=3)
    with pytest.raises(ValueError, match=r"expected (a sequence of radii|eps as a number)"):
        robustness_curve(model, x, y, partial(pgd, steps=1), eps)


def test_a_pose_of_a_patch_is_finite():
    with pytest.raises(ValueError, match="degrees: expected a finite number"):
        place(torch.rand(2, 3, 8, 8), torch.rand(3, 2, 2), degrees=torch.tensor([0, torch.nan]))
    with pytest.raises(ValueError, match="size: expected a pair"):
        Placements(size=5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sparse_rs_reaches_every_place_of_a_picture_in_half_precision(dtype):
    """Drawn in that precision, places would round to the one past the last, and most could never be drawn."""
    x, y = torch.rand(6, 1, 28, 28).to(dtype), torch.zeros(6, dtype=torch.long)
    changed = torch.zeros(784, dtype=torch.bool)

    def model(images):
        changed.logical_or_((images != x).flatten(1).any(0))
        return torch.tensor([[1.0, 0.0]], dtype=dtype).repeat(len(images), 1)

    attacks.sparse_rs(model, x, y, threat=L0(40), queries=200)
    assert changed.float().mean() > 0.8  # of which bfloat16 can name fewer than half


class Backward(torch.autograd.Function):
    """Images as they are, with a factor on their gradient."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


FOLLOWING = [pgd, apgd, apgd_t, fab_t, autoattack, partial(autoattack, version="fast")]
WALKING = [deepfool, partial(deepfool, norm="Linf"), fmn, partial(fmn, norm="L1"), cw]


@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
@pytest.mark.parametrize("label", [0, 2])
@pytest.mark.parametrize("attack", [partial(a, threat=t(0.2)) for a in FOLLOWING for t in (Linf, L2, L1)] + WALKING)
def test_a_gradient_that_is_no_number_is_no_robustness(attack, label, factor):
    """Class 0 is what argmax makes of NaN logits: it passed for an answer that stands."""

    def model(x):
        return Backward.apply(x, factor).flatten(1) @ torch.eye(3, 12).T

    x, y = torch.full((4, 1, 3, 4), 0.5), torch.full((4,), label)
    x[:, 0, 0, label] = 0.95
    with pytest.raises(ValueError, match="finite gradients"):
        attack(model, x, y)


@pytest.mark.parametrize("threat", [Linf(0.1), L2(0.4), L1(1.0)], ids=repr)
def test_how_long_a_finished_image_stays_in_the_batch_does_not_matter_to_fab(threat):
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 5)).double()
        x = torch.rand(8, 1, 3, 4, dtype=torch.float64)
    y, attack = model(x).argmax(1), partial(fab_t, threat=threat, steps=5)
    alone = torch.cat([attack(model, x[i : i + 1], y[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(attack(model, x, y), alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("attack", [deepfool, partial(deepfool, norm="Linf"), fmn, partial(fmn, norm="Linf")])
def test_the_box_stops_no_search_that_could_go_on_inside(attack):
    """On black and white images half of all pixels cannot move; the others have to go so much the farther."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 16, generator=generator) / 4
    x = torch.rand(200, 1, 4, 4, generator=generator).round()
    y = (x.flatten(1) @ weight.T).argmax(1)
    x_adv = attack(lambda z: z.flatten(1) @ weight.T, x, y)
    assert ((x_adv.flatten(1) @ weight.T).argmax(1) != y).all()


def test_fmn_finds_the_nearest_point_of_the_box_where_half_of_the_pixels_cannot_move():
    """In L∞ and L1 too: the search alone comes 34% and 120% too far."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(10, 196, generator=generator, dtype=torch.float64) / 14
    x = torch.rand(40, 1, 14, 14, generator=generator, dtype=torch.float64).round()

    def model(z):
        return z.flatten(1) @ weight.T

    y = model(x).argmax(1)
    for ball in (Linf(0.0), L2(0.0), L1(0.0)):
        best = torch.full((40,), torch.inf, dtype=torch.float64)
        for rival in range(10):
            slope = (weight[rival] - weight[y]).contiguous()
            gap = (model(x).gather(1, y[:, None]) - model(x)[:, rival : rival + 1]).squeeze(1)
            point = onto_hyperplane(x.flatten(1), slope, gap, type(ball).__name__).view_as(x)
            best = torch.where(y == rival, best, best.minimum(ball.distance(x, point)))
        found = ball.distance(x, fmn(model, x, y, norm=type(ball).__name__))
        assert (found / best).median() < 1.001
        assert (found / best).max() < 1.01


def test_deepfool_and_fmn_attack_a_model_whose_backward_runs_only_once():
    """As `torch.compile` makes them: `retain_graph=True` is refused."""

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.used = False
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            if ctx.used:
                raise RuntimeError("This backward function was compiled with non-empty donated buffers")
            ctx.used = True
            return grad

    x, y = torch.rand(5, 1, 3, 4), torch.arange(5)
    plain = lambda x: x.flatten(1) @ torch.eye(6, 12).T  # noqa: E731
    for attack in (deepfool, fmn):
        assert attack(lambda x: plain(Once.apply(x)), x, y).equal(attack(plain, x, y))


def test_a_mask_made_in_inference_mode_can_be_painted_on():
    with torch.inference_mode():
        mask = torch.ones(1, 3, 4)
        x, y = torch.rand(2, 1, 3, 4), torch.zeros(2, dtype=torch.long)
        palette = torch.tensor([[0.0], [1.0]])
        physical(lambda x: x.flatten(1)[:, :3], x, y, threat=Masked(Linf(1.0), mask), palette=palette, steps=2)


def test_projecting_from_far_outside_the_box_ends_inside_the_ball():
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(1, 1, 4, 4, generator=generator)
        far, threat = x + 1e4 * torch.randn(1, 1, 4, 4, generator=generator), L1(0.001)
        assert threat.distance(x, threat.project(x, far)) <= 0.001 + threat.rounding(x)


def test_the_largest_margin_spares_images_from_a_model_that_works_in_place():
    weight, x, y = torch.randn(3, 12), torch.rand(6, 1, 3, 4), torch.zeros(6, dtype=torch.long)
    kept = x.clone()
    here, there = (
        attacked(model, x, y, threat=Linf(0.1), steps=3)
        for model in (lambda z: z.mul_(2).flatten(1) @ weight.T, lambda z: (2 * z).flatten(1) @ weight.T)
    )
    assert x.equal(kept)
    assert here.equal(there)
