"""Every kind of damage gives a DataError that says what to do, and a repair never makes things worse."""

import gzip
import hashlib
import shutil
import socket

import pytest
import torchvision

from cs329t_robust.data import datasets, mnist_files
from cs329t_robust.data.datasets import DataError
from cs329t_robust.runtime import data_folder

LABELS = "t10k-labels-idx1-ubyte.gz"
ORIGINAL = data_folder.SHIPPED / "mnist"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder in $CS329T_DATA with a copy of MNIST's small files and links to the large ones."""
    folder = tmp_path / "own"
    (folder / "mnist").mkdir(parents=True)
    for name in mnist_files.MNIST_FILES:
        shutil.copy(ORIGINAL / name, folder / "mnist" / name)
    monkeypatch.setenv("CS329T_DATA", str(folder))
    return folder


def flipped(content):
    return gzip.compress(gzip.decompress(content)[:-1] + b"\x09", 1)


DAMAGE = {
    "one label changed, gzip whole": flipped,
    "truncated": lambda content: content[:-100],
    "checksum cut off": lambda content: content[:-8],
    "byte flipped in the stream": lambda content: content[:2000] + bytes([content[2000] ^ 255]) + content[2001:],
    "garbage": lambda content: b"<html>not found</html>",
    "empty": lambda content: b"",
    "unpacked": gzip.decompress,
    "longer": lambda content: gzip.compress(gzip.decompress(content) + b"\0"),
    "a pointer of git lfs": lambda content: b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_a_data_error_that_names_file_expectation_and_repair(own, damage):
    path = own / "mnist" / LABELS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        datasets.mnist("test")
    message = str(caught.value)
    assert f"{path} is damaged" in message
    assert f"expected: 10,008 bytes, SHA-256 {mnist_files.MNIST_FILES[LABELS].sha256}" in message
    assert "got: " in message
    assert "cs329t data --repair" in message
    assert [verdict.ok for verdict in mnist_files.verify_mnist()] == [True, True, True, False]


def test_missing_file_and_folder_in_its_place(own):
    path = own / "mnist" / LABELS
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"is damaged(.|\n)*not a file"):
        datasets.mnist("test")
    shutil.rmtree(own / "mnist")
    datasets.mnist("test", n=1)  # the repository's own files still serve


def test_without_a_repository_the_error_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setattr(data_folder, "SHIPPED", tmp_path / "site-packages" / "data")
    monkeypatch.delenv("CS329T_DATA", raising=False)
    with pytest.raises(DataError, match=r"CS329T_DATA(.|\n)*installed without the repository"):
        datasets.mnist("test")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"{tmp_path}/mnist/t10k-images-idx3-ubyte.gz is missing"):
        datasets.mnist("test")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"CS329T_DATA: expected a folder"):
        datasets.mnist("test")


def downloader(content):
    """Stand in for torchvision's downloader: `content(name, packed)` is what arrives, packed as by another mirror."""

    def download(root, train, download):
        assert download
        raw = mnist_files.Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name in mnist_files.MNIST_FILES:
            packed = (ORIGINAL / name).read_bytes()
            (raw / name).write_bytes(content(name, packed))

    return download


def damaged(own, monkeypatch):
    """Damage one file and remove another, where no other copy can serve."""
    monkeypatch.setattr(data_folder, "SHIPPED", own / "nowhere")
    path = own / "mnist" / LABELS
    path.write_bytes(b"damaged")
    (own / "mnist" / "t10k-images-idx3-ubyte.gz").unlink()
    return path


def test_repair_replaces_only_what_is_bad_and_accepts_another_packing(own, monkeypatch):
    path = damaged(own, monkeypatch)
    whole = own / "mnist" / "train-labels-idx1-ubyte.gz"
    before = whole.stat().st_mtime_ns
    repacked = downloader(lambda name, packed: gzip.compress(gzip.decompress(packed), 1) if name == LABELS else packed)
    monkeypatch.setattr(torchvision.datasets, "MNIST", repacked)
    assert datasets.repair() == [own / "mnist" / "t10k-images-idx3-ubyte.gz", path]
    assert all(verdict.ok for verdict in mnist_files.verify_mnist())
    assert path.read_bytes() != (ORIGINAL / LABELS).read_bytes()
    assert whole.stat().st_mtime_ns == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted(mnist_files.MNIST_FILES)
    assert datasets.repair() == []


ARRIVALS = {
    "a web page": lambda name, packed: b"<html>",
    "one label changed": lambda name, packed: flipped(packed) if name == LABELS else packed,
}


@pytest.mark.parametrize("content", ARRIVALS.values(), ids=ARRIVALS)
def test_repair_that_brings_anything_else_changes_nothing(own, monkeypatch, content):
    path = damaged(own, monkeypatch)
    monkeypatch.setattr(torchvision.datasets, "MNIST", downloader(content))
    with pytest.raises(DataError, match=r"nothing was changed"):
        datasets.repair()
    assert path.read_bytes() == b"damaged"
    assert len(list(path.parent.iterdir())) == 3


def test_repair_offline_fails_loudly_and_changes_nothing(own, monkeypatch, no_network):
    path = damaged(own, monkeypatch)
    with pytest.raises(DataError) as caught:
        datasets.repair()
    for part in ("nothing was changed", str(path), "torchvision.datasets.MNIST", "by hand", "data/mnist"):
        assert part in str(caught.value)
    assert path.read_bytes() == b"damaged"
    assert len(list(path.parent.iterdir())) == 3


def test_repair_keeps_the_damaged_file_when_the_new_one_cannot_be_moved(own, monkeypatch):
    path = damaged(own, monkeypatch)
    monkeypatch.setattr(torchvision.datasets, "MNIST", downloader(lambda name, packed: packed))
    replace = mnist_files.os.replace

    def refuse(source, target):
        if ".repair-tmp" in str(source):
            raise PermissionError("read-only")
        replace(source, target)

    monkeypatch.setattr(mnist_files.os, "replace", refuse)
    with pytest.raises(DataError, match=r"expected to put the repaired file in place, got read-only"):
        datasets.repair()
    assert path.read_bytes() == b"damaged"


def test_get_offline_is_a_data_error(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"could not download(.|\n)*network"):
        datasets.get("cifar10")
    with pytest.raises(ValueError, match=r"data set: expected one of mnist, fashion_mnist, cifar10, got 'svhn'"):
        datasets.get("svhn")


@pytest.mark.parametrize("name", mnist_files.MNIST_FILES)
def test_the_data_readme_states_each_files_hashes_and_sizes(name):
    readme = (data_folder.SHIPPED / "README.md").read_text(encoding="utf-8")
    idx, packed = mnist_files.MNIST_FILES[name], (ORIGINAL / name).read_bytes()
    assert f"| {name} | {len(packed):,} | `{hashlib.sha256(packed).hexdigest()}` |" in readme
    assert f"| {name.removesuffix('.gz')} | {idx.size:,} | `{idx.sha256}` |" in readme
