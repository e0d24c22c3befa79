"""One loop that learns, reproduces and gives the model's modes back."""

from functools import partial

import pytest
import torch
from torch import nn

from cs329t_robust import Linf, accuracy, data, models, pgd, robust_accuracy
from cs329t_robust.training import fit


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
    x, y = data.mnist("train", 2000)
    model = models.SmallCNN(seed=0)
    history = fit(model, x, y, epochs=2)
    assert [epoch.number for epoch in history] == [1, 2]
    assert history[1].loss < 0.7 * history[0].loss
    assert history[1].accuracy > history[0].accuracy
    assert accuracy(model, *data.mnist("test", 500)) > 0.8


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


def test_inner_is_handed_model_images_labels_and_a_generator():
    x, y = blobs(40)
    calls = []

    def inner(model, xb, yb, generator):
        calls.append((model, xb.shape, yb.shape, generator))
        return (xb + 0.1 * torch.rand(xb.shape, generator=generator)).clamp(0, 1)

    model = net()
    fit(model, x, y, inner=inner, epochs=1, batch_size=16)
    assert [(shape[0], labels[0]) for _, shape, labels, _ in calls] == [(16, 16), (16, 16), (8, 8)]
    assert all(called is model for called, *_ in calls)
    assert all(isinstance(call[3], torch.Generator) for call in calls)


def test_adversarial_training_trains_on_what_inner_returns():
    x, y = blobs()
    attack = partial(pgd, threat=Linf(0.12), steps=4)

    def inner(model, xb, yb, generator):
        return attack(model, xb, yb, generator=generator)

    standard, hardened = net(), net()
    easy = fit(standard, x, y, epochs=8, batch_size=32)
    hard = fit(hardened, x, y, inner=inner, epochs=8, batch_size=32)
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

    def inner(model, xb, yb, generator):
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
        ({"max_lr": 0}, "max_lr: expected a learning rate > 0, got 0"),
        ({"max_lr": float("nan")}, "max_lr"),
        ({"max_lr": float("inf")}, "max_lr"),
        ({"max_lr": "fast"}, "max_lr"),
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
