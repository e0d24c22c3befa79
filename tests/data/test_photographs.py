"""Photographs come from disk, whole, and show what the classifier is expected to see."""

import socket

import pytest
import torch

from cs329t_robust.data import datasets, photographs
from cs329t_robust.data.datasets import DataError
from cs329t_robust.models import networks


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", datasets.PHOTOS)
def test_photographs_come_from_disk(no_network, name):
    photographs._pixels.cache_clear()
    x = datasets.photo(name)
    assert x.shape == (1, 3, 224, 224)
    assert x.dtype == torch.float32
    assert 0 <= x.min() < 0.3
    assert 0.7 < x.max() <= 1
    torch.testing.assert_close(x * 255, (x * 255).round(), atol=1e-4, rtol=0)
    x.zero_()
    assert datasets.photo(name).max() > 0


def test_the_classifier_recognises_every_photograph_that_has_a_class():
    x, names = datasets.photos()
    assert len(names) >= 6
    assert "astronaut" not in names
    with torch.no_grad():
        confidence, found = networks.imagenet_classifier()(x).softmax(1).max(1)
    predicted = [networks.imagenet_classes()[i] for i in found]
    assert predicted == [datasets.PHOTOS[name].expected for name in names]
    assert confidence.tolist() == pytest.approx([0.77, 0.94, 0.95, 0.72, 0.60, 0.47], abs=0.03)


def test_wrong_photo_names_are_value_errors():
    with pytest.raises(ValueError, match=r"photo: expected one of cat, coffee"):
        datasets.photo("panda")
    with pytest.raises(ValueError, match=r"expected a list of names"):
        datasets.photos("cat")
    with pytest.raises(ValueError, match=r"at least one"):
        datasets.photos([])


def test_a_damaged_photograph_is_a_data_error(tmp_path, monkeypatch):
    about = datasets.PHOTOS["cat"]
    monkeypatch.setattr(
        photographs, "find_spec", lambda module: type("Spec", (), {"submodule_search_locations": [tmp_path]})
    )
    with pytest.raises(DataError, match=r"chelsea.png is missing"):
        photographs._checked(about)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chelsea.png").write_bytes(b"not a cat")
    with pytest.raises(DataError, match=rf"chelsea.png is damaged(.|\n)*{about.sha256}"):
        photographs._checked(about)
    assert not any(verdict.ok for verdict in photographs.verify_photos())
