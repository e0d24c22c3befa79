"""What holds for every attack: the core contract, over the table of attacks × threats."""

import warnings
from functools import partial
from inspect import signature

import pytest
import torch
from attack_table import MASK, ROWS
from readable import readable

import cs329t_robust
from cs329t_robust import L0, L2, Linf, Masked, Spatial, attacks
from cs329t_robust.attacks.engine import batches
from cs329t_robust.data import datasets
from cs329t_robust.evaluation.accuracy import check_member
from cs329t_robust.models import networks
from cs329t_robust.threat import Ball

each = pytest.mark.parametrize("row", ROWS, ids=str)
with_threat = pytest.mark.parametrize("row", [row for row in ROWS if row.threat is not None], ids=str)
SHAPE = (1, 3, 4)


def images(n=8, dtype=torch.float64, shape=SHAPE, seed=0):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)).round(decimals=2).to(dtype)


def curved(crooked, dtype=torch.float64):
    return crooked(SHAPE).to(dtype).eval()


def labels(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


def test_the_table_holds_every_attack():
    named = {row.name.split("-")[0] for row in ROWS}
    offered = {name: getattr(attacks, name) for name in attacks.__all__}
    searching = {name for name, f in offered.items() if list(signature(f).parameters)[:3] == ["model", "x", "y"]}
    assert named == searching - {"share_seen_as", "train_patch"}  # these measure, and train one patch for all
    assert named <= set(cs329t_robust.__all__)


@with_threat
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_is_a_member_and_the_callers_own(crooked, row, dtype):
    model, x = curved(crooked, dtype), images(dtype=dtype).requires_grad_()
    y = labels(model, x)
    found = row.run(model, x, y)
    check_member(x.detach(), found, row.threat)
    assert found.dtype == dtype
    assert not found.requires_grad
    assert x.grad is None
    assert not torch.equal(found, x)
    kept = x.detach().clone()
    found.zero_()
    assert torch.equal(x, kept)


@each
def test_something_breaks_and_nothing_is_counted_that_did_not(crooked, row):
    model, x = curved(crooked), images(40)
    y = labels(model, x)
    adversarial = labels(model, row.run(model, x, y)) != y
    assert adversarial.any()
    if row.threat is None and row.name != "penalty":
        assert adversarial.float().mean() > 0.9


@each
def test_targets_are_reached_only_where_they_are_asked_for(crooked, row):
    model, x = curved(crooked), images(40)
    y = (labels(model, x) + 1) % 5
    if not row.targeted:
        with pytest.raises(TypeError, match="targeted"):
            row.run(model, x, y, targeted=True)
        return
    assert (labels(model, row.run(model, x, y, targeted=True)) == y).any()


@each
def test_a_batch_is_its_images_one_by_one_in_any_order_and_in_chunks(crooked, row, monkeypatch):
    model, x = curved(crooked), images(9)
    y = labels(model, x)
    whole = row.run(model, x, y)
    alone = torch.cat([row.run(model, x[[i]], y[[i]]) for i in range(len(x))])
    torch.testing.assert_close(whole, alone, rtol=0, atol=1e-6)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(row.run(model, x[order], y[order]), whole[order], rtol=0, atol=1e-6)
    monkeypatch.setitem(batches.AT_ONCE, "cpu", 4 * x[0].numel())
    seen = []

    def counted(images):
        seen.append(len(images))
        return model(images)

    torch.testing.assert_close(row.run(counted, x, y), whole, rtol=0, atol=1e-6)
    several = ("apgd_t", "apgd_t-keep", "fab_t", "autoattack-fast", "physical-views")
    copies = 4 if row.name in several else 1  # targets, or views, of each image
    assert max(seen) <= 4 * copies


@each
def test_where_memory_runs_out_the_images_are_tried_again_in_halves(crooked, row):
    model, x = curved(crooked), images(9)
    y, room, refused = labels(model, x), 5, []  # for one image of four targets or views, and no two

    def short(images):
        if len(images) > room:
            refused.append(len(images))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return model(images)

    whole = row.run(model, x, y)
    torch.testing.assert_close(row.run(short, x, y), whole, rtol=0, atol=1e-6)
    assert refused
    room = 0
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        row.run(short, x, y)


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row.threat, Ball)], ids=str)
def test_every_image_may_have_its_own_radius(crooked, row):
    model, x = curved(crooked), images(6)
    y = labels(model, x)
    whole = isinstance(row.threat, L0)
    eps = torch.tensor([0, 1, 2, 3, 2, 1]).double() * (1 if whole else row.threat.eps / 3)
    found = row.run(model, x, y, threat=row.threat.with_eps(eps))
    check_member(x, found, row.threat.with_eps(eps))
    assert torch.equal(found[0], x[0])
    alone = torch.cat([row.run(model, x[[i]], y[[i]], threat=row.threat.with_eps(eps[[i]])) for i in range(6)])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-6)


@each
@pytest.mark.parametrize("error", [None, RuntimeError("in the model"), KeyboardInterrupt()], ids=repr)
def test_the_model_the_images_and_the_random_state_are_left_as_found(crooked, untouched, row, error):
    snapshot, assert_same = untouched
    model, x = crooked(SHAPE), images(4, torch.float32)
    y = torch.zeros(4, dtype=torch.long)
    model(x).sum().backward()
    before, kept = snapshot(model), x.clone()
    model.fails = error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if error is None:
            row.run(model, x, y)
        else:
            with pytest.raises(type(error)):
                row.run(model, x, y)
    assert_same(before, snapshot(model))
    assert torch.equal(x, kept)
    assert torch.is_grad_enabled()


@each
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(crooked, row, mode):
    model, x = crooked(SHAPE), images(4, torch.float32)
    y = torch.arange(4)
    expected = row.run(model, x, y)
    with mode():
        inside = row.run(model, x + 0, y + 0)
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(inside, expected, rtol=0, atol=1e-6)
    assert not inside.is_inference()


@pytest.mark.parametrize("row", [row for row in ROWS if row.seeded], ids=str)
def test_seeds_reproduce_bit_for_bit_and_differ(crooked, row):
    model, x = curved(crooked), images(8)
    y = labels(model, x)
    one, same, other = (row.run(model, x, y, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@each
@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_two_to_a_thousand_classes(linear, row, classes):
    model, x, y = linear(SHAPE, n=6, classes=classes)
    found = row.run(model, x, y)
    assert found.shape == x.shape
    assert (found != x).any() or row.name == "fab_t"  # which returns x where nothing lies within the threat


@pytest.mark.parametrize("row", [row for row in ROWS if "Masked" not in str(row)], ids=str)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 47)])
def test_pictures_of_other_shapes(crooked, row, shape):
    model, x = crooked(shape).eval(), images(2, torch.float32, shape)
    found = row.run(model, x, labels(model, x))
    assert found.shape == x.shape
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("row", [row for row in ROWS if not row.gradients], ids=str)
def test_black_boxes_need_no_gradient(crooked, row):
    model, x = curved(crooked), images(20)
    y = labels(model, x)
    hidden = torch.no_grad()(lambda images: model(images.detach()))
    assert torch.equal(row.run(hidden, x, y), row.run(model, x, y))


@pytest.mark.parametrize("row", [row for row in ROWS if row.gradients], ids=str)
def test_white_boxes_say_that_they_need_one(crooked, row):
    model, x = curved(crooked), images(4)
    with pytest.raises(ValueError, match="depend on x through autograd"):
        row.run(lambda images: model(images.detach()).detach(), x, labels(model, x))


WRONG = [
    (attacks.apgd, L0(2), "expected Linf, L2 or L1 for APGD"),
    (attacks.apgd_t, Masked(L0(2), MASK), "expected Linf, L2 or L1 for APGD"),
    (attacks.fab_t, Masked(Linf(0.1), MASK), "expected Linf, L2 or L1 for FAB"),
    (attacks.fab_t, L0(2), "expected Linf, L2 or L1 for FAB"),
    (attacks.square, L0(2), "expected Linf, L2 or L1 for the Square attack"),
    (attacks.sparse_rs, Linf(0.1), r"expected L0\(k\) for Sparse-RS"),
    (attacks.spatial, Linf(0.1), r"expected Spatial\(degrees, pixels\), got Linf"),
    (attacks.autoattack, L0(3), "expected Linf, L2 or L1 for AutoAttack"),
    (attacks.autoattack, Spatial(30, 3), "expected Linf, L2 or L1 for AutoAttack"),
    *((attack, Spatial(30, 3), "expected .*Linf") for attack in (attacks.fgsm, attacks.pgd, attacks.apgd)),
    (attacks.pgd, Masked(Linf(0.1), torch.ones(5, 5)), "a mask that fits images"),
    (attacks.apgd, Masked(Linf(0.1), torch.ones(5, 5)), "a mask that fits images"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("attack", "threat", "message"), WRONG, ids=lambda value: getattr(value, "__name__", readable(value))
)
def test_a_threat_that_an_attack_cannot_search_is_refused(linear, attack, threat, message):
    model, x, y = linear(SHAPE)
    with pytest.raises(ValueError, match=message):
        attack(model, x, y, threat=threat)


SETTINGS = [
    (attacks.pgd, {"momentum": -0.1}, "momentum: expected a number from 0 to 1, got -0.1"),
    (attacks.apgd_t, {"targets": 0}, "targets: expected a whole number >= 1, got 0"),
    (attacks.apgd_t, {"keep": 0}, "keep: expected a number above 0 and up to 1"),
    (attacks.apgd_t, {"keep": True}, "keep: expected a number above 0 and up to 1"),
    (attacks.apgd_t, {"steps": 0}, "steps: expected a whole number >= 1, got 0"),
    (attacks.fab_t, {"steps": 0}, "steps: expected a whole number >= 1, got 0"),
    (attacks.square, {"queries": 0}, "queries: expected a whole number >= 1, got 0"),
    (attacks.square, {"hope": 0}, r"hope: expected a number > 0 \(a share of the margin at x\), or None, got 0"),
    (attacks.square, {"share": 0}, "share: expected a number above 0 and up to 1, got 0"),
    (partial(attacks.sparse_rs, threat=L0(1)), {"share": 2}, "share: expected a number above 0 and up to 1, got 2"),
    (partial(attacks.spatial, threat=Spatial(1, 1)), {"k": 0}, "k: expected a whole number >= 1, got 0"),
    (partial(attacks.spatial, threat=Spatial(1, 1)), {"angles": 0}, "angles: expected a whole number >= 1, got 0"),
    (attacks.transfer, {"surrogates": []}, "surrogates: expected a list of at least one model"),
    (attacks.transfer, {"surrogates": torch.nn.Identity()}, r"surrogates: .* use \[model\]"),
    (attacks.autoattack, {"version": "plus"}, "version: expected one of standard, fast, got 'plus'"),
    (attacks.autoattack, {"seed": -1}, "seed: expected a whole number >= 0, got -1"),
]
FREE = [
    (attacks.cw, {"searches": 0}, "searches: expected a whole number >= 1, got 0"),
    (attacks.cw, {"confidence": -1}, "confidence: expected a number >= 0 in logits, got -1"),
    (attacks.cw, {"weight": 0}, "weight: expected a number > 0"),
    (attacks.penalty, {"weight": torch.ones(3)}, r"weight: expected a number > 0 or a tensor \(7,\)"),
    (attacks.penalty, {"weight": float("nan")}, "weight: expected a number > 0"),
    (attacks.penalty, {"step_size": 0}, "step_size: expected a number > 0 in pixel values, got 0"),
]


@pytest.mark.parametrize(("attack", "settings", "message"), [*SETTINGS, *FREE], ids=readable)
def test_bad_settings_are_refused_by_name(linear, attack, settings, message):
    model, x, y = linear(SHAPE)
    free = isinstance(attack, partial) or attack in (attacks.cw, attacks.penalty)
    threat = {} if free else {"threat": Linf(0.1)}
    with pytest.raises(ValueError, match=message):
        attack(model, x, y, **threat, **settings)


def test_a_frozen_photograph_classifier_is_attacked_at_full_size():
    """3×224×224, one photograph at a time, through a network that is not in the table."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 28 * 28, 7)
    ).requires_grad_(False)
    x = images(2, torch.float32, (3, 224, 224))
    y = labels(network, x)
    for attack, threat in [(attacks.pgd, Linf(8 / 255)), (attacks.apgd, L2(3.0)), (attacks.square, Linf(8 / 255))]:
        settings = {"queries": 20} if attack is attacks.square else {"steps": 5}
        check_member(x, attack(network, x, y, threat=threat, **settings), threat)


def test_square_gives_up_only_where_the_margin_has_hardly_moved():
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 40)
    never, always, some = (
        attacks.square(model, x, y, threat=Linf(0.12), queries=300, hope=hope) for hope in (None, 1e-9, 0.5)
    )
    assert attacks.square(model, x, y, threat=Linf(0.12), queries=300, hope=1e9).equal(never)
    adversarial = [model(x_adv).argmax(1) != y for x_adv in (never, always, some)]
    assert (adversarial[1] <= adversarial[2]).all()
    assert (adversarial[2] <= adversarial[0]).all()
    assert 0 < int(adversarial[1].sum()) < int(adversarial[0].sum())  # given up at 250, of 300 queries
