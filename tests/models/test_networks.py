"""The course's models: known sizes, known margins, nothing downloaded, nothing random left behind."""

import socket

import pytest
import torch
from safetensors.torch import save_model

from cs329t_robust import accuracy
from cs329t_robust.data import datasets
from cs329t_robust.models import networks


def test_the_small_cnn_has_its_published_size():
    model = networks.SmallCNN(seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 166_406
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)
    assert networks.SmallCNN(seed=0, classes=4)(torch.rand(3, 1, 28, 28)).shape == (3, 4)


def weights(model):
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_seeded_weights_reproduce_and_touch_no_random_state(monkeypatch):
    def reseeded(seed):
        raise AssertionError("the GPUs' random state was reseeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded)
    before = torch.random.get_rng_state()
    first, same, other = (weights(networks.SmallCNN(seed=seed)) for seed in (1, 1, 2))
    networks.mnist_classifier()
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_without_a_seed_weights_are_torchs_own():
    assert not torch.equal(weights(networks.SmallCNN()), weights(networks.SmallCNN()))


@pytest.mark.parametrize("p", [1, 2, torch.inf])
def test_a_linear_models_distance_is_its_nearest_boundary(p):
    """Brute force in two pixels: the nearest of 400 x 400 points around x that is not classified as y."""
    generator = torch.Generator().manual_seed(0)
    model = networks.LinearModel(torch.randn(4, 2, generator=generator), torch.randn(4, generator=generator) / 5)
    x = torch.randn(20, 1, 1, 2, generator=generator)
    y = model(x).argmax(1)
    side = torch.linspace(-4, 4, 801)
    grid = torch.cartesian_prod(side, side)
    length = grid.abs().amax(1) if p == torch.inf else grid.norm(p=p, dim=1)
    distance = model.distance(x, y, p)
    checked = 0
    for i in range(20):
        crossed = model(x[i].flatten() + grid.view(-1, 1, 1, 2)).argmax(1) != y[i]
        if crossed.any() and length[crossed].min() < 3:
            assert distance[i].item() == pytest.approx(length[crossed].min().item(), abs=0.025)
            checked += 1
    assert checked >= 10


def test_a_linear_models_edges():
    model = networks.LinearModel(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    x = torch.tensor([0.9, 0.1]).view(1, 1, 1, 2)
    assert model.distance(x, torch.tensor([1])) == 0  # not predicted
    assert model.distance(x, torch.tensor([0])) == pytest.approx(0.8 / 2**0.5)
    with pytest.raises(ValueError, match="p: expected 1, 2 or inf, got 3"):
        model.distance(x, torch.tensor([0]), 3)
    for weight in [torch.ones(3), torch.ones(1, 3)]:
        with pytest.raises(ValueError, match="weight: expected shape"):
            networks.LinearModel(weight)


def test_a_linear_model_owns_its_weights():
    weight = torch.eye(2)
    model = networks.LinearModel(weight)
    weight.zero_()
    assert torch.equal(model.weight, torch.eye(2))


def test_the_shipped_classifier_reads_digits():
    model = networks.mnist_classifier()
    assert not model.training
    assert accuracy(model, *datasets.mnist("test", 1000)) > 0.97


def test_loading(tmp_path):
    model = networks.SmallCNN(seed=3).eval()
    save_model(model, tmp_path / "good.safetensors")
    loaded = networks.load(networks.SmallCNN(seed=4).train(), tmp_path / "good.safetensors")
    assert torch.equal(weights(loaded), weights(model))
    assert not loaded.training
    networks.load(networks.SmallCNN(), str(tmp_path / "good.safetensors"))

    (tmp_path / "bad.safetensors").write_bytes(b"not weights at all")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    save_model(networks.SmallCNN(seed=0, classes=3), tmp_path / "shapes.safetensors")
    save_model(torch.nn.Linear(2, 2), tmp_path / "names.safetensors")
    for name in ["bad", "empty", "shapes", "names"]:
        with pytest.raises(ValueError, match=rf"{name}.safetensors: expected weights of SmallCNN, got a file that"):
            networks.load(networks.SmallCNN(), tmp_path / f"{name}.safetensors")
    for missing in [tmp_path / "none.safetensors", tmp_path]:
        with pytest.raises(FileNotFoundError, match=r"no such checkpoint.*cs329t train mnist"):
            networks.load(networks.SmallCNN(), missing)


def test_the_imagenet_classifier_needs_no_network(monkeypatch, untouched):
    def offline(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    before = torch.random.get_rng_state()
    model = networks.imagenet_classifier()
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(module.training for module in model.modules())
    image, _ = datasets.photos(["cat"]) if "cat" in datasets.PHOTOS else datasets.photos()
    with torch.no_grad():
        logits = model(image[:1])
    assert logits.shape == (1, 1000)
    assert torch.isfinite(logits).all()
    names = networks.imagenet_classes()
    assert len(names) == 1000
    assert (names[0], names[285], names[999]) == ("tench", "Egyptian cat", "toilet tissue")


def test_normalisation_is_by_channel():
    got = networks.Normalize((0.5, 0.0), (0.5, 2.0))(torch.ones(1, 2, 1, 1))
    assert got.flatten().tolist() == [1.0, 0.5]
    assert not networks.Normalize((0.5,), (0.5,)).state_dict()
