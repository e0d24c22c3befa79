"""A search may run at a reduced precision; whether an image is adversarial is said in full precision."""

import sys
from functools import partial

import pytest
import torch
from torch import nn

from cs329t_robust import (
    L0,
    L2,
    Linf,
    apgd,
    apgd_t,
    autoattack,
    cw,
    deepfool,
    fab_t,
    fmn,
    losses,
    pgd,
    robust_accuracy,
    sparse_rs,
    square,
)
from cs329t_robust.attacks.engine import gradient
from cs329t_robust.contract.model_state import full_precision, reduced
from cs329t_robust.data import datasets
from cs329t_robust.evaluation.accuracy import predict
from cs329t_robust.models import networks

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def bfloat16():
    return torch.autocast("cpu", torch.bfloat16)


def test_full_precision_is_inside_and_what_was_set_is_set_again():
    assert not reduced(CPU)
    with bfloat16():
        assert reduced(CPU)
        with full_precision(CPU):
            assert not reduced(CPU)
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert reduced(CPU)
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_model_may_set_cudnns_flags_inside():
    """PyTorch refuses that where convolutions and recurrent layers were set apart from the older switch."""
    with full_precision(CUDA):
        with torch.backends.cudnn.flags(enabled=False, allow_tf32=False):
            assert not torch.backends.cudnn.enabled
        assert not reduced(CUDA)
    assert torch.backends.cudnn.allow_tf32


def test_what_was_inherited_is_inherited_again():
    whole, conv = torch.backends, torch.backends.mkldnn.conv
    before = whole.fp32_precision
    try:
        whole.fp32_precision = "tf32"
        assert reduced(CPU)
        with full_precision(CPU):
            assert not reduced(CPU)
        assert conv.fp32_precision == "tf32"
        whole.fp32_precision = "ieee"
        assert conv.fp32_precision == "ieee", "it follows"
    finally:
        whole.fp32_precision = before


@pytest.mark.parametrize("set_as", ["default", "off", "old switch", "new switch"])
def test_tf32_is_off_inside_however_it_was_allowed(set_as):
    units = matmul, conv, rnn = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [unit.fp32_precision for unit in units]
    try:
        if set_as == "off":
            conv.fp32_precision = rnn.fp32_precision = "ieee"
        elif set_as == "old switch":
            torch.backends.cuda.matmul.allow_tf32 = True
        elif set_as == "new switch":
            matmul.fp32_precision = "tf32"
        mine = [unit.fp32_precision for unit in units]
        assert reduced(CUDA) == ("tf32" in mine) == (set_as != "off")
        with pytest.raises(AssertionError), full_precision(CUDA):
            assert reduced(CUDA), "full precision, and given back after an error"
        assert [unit.fp32_precision for unit in units] == mine
        if set_as in ("default", "old switch"):
            assert torch.backends.cudnn.allow_tf32  # the old switches can still be read
            assert torch.backends.cuda.matmul.allow_tf32 == (set_as == "old switch")
    finally:
        if set_as == "old switch":
            torch.backends.cuda.matmul.allow_tf32 = False
        for unit, value in zip(units, before, strict=True):
            unit.fp32_precision = value


class Liar(nn.Module):
    """Right in full precision; under autocast it says the next class, and notes how many images it sees."""

    def __init__(self):
        super().__init__()
        self.body, self.shown = networks.mnist_classifier("pgd"), []

    def forward(self, x):
        logits = self.body(x)
        if torch.is_autocast_enabled("cpu"):
            self.shown.append(len(x))
            return logits.roll(1, 1)
        return logits


SEARCHES = [
    partial(pgd, threat=Linf(0.01), steps=6, drop_adversarial=True, restarts=2),
    partial(apgd, threat=L2(0.05), steps=6, drop_adversarial=True, restarts=2),
    partial(apgd_t, threat=Linf(0.01), steps=6, targets=1),
    partial(square, threat=Linf(0.01), queries=8),
    partial(sparse_rs, threat=L0(1), queries=8),
]


@pytest.mark.parametrize("attack", SEARCHES, ids=lambda attack: attack.func.__name__)
def test_no_image_leaves_on_the_word_of_a_reduced_precision(attack):
    model, (x, y) = Liar(), datasets.mnist("test", 8)
    with bfloat16():
        found = attack(model, x, y)
    assert min(model.shown) == max(model.shown) == 8
    assert found.dtype == torch.float32
    assert torch.equal(predict(model, found).argmax(1), y)


class Counting(nn.Module):
    """The shipped classifier, which notes how many images it sees in all."""

    def __init__(self):
        super().__init__()
        self.body, self.seen = networks.mnist_classifier(), 0

    def forward(self, x):
        self.seen += len(x)
        return self.body(x)


@pytest.mark.parametrize("attack", SEARCHES[:4], ids=lambda attack: attack.func.__name__)
def test_what_is_confirmed_does_leave(attack):
    x, y = datasets.mnist("test", 20)
    strong = {"threat": Linf(0.3), "restarts": 3} if attack.func is not square else {"threat": Linf(0.3)}
    strong["queries" if attack.func is square else "steps"] = 60
    plain, lowered = Counting(), Counting()
    attack(plain, x, y, **strong)
    with bfloat16():
        attack(lowered, x, y, **strong)
    assert plain.seen < 0.5 * 60 * len(x)
    assert lowered.seen < 1.5 * plain.seen + len(x)


STRONG = [
    partial(pgd, steps=15, restarts=2, drop_adversarial=True),
    partial(pgd, steps=15, drop_adversarial=True, loss=losses.dlr),
    partial(apgd, steps=15, drop_adversarial=True),
    partial(apgd_t, steps=10, targets=3),
    partial(square, queries=100),
]


@pytest.mark.parametrize("attack", STRONG, ids=lambda attack: attack.func.__name__)
def test_autocast_around_it_all_speeds_up_the_search_alone(attack):
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 60)
    made = []

    def kept(model, x, y, threat):
        made.append((attack(model, x, y, threat=threat), y))
        return made[-1][0]

    with bfloat16():
        found = robust_accuracy(model, x, y, kept, Linf(0.06))
    ((x_adv, label),) = made
    assert x_adv.dtype == torch.float32
    assert int(found.correct.sum()) == int((model(x_adv).argmax(1) == label).sum())
    assert abs(float(found) - float(robust_accuracy(model, x, y, attack, Linf(0.06)))) <= 0.05
    assert attack.func is square or 0 < float(found) < 0.9


def test_what_a_run_calls_adversarial_is_so_in_full_precision(monkeypatch):
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 60)
    seen = []
    module = sys.modules["cs329t_robust.attacks.pgd"]  # the package's name for it is the function
    run = module._pgd

    def spied(*arguments):
        found = run(*arguments)
        seen.append((found.x_adv, found.adversarial))
        return found

    monkeypatch.setattr(module, "_pgd", spied)
    with bfloat16():
        pgd(model, x, y, threat=Linf(0.07), steps=20, drop_adversarial=True)
    ((found, adversarial),) = seen
    assert 10 < int(adversarial.sum()) < 60
    assert bool((model(found[adversarial]).argmax(1) != y[adversarial]).all())


NEAREST = [
    partial(fmn, steps=12),
    partial(cw, steps=6, searches=2),
    deepfool,
    partial(fab_t, threat=Linf(0.05), steps=4, targets=2),
]


@pytest.mark.parametrize("attack", NEAREST, ids=lambda attack: getattr(attack, "func", attack).__name__)
def test_an_attack_that_measures_a_distance_works_in_full_precision_throughout(attack, digits):
    model, x, y = digits
    expected = attack(model, x[:6], y[:6])
    with bfloat16():
        assert torch.equal(attack(model, x[:6], y[:6]), expected)


def test_the_ensemble_asks_in_full_precision_what_is_still_robust():
    model, (x, y) = Liar(), datasets.mnist("test", 4)
    with bfloat16():
        found = autoattack(model, x, y, threat=Linf(0.0), version="fast")
    assert torch.equal(found, x)
    assert len(model.shown) > 5  # the stages ran: nothing was taken for adversarial before them


class Layouts(nn.Module):
    """A convolutional network that notes how its images lie, and may insist on rows that can be viewed."""

    def __init__(self, view=False):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.conv, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 36, 5)
        self.view, self.channels_last = view, []

    def forward(self, x):
        self.channels_last.append(x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous())
        hidden = self.conv(x).relu()
        return self.last(hidden.view(len(x), -1) if self.view else hidden.flatten(1))


def test_colour_images_lie_channels_last_where_that_is_fast(monkeypatch):
    x, y = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    model = Layouts()
    with bfloat16():
        plain, logits = gradient.input_gradient(model, x, y, losses.cross_entropy)
        monkeypatch.setattr(gradient, "CHANNELS_LAST", {"cpu"})
        grad, said = gradient.input_gradient(model, x, y, losses.cross_entropy)
    assert model.channels_last == [False, True]
    assert grad.is_contiguous()
    torch.testing.assert_close(grad, plain, rtol=0.05, atol=0.01)
    torch.testing.assert_close(said, logits, rtol=0.05, atol=0.01)
    gradient.input_gradient(model, x, y, losses.cross_entropy)  # nothing is reduced: as they are
    gradient.input_gradient(nn.Sequential(nn.Flatten(), nn.Linear(36, 5)), x[:, :1], y, losses.cross_entropy)
    assert model.channels_last == [False, True, False]


def test_a_model_that_cannot_take_them_gets_them_as_they_are(monkeypatch):
    monkeypatch.setattr(gradient, "CHANNELS_LAST", {"cpu"})
    x, y = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    model = Layouts(view=True)
    with bfloat16():
        first = pgd(model, x, y, threat=Linf(0.1), steps=3)
    assert model.channels_last == [True, False, False, False]
    monkeypatch.setattr(gradient, "CHANNELS_LAST", set())
    with bfloat16():
        assert torch.equal(first, pgd(model, x, y, threat=Linf(0.1), steps=3))


def test_a_model_that_fails_either_way_says_so_itself(monkeypatch, crooked):
    monkeypatch.setattr(gradient, "CHANNELS_LAST", {"cpu"})
    model = crooked((3, 3, 4))
    model.fails = RuntimeError("of its own")
    with bfloat16(), pytest.raises(RuntimeError, match="of its own"):
        pgd(model, torch.rand(2, 3, 3, 4), torch.zeros(2, dtype=torch.long), threat=Linf(0.1))
