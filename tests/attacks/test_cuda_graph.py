"""The logic around a CUDA graph, tested without a GPU: a recorder that keeps the operators of a step and replays them.

Like a CUDA graph, torch's tracer runs the model's Python once, cannot read a value on the way, and writes into buffers
of its own. What only a GPU can show is in test_cuda.py.
"""

import random
import warnings
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from cs329t_robust import L2, Linf, apgd, apgd_t, cw, fab_t, fmn, losses, pgd, square
from cs329t_robust.attacks.engine import cuda_graph, shrinking
from cs329t_robust.attacks.engine.gradient import input_gradient
from cs329t_robust.models import networks


class Tape:
    """Records as a CUDA graph does, and counts what is done with it."""

    made = 0
    played = 0

    def __init__(self, step, x):
        self.x = x.clone()
        self.graph = make_fx(step)(self.x)
        self.answer = None
        Tape.made += 1

    def __call__(self, x):
        Tape.played += 1
        self.x.copy_(x)
        answer = self.graph(self.x)
        if self.answer is None:
            self.answer = tuple(value.clone() for value in answer)
        for buffer, value in zip(self.answer, answer, strict=True):
            buffer.copy_(value)
        return tuple(value.clone() for value in self.answer)


@pytest.fixture
def tape(monkeypatch):
    """Record, and on the CPU too."""
    monkeypatch.setenv("CS329T_CUDA_GRAPHS", "1")
    monkeypatch.setattr(cuda_graph, "RECORDERS", {"cpu": Tape})
    monkeypatch.setattr(shrinking, "LOOK", {"cpu": 10})
    monkeypatch.setattr(cuda_graph, "LOOK", {"cpu": 10})
    monkeypatch.setattr(Tape, "made", 0)
    monkeypatch.setattr(Tape, "played", 0)
    return Tape


@pytest.fixture
def some(digits):
    model, x, y = digits
    return model, x[:12], y[:12]


def eager(monkeypatch, attack, *images):
    with monkeypatch.context() as without:
        without.setattr(cuda_graph, "RECORDERS", {})
        return attack(*images)


ATTACKS = [
    partial(pgd, threat=Linf(0.1), steps=20),
    partial(pgd, threat=L2(1.0), steps=40, drop_adversarial=True, restarts=2, momentum=0.5),
    partial(apgd, threat=Linf(0.1), steps=40, drop_adversarial=True),
    partial(apgd_t, threat=Linf(0.05), steps=100, targets=3, keep=0.5),
    partial(fab_t, threat=Linf(0.02), steps=30, targets=2),
    partial(fmn, steps=40),
    partial(cw, steps=20, searches=2),
    partial(square, threat=Linf(0.05), queries=60),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.func.__name__)
def test_a_recorded_attack_makes_the_same_images(tape, some, monkeypatch, attack):
    expected = eager(monkeypatch, attack, *some)
    assert torch.equal(attack(*some), expected)
    assert tape.made
    assert tape.played > 5 * tape.made


def repeated(model, x, y, calls=40, shrinking=False):
    def step(images, check):
        return input_gradient(model, images, y, losses.cross_entropy, check=check)

    return cuda_graph.Repeated(model, step, calls, shrinking)


@pytest.mark.parametrize(("shrinking", "own"), [(False, 4), (True, 12)])
def test_a_step_is_recorded_after_its_warm_up_and_proved_on_other_images(tape, some, shrinking, own):
    model, x, y = some
    calls = []

    def counted(images):
        calls.append(images)
        return model(images)

    gradient = repeated(counted, x, y, shrinking=shrinking)
    answers = []
    for i in range(own + 5):
        answers.append(gradient((x + 0.01 * i).clamp(0, 1), check=i == 0))
        assert tape.played == max(0, i + 1 - own + 1)
    assert tape.made == 1
    assert len(calls) == own + 1  # the calls of its own, the proof among them, and the recording
    for i, (grad, logits) in enumerate(answers):  # also those that later replays could have written over
        wanted, said = input_gradient(model, (x + 0.01 * i).clamp(0, 1), y, losses.cross_entropy)
        assert torch.equal(grad, wanted)
        assert torch.equal(logits, said)


def test_a_handful_of_steps_is_not_recorded(tape, some):
    pgd(*some, threat=Linf(0.1), steps=cuda_graph.SETTLED + cuda_graph.WORTH - 1)
    assert tape.made == 0
    pgd(*some, threat=Linf(0.1), steps=cuda_graph.SETTLED + cuda_graph.WORTH)
    assert tape.made == 1


def test_a_smaller_batch_is_recorded_anew(tape, some, monkeypatch):
    model, x, y = some
    attack = partial(
        pgd, threat=Linf(torch.linspace(0.01, 0.2, len(x))), steps=60, step_size=0.004, drop_adversarial=True
    )
    expected = eager(monkeypatch, attack, model, x, y)
    assert torch.equal(attack(model, x, y), expected)
    assert tape.made > 1


def test_new_weights_are_seen_by_the_next_attack(tape, some, monkeypatch):
    _, x, y = some
    model = networks.SmallCNN(seed=0).eval()
    attack = partial(pgd, threat=Linf(0.1), steps=20)
    first = attack(model, x, y)
    model.load_state_dict(networks.mnist_classifier().state_dict())
    assert not torch.equal(attack(model, x, y), first)
    assert torch.equal(attack(model, x, y), eager(monkeypatch, attack, model, x, y))


class Moody(nn.Module):
    """A classifier with a whim: what it does besides, in Python."""

    def __init__(self, whim):
        super().__init__()
        self.body, self.whim = networks.mnist_classifier(), whim

    def forward(self, x):
        return self.body(self.whim(x))


WHIMS = {
    "reads a value": lambda x: x * (1.0 if x.sum().item() > 0 else 0.5),
    "draws in Python": lambda x: x * (1 + random.random()),
    "draws in torch": lambda x: x + 0.3 * torch.rand_like(x),
}


@pytest.mark.parametrize("whim", WHIMS)
def test_a_model_that_cannot_be_recorded_goes_on_eagerly_and_it_is_said_once(tape, some, monkeypatch, whim):
    _, x, y = some
    model, attack = Moody(WHIMS[whim]), partial(pgd, threat=Linf(0.1), steps=20, restarts=2)

    def seeded(*images):
        random.seed(0)
        torch.manual_seed(0)
        return attack(*images)

    with pytest.warns(RuntimeWarning, match="results are the same, only slower") as said:
        found = seeded(model, x, y)
    assert len(said) == 1
    if whim == "reads a value":
        assert torch.equal(found, eager(monkeypatch, seeded, model, x, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seeded(model, x, y)
    assert tape.played <= 1


def test_a_recorder_that_fails_changes_nothing(monkeypatch, some):
    def fails(step, x):
        step(x)
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with …")

    monkeypatch.setenv("CS329T_CUDA_GRAPHS", "1")
    monkeypatch.setattr(cuda_graph, "RECORDERS", {"cpu": fails})
    model, x, y = networks.mnist_classifier(), *some[1:]
    attack = partial(apgd, threat=Linf(0.1), steps=20, restarts=2)
    expected = eager(monkeypatch, attack, model, x, y)
    with pytest.warns(RuntimeWarning, match=r"RuntimeError: CUDA error: .* capturing\)") as said:
        assert torch.equal(attack(model, x, y), expected)
    assert len(said) == 1


@pytest.mark.parametrize("setting", [None, "", "0"])
def test_nothing_is_recorded_unless_it_is_asked_for(tape, some, monkeypatch, setting):
    monkeypatch.delenv("CS329T_CUDA_GRAPHS")
    if setting is not None:
        monkeypatch.setenv("CS329T_CUDA_GRAPHS", setting)
    pgd(*some, threat=Linf(0.1), steps=40)
    assert tape.made == 0


def test_a_setting_that_is_neither_on_nor_off_is_refused(tape, some, monkeypatch):
    monkeypatch.setenv("CS329T_CUDA_GRAPHS", "yes")
    with pytest.raises(ValueError, match=r"CS329T_CUDA_GRAPHS: expected 1 to record .* or 0, got 'yes'"):
        pgd(*some, threat=Linf(0.1), steps=40)


@pytest.fixture
def pretended(monkeypatch):
    """Pretend to have CUDA, as far as `CudaGraph` calls it; return the calls in their order."""
    log = []

    class Pretended:
        def __init__(self, *_):
            pass

        def __getattr__(self, name):
            return lambda *_, **__: log.append(name)

    def switch(mode):
        log.append(f"sync {mode}")

    for name in ("CUDAGraph", "Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Pretended)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", switch)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append("synchronize"))
    cuda_graph._side.cache_clear()
    yield log
    cuda_graph._side.cache_clear()


def test_a_graph_is_recorded_on_a_side_stream_after_a_rehearsal_that_may_not_wait(pretended):
    def step(x):
        pretended.append("step" if not torch.is_autocast_cache_enabled() else "step with cached weights")
        return (x + 1,)

    x = torch.zeros(3)
    graph = cuda_graph.CudaGraph(step, x)
    assert pretended == [
        *("wait_stream", "step", "sync error", "step", "capture_begin", "step", "capture_end", "sync 0", "wait_stream")
    ]
    (first,) = graph(x + 1)
    (second,) = graph(x + 2)
    assert torch.equal(graph.x, x + 2)
    assert first.data_ptr() != second.data_ptr() != graph.answer[0].data_ptr()
    assert pretended[9:] == ["replay", "replay"]
    assert torch.is_autocast_cache_enabled()
    del graph
    assert pretended[-1] == "synchronize"


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_whatever_fails_the_device_is_left_as_it_was(pretended, turn):
    def step(x):
        pretended.append("step")
        if pretended.count("step") == turn:
            raise RuntimeError("called a synchronizing CUDA operation")
        return (x,)

    with pytest.raises(RuntimeError, match="synchronizing"):
        cuda_graph.CudaGraph(step, torch.zeros(3))
    assert ("capture_begin" in pretended) == ("capture_end" in pretended) == (turn == 3)
    assert [call for call in pretended if call != "synchronize"][-2:] == ["sync 0", "wait_stream"]
    assert torch.is_autocast_cache_enabled()
