"""One loop that learns, reproduces and gives the model's modes back."""

import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from torch import nn

from cs329t_robust import Linf, Spatial, accuracy, fgsm, pgd, robust_accuracy
from cs329t_robust.data import datasets
from cs329t_robust.models import networks
from cs329t_robust.training.fit import fit, ordinary


def blobs(n=96, classes=3):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    x = 0.1 * torch.randn(n, 1, 4, 4, generator=generator) + (0.2 + 0.3 * y).view(-1, 1, 1, 1)
    return x.clamp(0, 1), y


def net(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        hidden = [nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32)]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(32, 3))


def test_digits_are_learned():
    x, y = datasets.mnist("train", 2000)
    model = networks.SmallCNN(seed=0)
    history = fit(model, x, y, epochs=2)
    assert [epoch.number for epoch in history] == [1, 2]
    assert history[1].loss < 0.7 * history[0].loss
    assert history[1].accuracy > history[0].accuracy
    assert accuracy(model, *datasets.mnist("test", 500)) > 0.8


def test_seeds_reproduce_and_the_random_state_is_untouched():
    x, y = blobs()
    before = torch.random.get_rng_state()
    runs = [(model, fit(model, x, y, seed=seed, batch_size=16)) for seed in (0, 0, 1) for model in [net()]]
    assert torch.equal(before, torch.random.get_rng_state())
    assert runs[0][1] == runs[1][1] != runs[2][1]
    assert torch.equal(runs[0][0][1].weight, runs[1][0][1].weight)


def test_history_is_the_mean_over_all_examples():
    """With a vanishing learning rate the history is the model's own loss, the ragged last batch included."""
    x, y = blobs(50)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    expected = nn.functional.cross_entropy(model(x), y).item()
    history = fit(model, x, y, epochs=1, batch_size=16, max_lr=1e-12)
    assert history[0].loss == pytest.approx(expected, rel=1e-5)
    assert history[0].accuracy == pytest.approx(accuracy(model, x, y))


def test_inner_is_handed_model_images_labels_threat_and_seed():
    x, y = blobs(40)
    calls = []

    def inner(model, xb, yb, *, threat, seed):
        calls.append((model, len(xb), len(yb), threat.eps, seed))
        return xb

    model = net()
    fit(model, x, y, inner=inner, threat=Linf(0.3), warm_up=0.5, epochs=2, batch_size=16)
    assert [call[1:3] for call in calls] == [(16, 16), (16, 16), (8, 8)] * 2
    assert all(call[0] is model for call in calls)
    assert [call[3] for call in calls] == pytest.approx([0, 0.1, 0.2, 0.3, 0.3, 0.3])
    assert len({call[4] for call in calls}) == 6


def test_adversarial_training_trains_on_what_inner_returns():
    x, y = blobs()
    standard, hardened = net(), net()
    easy = fit(standard, x, y, epochs=24, batch_size=32)
    hard = fit(hardened, x, y, inner=partial(pgd, steps=4), threat=Linf(0.12), epochs=24, batch_size=32)
    assert hard[-1].loss > easy[-1].loss
    measure = partial(pgd, steps=20)
    robust = [robust_accuracy(model, x, y, measure, Linf(0.12)) for model in (standard, hardened)]
    assert robust[1] > robust[0]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_modes_are_given_back(train, error):
    x, y = blobs()
    model = net().train(train)
    model[2].eval()
    modes = [module.training for module in model.modules()]

    def inner(model, xb, yb):
        if error:
            raise error
        return xb

    if error:
        with pytest.raises(error):
            fit(model, x, y, inner=inner)
    else:
        fit(model, x, y, inner=inner)
    assert modes == [module.training for module in model.modules()]


def test_a_frozen_batchnorm_in_a_training_model_stays_frozen():
    x, y = blobs()
    model = net()
    model[2].eval()
    frozen, moving = model[2].running_mean.clone(), model[5].running_mean.clone()
    fit(model, x, y)
    assert torch.equal(model[2].running_mean, frozen)
    assert not torch.equal(model[5].running_mean, moving)


def test_one_image_in_one_batch():
    x, y = blobs(1)
    assert len(fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), x, y, epochs=1)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": None}, "model: expected a torch Module to train, got NoneType"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double()}, "one device and dtype"),
        ({"model": nn.Flatten(0)}, "model: expected|optimizer got an empty parameter list"),
        ({"model": nn.Linear(4, 3)}, r"logits of shape \(8, k\)"),
        ({"x": torch.full((96, 1, 4, 4), 2.0)}, "x: expected pixel values"),
        ({"x": torch.zeros(0, 1, 4, 4)}, "x: expected at least one image"),
        ({"y": torch.zeros(5, dtype=torch.long)}, "y: expected one label"),
        ({"y": torch.full((96,), 3)}, "labels below the model's 3 classes, got 3"),
        ({"epochs": 0}, "epochs: expected a whole number >= 1, got 0"),
        ({"epochs": 1.5}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_lr": 0}, r"max_lr: expected a number > 0 \(a learning rate\), got 0"),
        ({"max_lr": float("nan")}, "max_lr"),
        ({"max_lr": float("inf")}, "max_lr"),
        ({"max_lr": "fast"}, "max_lr"),
        ({"warm_up": 1}, r"warm_up: expected a share of the training in \[0, 1\), got 1"),
        ({"warm_up": 0.3}, r"threat: warm_up and replays need a ball such as Linf\(0.3\), got None"),
        ({"replays": 2, "threat": Spatial(10, 2)}, "need a ball"),
        ({"replays": 2, "threat": Linf(0.1), "inner": fgsm}, "inner: expected None with replays"),
        ({"inner": fgsm}, "threat: expected what fgsm may change"),
        ({"inner": "pgd"}, "inner: expected a function"),
        ({"threat": 0.3}, r"threat: expected a threat such as Linf\(0.3\), got 0.3"),
        ({"patience": 2}, "validate: expected a function model -> score"),
        ({"max_lr": 1e38}, "finite loss, got NaN in epoch 1; try a smaller max_lr"),
    ],
)
def test_bad_training(settings, message):
    x, y = blobs()
    given = {"model": net(), "x": x, "y": y, "epochs": 1, "batch_size": 8} | settings
    with pytest.raises(ValueError, match=message):
        fit(**given)


def test_labels_of_any_integer_type():
    x, y = blobs()
    assert fit(net(), x, y.to(torch.uint8)) == fit(net(), x, y)


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 5, 8, 11])
@pytest.mark.parametrize("replays", [1, 2])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, after, replays):
    x, y = blobs(64)
    monkeypatch.setattr("cs329t_robust.training.state.EVERY", -1.0)  # save after every batch
    settings = {"threat": Linf(0.1), "warm_up": 0.5, "epochs": 3, "batch_size": 16, "replays": replays}
    settings["validate"] = lambda model: -accuracy(model, x, y)  # keeps an early epoch, so that `best` is saved too
    if replays == 1:
        settings["inner"] = partial(pgd, steps=2)
    whole, broken, path = net(), net(), tmp_path / "state.safetensors"
    history = fit(whole, x, y, **settings)
    calls = []

    def outer(model, xb, x_adv, yb):
        calls.append(1)
        if len(calls) == after * replays:
            raise Killed
        return ordinary(model, xb, x_adv, yb)

    outer.__qualname__ = ordinary.__qualname__
    with pytest.raises(Killed):
        fit(broken, x, y, resume=path, outer=outer, **settings)
    again = net(seed=5) if path.exists() else net()
    assert fit(again, x, y, resume=path, **settings) == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    finished = net(seed=6)
    assert fit(finished, x, y, resume=path, **settings) == history  # a finished one is only read
    assert torch.equal(finished[1].weight, whole[1].weight)


def test_the_seconds_of_a_killed_training_add_up(tmp_path):
    x, y = blobs(64)
    asked = []

    def slow(model, last=2):
        asked.append(time.sleep(0.1))
        if len(asked) == last:
            raise Killed
        return 0.0

    with pytest.raises(Killed):
        fit(net(), x, y, epochs=4, validate=slow, resume=tmp_path / "state.safetensors")
    before = time.monotonic()
    history = fit(net(), x, y, epochs=4, validate=slow, resume=tmp_path / "state.safetensors")
    second_call = time.monotonic() - before
    seconds = [epoch.seconds for epoch in history]
    assert seconds == sorted(seconds)
    assert history[-1].seconds > max(second_call, 0.4)  # the first epoch was before the kill
    assert history[-1].cpu_seconds > 0


def test_resume_refuses_another_training_and_another_file(tmp_path):
    x, y = blobs(32)
    path = tmp_path / "state.safetensors"
    fit(net(), x, y, epochs=1, resume=path)
    with pytest.raises(ValueError, match=r"training with epochs=2 in .*state.safetensors, got 1; delete the file"):
        fit(net(), x, y, epochs=2, resume=path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="expected a training saved by fit"):
        fit(net(), x, y, epochs=1, resume=path)
    assert path.read_bytes() == b"not safetensors"


def test_early_stop_keeps_the_best_epoch():
    x, y = blobs()
    scores, weights = iter([0.1, 0.5, 0.3, 0.4, 0.9]), []

    def validate(model):
        weights.append(model[1].weight.detach().clone())
        return next(scores)

    model = net()
    history = fit(model, x, y, epochs=5, validate=validate, patience=2)
    assert [epoch.score for epoch in history] == [0.1, 0.5, 0.3, 0.4]
    assert torch.equal(model[1].weight, weights[1])


def test_free_training_moves_the_images_with_the_gradient_that_trains():
    x, y = blobs(32)
    seen = []

    def outer(model, xb, x_adv, yb):
        seen.append((xb, x_adv.detach().clone()))
        return ordinary(model, xb, x_adv, yb)

    fit(net(), x, y, threat=Linf(0.1), replays=3, outer=outer, epochs=1, batch_size=32)
    assert len(seen) == 3
    assert all(float((moved - clean).abs().max()) <= 0.1 + 1e-6 for clean, moved in seen)
    step = (seen[1][1] - seen[0][1]).abs()
    assert float(step.max()) > 0.1  # a step of the radius, from a random start


def test_watch_sees_both_accuracies_and_changes_nothing():
    x, y = blobs()
    moments, watched, alone = [], net(), net()
    settings = {"inner": fgsm, "threat": Linf(0.2), "epochs": 8, "batch_size": 16}
    fit(alone, x, y, **settings)
    fit(watched, x, y, watch=moments.append, progress=False, **settings)
    assert torch.equal(alone[1].weight, watched[1].weight)
    assert [moment.step for moment in moments] == [20, 40]
    assert all(0 <= share <= 1 for moment in moments for share in (moment.robust, moment.clean))
    assert moments[0].robust < moments[0].clean  # later BatchNorm's running statistics may make clean the lower one
    assert moments[-1].steps == 48


SEVERAL = """
import sys, torch
from functools import partial
from cs329t_robust import Linf, pgd, set_threads
from cs329t_robust.training.distributed import first, joined
from cs329t_robust.training import fit, ordinary
set_threads(1)
torch.manual_seed(0)
from torch.nn import Flatten, Linear, ReLU
model = torch.nn.Sequential(Flatten(), Linear(16, 32), ReLU(), Linear(32, 3)).double()
x, y = torch.rand(70, 1, 4, 4, dtype=torch.float64), torch.arange(70) % 3
with joined():
    history = fit(model, x, y, inner=partial(pgd, steps=2), threat=Linf(0.1), epochs=2, batch_size=16)
    if first():
        torch.save([history[-1].loss, *[p.detach() for p in model.parameters()]], sys.argv[1])
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    """At the same global batch, random starts included: they belong to the images."""
    script = tmp_path / "several.py"
    script.write_text(SEVERAL)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for start, out in [([sys.executable], "one"), (torchrun, "two")]:
        subprocess.run([*start, str(script), str(tmp_path / out)], check=True, timeout=120, capture_output=True)
    one, two = (torch.load(tmp_path / out, weights_only=True) for out in ("one", "two"))
    assert one[0] == pytest.approx(two[0])
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(one[1:], two[1:], strict=True))
