"""MNIST's files: where they lie, whether they are whole, and how they are repaired."""

import gzip
import hashlib
import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

from ..runtime.data_folder import DataError, root

DOWNLOADABLE = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
_PATIENCE = 30.0  # seconds without an answer before a download gives up


class Verdict(NamedTuple):
    """What a check found for one file."""

    file: str
    ok: bool
    detail: str


class Idx(NamedTuple):
    """A file in the format idx: the shape of its array of bytes, and the SHA-256 of its unpacked contents."""

    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> int:
        """Return the number of bytes before the array."""
        return 4 + 4 * len(self.shape)

    @property
    def size(self) -> int:
        """Return the number of bytes, unpacked."""
        return self.header + prod(self.shape)


# Unpacked contents are hashed, not the .gz: mirrors pack the same contents differently.
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": Idx(
        (60000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte.gz": Idx((60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte.gz": Idx(
        (10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte.gz": Idx((10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


def mnist_path(name: str) -> Path:
    """Return where a file of MNIST lies, or should."""
    return root(f"mnist/{name}", "cs329t data --get mnist") / "mnist" / name


def read_idx(path: Path, idx: Idx) -> bytes:
    """Return the unpacked contents of a .gz file, checked against `idx`.

    Raises
    ------
    DataError
        If the file is missing, unreadable, truncated, not gzip, or holds anything else.
    """
    expected = f"expected: {idx.size:,} bytes, SHA-256 {idx.sha256} (unpacked)"
    fix = "repair:   cs329t data --repair"
    if not path.exists():
        raise DataError(f"{path} is missing\n  {expected}\n  got:      nothing\n  {fix}")
    try:
        with gzip.open(path) as file:
            content = file.read(idx.size + 1)  # one more than expected: too long is seen, a gzip bomb is not unpacked
            content += file.read(1)  # at the end this reads the checksum too
    except (OSError, EOFError, zlib.error) as error:
        came = f"{_packed(path)} that cannot be unpacked ({type(error).__name__}: {error})"
        raise DataError(f"{path} is damaged\n  {expected}\n  got:      {came}\n  {fix}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != idx.sha256:
        size = f"more than {idx.size:,}" if len(content) > idx.size else f"{len(content):,}"
        raise DataError(f"{path} is damaged\n  {expected}\n  got:      {size} bytes, SHA-256 {digest}\n  {fix}")
    return content


def verify_mnist() -> list[Verdict]:
    """Unpack and check each of MNIST's four files.

    Returns
    -------
    list of Verdict
        The path, whether it is as it should be, and a detail in words, of each file.
    """
    verdicts = []
    for name, idx in MNIST_FILES.items():
        try:
            path = mnist_path(name)
            read_idx(path, idx)
            verdicts.append(Verdict(str(path), True, f"{idx.shape[0]:,} {'images' if 'images' in name else 'labels'}"))
        except DataError as error:
            verdicts.append(Verdict(f"mnist/{name}", False, str(error)))
    return verdicts


def repair() -> list[Path]:
    """Download MNIST's damaged or missing files through torchvision and put them in place.

    Every download is checked before anything is touched, and a damaged file is only given up once its
    replacement lies in its place; when anything fails, all is left as it was.

    Returns
    -------
    paths : the files that were replaced; empty if nothing was wrong

    Raises
    ------
    DataError
        If the download fails or brings anything but MNIST, or a file cannot be replaced.
    """
    bad = {}
    for name, idx in MNIST_FILES.items():
        path = mnist_path(name)
        try:
            read_idx(path, idx)
        except DataError:
            bad[path] = idx
    if not bad:
        return []
    folder = next(iter(bad)).parent
    with _scratch(folder) as scratch:
        try:
            _download("MNIST", scratch)
            fresh = {path: scratch / "MNIST" / "raw" / path.name for path in bad}
            for path, idx in bad.items():
                read_idx(fresh[path], idx)
        except DataError as error:
            raise DataError(
                "repair failed and nothing was changed\n"
                + "".join(f"  still damaged or missing: {path}\n" for path in bad)
                + f"because {error}\n"
                "  by hand:  without a network, copy these files from a clone of the repository (data/mnist);\n"
                "            `cs329t data --verify` says whether they are whole"
            ) from error
        for path in bad:
            _replace(path, fresh[path])
    return list(bad)


def get(name: str) -> Path:
    """Download a data set through torchvision into ``$CS329T_DATA`` (else the repository's data folder).

    Parameters
    ----------
    name : "fashion_mnist", "cifar10" or "mnist" (which `repair` brings)

    Raises
    ------
    ValueError
        If `name` is not a data set of the course.
    DataError
        If the download fails.
    """
    if name not in DOWNLOADABLE:
        raise ValueError(f"data set: expected one of {', '.join(DOWNLOADABLE)}, got {name!r}")
    if name == "mnist":
        repair()
        return mnist_path(next(iter(MNIST_FILES))).parent
    folder = root(DOWNLOADABLE[name], f"cs329t data --get {name}")
    _download(DOWNLOADABLE[name], folder)
    return folder


def _download(dataset: str, folder: Path) -> None:
    """Let torchvision download, with an end to its patience, and turn every failure into a DataError."""
    from torchvision import datasets

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for train in (True, False):
            getattr(datasets, dataset)(str(folder), train=train, download=True)
    except (OSError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"{dataset}: torchvision could not download it ({type(error).__name__}: {str(error).strip()})\n"
            f"  tried:    torchvision.datasets.{dataset}({str(folder)!r}, download=True)\n"
            "  repair:   check the network connection (proxy, firewall) and run the command again"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give a temporary folder on the same disk, so that moving a file out of it is atomic."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(suffix=".repair-tmp", dir=folder))
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be written to, got {error}") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace(path: Path, fresh: Path) -> None:
    kept = path.with_name(path.name + ".damaged")
    try:
        if path.exists():
            os.replace(path, kept)
        try:
            os.replace(fresh, path)
        except OSError:
            if kept.exists():
                os.replace(kept, path)
            raise
        if kept.is_file():
            kept.unlink()
    except OSError as error:
        raise DataError(f"{path}: expected to put the repaired file in place, got {error}") from error


def _packed(path: Path) -> str:
    return f"a file of {path.stat().st_size:,} bytes" if path.is_file() else "something that is not a file"
