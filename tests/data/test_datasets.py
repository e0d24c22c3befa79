"""Data sets: the shapes, ranges and labels promised, and clear errors for everything else."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from cs329t_robust.data import datasets
from cs329t_robust.data.datasets import DataError


@pytest.mark.parametrize(
    ("split", "size", "first"), [("train", 60000, [5, 0, 4, 1, 9]), ("test", 10000, [7, 2, 1, 0, 4])]
)
def test_mnist_is_what_it_should_be(split, size, first):
    x, y = datasets.mnist(split)
    assert x.shape == (size, 1, 28, 28)
    assert (x.dtype, y.dtype, x.min().item(), x.max().item()) == (torch.float32, torch.int64, 0.0, 1.0)
    assert y[:5].tolist() == first
    assert y.bincount().min() > size / 12


def test_n_takes_the_first_and_returns_copies():
    x, y = datasets.mnist("test", n=7)
    assert x.shape == (7, 1, 28, 28)
    assert y.tolist() == [7, 2, 1, 0, 4, 1, 4]
    x.zero_()
    y.zero_()
    again, labels = datasets.mnist("test", n=7)
    assert again.max() == 1
    assert labels[0] == 7


@pytest.mark.parametrize("n", [0, -1, 10001, 1.5, True, "3"])
def test_n_out_of_range_is_a_value_error(n):
    with pytest.raises(ValueError, match=r"n: expected a whole number from 1 to 10,000"):
        datasets.mnist("test", n=n)


@pytest.mark.parametrize("load", [datasets.mnist, datasets.fashion_mnist, datasets.cifar10])
def test_unknown_split_is_a_value_error(load):
    with pytest.raises(ValueError, match=r"split: expected 'train' or 'test', got 'validation'"):
        load("validation")


def tree(folder, counts, size=(32, 32), colour=(255, 0, 0)):
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (*colour[:2], i)).save(folder / label / f"{i}.png")
    return folder


def test_image_folder_takes_classes_in_turn(tmp_path):
    tree(tmp_path / "train", {"cat": 3, "dog": 1, "emu": 2})
    x, y, classes = datasets.image_folder(tmp_path, split="train", n=5)
    assert classes == ["cat", "dog", "emu"]
    assert y.tolist() == [0, 1, 2, 0, 2]
    assert x.shape == (5, 3, 32, 32)
    assert x[:, 0].eq(1).all()
    assert (x[:, 2, 0, 0] * 255).round().tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("size", "shape"), [(20, (20, 20)), ((10, 30), (10, 30))])
def test_image_folder_squashes_images_of_different_sizes(tmp_path, size, shape):
    tree(tmp_path, {"cat": 1}, size=(40, 24))
    tree(tmp_path, {"dog": 1}, size=(16, 16))
    assert datasets.image_folder(tmp_path, size=size)[0].shape == (2, 3, *shape)
    with pytest.raises(DataError, match=r"images of one size(.|\n)*give size"):
        datasets.image_folder(tmp_path)


def test_image_folder_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is missing"):
        datasets.image_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"images in each class folder"):
        datasets.image_folder(tmp_path)
    tree(tmp_path / "train", {"cat": 1})
    with pytest.raises(ValueError, match=r"split: expected one of train"):
        datasets.image_folder(tmp_path)
    for size in (0, -1, 1.5, (3,), (3, 0), True):
        with pytest.raises(ValueError, match=r"size: expected"):
            datasets.image_folder(tmp_path, split="train", size=size)
    with pytest.raises(ValueError, match=r"n: expected a whole number from 1 to 1"):
        datasets.image_folder(tmp_path, split="train", n=2)
    (tmp_path / "train" / "cat" / "1.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"1.png is damaged"):
        datasets.image_folder(tmp_path, split="train")


def test_cifar10_from_a_tree(tmp_path, monkeypatch):
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    tree(tmp_path / "cifar10" / "test", dict.fromkeys(names, 2))
    x, y = datasets.cifar10("test", n=12)
    assert x.shape == (12, 3, 32, 32)
    assert y.tolist() == [*range(10), 0, 1]
    tree(tmp_path / "cifar10" / "train", {"cat": 1})
    with pytest.raises(DataError, match=r"10 class folders"):
        datasets.cifar10("train")


def test_cifar10_from_torchvisions_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"cifar10 is missing or damaged(.|\n)*cs329t data --get cifar10"):
        datasets.cifar10("test")
    images = np.arange(4 * 32 * 32 * 3, dtype=np.uint8).reshape(4, 32, 32, 3)

    class Cifar10:
        def __init__(self, root, train, download):
            assert (root, train, download) == (str(tmp_path), False, False)
            self.data, self.targets = images, [3, 8, 8, 0]

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Cifar10)
    x, y = datasets.cifar10("test", n=3)
    assert y.tolist() == [3, 8, 8]
    assert torch.equal((x * 255).round().to(torch.uint8), torch.from_numpy(images[:3]).permute(0, 3, 1, 2))


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def test_fashion_mnist_from_torchvisions_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"fashion_mnist is missing(.|\n)*cs329t data --get fashion_mnist"):
        datasets.fashion_mnist("test")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    x, y = datasets.fashion_mnist("test", n=4)
    assert y.tolist() == [0, 1, 2, 3]
    assert torch.equal((x[:, 0] * 255).round().to(torch.uint8), torch.from_numpy(images[:4]))
    (raw / "train-images-idx3-ubyte").write_bytes(idx(images)[:-10])
    with pytest.raises(DataError, match=r"fashion_mnist is missing or damaged"):
        datasets.fashion_mnist("train")
