"""`cs329t reproduce`: every row of the table on tiny data, what is printed, and the parts that a GPU runs with."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from cs329t_robust import L2
from cs329t_robust.cli import main, reproduce
from cs329t_robust.data import datasets
from cs329t_robust.features import ilyas
from cs329t_robust.features.feature_datasets import Penultimate
from cs329t_robust.features.ilyas_settings import DIGITS, SETTINGS, faster, shifted
from cs329t_robust.models.networks import Bfloat16, SmallCNN, cifar_resnet


def few(split, n):
    return datasets.mnist(split, n=min(n or 40, 40))


TINY = replace(
    DIGITS, load=few, n=40, steps=2, invert=2, epochs=1, robust_epochs=1, matched=20, n_attacked=20
)  # fmt: skip


def test_every_row_is_made_with_networks_trained_here():
    rows = list(ilyas.rows("fashion_mnist", TINY, seeds=2))
    assert [row.paper for row in rows if row.paper] == [
        "95 / 97",
        "44 / 64",
        "63",
        "84, robust 48",
        "88, robust 0",
        "23.5",
        "none found",
    ]
    for row in rows[:9]:
        assert len(row.clean) == 2
        assert row.n == 40
        assert all(0 <= score <= 1 for score in row.clean + row.robust)
        assert all(robust <= 1 and len(row.robust) in (0, 2) for robust in row.robust)
    assert [row.trained_on[:5] for row in rows[9:]] == ["leak:"] * 4


def test_the_seed_decides_the_network():
    x, y = few("train", 40)
    one, two = ilyas.learn(TINY, x, y, 1), ilyas.learn(TINY, x, y, 1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.training
    other = ilyas.learn(TINY, x, y, 2)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_the_command_prints_the_table_and_writes_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(SETTINGS, "mnist", TINY)
    monkeypatch.setenv("CS329T_DEVICE", "")  # --device sets it; the monkeypatch takes it back
    out = tmp_path / "rows.json"
    options = ["--n", "30", "--seeds", "1", "--steps", "1", "--device", "cpu", "--json", str(out)]
    assert main.main(["reproduce", "ilyas", *options]) == 0
    printed = capsys.readouterr()
    assert "mnist: 30 training pictures in every row, 1 networks each" in printed.out
    assert "non-robust features (D_det)" in printed.out
    assert "44 / 64" in printed.out
    assert printed.err == ""
    saved = json.loads(out.read_text("utf-8"))
    assert saved["settings"]["n"] == 30
    assert saved["settings"]["invert"] == 1
    assert len(saved["rows"]) == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "0"], "--seeds: expected a whole number >= 1, got 0"),
        (["--n", "-1"], "--n: expected a whole number >= 1"),
        (["--device", "abacus"], "expected a device that this machine has"),
        (["--dataset", "cifar10", "--data", "nowhere"], "CS329T_DATA: expected a folder, got 'nowhere'"),
    ],
)
def test_wrong_use_is_told(options, words, capsys, monkeypatch):
    monkeypatch.setenv("CS329T_DATA", "")
    monkeypatch.setenv("CS329T_DEVICE", "")
    assert main.main(["reproduce", "ilyas", *options]) == 1
    assert words in capsys.readouterr().err


def test_spread_is_mean_and_standard_deviation_in_percent():
    assert reproduce.spread([0.5, 0.7]) == "60.0 ± 14.1"
    assert reproduce.spread([0.123]) == "12.3"
    assert reproduce.spread([]) == ""


def test_shifted_moves_by_at_most_four_pixels_and_mirrors_about_half():
    x = torch.rand(64, 3, 10, 12, generator=torch.Generator().manual_seed(0))
    moved = shifted(None, x, None, seed=1)
    assert moved.shape == x.shape
    assert torch.equal(moved, shifted(None, x, None, seed=1))
    padded, mirrored = nn.functional.pad(x, (4,) * 4), 0
    for image, wide in zip(moved, padded, strict=True):
        cuts = [wide[:, i : i + 10, j : j + 12] for i in range(9) for j in range(9)]
        plain = any(torch.equal(image, cut) for cut in cuts)
        flipped = any(torch.equal(image, cut.flip(2)) for cut in cuts)
        assert plain or flipped
        mirrored += flipped
    assert 16 < mirrored < 48


def test_bfloat16_shares_the_weights_and_answers_in_float32():
    net = SmallCNN(seed=0)
    quick = Bfloat16(net)
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = quick(x)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, net(x))  # it did compute in another precision
    torch.testing.assert_close(logits, net(x), rtol=0.05, atol=0.02)
    (grad,) = torch.autograd.grad(logits.sum(), x)
    assert grad.dtype == torch.float32
    assert quick.network is net
    assert Penultimate(quick)(x).dtype == torch.float32
    assert faster(net, torch.device("cpu")) is net


def test_the_gpus_path_runs_in_bfloat16_from_training_to_verdict(monkeypatch):
    # what CUDA does, on the CPU: everything is trained and searched through Bfloat16, and judged in float32
    monkeypatch.setattr(ilyas, "faster", lambda model, device: Bfloat16(model))
    x, y = few("train", 40)
    net = ilyas.learn(TINY, x, y, 1, L2(0.5))
    assert isinstance(net, SmallCNN)
    assert 0 <= ilyas.robust(TINY, net, x, y) <= 1
    assert len(list(ilyas.rows("fashion_mnist", TINY, seeds=1))) == 13


def test_the_resnet_is_the_one_for_small_pictures():
    net = cifar_resnet(seed=0).eval()
    assert sum(p.numel() for p in net.parameters()) == 11_173_962
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert net(x).shape == (2, 10)
        assert Penultimate(net)(x).shape == (2, 512)
    state = torch.get_rng_state()
    assert torch.equal(cifar_resnet(seed=0)[1].conv1.weight, net[1].conv1.weight)
    assert torch.equal(torch.get_rng_state(), state)
