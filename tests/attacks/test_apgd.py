"""Auto-PGD: its looks back, its rises, its last step, and the targets it gives up; no weaker than PGD."""

from functools import partial

import pytest
import torch

from cs329t_robust import L1, L2, Linf, apgd, apgd_t, losses, pgd, robust_accuracy
from cs329t_robust.attacks import apgd_algorithm, apgd_sparse


@pytest.mark.parametrize("threat", [Linf(0.1), L2(1.2)], ids=repr)
def test_apgd_is_no_weaker_than_pgd_and_dropping_changes_no_verdict(digits, threat):
    model, x, y = digits
    by_pgd = robust_accuracy(model, x, y, partial(pgd, steps=50, drop_adversarial=True), threat)
    kept = robust_accuracy(model, x, y, partial(apgd, steps=50), threat)
    dropped = robust_accuracy(model, x, y, partial(apgd, steps=50, drop_adversarial=True), threat)
    assert kept <= by_pgd
    assert (kept.correct == dropped.correct).float().mean() >= 0.99


def test_apgd_looks_back_where_the_paper_does():
    assert apgd_algorithm.checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_apgd_does_not_count_its_start_as_a_rise(monkeypatch):
    """Condition 1 compares the rises among the steps since the last look with three quarters of these steps."""
    seen, look_back = [], apgd_algorithm.look_back

    def looking_back(s, since):
        seen.append((since, int(s.rises.max())))
        look_back(s, since)

    monkeypatch.setattr(apgd_algorithm, "look_back", looking_back)
    x = torch.full((2, 1, 4, 4), 0.5)
    up = lambda x: torch.stack([-x.flatten(1).sum(1), torch.full((len(x),), -99.0)], 1)  # noqa: E731
    apgd(up, x, torch.zeros(2, dtype=torch.long), threat=Linf(0.4), steps=50, loss=lambda logits, y: -logits[:, 0])
    assert [since for since, _ in seen] == [11, 10, 8, 6, 5, 4, 3]
    assert [rises for _, rises in seen] == [1, 0, 0, 0, 0, 0, 0], "the first step reaches the top"


def test_apgd_sees_where_its_last_step_leads():
    model = lambda x: torch.stack([torch.full((len(x),), 0.3), x.flatten(1).mean(1)], 1)  # noqa: E731
    x, y = torch.full((3, 1, 4, 4), 0.1), torch.zeros(3, dtype=torch.long)
    assert (model(apgd(model, x, y, threat=Linf(0.25), steps=1)).argmax(1) == 1).all()


@pytest.mark.parametrize("attack", [apgd, apgd_t])
def test_apgd_goes_on_after_a_success_unless_told_to_drop_it(digits, attack):
    model, x, y = digits
    on, dropped = (attack(model, x, y, threat=Linf(0.2), drop_adversarial=drop) for drop in (False, True))
    adversarial = model(dropped).argmax(1) != y
    assert adversarial.float().mean() > 0.8
    assert ((model(on).argmax(1) != y) == adversarial).all()
    higher = losses.cross_entropy(model(on), y) - losses.cross_entropy(model(dropped), y)
    assert higher[adversarial].median() > 0.5


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (1, {}),
        (0.7, {22: 7, 41: 5, 57: 4, 70: 3}),
        (0.5, {22: 5, 41: 3, 57: 2, 70: 1}),
        (1e-9, {22: 1}),
    ],
)
def test_apgd_t_gives_up_the_targets_that_lag_behind(keep, kept):
    """On images that stay robust: how many runs each asks for, from look-back to look-back."""
    assert apgd_algorithm.targets_left(100, 9, keep) == kept
    assert apgd_algorithm.targets_left(100, 10, 0.7)[22] == 7, "0.7 × 10 is 7.000000000000001"
    asked = []

    def model(x):
        asked.append(len(x))
        return 3 * torch.eye(10)[0] + x.flatten(1) @ torch.eye(16, 10)

    x, y = torch.full((2, 1, 4, 4), 0.5), torch.zeros(2, dtype=torch.long)
    apgd_t(model, x, y, threat=Linf(0.01), keep=keep)
    expected, followed = [], 9
    for step in range(100):
        expected.append(2 * followed)
        followed = kept.get(step, followed)
    assert asked[-101:] == [*expected, expected[-1]], "the last step is looked at, too"


@pytest.mark.parametrize("threat", [Linf(0.1), L1(6.0)], ids=repr)
def test_every_restart_may_find_a_higher_success(digits, threat):
    model, x, y = digits
    worth = []
    for restarts in (1, 3):
        with torch.no_grad():
            worth.append(losses.cross_entropy(model(apgd(model, x, y, threat=threat, steps=20, restarts=restarts)), y))
    fell = (model(apgd(model, x, y, threat=threat, steps=20)).argmax(1) != y).nonzero().flatten()
    assert bool((worth[1] >= worth[0] - 1e-5).all())
    assert float((worth[1] > worth[0] + 1e-5)[fell].float().mean()) > 0.2


def test_the_target_that_leads_furthest_is_kept_not_the_first_that_is_reached(digits):
    model, x, y = digits

    def lead(targets):
        with torch.no_grad():
            logits = model(
                apgd_t(model, x, y, threat=Linf(0.3), steps=15, drop_adversarial=False, keep=1, targets=targets)
            )
        each = [losses.targeted_dlr(logits, y, torch.full_like(y, target)) for target in range(10)]
        return torch.stack(each, 1).scatter(1, y[:, None], -torch.inf).amax(1)

    assert float((lead(4) > lead(1) + 1e-5).float().mean()) > 0.4, "0.03 where the first one is kept"


def test_under_a_reduced_precision_it_goes_on_after_a_success_as_well(digits):
    model, x, y = digits
    attack = partial(apgd, threat=Linf(0.2), steps=20)
    with torch.autocast("cpu", torch.bfloat16):
        rough = attack(model, x, y)
    with torch.no_grad():
        rough, exact = (losses.cross_entropy(model(found), y).median() for found in (rough, attack(model, x, y)))
    assert float(rough) > 0.8 * float(exact)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_in_l1_also_the_shortest_run_checks_what_the_model_says(digits, steps):
    model, x, _ = digits
    with pytest.raises(ValueError, match="y: expected labels"):
        apgd(model, x[:4], torch.full((4,), 99), threat=L1(5.0), steps=steps)
    with pytest.raises(ValueError, match="model: expected"):
        apgd(lambda images: (model(images),), x[:4], torch.zeros(4, dtype=torch.long), threat=L1(5.0), steps=steps)


def test_a_step_in_l1_counts_the_values_of_a_photograph_in_float16():
    x = torch.full((2, 3, 224, 224), 0.5, dtype=torch.float16)
    s = apgd_algorithm._begin(torch.arange(2), x, torch.zeros(2, dtype=torch.long), torch.zeros(2), L1(40.0), x)
    s.support = torch.tensor([90_000.0, 300.0])
    s.grad = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).half() + 0.01
    step = apgd_sparse.sparse_step(s)
    assert step.abs().flatten(1).float().sum(1).tolist() == pytest.approx([40, 40], rel=0.1)
    assert (step != 0).flatten(1).sum(1)[0] == pytest.approx(60_000, rel=0.05)
