"""The drawn road signs: true to geometry, the same from the same seed, differentiable; their classifier."""

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from cs329t_robust.checkpoints.signs import HELD_OUT, train_signs
from cs329t_robust.data.signs import CLASSES, FACE, Roadside, face, outline, sign, signs, stickers, view
from cs329t_robust.data.signs.camera import GREY
from cs329t_robust.evaluation.accuracy import accuracy, predict
from cs329t_robust.models.networks import CHECKPOINTS, sign_classifier


@pytest.mark.parametrize("name", CLASSES)
def test_every_sign_has_a_face_of_its_own(name):
    colour, cover = face(name), outline(name)
    assert colour.shape == (3, FACE, FACE)
    assert cover.shape == (1, FACE, FACE)
    for sheet in (colour, cover):
        assert sheet.dtype == torch.float32
        assert sheet.min() >= 0
        assert sheet.max() <= 1
    assert 0.3 < cover.mean() < 1, "a sign fills a good part of its square, never the whole of it"
    others = [(face(other) - colour).abs().max() for other in CLASSES if other != name]
    assert min(others) > 0.5


def test_a_caller_may_paint_on_a_face_without_changing_the_next_one():
    face("stop").zero_()
    outline("stop").zero_()
    assert face("stop").max() > 0.5
    assert outline("stop").max() == 1


def test_frontal_view_is_the_texture_halved():
    colour, cover = face("stop"), outline("stop")
    expected = F.avg_pool2d((colour * cover + GREY * (1 - cover))[None], 2)
    torch.testing.assert_close(view(colour, cover, size=1.0, side=FACE // 2), expected, atol=1e-4, rtol=0)


def test_roll_turns_against_the_clock():
    upright, rolled = (sign("turn right", roll=roll, scale=0.6, seed=4) for roll in (0.0, 90.0))
    plain = [view(face("turn right"), outline("turn right"), roll=roll, size=0.6) for roll in (0.0, 90.0)]
    assert (torch.rot90(plain[0], 1, (2, 3)) - plain[1]).abs().max() < 1e-3
    assert (upright - rolled).abs().max() > 0.3


@pytest.mark.parametrize(("pose", "axis"), [("yaw", 2), ("tilt", 3)])
def test_a_turned_sign_is_smaller_where_it_is_farther_away(pose, axis):
    white, whole = torch.ones(3, FACE, FACE), torch.ones(1, FACE, FACE)
    seen = view(white, whole, **{pose: 60.0}, size=0.6)[:, :1] > (1 + GREY) / 2
    edge = seen.sum(axis).flatten()
    edge = edge[edge > 0]
    assert edge[1] > 1.2 * edge[-2], "positive yaw moves the right edge away, positive tilt the lower one"
    frontal = view(white, whole, size=0.6)[:, :1] > (1 + GREY) / 2
    assert 0.35 < len(edge) / frontal.any(axis).sum() < 0.65, "60 degrees halve the width"


def test_light_and_place():
    colour, cover = face("limit 50"), outline("limit 50")
    assert view(colour, cover, light=0.5).amax() < 0.6
    moved = view(colour, cover, size=0.4, across=0.25, down=-0.125)
    torch.testing.assert_close(moved, view(colour, cover, size=0.4).roll((-6, 12), (2, 3)), atol=1e-3, rtol=0)


def test_gradients_reach_the_sign_and_nothing_beside_it():
    colour = face("stop").requires_grad_()
    view(colour, outline("stop"), yaw=torch.tensor([0.0, 40.0]), blur=0.5, size=0.9).sum().backward()
    reached = colour.grad.abs().sum(0)
    assert (reached[outline("stop")[0] == 0] == 0).all()
    assert (reached[outline("stop")[0] == 1] > 0).float().mean() > 0.95


def test_the_same_seed_draws_the_same_pictures_and_leaves_the_global_state():
    before = torch.get_rng_state()
    x, y = signs(30, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    again, _ = signs(30, seed=3)
    fewer, few = signs(10, seed=3)
    other, _ = signs(30, seed=4)
    assert torch.equal(x, again)
    assert torch.equal(few, y[:10])
    assert not torch.equal(x, other)
    torch.testing.assert_close(fewer, x[:10], atol=1e-4, rtol=0)
    assert x.shape == (30, 3, 48, 48)
    assert x.min() >= 0
    assert x.max() <= 1
    assert torch.bincount(y, minlength=12).tolist() == [3] * 6 + [2] * 6


def test_more_than_one_block_of_pictures_goes_on_drawing():
    x, y = signs(260, seed=3)
    assert not torch.equal(x[250:], x[10:20])
    assert torch.equal(y[250:], torch.arange(250, 260) % 12)


def test_roadside_shows_what_its_numbers_say():
    numbers = torch.full((2, 7), 0.5)
    numbers[1, 0] = 1.0
    faces = face("stop").expand(2, -1, -1, -1)
    turned, fixed = Roadside(degrees=50.0)(faces, numbers), Roadside(yaw=50.0)(faces, numbers)
    assert not torch.equal(turned[0], turned[1])
    assert torch.equal(fixed[0], fixed[1])
    torch.testing.assert_close(turned[1], fixed[1])
    assert not torch.equal(Roadside(seed=1)(faces, numbers), Roadside(seed=0)(faces, numbers))


def test_no_tape_touches_a_letter():
    tape = stickers()
    assert tape.shape == (4, FACE, FACE)
    assert tape.sum(0).max() == 1, "the strips do not overlap"
    under = face("stop")[:, tape.any(0)]
    assert under.std(1).max() < 0.02, "only red lies under the tape"
    assert (outline("stop")[0][tape.any(0)] == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: face("stopp"), "sign: expected one of stop, yield"),
        (lambda: outline("Stop"), "got 'Stop'"),
        (lambda: signs(0, seed=0), "n: expected"),
        (lambda: signs(3, seed=-1), "seed: expected"),
        (lambda: signs(3, seed=0, size=8), "size: expected"),
        (lambda: signs(3, seed=0, degrees=90), "degrees: expected a number from 0 to 75, got 90"),
        (lambda: signs(3, seed=0, scale=(0.9, 0.5)), "scale: expected"),
        (lambda: Roadside(yaw=80.0), "yaw: expected"),
        (lambda: Roadside(scale=0.5), "scale: expected a pair"),
        (lambda: sign("stop", yaw=80.0), "yaw: expected finite numbers from -75 to 75, got 80"),
        (lambda: sign("stop", light=float("nan")), "light: expected finite"),
        (lambda: view(face("stop")[0], outline("stop")), "face: expected a tensor"),
        (lambda: view(face("stop") * 255, outline("stop")), "face: "),
        (lambda: view(face("stop"), outline("stop")[:, :48]), "outline: expected the face's size"),
        (lambda: view(face("stop"), outline("stop"), background=torch.rand(3, 32, 32)), "expected 48×48 pixels"),
        (lambda: view(face("stop"), outline("stop"), yaw=torch.zeros(2), tilt=torch.zeros(3)), "expected"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        call()


def test_training_refuses_what_would_spoil_the_measurement(tmp_path):
    with pytest.raises(ValueError, match="safetensors"):
        train_signs(out=tmp_path / "signs.pt")
    with pytest.raises(ValueError, match="seed: expected one from 0"):
        train_signs(out=tmp_path / "signs.safetensors", seed=HELD_OUT)
    assert not list(tmp_path.iterdir())


def test_the_shipped_classifier_does_what_its_card_says():
    with safe_open(CHECKPOINTS / "signs.safetensors", "pt") as file:
        card = file.metadata()
    net = sign_classifier()
    x, y = signs(1200, seed=HELD_OUT)
    claimed = float(card["clean"].split()[0])
    assert claimed > 0.97
    assert abs(accuracy(net, x, y) - claimed) < 0.015
    right = predict(net, x).argmax(1) == y
    worst = min(right[y == label].float().mean().item() for label in range(len(CLASSES)))
    assert worst > 0.9, "no kind of sign is left out"
