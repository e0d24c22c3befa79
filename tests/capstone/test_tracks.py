"""The tracks' rules: what is measured, and what is refused with its reason."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cs329t_robust import Linf, fgsm, pgd
from cs329t_robust.capstone import entry, tracks
from cs329t_robust.capstone.tracks import Refused
from cs329t_robust.cli.main import main
from cs329t_robust.evaluation.accuracy import predict
from cs329t_robust.models import networks

N = 30


def weak(model, x, y, eps):
    return fgsm(model, x, y, threat=Linf(eps))


def strong(model, x, y, eps):
    return pgd(model, x, y, threat=Linf(eps), steps=20)


def asks(query, x, y, eps):
    """Keep, of a few random sign patterns, the one whose margin is smallest."""
    best, lead = x, torch.full((len(x),), torch.inf)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        signs = torch.randn(x.shape[0], 1, 7, 7, generator=generator).sign().repeat_interleave(4, 2)
        tried = (x + eps * signs.repeat_interleave(4, 3)).clamp(0, 1)
        tried = x + (tried - x).clamp(-eps, eps)
        z = query(tried)
        other = z.scatter(1, y[:, None], -torch.inf).amax(1)
        margin = z.gather(1, y[:, None])[:, 0] - other
        best = torch.where((margin < lead)[:, None, None, None], tried, best)
        lead = torch.minimum(lead, margin)
    return best


def test_the_stronger_attack_scores_more():
    one, other = tracks.practise("white", weak, N), tracks.practise("white", strong, N)
    assert 0 < one.value < other.value <= 1
    assert (one.track, one.n) == ("white", N)
    assert "95% interval" in str(one)


def test_hidden_images_follow_from_the_secret_and_are_right_at_first():
    model = tracks.sealed_model()
    x, y = tracks.hidden_images("a", N, model)
    again, _ = tracks.hidden_images("a", N, model)
    other, _ = tracks.hidden_images("b", N, model)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert (predict(model, x).argmax(1) == y).all()


def test_the_oracle_gives_logits_without_gradient_within_its_budget():
    model = tracks.sealed_model()
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    query = tracks.oracle(model, 5)
    logits = query(x)
    assert not logits.requires_grad
    torch.testing.assert_close(logits, predict(model, x.detach()))
    with pytest.raises(ValueError, match="at most 2 more images within the budget of 5, got 3"):
        query(x)
    assert len(query(x[:2])) == 2
    with pytest.raises(ValueError, match="expected images"):
        query("x")


def test_a_black_box_attack_is_scored():
    assert tracks.practise("black", asks, N).value > 0


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (lambda m, x, y, eps: (x + 2 * eps).clamp(0, 1), "expected every image within Linf"),
        (lambda m, x, y, eps: x - eps, r"expected adversarial images in \[0, 1\]"),
        (lambda m, x, y, eps: x[:3], "expected adversarial images of shape"),
        (lambda m, x, y, eps: None, "got NoneType"),
        (lambda m, x, y, eps: x / 0, "finite"),
    ],
)
def test_what_leaves_the_ball_or_the_box_is_refused(attack, reason):
    with pytest.raises(Refused, match=reason):
        tracks.practise("white", attack, N)


def test_a_defence_is_scored_or_refused(tmp_path):
    shipped = networks.CHECKPOINTS / "mnist_pgd.safetensors"
    assert tracks.practise("defence", shipped, 20).value >= 0.6
    assert tracks.practise("defence", networks.CHECKPOINTS / "mnist_standard.safetensors", 20).value <= 0.1
    entry.write_entry(tmp_path, defence=networks.SmallCNN(seed=0))
    with pytest.raises(Refused, match="at least 95% of clean digits right"):
        tracks.practise("defence", tmp_path / "defence.safetensors", 20)
    save_file({"a": torch.zeros(300_000)}, tmp_path / "large.safetensors")
    with pytest.raises(Refused, match="at most 1,000,000 bytes, got 1,200"):
        tracks.practise("defence", tmp_path / "large.safetensors", 20)
    (tmp_path / "text.safetensors").write_text("weights")
    with pytest.raises(Refused, match="expected weights of SmallCNN"):
        tracks.practise("defence", tmp_path / "text.safetensors", 20)
    with pytest.raises(Refused, match="no such checkpoint"):
        tracks.practise("defence", tmp_path / "none.safetensors", 20)


def test_an_unknown_track_is_told():
    with pytest.raises(ValueError, match="expected one of white, black, defence, got 'grey'"):
        tracks.practise("grey", weak)


def scored(capsys, folder, *more):
    code = main(["score", str(folder), "--seed", "s", "--images", "20", "--unprotected", *more])
    return code, capsys.readouterr()


def test_the_command_scores_a_folder_and_keeps_the_board(tmp_path, capsys):
    folder = entry.write_entry(tmp_path / "ada", white=weak, black=asks)
    board = tmp_path / "leaderboard.jsonl"
    code, told = scored(capsys, folder, "--board", str(board))
    assert code == 0, told
    assert "white: 0." in told.out
    assert "black: 0." in told.out
    assert main(["leaderboard", str(board)]) == 0
    assert "| ada |" in capsys.readouterr().out


HOSTILE = {
    "endless": ("def attack(model, x, y, eps):\n    while True: pass\n", "stopped after 5 s"),
    "exits": ("import os\ndef attack(model, x, y, eps):\n    os._exit(0)\n", "ended its own process"),
    "raises": ("def attack(model, x, y, eps):\n    raise KeyError('no')\n", "raised KeyError"),
    "no Python": ("def attack(:\n", "refused. white"),
    "changes the model": (
        "import torch\ndef attack(model, x, y, eps):\n    for p in model.parameters(): p.data.zero_()\n    return x\n",
        "white: 0.000",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("source", "told"), HOSTILE.values(), ids=HOSTILE)
def test_an_attack_that_misbehaves_hurts_itself_alone(tmp_path, capsys, source, told):
    (tmp_path / "white.py").write_text(source)
    code, out = scored(capsys, tmp_path, "--timeout", "5")
    assert told in out.out
    assert code == (0 if told.startswith("white") else 1)


def test_an_oracle_asked_too_much_is_a_refusal(tmp_path, capsys):
    text = "def attack(query, x, y, eps):\n    for _ in range(501): query(x)\n    return x\n"
    (tmp_path / "black.py").write_text(text)
    code, out = scored(capsys, tmp_path)
    assert code == 1
    assert "within the budget of 10000" in out.out


def test_an_empty_folder_is_told(tmp_path, capsys):
    code, out = scored(capsys, tmp_path)
    assert code == 1
    assert "expected a folder with any of white.py, black.py, defence.safetensors" in out.err


def test_a_function_without_source_is_told(tmp_path):
    with pytest.raises(ValueError, match="white: expected a function defined in a cell or a file"):
        entry.write_entry(tmp_path, white=len)
    assert not list(Path(tmp_path).iterdir())
