"""FGSM and PGD: against closed forms, against plain loops, against their own contract."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from cs329t_robust import L2, Linf, apgd, fgsm, losses, pgd, robust_accuracy

ATTACKS = {
    "fgsm": fgsm,
    "pgd": partial(pgd, steps=7),
    "pgd_restarts": partial(pgd, steps=4, restarts=3),
    "apgd": partial(apgd, steps=7),
    "apgd_restarts": partial(apgd, steps=5, restarts=2),
}
KINDS = [Linf, L2]
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
each_kind = pytest.mark.parametrize("kind", KINDS)


# --- closed form ------------------------------------------------------------------------------------------------


def flips(model, attack, x, y, threat, **settings):
    return model(attack(model, x, y, threat=threat, **settings)).argmax(1) != y


@each_kind
@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 5, 7)])
@pytest.mark.parametrize("n", [1, 40])
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=20, random_start=False)], ids=["fgsm", "pgd"])
def test_a_linear_model_flips_just_above_its_distance_and_never_below(linear, kind, shape, n, attack):
    model, x, y = linear(shape, n=n, classes=2, seed=3)
    distance = model.distance(x, y, torch.inf if kind is Linf else 2)
    x, y, distance = (tensor[distance < 0.39] for tensor in (x, y, distance))  # so that the box does not bind
    assert len(x) > n / 2
    assert flips(model, attack, x, y, kind(distance * 1.001)).all()
    assert not flips(model, attack, x, y, kind(distance * 0.999)).any()


@each_kind
@pytest.mark.parametrize("settings", [{}, {"restarts": 2}, {"drop_adversarial": True}, {"seed": 9}])
def test_from_a_random_start_too(linear, kind, settings):
    """From a random start L2 PGD turns towards the nearest point step by step, so it needs a little more room."""
    model, x, y = linear((3, 5, 7), n=40, classes=2, seed=3)
    distance = model.distance(x, y, torch.inf if kind is Linf else 2)
    assert flips(model, pgd, x, y, kind(distance * (1.001 if kind is Linf else 1.05)), **settings).all()
    assert not flips(model, pgd, x, y, kind(distance * 0.999), **settings).any()


@each_kind
def test_the_margin_of_many_classes_reaches_the_nearest_boundary(linear, kind):
    model, x, y = linear(classes=6, n=60)
    distance = model.distance(x, y, torch.inf if kind is Linf else 2)
    attack = partial(pgd, steps=60, loss=losses.margin, restarts=3)
    assert not flips(model, attack, x, y, kind(distance * 0.999)).any()
    assert flips(model, attack, x, y, kind(distance * 1.05)).float().mean() > 0.9


@each_kind
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=20, random_start=False)], ids=["fgsm", "pgd"])
def test_a_targeted_attack_reaches_the_target_just_above_its_distance(linear, kind, attack):
    model, x, y = linear(classes=2, n=30)
    distance, target = model.distance(x, y, torch.inf if kind is Linf else 2), 1 - y
    above = attack(model, x, target, threat=kind(distance * 1.001), targeted=True)
    below = attack(model, x, target, threat=kind(distance * 0.999), targeted=True)
    assert (model(above).argmax(1) == target).all()
    assert (model(below).argmax(1) != target).all()


# --- plain loops ------------------------------------------------------------------------------------------------


def plain_pgd(model, x, y, norm, eps, steps, step_size, targeted):
    """PGD from x, written out without the package; `eps` and `step_size` are tensors (n, 1, 1, 1)."""
    x_adv = x.clone()
    for _ in range(steps):
        leaf = x_adv.clone().requires_grad_()
        F.cross_entropy(model(leaf), y, reduction="sum").backward()
        step = leaf.grad.sign()
        if norm == "L2":
            step = leaf.grad / leaf.grad.square().sum((1, 2, 3), keepdim=True).sqrt()
        delta = x_adv + (-1 if targeted else 1) * step_size * step - x
        if norm == "L2":
            delta = delta * (eps / delta.square().sum((1, 2, 3), keepdim=True).sqrt()).clamp(max=1)
        else:
            delta = torch.max(torch.min(delta, eps), -eps)
        x_adv = (x + delta).clamp(0, 1)
    return x_adv


@each_kind
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("ladder", [False, True])
def test_fgsm_and_pgd_equal_plain_loops(crooked, kind, shape, dtype, n, targeted, ladder):
    model = crooked(shape).to(dtype).eval()
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, *shape, generator=generator).round(decimals=1).to(dtype)  # many pixels near and on the box
    y = torch.randint(5, (n,), generator=generator)
    base = 0.06 if kind is Linf else 0.8
    eps = torch.linspace(0.2, 1, n, dtype=dtype) * base if ladder else base
    wide = torch.as_tensor(eps, dtype=dtype).expand(n).view(-1, 1, 1, 1)
    close = {"rtol": 0, "atol": 2e-5 if dtype == torch.float32 else 1e-10}

    expected = plain_pgd(model, x, y, kind.__name__, wide, 1, wide, targeted)
    torch.testing.assert_close(fgsm(model, x, y, threat=kind(eps), targeted=targeted), expected, **close)

    size = torch.full((n,), base / 4, dtype=dtype) if ladder else base / 4
    expected = plain_pgd(model, x, y, kind.__name__, wide, 6, torch.tensor(base / 4, dtype=dtype), targeted)
    got = pgd(model, x, y, threat=kind(eps), steps=6, step_size=size, random_start=False, targeted=targeted)
    torch.testing.assert_close(got, expected, **close)
    assert not torch.equal(got, x)


def test_the_default_step_is_two_and_a_half_radii_over_the_steps(linear):
    model, x, y = linear()
    given = pgd(model, x, y, threat=Linf(0.1), steps=10, step_size=0.025)
    assert torch.equal(pgd(model, x, y, threat=Linf(0.1), steps=10), given)
    ladder = pgd(model, x, y, threat=Linf(torch.full((7,), 0.1).double()), steps=10)
    torch.testing.assert_close(ladder, given)


def test_another_loss_is_climbed(crooked):
    model = crooked().double().eval()
    x = torch.rand(30, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    y = model(x).argmax(1)
    for loss in [losses.margin, losses.cross_entropy, losses.dlr, losses.squared_penalty]:
        found = pgd(model, x, y, threat=Linf(0.05), steps=10, loss=loss)
        assert (loss(model(found), y) > loss(model(x), y)).all()


# --- each image as if it were alone -----------------------------------------------------------------------------


@each_kind
@each_attack
@pytest.mark.parametrize("drop", [False, True])
def test_a_batch_is_its_images_one_by_one_in_any_order(crooked, kind, attack, drop):
    drop = drop and attack is not fgsm  # which takes one step: nothing to drop
    model = crooked().double().eval()
    x = torch.rand(30, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    y = model(x).argmax(1)
    eps = torch.linspace(0.01, 0.2 if kind is Linf else 0.6, 30).double()
    settings = {"drop_adversarial": True} if drop else {}
    whole = attack(model, x, y, threat=kind(eps), **settings)
    assert 0 < (model(whole).argmax(1) == y).sum() < 30  # some break, some stand: rows do leave the batch
    alone = torch.cat([attack(model, x[[i]], y[[i]], threat=kind(eps[[i]]), **settings) for i in range(30)])
    torch.testing.assert_close(whole, alone, rtol=0, atol=1e-9)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    shuffled = attack(model, x[order], y[order], threat=kind(eps[order]), **settings)
    torch.testing.assert_close(shuffled, whole[order], rtol=0, atol=1e-9)


@each_kind
def test_seeds_reproduce_bit_for_bit_and_differ(crooked, kind):
    model = crooked().eval()
    x = torch.rand(6, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    run = partial(pgd, model, x, model(x).argmax(1), threat=kind(0.1), steps=3, restarts=2)
    assert torch.equal(run(seed=5), run(seed=5))
    assert not torch.equal(run(seed=5), run(seed=6))
    one, same, other = (run(generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@each_kind
def test_without_steps_the_start_comes_back(linear, kind):
    model, x, y = linear()
    assert torch.equal(pgd(model, x, y, threat=kind(0.1), steps=0, random_start=False), x)
    start = pgd(model, x, y, threat=kind(0.1), steps=0)
    assert (kind(0.1).distance(x, start) > 0).all()
    assert torch.equal(start, pgd(model, x, y, threat=kind(0.1), steps=0))


# --- restarts and dropping --------------------------------------------------------------------------------------


def test_restarts_keep_each_images_best_and_are_never_weaker(crooked):
    model = crooked().double().eval()
    x = torch.rand(60, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    y = model(x).argmax(1)
    attack = partial(pgd, model, x, y, threat=Linf(0.06), steps=2, step_size=0.01)
    runs = [attack(restarts=k) for k in (1, 2, 4, 8)]
    robust = [model(found).argmax(1) == y for found in runs]
    loss = [losses.cross_entropy(model(found), y) for found in runs]
    for fewer, more in zip(range(3), range(1, 4), strict=True):
        assert not (robust[more] & ~robust[fewer]).any()  # what is adversarial stays so
        both = robust[more] & robust[fewer]
        assert (loss[more][both] >= loss[fewer][both]).all()
    assert (loss[3] > loss[0]).any()


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("targeted", [False, True])
def test_dropping_broken_images_never_loses_a_success(crooked, restarts, targeted):
    model = crooked().double().eval()
    x = torch.rand(100, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    label = model(x).argmax(1)
    y = (label + 1) % 5 if targeted else label
    run = partial(pgd, model, x, y, steps=10, restarts=restarts, targeted=targeted)
    counts = []
    for eps in [0.02, 0.05, 0.1]:
        verdicts = [
            (model(run(threat=Linf(eps), drop_adversarial=drop)).argmax(1) == y) == targeted for drop in (False, True)
        ]
        assert not (verdicts[0] & ~verdicts[1]).any()
        counts.append(int(verdicts[1].sum()))
    assert counts[0] < counts[1] < counts[2]


def test_dropped_images_cost_no_more_gradients(crooked):
    model, rows = crooked().double().eval(), []

    def counted(x):
        rows.append(len(x))
        return model(x)

    x = torch.rand(100, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    y = model(x).argmax(1)
    y[:50] = (y[:50] + 1) % 5  # half are wrong before the first step
    pgd(counted, x, y, threat=Linf(0.02), steps=10, random_start=False, drop_adversarial=True)
    assert rows[0] == 100
    assert rows[1] <= 50
    assert all(later <= earlier for earlier, later in pairwise(rows))


@pytest.mark.parametrize(("steps", "batch"), [(5, 20), (40, 19)])
def test_dropped_images_stop_where_they_broke(linear, steps, batch):
    """One of twenty breaks at once: it leaves the batch if that pays in the steps left, and comes back as it was."""
    model, x, y = linear(n=20)
    y, rows = y.clone(), []
    y[3] = (y[3] + 1) % 5

    def counted(x):
        rows.append(len(x))
        return model(x)

    settings = {"threat": Linf(1e-3), "steps": steps, "random_start": False, "drop_adversarial": True}
    got = pgd(counted, x, y, **settings)
    assert rows[1] == batch
    assert torch.equal(got[3], x[3])
    assert (got != x).flatten(1).any(1).sum() == 19


def test_dropping_measures_the_same_robust_accuracy(digits):
    model, x, y = digits
    both = [
        robust_accuracy(model, x[:100], y[:100], partial(pgd, steps=20, drop_adversarial=drop), Linf(0.1))
        for drop in (False, True)
    ]
    assert both[1] <= both[0]
    assert both[0] - both[1] <= 0.02
    assert 0 < both[1] < 0.9


# --- hands off ---------------------------------------------------------------------------------------------------


@each_kind
@each_attack
@pytest.mark.parametrize("error", [None, RuntimeError("in the model"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("grads", [False, True])
def test_the_model_is_left_as_found(crooked, untouched, kind, attack, error, grads):
    snapshot, assert_same = untouched
    model = crooked()
    x, y = torch.rand(6, 1, 3, 4), torch.zeros(6, dtype=torch.long)
    if grads:
        model(x).sum().backward()
    before, kept = snapshot(model), x.clone()
    model.fails = error
    if error is None:
        attack(model, x, y, threat=kind(0.1))
    else:
        with pytest.raises(type(error)):
            attack(model, x, y, threat=kind(0.1))
    assert_same(before, snapshot(model))
    assert torch.equal(x, kept)
    assert torch.is_grad_enabled()


@each_attack
def test_a_training_model_is_attacked_in_eval_mode(crooked, attack):
    model = crooked()
    x, y = torch.rand(6, 1, 3, 4), torch.arange(6) % 5
    found = attack(model, x, y, threat=Linf(0.1))
    assert torch.equal(found, attack(model.eval(), x, y, threat=Linf(0.1)))


@each_kind
@each_attack
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_attacks_work_where_gradients_are_off(crooked, kind, attack, mode):
    model = crooked()
    x, y = torch.rand(6, 1, 3, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    eps = torch.linspace(0.05, 0.1, 6)
    expected = attack(model, x, y, threat=kind(eps))
    with mode():
        assert torch.equal(attack(model, x, y, threat=kind(eps)), expected)
        inside = attack(model, x + 0, y + 0, threat=kind(eps + 0))  # tensors made inside the mode
        assert torch.equal(inside, expected)
        assert not torch.is_grad_enabled()
    assert not expected.is_inference()
    assert not inside.is_inference()


@each_kind
@each_attack
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [0, 0.1])
def test_the_result_is_the_callers_own(linear, kind, attack, dtype, eps):
    model, x, y = linear(dtype=dtype)
    x.requires_grad_()
    radii = torch.full((7,), float(eps), dtype=dtype, requires_grad=True)
    found = attack(model, x, y, threat=kind(radii))
    assert found.shape == x.shape
    assert found.dtype == dtype
    assert found.device == x.device
    assert not found.requires_grad
    assert x.grad is None
    assert found.data_ptr() != x.data_ptr()
    if eps == 0:
        assert torch.equal(found, x)
    kept = x.detach().clone()
    found.zero_()
    assert torch.equal(x, kept)


@pytest.mark.parametrize("start", [False, True])
def test_no_steps_and_no_radius_share_no_memory(linear, start):
    model, x, y = linear()
    for eps in [0.0, 0.1]:
        found = pgd(model, x, y, threat=Linf(eps), steps=0, random_start=start)
        assert found.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


@each_kind
@each_attack
@pytest.mark.parametrize("eps", [0.0, 1e-4, 0.1, 5.0])
def test_results_lie_in_the_ball_and_the_box(crooked, kind, attack, eps):
    model = crooked().eval()
    x = torch.rand(20, 1, 3, 4, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    found = attack(model, x, model(x).argmax(1), threat=kind(eps))
    assert found.min() >= 0
    assert found.max() <= 1
    assert (kind(eps).distance(x.double(), found.double()) <= eps + 1e-6).all()


@each_attack
@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_two_to_a_thousand_classes(linear, attack, classes):
    model, x, y = linear(classes=classes)
    clean = losses.cross_entropy(model(x), y)
    assert (losses.cross_entropy(model(attack(model, x, y, threat=Linf(0.05))), y) > clean).all()


@each_attack
def test_a_model_may_be_a_function_and_may_work_in_place(linear, attack):
    model, x, y = linear()
    kept = x.clone()
    inplace = attack(lambda images: model(images.mul_(2).sub_(1)), x, y, threat=Linf(0.1))
    assert torch.equal(x, kept)
    torch.testing.assert_close(inplace, attack(lambda images: model(images * 2 - 1), x, y, threat=Linf(0.1)))


@each_attack
def test_labels_of_any_integer_type_and_strided_images(linear, attack):
    model, x, y = linear()
    expected = attack(model, x, y, threat=L2(0.1))
    assert torch.equal(attack(model, x, y.to(torch.uint8), threat=L2(0.1)), expected)
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(attack(model, turned, y, threat=L2(0.1)), expected)
    one = attack(model, x[:1].expand(4, -1, -1, -1), y[:1].expand(4), threat=L2(0.1))
    torch.testing.assert_close(one, expected[:1].expand(4, -1, -1, -1))
