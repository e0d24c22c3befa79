"""The table of lesson 07: drawn sets, fair budgets, paired gains, a command that goes on where it stopped."""

import json

import pytest
import torch

from cs329t_robust.checkpoints import generalization
from cs329t_robust.checkpoints.generalization import METHODS, gain, measure, measured, shipped, subset, summary, trained
from cs329t_robust.cli import main
from cs329t_robust.data import datasets


def row(method, n, seed, value):
    return {"method": method, "n": n, "seed": seed, "clean test": value}


def test_a_training_set_is_its_seeds_and_has_no_digit_twice():
    x, y = subset(300, 1)
    again, _ = subset(300, 1)
    other, _ = subset(300, 2)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert len(x.flatten(1).unique(dim=0)) == 300
    assert len(y) == 300


def test_every_method_takes_the_same_updates_and_the_control_the_same_gradients(monkeypatch):
    taken = {}

    def counted(model, x, y, *, epochs, batch_size, inner=None, **_):
        gradients = 1 + (inner.keywords.get("steps", 0) if inner else 0)
        taken[method] = (epochs * -(-len(x) // batch_size), gradients)

    monkeypatch.setattr(generalization, "fit", counted)
    for n, updates in ((100, 400), (1000, 400), (60_000, 938)):
        for method in METHODS:
            trained(method, n)
        assert taken["standard"] == (updates, 1)
        assert taken["augmentation"] == (updates, 1)
        assert taken["adversarial"] == (updates, 4)
        assert taken["standard, longer"] == (4 * updates, 1)


def test_what_is_measured_is_what_was_trained_on_and_the_test_digits(monkeypatch):
    x, y = subset(40, 3)
    known = {image.numpy().tobytes(): int(label) for image, label in zip(x, y, strict=True)}

    def memory(images):
        logits = torch.zeros(len(images), 10)
        for i, image in enumerate(images):
            logits[i, known.get(image.detach().numpy().tobytes(), 0)] = 1.0
        return logits

    monkeypatch.setattr(generalization, "ATTACK", lambda model, x, y, *, threat: x)
    test_x, test_y = datasets.mnist("test", 200)
    monkeypatch.setattr(datasets, "mnist", lambda split: (test_x, test_y) if split == "test" else (x, y))
    monkeypatch.setattr(generalization, "subset", lambda n, seed: (x, y))
    found = measured(memory, 40, 3)
    assert found["clean train"] == found["robust train"] == 1.0
    assert found["clean test"] == pytest.approx((test_y == 0).float().mean().item(), abs=1e-4)


def test_rows_that_are_known_are_not_trained_again(monkeypatch):
    made = []
    monkeypatch.setattr(generalization, "trained", lambda *args: made.append(args))
    monkeypatch.setattr(generalization, "measured", lambda model, n, seed: {"clean test": 0.5})
    known = [row("standard", 100, 0, 0.9)]
    tables = [list(rows) for rows in measure((100, 300), (0,), ("standard", "adversarial"), known)]
    assert made == [("adversarial", 100, 0), ("standard", 300, 0), ("adversarial", 300, 0)]
    assert tables[0][0] == known[0]
    assert [len(table) for table in tables] == [2, 3, 4]


def test_gains_are_paired_by_training_set():
    rows = [row("standard", 100, s, v) for s, v in enumerate((0.5, 0.6, 0.7))]
    rows += [row("adversarial", 100, s, v) for s, v in enumerate((0.55, 0.65, 0.75))]
    found = gain(rows, "adversarial", "standard")[100]
    assert found == pytest.approx((0.05, 0.05, 0.05))  # though the sets differ by more
    assert summary(rows, "standard", "clean test")[100].value == pytest.approx(0.6)


def test_the_command_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(generalization, "trained", lambda *args: made.append(args))
    monkeypatch.setattr(generalization, "measured", lambda model, n, seed: {"clean test": 0.5})
    path = tmp_path / "table.json"
    assert main.main(["generalization", "--sizes", "100", "--seeds", "1", "--json", str(path)]) == 0
    assert len(json.loads(path.read_text("utf-8"))) == len(made) == 4
    assert main.main(["generalization", "--sizes", "100", "--seeds", "2", "--json", str(path)]) == 0
    assert len(shipped(path)) == len(made) == 8
    assert capsys.readouterr().out.count("\n") == 8


def test_the_shipped_table_is_whole_and_robust_accuracy_is_the_lower():
    rows = shipped()
    assert len({(r["method"], r["n"], r["seed"]) for r in rows}) == len(rows)
    for n in {r["n"] for r in rows}:
        for method in METHODS:
            assert len([r for r in rows if r["n"] == n and r["method"] == method]) >= 2
    assert all(r["robust test"] <= r["clean test"] + 0.05 for r in rows)  # of other test digits, so not strictly


def test_a_training_learns_what_the_shipped_one_did_and_adversarial_training_is_the_more_robust():
    """The adversarial one is trained again in lesson 07, which compares it with its row too."""
    kept = {r["method"]: r for r in shipped() if (r["n"], r["seed"]) == (100, 0)}
    assert kept["adversarial"]["robust test"] > kept["standard"]["robust test"] + 0.2
    found = measured(trained("standard", 100), 100, 0)
    assert found["clean test"] > 0.6
    assert all(abs(kept["standard"][key] - value) < 0.05 for key, value in found.items())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trained("magic", 100), "method: expected one of standard, .*got 'magic'"),
        (lambda: subset(60_001, 0), "n: expected at most 60,000 training digits, got 60001"),
        (lambda: subset(0, 0), "n: expected a whole number >= 1"),
        (
            lambda: summary([row("standard", 100, 0, 0.5)], "standard", "nothing"),
            "a column, got 'standard' and 'nothing'",
        ),
        (lambda: summary([row("standard", 100, 0, 0.5)], "fgsm", "clean test"), "method, what: expected"),
    ],
)
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
