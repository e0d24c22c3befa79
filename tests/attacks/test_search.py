"""The loop around every attack: who leaves a batch, with what, and that nothing is left behind."""

import gc
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from attack_table import ROWS

from cs329t_robust import Linf, pgd
from cs329t_robust.attacks.engine.batches import batched
from cs329t_robust.attacks.engine.search import Search
from cs329t_robust.attacks.engine.shrinking import Batch
from cs329t_robust.losses import cross_entropy
from cs329t_robust.runtime.randomness import ImageRandom


@dataclass(kw_only=True)
class Noted(Batch):
    """A batch that remembers more."""

    number: torch.Tensor
    rate: float
    random: ImageRandom


def batch(n=6):
    x = torch.rand(n, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    return Noted(
        x=x, y=torch.zeros(n, dtype=torch.long), x_adv=x, threat=Linf(torch.linspace(0.1, 0.6, n)),
        number=torch.arange(n), rate=0.5, random=ImageRandom(0, x),
    )  # fmt: skip


def model(x):
    return x.flatten(1)[:, :3]


def test_rows_leave_every_field_together():
    s, rows = batch(), torch.tensor([1, 4])
    whole, before = s.x, s.project(torch.ones_like(s.x))
    part = s.select(rows)
    s.keep_only(rows)
    for kept in (s, part):
        assert kept.image.tolist() == kept.number.tolist() == [1, 4]
        assert kept.rate == 0.5
        assert torch.equal(kept.x, whole[rows])
        assert torch.equal(kept.threat.eps, torch.linspace(0.1, 0.6, 6)[rows])
        assert len(kept.random.keys) == len(kept.y) == len(kept.adversarial) == 2
    assert torch.equal(s.project(torch.ones_like(s.x)), before[rows]), "the bounds are those of the rows that stay"


def test_what_leaves_is_found_and_what_goes_along_shrinks():
    s = batch()
    search = Search(model, s, cross_entropy, drop=True)
    for step in search.steps(10):
        s.x_adv = s.x_adv + 1
        s.adversarial = s.number < 4
        (along,) = search.shrink_to(~s.adversarial, s.number * 10)
        assert along.tolist() == [40, 50]
        if step == 1:
            break
    found = search.finish()
    assert found.adversarial.tolist() == [True] * 4 + [False] * 2
    assert [round(float(value)) for value in (found.x_adv - batch().x).flatten(1).mean(1)] == [1, 1, 1, 1, 2, 2]


def test_a_search_is_over_when_no_row_is_left():
    s, seen = batch(), []
    search = Search(model, s, cross_entropy, drop=True)
    for step in search.steps(10):
        seen.append(step)
        s.adversarial = s.number >= 0
        search.shrink_to(~s.adversarial)
        assert len(s.x) == 6, "the step that is running has rows to run on"
    assert seen == [0]
    assert search.finish().adversarial.all()


def test_rows_stay_where_leaving_does_not_pay():
    s = batch()
    search = Search(model, s, cross_entropy, drop=True)
    for step in search.steps(2):
        search.evaluate()
        search.shrink_to(s.number > 0)
        assert len(s.x) == 6, "one row less, in the one step that is left, is worth less than a new batch"
        search.shrink_to(s.number > 0, now=step == 1)
    assert len(s.x) == 5


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name in ("pgd", "apgd", "fab_t", "square", "deepfool")], ids=str
)
def test_memory_is_given_back_without_waiting_for_the_garbage_collector(crooked, row):
    network = crooked((1, 3, 4)).eval()
    x = torch.rand(8, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = network(x).argmax(1)
    gc.collect()
    gc.disable()
    try:
        before = {id(one) for one in searches()}  # what other tests have left
        row.run(network, x, y)
        assert not [one for one in searches() if id(one) not in before]
    finally:
        gc.enable()


def searches():
    return [one for one in gc.get_objects() if issubclass(type(one), Search | Batch)]


def test_an_attack_says_which_settings_hold_a_number_for_each_image(monkeypatch):
    monkeypatch.setitem(batched.__globals__["AT_ONCE"], "cpu", 12 * 2)
    seen = []

    @batched("strength")
    def attack(model, x, y, *, strength, table, loud: bool = False):
        seen.append((strength.tolist(), len(table)))
        return x.clone()

    s = batch()
    attack(model, s.x, s.y, strength=torch.arange(6.0), table=torch.arange(6.0))
    assert seen == [([0.0, 1.0], 6), ([2.0, 3.0], 6), ([4.0, 5.0], 6)]
    with pytest.raises(ValueError, match="loud: expected"):
        attack(model, s.x, s.y, strength=torch.ones(6), table=torch.ones(6), loud="yes")
    with pytest.raises(ValueError, match=r"strength: expected a number or a tensor \(6,\), got shape \(5,\)"):
        attack(model, s.x, s.y, strength=torch.ones(5), table=torch.ones(6))


def test_one_step_of_pgd_is_madrys():
    """x' = Π(x + η·sign(∇loss)), laid beside the loop of the file."""
    s = batch()
    x, x_adv = s.x, s.x.clone()
    for _ in range(3):
        point = x_adv.clone().requires_grad_()
        (grad,) = torch.autograd.grad(cross_entropy(model(point), s.y).sum(), point)
        x_adv = (x_adv + 0.05 * grad.sign()).clamp(x - 0.1, x + 0.1).clamp(0, 1)
    found = partial(pgd, threat=Linf(0.1), steps=3, step_size=0.05, random_start=False)(model, x, s.y)
    torch.testing.assert_close(found, x_adv)
