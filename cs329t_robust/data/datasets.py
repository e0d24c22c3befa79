"""Data: MNIST from the repository, photographs from installed packages, other sets from ``$CS329T_DATA``.

Images are float32 (n, c, h, w) in [0, 1] and labels int64 (n,). What is returned is a copy: change it freely.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..runtime.data_folder import DataError, root
from .mnist_files import MNIST_FILES, Verdict, get, mnist_path, read_idx, repair, verify_mnist
from .photographs import PHOTOS, Photo, photo, photos, verify_photos

__all__ = [
    "PHOTOS",
    "DataError",
    "Photo",
    "Verdict",
    "cifar10",
    "fashion_mnist",
    "get",
    "image_folder",
    "mnist",
    "photo",
    "photos",
    "repair",
    "verify",
]


def mnist(split: str = "test", n: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the first `n` MNIST digits of a split, whose files are checked against their SHA-256.

    Parameters
    ----------
    split : "train" (60,000) or "test" (10,000)
    n : int, optional
        From 1 to the size of the split; all of it by default.

    Returns
    -------
    x : float32 (n, 1, 28, 28) in [0, 1]
    y : int64 (n,) in 0..9

    Raises
    ------
    ValueError
        If `split` or `n` is out of range.
    DataError
        If a file is missing or damaged.
    """
    prefix = {"train": "train", "test": "t10k"}[_check_split(split)]
    images, labels = (_idx(mnist_path(f"{prefix}-{kind}-ubyte.gz")) for kind in ("images-idx3", "labels-idx1"))
    return _first(images[:, None], labels, n)


def fashion_mnist(split: str = "test", n: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the first `n` Fashion-MNIST images and labels, read by torchvision.

    Parameters
    ----------
    split : {"train", "test"}
    n : int, optional
        How many; all of them when not given.

    Returns
    -------
    x : Tensor (n, 1, 28, 28), float32 in [0, 1]
    y : Tensor (n,), int64

    Raises
    ------
    ValueError
        If `split` or `n` is out of range.
    DataError
        If the files are missing or damaged; the message says where they are looked for.
    """
    _check_split(split)
    return _first(*_torchvision("fashion_mnist", root("FashionMNIST", "cs329t data --get fashion_mnist"), split), n)


def cifar10(split: str = "test", n: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the first `n` CIFAR-10 images and labels.

    Parameters
    ----------
    split : {"train", "test"}
    n : int, optional
        How many; all of them when not given.

    Returns
    -------
    x : Tensor (n, 3, 32, 32), float32 in [0, 1]
    y : Tensor (n,), int64

    Raises
    ------
    ValueError
        If `split` or `n` is out of range.
    DataError
        If the files are missing or damaged; the message says where they are looked for.
    """
    _check_split(split)
    get_it = "cs329t data --get cifar10"
    batches, tree = root("cifar-10-batches-py", get_it), root("cifar10", get_it) / "cifar10"
    if (batches / "cifar-10-batches-py").is_dir() or not tree.is_dir():
        return _first(*_torchvision("cifar10", batches, split), n)
    x, y, classes = image_folder(tree, split=split, n=n)
    if len(classes) != 10 or x.shape[1:] != (3, 32, 32):
        raise DataError(
            f"{tree / split}\n  expected: 10 class folders of 32×32 images\n"
            f"  got:      {len(classes)} class folders, images {x.shape[2]}×{x.shape[3]}"
        )
    return x, y


def image_folder(
    path: str | Path,
    size: int | tuple[int, int] | None = None,
    split: str | None = None,
    n: int | None = None,
) -> tuple[Tensor, Tensor, list[str]]:
    """Return the images of a tree ``path[/split]/<class>/*`` (torchvision's ImageFolder), as RGB.

    Parameters
    ----------
    path : str or Path
        The root of the tree.
    size : int or (height, width), optional
        What each image is squashed to (bicubic, antialiased); without it all must have one size.
    split : str, optional
        A folder between `path` and the classes, such as "train".
    n : int, optional
        How many: first one image of each class in turn, then a second of each, so that any `n` is balanced.

    Returns
    -------
    x : float32 (n, 3, h, w) in [0, 1]
    y : int64 (n,)
    class_names : the folder names, sorted; ``class_names[y[i]]`` is the class of image i

    Raises
    ------
    ValueError
        If `size` or `n` is out of range, or `split` is missing.
    DataError
        If the tree is missing or empty, an image is unreadable, or sizes differ and `size` is not given.
    """
    from torchvision.datasets import ImageFolder

    shape = _check_size(size)
    folder = Path(path) / (split or "")
    if not folder.is_dir():
        raise DataError(f"{folder} is missing\n  expected: a folder that holds one folder of images for each class")
    inside = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    if split is None and inside & {"train", "test"} and inside <= {"train", "test", "val", "valid"}:
        raise ValueError(f"split: expected one of {', '.join(sorted(inside))}, the folders in {folder}, got None")
    try:
        tree = ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise DataError(f"{folder}\n  expected: images in each class folder\n  got:      {error}") from error
    chosen = _in_turn(tree.samples)
    chosen = chosen[: _check_n(n, len(chosen))]
    arrays = [_decode(Path(file), shape) for file, _ in chosen]
    sizes = sorted({array.shape[:2] for array in arrays})
    if len(sizes) > 1:
        raise DataError(
            f"{folder}\n  expected: images of one size\n  got:      {sizes[0]} to {sizes[-1]}; give size=224"
        )
    x = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float().div_(255)
    return x.contiguous(), torch.tensor([label for _, label in chosen]), tree.classes


def verify() -> list[Verdict]:
    """Check every shipped file, MNIST's and the photographs.

    Returns
    -------
    list of Verdict
        The path, whether it is as it should be, and a detail in words, of each file.
    """
    return [*verify_mnist(), *verify_photos()]


@cache
def _idx(path: Path) -> Tensor:
    """Return an idx file as a uint8 tensor. Cached by path: unpacking and hashing takes most of a second."""
    idx = MNIST_FILES[path.name]
    content = bytearray(read_idx(path, idx))
    return torch.frombuffer(content, dtype=torch.uint8, offset=idx.header).view(idx.shape)


@lru_cache(maxsize=2)
def _torchvision(name: str, folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return a torchvision data set as uint8 images (n, c, h, w) and labels."""
    from torchvision import datasets

    kinds: dict[str, Callable] = {"fashion_mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}
    shape = {"fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}[name]
    try:
        found = kinds[name](str(folder), train=split == "train", download=False)
        images, labels = torch.as_tensor(found.data), torch.as_tensor(found.targets)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        if images.shape[1:] != shape or len(images) != len(labels) or images.dtype != torch.uint8:
            raise ValueError(f"images {tuple(images.shape)}, labels {tuple(labels.shape)}")
    # a damaged file surfaces as whatever torchvision stumbles over
    except (RuntimeError, OSError, EOFError, ValueError, AssertionError, LookupError) as error:
        raise DataError(
            f"{name} is missing or damaged in {folder}\n"
            f"  expected: torchvision's files, {split} split\n"
            f"  got:      {type(error).__name__}: {error}\n"
            f"  repair:   cs329t data --get {name}   (if a damaged one is there, delete it first)"
        ) from error
    return images, labels


def _first(images: Tensor, labels: Tensor, n: int | None) -> tuple[Tensor, Tensor]:
    stop = _check_n(n, len(images))
    x = torch.empty(images[:stop].shape, dtype=torch.float32)  # contiguous, and never a view of the cache
    return x.copy_(images[:stop]).div_(255), labels[:stop].to(torch.int64, copy=True)


def _in_turn(samples: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Order (file, label) pairs as the first of each class, then the second of each, and so on."""
    seen: dict[int, int] = {}
    ranks = []
    for _, label in samples:
        ranks.append(seen.get(label, 0))
        seen[label] = ranks[-1] + 1
    return [sample for _, sample in sorted(zip(ranks, samples, strict=True), key=lambda pair: (pair[0], pair[1][1]))]


def _decode(file: Path, shape: tuple[int, int] | None) -> np.ndarray:
    """Return an image file as uint8 (h, w, 3)."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            rgb = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file} is damaged\n  expected: an image\n  got:      {type(error).__name__}: {error}"
        ) from error
    return np.array(rgb.resize(shape[::-1], Image.Resampling.BICUBIC) if shape else rgb)


def _check_split(split: str) -> str:
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    return split


def _check_n(n: int | None, most: int) -> int:
    if n is None:
        return most
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= most:
        raise ValueError(f"n: expected a whole number from 1 to {most:,}, or None for all, got {n!r}")
    return n


def _check_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    sides = (size, size) if isinstance(size, int) else size
    if sides is None:
        return None
    whole = isinstance(sides, tuple) and len(sides) == 2 and all(type(side) is int and side >= 1 for side in sides)
    if not whole:
        raise ValueError(f"size: expected a whole number of pixels >= 1, or (height, width), got {size!r}")
    return sides
