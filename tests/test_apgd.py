"""Auto-PGD: its looks back, its rises, its last step, and the targets it gives up; no weaker than PGD."""

from functools import partial

import pytest
import torch

from cs329t_robust import L2, Linf, apgd, apgd_t, losses, pgd, robust_accuracy
from cs329t_robust.attacks import climbs


@pytest.mark.parametrize("threat", [Linf(0.1), L2(1.2)], ids=repr)
def test_apgd_is_no_weaker_than_pgd_and_dropping_changes_no_verdict(digits, threat):
    model, x, y = digits
    by_pgd = robust_accuracy(model, x, y, partial(pgd, steps=50, drop_broken=True), threat)
    kept = robust_accuracy(model, x, y, partial(apgd, steps=50), threat)
    dropped = robust_accuracy(model, x, y, partial(apgd, steps=50, drop_broken=True), threat)
    assert kept <= by_pgd
    assert (kept.correct == dropped.correct).float().mean() >= 0.99


def test_apgd_looks_back_where_the_paper_does():
    assert climbs.checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_apgd_does_not_count_its_start_as_a_rise(monkeypatch):
    """Condition 1 compares the rises among the steps since the last look with three quarters of these steps."""
    seen, look_back = [], climbs._look_back

    def looking_back(s, since, grad):
        seen.append((since, int(s.rises.max())))
        return look_back(s, since, grad)

    monkeypatch.setattr(climbs, "_look_back", looking_back)
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
def test_apgd_climbs_on_after_a_success_unless_told_to_drop_it(digits, attack):
    model, x, y = digits
    on, dropped = (attack(model, x, y, threat=Linf(0.2), drop_broken=drop) for drop in (False, True))
    broken = model(dropped).argmax(1) != y
    assert broken.float().mean() > 0.8
    assert ((model(on).argmax(1) != y) == broken).all()
    higher = losses.cross_entropy(model(on), y) - losses.cross_entropy(model(dropped), y)
    assert higher[broken].median() > 0.5


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
    """On images that nothing breaks: how many climbs each asks for, from look-back to look-back."""
    assert climbs.narrowed(100, 9, keep) == kept
    assert climbs.narrowed(100, 10, 0.7)[22] == 7, "0.7 × 10 is 7.000000000000001"
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
