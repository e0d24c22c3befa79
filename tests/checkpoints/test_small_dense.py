"""The small dense network: it is made by its command, and interval-bound training pays."""

import pytest
import torch

from cs329t_robust import L2, Linf, certification
from cs329t_robust.checkpoints import small_dense
from cs329t_robust.cli import main
from cs329t_robust.data import datasets
from cs329t_robust.losses import cross_entropy
from cs329t_robust.models import networks
from cs329t_robust.training import recipes
from cs329t_robust.training.fit import fit

THREAT = Linf(0.05)


def test_interval_training_certifies_what_standard_training_does_not():
    x, y = datasets.mnist("train", 2000)
    near, label = datasets.mnist("test", 300)
    certified = {}
    for method in ("standard", "interval"):
        model = networks.SmallDense(seed=0)
        fit(
            model,
            x,
            y,
            epochs=4,
            max_lr=1e-2,
            **recipes.RECIPES[method].settings(0.1 if method == "interval" else None),
        )
        certified[method] = (certification.interval(model, near, label, threat=THREAT) < 0).float().mean().item()
    assert certified["standard"] < 0.05
    assert certified["interval"] > 0.25


def test_the_interval_loss_is_that_of_the_whole_box():
    x, y = datasets.mnist("test", 8)
    model = networks.SmallDense(seed=1)
    corner = recipes.upper_corner(model, x, y, threat=Linf(0.1))
    assert torch.equal(corner, x + 0.1)
    losses, worst = recipes.interval(model, x, corner, y, clean=0.25)
    expected = certification.worst_logits(model, (x - 0.1).clamp(0, 1), (x + 0.1).clamp(0, 1), y)
    assert torch.allclose(worst, expected, atol=1e-5)
    assert torch.allclose(losses, 0.25 * cross_entropy(model(x), y) + 0.75 * cross_entropy(expected, y), atol=1e-5)
    with pytest.raises(ValueError, match="expected Linf, whose ball is a box"):
        recipes.upper_corner(model, x, y, threat=L2(1.0))


@pytest.mark.parametrize("method", ["standard", "interval"])
def test_the_shipped_ones_fit_their_cards(method):
    from safetensors import safe_open

    path = networks.CHECKPOINTS / f"dense_{method}.safetensors"
    model = networks.small_dense(method)
    with safe_open(path, "pt") as file:
        card = dict(file.metadata())
    x, y = datasets.mnist("test")
    assert card["clean"] == f"{(model(x).argmax(1) == y).float().mean().item():.4f} (n=10000)"
    certified = (certification.interval(model, x[:1000], y[:1000], threat=THREAT) < 0).float().mean().item()
    assert card["certified by interval bounds Linf(eps=0.05)"] == f"{certified:.4f} (n=1000)"
    assert path.stat().st_size < 200_000


def test_the_command(tmp_path, capsys):
    out = tmp_path / "d.safetensors"
    assert (
        main.main(["train", "dense", "--method", "interval", "--epochs", "1", "--eps", "0.05", "--out", str(out)]) == 0
    )
    assert "Linf(eps=0.05)" in capsys.readouterr().out
    networks.load(networks.SmallDense(), out)


def test_bad_settings_are_told(tmp_path):
    with pytest.raises(ValueError, match="method: expected one of standard, interval for this network, got 'pgd'"):
        small_dense.train_dense("pgd", out=tmp_path / "d.safetensors")
    with pytest.raises(ValueError, match="expected a path ending in"):
        small_dense.train_dense(out=tmp_path / "d.pt")
    with pytest.raises(ValueError, match="eps: expected none for a method without a radius"):
        small_dense.train_dense(out=tmp_path / "d.safetensors", eps=0.1)
    with pytest.raises(ValueError, match="method: expected 'standard' or 'interval', got 'pgd'"):
        networks.small_dense("pgd")
