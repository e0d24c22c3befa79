"""Whatever data/ ships and is not there: the error names the file, how to get it, and what makes it again."""

import shutil

import pytest

from cs329t_robust import checkpoints, data, models
from cs329t_robust.checkpoints import generalization
from cs329t_robust.runtime import DataError, data_folder

SHIPPED = data_folder.SHIPPED
# what is called, the file it reads, and the command that makes it
READERS = {
    "mnist": (data.mnist, "mnist/t10k-images-idx3-ubyte.gz", "cs329t data --get mnist"),
    "fashion_mnist": (data.fashion_mnist, None, "cs329t data --get fashion_mnist"),
    "cifar10": (data.cifar10, None, "cs329t data --get cifar10"),
    "mnist_classifier": (models.mnist_classifier, "checkpoints/mnist_standard.safetensors", "cs329t train mnist --out"),
    "mnist_classifier, pgd": (
        lambda: models.mnist_classifier("pgd"),
        "checkpoints/mnist_pgd.safetensors",
        "cs329t train mnist --method pgd --out",
    ),
    "mnist_card": (models.mnist_card, "checkpoints/mnist_standard.safetensors", "cs329t train mnist --out"),
    "load": (
        lambda: models.load(models.SmallCNN(), models.CHECKPOINTS.parent / "none" / "mnist_fast.safetensors"),
        "checkpoints/mnist_fast.safetensors",
        "cs329t train mnist --method fast --out",
    ),
    "small_dense": (
        lambda: models.small_dense("interval"),
        "checkpoints/dense_interval.safetensors",
        "cs329t train dense --method interval --out",
    ),
    "sign_classifier": (models.sign_classifier, "checkpoints/signs.safetensors", "cs329t train signs --out"),
    "generalization": (generalization.shipped, "generalization.json", "cs329t generalization --json"),
    "patch": (checkpoints.shipped_patch, "physical/patch.png", "cs329t patch --out"),
    "glasses": (
        checkpoints.shipped_glasses,
        "physical/glasses_moving.png",
        "cs329t glasses --target hummingbird --poses --out",
    ),
    "targets": (
        checkpoints.shipped_targets,
        "physical/glasses.json",
        "cs329t glasses --target zebra --by-lot 28 --json",
    ),
}
FILES = {name: row for name, row in READERS.items() if row[1]}


@pytest.fixture(autouse=True)
def moved(monkeypatch):
    """A shipped file of `load` that is not where the repository has it, and no data folder but what a test makes."""
    monkeypatch.setattr(models.networks, "CHECKPOINTS", models.CHECKPOINTS.parent / "none")
    monkeypatch.delenv("CS329T_DATA", raising=False)


@pytest.mark.parametrize(("call", "file", "command"), READERS.values(), ids=READERS)
def test_installed_without_the_repository(call, file, command, tmp_path, monkeypatch):
    monkeypatch.setattr(data_folder, "SHIPPED", tmp_path / "site-packages" / "data")
    with pytest.raises(DataError) as caught:
        call()
    says = str(caught.value)
    assert file is None or says.startswith(f"{file}: no data folder\n")
    assert "got:      neither (was the package installed without the repository?)" in says
    assert "repair:   export CS329T_DATA=/path/to/a/clone/of/the/repository/data; or, without a clone:" in says
    last = says.splitlines()[-1]
    assert last.lstrip().startswith("mkdir -p my-data")
    assert f"; {command}" in last
    assert "FILE" not in says


@pytest.mark.parametrize(("call", "file", "command"), FILES.values(), ids=FILES)
def test_a_folder_that_lacks_the_file(call, file, command, tmp_path, monkeypatch):
    monkeypatch.setattr(data_folder, "SHIPPED", tmp_path)
    with pytest.raises(DataError, match="is missing") as caught:
        call()
    says = str(caught.value)
    assert says.startswith(f"{tmp_path / file} is missing\n")
    if not file.startswith("mnist/"):  # that repair is `cs329t data --repair`, which tests/data looks at
        folder = f"mkdir -p {(tmp_path / file).parent}; " if "/" in file else ""
        assert says.endswith(f"\n  repair:   {folder}{command} {tmp_path / file}")


@pytest.mark.parametrize(("call", "file", "command"), FILES.values(), ids=FILES)
def test_the_folder_that_the_variable_names_serves_in_the_repositorys_place(call, file, command, tmp_path, monkeypatch):
    monkeypatch.setattr(data_folder, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    for path in (SHIPPED / file).parent.glob("*.gz" if "mnist/" in file else (SHIPPED / file).name):
        shutil.copy(path, tmp_path / file.rpartition("/")[0])
    assert call() is not None


def test_a_method_that_is_not_shipped_is_told_those_that_are(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"method: expected .* one of fast, .*, trades, got 'magic'"):
        models.mnist_classifier("magic")
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(SHIPPED / "checkpoints" / "mnist_pgd.safetensors", tmp_path / "checkpoints" / "mnist_mine.safetensors")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    assert models.mnist_classifier("mine")  # beside the repository's own
    assert models.mnist_classifier("pgd")
