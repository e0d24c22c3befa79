"""Glasses: a wearable frame that leaves the eyes free."""

import pytest
import torch

from cs329t_robust.attacks.physical.accessories import PORTRAIT_EYES, glasses


def test_a_frame_covers_little_and_leaves_the_eyes_free():
    mask = glasses()
    assert mask.shape == (224, 224)
    assert mask.dtype == torch.bool
    assert 0.03 < mask.float().mean() < 0.05
    for across, down in PORTRAIT_EYES:
        assert not mask[int(down) - 6 : int(down) + 7, int(across) - 10 : int(across) + 11].any()


def test_thicker_frames_hold_the_thinner():
    thin, thick = glasses(thickness=0.08), glasses(thickness=0.2)
    assert (thin & thick).sum() > 0.95 * thin.sum()
    assert thick.sum() > 2 * thin.sum()


def test_level_glasses_are_symmetric_and_follow_size_and_place():
    mask = glasses(((30.0, 50.0), (70.0, 50.0)), side=100)
    assert torch.equal(mask, mask.flip(1))
    moved = glasses(((40.0, 45.0), (80.0, 45.0)), side=100)
    assert torch.equal(moved[:90, 10:], mask[5:95, :-10])
    double = glasses(((60.0, 100.0), (140.0, 100.0)), side=200)
    assert double.float().mean().item() == pytest.approx(mask.float().mean().item(), rel=0.1)


def test_tilted_eyes_tilt_the_frame():
    mask = glasses(((35.0, 40.0), (65.0, 60.0)), side=100)
    rows = torch.arange(100.0)[:, None].expand(100, 100)
    assert rows[:, :50][mask[:, :50]].mean() < rows[:, 50:][mask[:, 50:]].mean() - 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eyes": ((70.0, 50.0), (30.0, 50.0))}, "left eye first"),
        ({"thickness": 0}, "thickness: expected"),
        ({"thickness": 0.5}, "thickness: expected"),
    ],
)
def test_unusable_frames_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        glasses(**settings)
