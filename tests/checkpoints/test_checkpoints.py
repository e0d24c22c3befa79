"""The shipped checkpoints: listed with their sums, small enough, measured, and made again by their command."""

import hashlib
import re

import pytest
import torch
from safetensors.torch import load_file

from cs329t_robust import accuracy
from cs329t_robust.checkpoints.digits import train_mnist
from cs329t_robust.data import datasets
from cs329t_robust.models import networks
from cs329t_robust.training.recipes import RECIPES

FILES = sorted(path for path in networks.CHECKPOINTS.glob("*.safetensors") if ".training" not in path.name)
README = (networks.CHECKPOINTS.parent / "README.md").read_text("utf-8")
MAKEFILE = (networks.CHECKPOINTS.parent.parent / "Makefile").read_text("utf-8")
DIGITS = [path for path in FILES if path.name.startswith("mnist_")]


def method(path):
    return path.stem.removeprefix("mnist_")


def test_all_together_are_at_most_ten_megabytes():
    assert {"standard", "gaussian", "fgsm", "fast", "pgd", "trades", "pgd_l2", "masked"} <= set(map(method, DIGITS))
    assert sum(path.stat().st_size for path in FILES) <= 10_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_readme_gives_the_sum_and_the_command(path):
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{path.name}`")]
    assert re.findall(r"`([0-9a-f]{64})`", row) == [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert f"--out data/checkpoints/{path.name}`" in row
    assert "clean" in row


@pytest.mark.parametrize("path", DIGITS, ids=method)
def test_make_checkpoints_makes_it(path):
    (methods,) = re.findall(r"for method in ([\w ]+);", MAKEFILE)
    assert method(path) in methods.split()
    assert method(path) in RECIPES


@pytest.mark.parametrize("path", DIGITS, ids=method)
def test_the_card_tells_how_it_was_made_and_what_was_measured(path):
    card = networks.mnist_card(method(path))
    assert card["method"].split(":")[0] == method(path)
    assert {"seed", "epochs", "seconds", "hardware", "versions", "clean"} <= set(card)
    assert {"pgd40", "apgd", "square", "autoattack"} <= {key.split()[0] for key in card}
    stated = float(card["clean"].split()[0])
    assert accuracy(networks.mnist_classifier(method(path)), *datasets.mnist("test")) == pytest.approx(
        stated, abs=0.001
    )


def test_an_unknown_method_is_told():
    with pytest.raises(
        ValueError, match=r"method: expected a shipped digit classifier, one of fast, fgsm, .*got 'free'"
    ):
        networks.mnist_classifier("free")


@pytest.mark.slow
def test_the_cheapest_is_made_again(tmp_path):
    """Bit for bit on the machine that made it; elsewhere rounding differs, so what it says is compared."""
    train_mnist("standard", out=tmp_path / "again.safetensors")
    again = networks.load(networks.SmallCNN(), tmp_path / "again.safetensors")
    shipped = networks.mnist_classifier("standard")
    x, y = datasets.mnist("test")
    with torch.no_grad():
        same = (again(x).argmax(1) == shipped(x).argmax(1)).float().mean().item()
    assert same > 0.985
    assert abs(accuracy(again, x, y) - accuracy(shipped, x, y)) < 0.005
    old, new = (
        load_file(path)
        for path in (networks.CHECKPOINTS / "mnist_standard.safetensors", tmp_path / "again.safetensors")
    )
    assert {name: value.shape for name, value in old.items()} == {name: value.shape for name, value in new.items()}
