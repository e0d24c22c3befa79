"""The bench measures what it says: the same images from both sides, and the file that was promised."""

import json

import pytest
import torch

from cs329t_robust.cli import bench, main
from cs329t_robust.data import datasets
from cs329t_robust.models import networks


def test_ours_and_the_bare_loop_make_the_same_images():
    x, y = datasets.mnist("test", 16)
    model = networks.mnist_classifier()
    for attack in ("fgsm", "pgd"):
        timed = bench.contenders(attack)
        ours, bare = timed["fixed", "ours"](model, x, y), timed["fixed", "bare"](model, x, y)
        assert ((ours - bare).abs() < 1e-5).double().mean() > 0.99


def test_the_file_has_the_promised_rows(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main.main(["bench", "--attack", "pgd", "--device", "cpu", "--n", "8", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {(row["mode"], row["who"]) for row in found["rows"]} == {
        ("fixed", "ours"),
        ("fixed", "bare"),
        ("evaluation", "ours"),
    }
    for row in found["rows"]:
        assert row["attack"] == "pgd"
        assert row["seconds"] > 0
        assert 0 <= row["robust_accuracy"] <= 1
        assert row["who"] == "ours" or row["ratio"] == 1
    assert "ratio" in capsys.readouterr().out
    assert torch.__version__ == found["versions"]["torch"]


def test_where_the_device_records_the_bare_loop_stands_there_captured(monkeypatch):
    def record(step, x):
        made.append(len(x))
        return step

    made, (x, y), model = [], datasets.mnist("test", 4), networks.mnist_classifier()
    assert not any(who == "captured" for _, who in bench.contenders("pgd"))
    monkeypatch.setitem(bench.RECORDERS, "cpu", record)
    timed = bench.contenders("pgd", "cpu")
    for _ in range(2):
        assert torch.equal(timed["fixed", "captured"](model, x, y), timed["fixed", "bare"](model, x, y))
    assert made == [4]


def test_an_unknown_attack_is_refused():
    with pytest.raises(ValueError, match="expected fgsm or pgd, got 'magic'"):
        bench.contenders("magic")
