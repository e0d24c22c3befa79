"""No false alarm on honest models; every planted fault is found, with its numbers."""

from functools import partial

import pytest
import torch
from torch import nn

from cs329t_robust import L0, L2, Linf, Masked, fgsm, pgd
from cs329t_robust.evaluation import sanity_checks
from cs329t_robust.evaluation.sanity_checks import Finding, suspicions
from cs329t_robust.models import networks

PGD = partial(pgd, steps=20, drop_adversarial=True)


def names(found):
    assert all(isinstance(f, Finding) and f.says and "arXiv" in str(f) for f in found)
    return [f.name for f in found]


@pytest.fixture(scope="module")
def first(digits):
    _, x, y = digits
    return x[:60], y[:60]


def shipped(name):
    return networks.load(networks.SmallCNN(), networks.CHECKPOINTS / f"mnist_{name}.safetensors")


@pytest.mark.parametrize(
    ("name", "threat"),
    [("standard", Linf(0.05)), ("standard", Linf(0.1)), ("standard", L2(1.0)), ("pgd", Linf(0.3)), ("pgd", L2(2.0))],
    ids=str,
)
def test_no_alarm_on_an_honest_model(first, name, threat):
    others = [shipped("standard" if name == "pgd" else "pgd")]
    assert suspicions(shipped(name), *first, threat=threat, attack=PGD, surrogates=others, queries=100) == []


def test_no_alarm_on_a_linear_model(linear):
    model, x, y = linear(n=40)
    assert suspicions(model, x, y, threat=Linf(0.02), queries=50) == []
    assert suspicions(model, x, y, threat=L0(2), queries=50) == []
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[1:] = True
    assert suspicions(model, x, y, threat=Masked(Linf(0.05), mask), queries=50) == []


def test_the_masked_defence_is_seen_through(first):
    found = suspicions(
        shipped("masked"), *first, threat=Linf(0.1), attack=PGD, surrogates=[shipped("standard")], queries=500
    )
    assert names(found) == [
        "vanished gradient",
        "black-box beats white-box",
        "transfer beats white-box",
        "unbounded attack fails",
    ]
    gradient = next(f for f in found if f.name == "vanished gradient")
    assert "of 60 images" in gradient.says
    assert "1802.00420" in str(gradient)


def test_fgsm_beside_an_attack_that_does_not_move(first):
    lame = partial(pgd, steps=1, step_size=1e-3, random_start=False)
    found = names(suspicions(shipped("standard"), *first, threat=Linf(0.15), attack=lame, queries=100))
    assert found == ["one step beats many", "black-box beats white-box", "unbounded attack fails"]


def test_an_attack_that_is_worse_than_noise(first):
    downhill = partial(pgd, steps=5, loss=lambda logits, y: -nn.functional.cross_entropy(logits, y, reduction="none"))
    found = suspicions(shipped("standard"), *first, threat=Linf(0.45), attack=downhill, queries=10)
    assert "noise beats the attack" in names(found)
    assert "% under noise(seed=0), " in next(f.says for f in found if f.name == "noise beats the attack")


def test_a_catastrophically_overfitted_model_is_honest_under_pgd_but_not_under_fgsm(first):
    model = shipped("fgsm")
    assert "one step beats many" not in names(suspicions(model, *first, threat=Linf(0.3), attack=PGD, queries=50))
    assert "black-box beats white-box" in names(suspicions(model, *first, threat=Linf(0.3), attack=fgsm, queries=300))


def test_probabilities(first):
    model = nn.Sequential(shipped("standard"), nn.Softmax(1)).eval()
    found = suspicions(model, *first, threat=Linf(0.05), attack=PGD, queries=10)
    assert "probabilities for logits" in names(found)


class Chancy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = shipped("standard")

    def forward(self, x):
        return self.body(x + 0.01 * torch.randn_like(x))


def test_random_answers_and_train_mode(first, untouched):
    snapshot, assert_same = untouched
    assert names(suspicions(Chancy().eval(), *first, threat=Linf(0.05), attack=PGD, queries=10))[0] == "random answers"
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.3), shipped("standard")).train()
    model[0].running_mean.fill_(0.1)
    before = snapshot(model)
    found = suspicions(model, *first, threat=Linf(0.05), attack=PGD, queries=10)
    assert names(found)[0] == "train mode"
    assert_same(before, snapshot(model))
    assert suspicions(shipped("standard").train(), *first, threat=Linf(0.05), attack=PGD, queries=10) == []


@pytest.mark.parametrize(
    ("threat", "says"),
    [
        (Linf(8.0), "ε = 8, and no two images are farther apart than 1: anything goes; was 8/255 meant?"),
        (Linf(1.0), "ε = 1, and no two images are farther apart than 1: anything goes"),
        (Linf(0.5), "ε = 0.5 lets every image become the same grey"),
        (Linf(8 / 255 / 255), "ε = 0.00012 is less than half a level of an 8-bit image"),
        (L2(28.0), "ε = 28, and no two images are farther apart than 28"),
        (L0(784), "ε = 784, and no two images are farther apart than 784"),
    ],
    ids=str,
)
def test_a_radius_out_of_scale(threat, says, digits):
    _, x, _ = digits
    assert sanity_checks._scale(threat, x).says.startswith(says)


@pytest.mark.parametrize("threat", [Linf(0.3), Linf(2 / 255), Linf(0.0), L2(3.0), L0(20)], ids=str)
def test_a_usual_radius(threat, digits):
    _, x, _ = digits
    assert sanity_checks._scale(threat, x) is None


def test_noise_stays_in_the_threat_at_its_full_size(digits):
    model, x, y = digits
    for threat in (Linf(0.1), L2(1.0)):
        tried = sanity_checks.noise(model, 0.3 + 0.4 * x[:8], y[:8], threat=threat)
        assert torch.allclose(threat.distance(0.3 + 0.4 * x[:8], tried), torch.full((8,), float(threat.eps)), rtol=1e-4)
    few, many = (sanity_checks.noise(model, x[:50], y[:50], threat=Linf(0.4), draws=n) for n in (1, 10))
    assert (model(many).argmax(1) == y[:50]).sum() < (model(few).argmax(1) == y[:50]).sum()


def test_bad_input_is_told(digits):
    model, x, y = digits
    with pytest.raises(ValueError, match=r"pixel values in \[0, 1\]"):
        suspicions(model, 255 * x, y, threat=Linf(0.1))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.out = nn.BatchNorm2d(1), nn.Linear(12, 3)
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.fails = False

    def forward(self, x):
        self.calls += self.training
        if self.fails:
            raise ArithmeticError("no answer")
        return self.out(self.norm(x).flatten(1))


def test_looking_at_a_model_in_train_mode_moves_nothing_in_it():
    model, (x, y) = Normed().train(), (torch.rand(6, 1, 3, 4), torch.zeros(6, dtype=torch.long))
    loss = model(x).sum()
    kept = [buffer.clone() for buffer in model.buffers()]
    for asked in (model, model.forward, partial(model)):
        assert "train mode" in names(suspicions(asked, x, y, threat=Linf(0.1), queries=5))
        assert all(map(torch.equal, model.buffers(), kept))
    model.fails = True
    with pytest.raises(ArithmeticError):
        suspicions(model, x, y, threat=Linf(0.1), queries=5)
    assert all(map(torch.equal, model.buffers(), kept))
    loss.backward()  # no parameter was written to
