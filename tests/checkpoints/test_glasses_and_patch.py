"""What data/physical ships, and the commands that make it."""

import hashlib
import json

import pytest
import torch

from cs329t_robust.attacks.physical.accessories import glasses
from cs329t_robust.checkpoints import glasses_and_patch
from cs329t_robust.cli import main
from cs329t_robust.data.datasets import photo
from cs329t_robust.runtime.data_folder import SHIPPED

README = (SHIPPED / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["patch.png", "glasses.json", "glasses_moving.png"])
def test_files_are_those_of_the_readme(name):
    assert hashlib.sha256((SHIPPED / "physical" / name).read_bytes()).hexdigest() in README


def test_the_shipped_patch_is_taken_for_its_target_on_photographs_it_never_met():
    patch, target = glasses_and_patch.shipped_patch()
    assert patch.shape == (3, 64, 64)
    hits, n = glasses_and_patch.patch_success(patch, target, 90, poses=4, seed=7)
    assert n == 12
    assert hits >= 10
    grey, _ = glasses_and_patch.patch_success(torch.full_like(patch, 0.5), target, 90, poses=4, seed=7)
    assert grey == 0
    assert not set(glasses_and_patch.TRAINING) & set(glasses_and_patch.HELD_OUT)


def test_the_shipped_glasses_work_in_poses_they_never_met():
    from cs329t_robust import share_seen_as
    from cs329t_robust.models.networks import imagenet_classifier

    picture, target = glasses_and_patch.shipped_glasses(), torch.tensor([glasses_and_patch.class_number("hummingbird")])
    changed = ((picture - photo("portrait")).abs() > 1e-3).any(1)[0]
    assert not (changed & ~glasses()).any()
    share = share_seen_as(imagenet_classifier(), picture, target, views=glasses_and_patch.HEAD, samples=12, seed=77)
    assert share.item() > 0.8
    before = share_seen_as(
        imagenet_classifier(), photo("portrait"), target, views=glasses_and_patch.HEAD, samples=3, seed=77
    )
    assert before.item() == 0


def test_the_shipped_table_is_whole():
    rows = glasses_and_patch.shipped_targets()
    assert len(rows) >= 12
    assert len({row["target"] for row in rows}) == len(rows)
    assert all(row["reached"] == (row["seen_as"] == row["target"]) for row in rows)


def test_class_names_are_found_and_misspelt_ones_answered():
    assert glasses_and_patch.class_number("Egyptian CAT") == 285
    with pytest.raises(ValueError, match="got 'nebra'; nearest: zebra"):
        glasses_and_patch.class_number("nebra")


@pytest.fixture
def quick(monkeypatch):
    """A classifier that is quick to ask: 1000 classes from a few mean colours."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(1000, 48, generator=draw)

    class Colours(torch.nn.Module):
        def forward(self, x):
            return 8 * torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ weight.T

    monkeypatch.setattr(glasses_and_patch, "imagenet_classifier", Colours)
    monkeypatch.setattr("cs329t_robust.models.networks.imagenet_classifier", Colours)
    return Colours()


def test_only_the_frame_is_painted(quick):
    with torch.no_grad():
        near = int(quick(photo("portrait"))[0].argsort(descending=True)[1])
    picture, painted = glasses_and_patch.paint_glasses(quick, near, steps=20)
    changed = (picture != photo("portrait")).any(1)[0]
    assert not (changed & ~glasses()).any()
    assert painted.reached
    assert 0 <= painted.share_of_views <= 1


def test_the_glasses_command_writes_picture_and_rows(quick, tmp_path, capsys):
    out, rows = tmp_path / "zebra.png", tmp_path / "rows.json"
    arguments = [
        "--target",
        "zebra",
        "--by-lot",
        "1",
        "--steps",
        "2",
        "--poses",
        "--out",
        str(out),
        "--json",
        str(rows),
    ]
    assert main.main(["glasses", *arguments]) == 0
    assert json.loads(rows.read_text("utf-8"))[0]["target"] == "zebra"
    assert "of 2 targets reached" in capsys.readouterr().out
    from PIL import Image

    with Image.open(out) as picture:
        assert picture.size == (224, 224)
    assert main.main(["glasses"]) == 1
    assert "expected --target CLASS or --by-lot N" in capsys.readouterr().err


def test_the_patch_command_writes_a_patch_that_names_its_target(quick, tmp_path, capsys, monkeypatch):
    path = tmp_path / "physical" / "patch.png"
    assert main.main(["patch", "--target", "zebra", "--steps", "2", "--out", str(path)]) == 0
    assert "of 96 held-out placements" in capsys.readouterr().out
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    patch, target = glasses_and_patch.shipped_patch()
    assert patch.shape == (3, 64, 64)
    assert target == glasses_and_patch.class_number("zebra")
