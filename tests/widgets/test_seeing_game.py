"""The seeing game shows exactly the changes it says, keeps and explains results, and refuses what cannot be played."""

import base64
import json
import math
import re
import zlib

import numpy as np
import pytest
import torch
from conftest import draws

from cs329t_robust.data.datasets import mnist
from cs329t_robust.evaluation.accuracy import predict
from cs329t_robust.models.networks import LinearModel, mnist_classifier
from cs329t_robust.perception.staircase import Observer
from cs329t_robust.widgets.seeing_game import SeeingGame
from cs329t_robust.widgets.seeing_game_pictures import Changes
from cs329t_robust.widgets.seeing_game_presets import (
    digits_game,
    model_threshold,
    photographs_game,
    smallest_adversarial_changes,
)

EPS = {"Linf": [k / 255 for k in (1, 2, 4, 8, 16)], "L2": [0.5, 1, 2, 4], "L0": [1, 2, 4, 8]}
MODEL = {"Linf": 0.5 / 255, "L2": None, "L0": 3}
SEEN = {"Linf": "111110", "L2": "1110", "L0": "1111"}


def ingredients(c=3, n=2):
    x = (torch.rand(n, c, 8, 8, generator=draws(1)) * 255).round() / 255
    deltas = {norm: torch.randn(n, c, 8, 8, generator=draws(i)) for i, norm in enumerate(EPS)}
    return x, deltas


def game(**settings):
    x, deltas = ingredients()
    return SeeingGame(x, deltas, EPS, MODEL, **({"denominators": {"Linf": 255}, "trials": 8} | settings))


def unpack(page):
    (text,) = re.findall(r'class="page-data">(.*?)</script>', page, re.S)
    block = zlib.decompress(base64.b64decode(text))
    length = int.from_bytes(block[:4], "little")
    return json.loads(block[4 : 4 + length]), block[4 + length :]


def played(made, text="10" * 4):
    made.take(dict.fromkeys(made.norms, text))
    return made


@pytest.mark.parametrize("c", [1, 3])
def test_a_shown_picture_is_the_change_of_that_size_and_valid(c):
    x, deltas = ingredients(c)
    changes = Changes(x, deltas, EPS)
    for norm, order in (("Linf", torch.inf), ("L2", 2)):
        for level, size in enumerate(EPS[norm]):
            for i in range(2):
                shown = torch.from_numpy(changes.shown(norm, i, level).astype(np.float64)).permute(2, 0, 1) / 255
                direction = deltas[norm][i].double()
                wanted = (x[i].double() + size * direction / direction.norm(order)).clamp(0, 1)
                # stored in 15ths of its largest value, shown in whole 255ths
                coarse = size * (direction.abs().max() / direction.norm(order)) / 15
                assert (shown - wanted).abs().max() <= 0.5 / 255 + coarse
                assert (shown - x[i]).norm(order) <= size + 0.5 / 255 * (shown.numel() ** (1 / order))


def test_pixels_are_added_one_after_another_in_order():
    x, deltas = ingredients()
    for order in (None, torch.arange(64).view(1, 8, 8).expand(2, -1, -1)):
        changes = Changes(x, deltas, {norm: EPS[norm] for norm in deltas}, order)
        rank = -deltas["L0"].abs().amax(1).flatten(1) if order is None else order.flatten(1)
        for i in range(2):
            for level, size in enumerate(EPS["L0"]):
                differs = (changes.shown("L0", i, level) != changes.clean[i]).any(2).flatten()
                assert differs.sum() == size
                expected = set(rank[i].argsort()[:size].tolist())
                assert set(np.flatnonzero(differs).tolist()) == expected


def test_the_page_holds_the_pictures_and_no_address():
    made = game(seed=5)
    page = made.to_html()
    header, body = unpack(page)
    assert header["trials"] == 8
    assert header["seed"] == 5
    assert [norm["name"] for norm in header["norms"]] == list(EPS)
    assert header["norms"][1]["model"] is None
    clean = np.frombuffer(body, np.uint8, 8 * 8 * 3, header["pictures"][1]["at"]).reshape(8, 8, 3)
    assert np.array_equal(clean, made.changes.clean[1])
    dots = header["norms"][2]["changes"][0]
    assert dots["placesAt"] % 4 == 0
    assert np.frombuffer(body, "<u4", dots["count"], dots["placesAt"]).max() < 64
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page == game(seed=5).to_html()
    still = page.split("<script")[0]
    assert "Run this cell to play" in still


def test_results_are_the_staircases_and_are_said():
    made = game()
    assert made.results == {}
    assert made.summary().startswith("Not played yet")
    assert repr(made) == "SeeingGame: 2 pictures; Linf, L2, L0; at most 24 pairs; not played yet"
    made.simulate({"Linf": Observer(6 / 255, seed=2), "L2": Observer(math.inf, seed=0), "L0": Observer(0, lapse=0)})
    assert made.results["L2"].where == "above"
    assert made.results["L0"].where == "below"
    lines = made.summary().splitlines()
    assert lines[1] == "L2. You did not notice even 4; the model did not break."
    assert lines[2] == "L0. You noticed even the smallest, 1 pixel; the model breaks at 3 pixels."
    assert repr(made).endswith("; played")
    still = made.to_html().split("<script")[0]
    assert lines[1] in still, "without scripts the result is read all the same"


def test_the_sentence_compares_only_what_can_be_told_apart():
    x, deltas = ingredients()
    ladder = {"Linf": [2 ** (i / 2) / 255 for i in range(13)]}
    made = SeeingGame(x, {"Linf": deltas["Linf"]}, ladder, {"Linf": 0.5 / 255}, denominators={"Linf": 255})
    made.simulate({"Linf": Observer(8 / 255, seed=4, slope=8, lapse=0)})
    found = made.results["Linf"]
    assert found.low < 8 / 255 < found.high
    yours = made.say("Linf", found.size)
    times = f"{float(f'{found.size * 255 / 0.5:.2g}'):g}"
    assert made.sentence("Linf") == (
        f"The model breaks at 0.5/255, you notice at {yours}: "
        f"it breaks at a change {times} times smaller than you notice."
    )
    made.model_thresholds["Linf"] = found.size * 1.01
    assert made.sentence("Linf").endswith("too close to tell apart with so few pairs.")
    made.model_thresholds["Linf"] = 1.0
    assert re.search(r"you notice a change \d+ times smaller than breaks it", made.sentence("Linf"))


def test_sizes_are_written_in_their_unit():
    made = game()
    assert made.say("Linf", 9.04 / 255) == "9/255"
    assert made.say("Linf", 0.254 / 255) == "0.25/255"
    assert made.say("L2", 123) == "120"
    assert [made.say("L2", size) for size in (0.0831, 4.25, 9.96, 1)] == ["0.083", "4.3", "10", "1"]
    assert [made.say("L0", size) for size in (1, 1.2, 12.5)] == ["1 pixel", "1 pixel", "13 pixels"]


def test_a_file_keeps_the_answers(tmp_path):
    kept = tmp_path / "seen.json"
    first = game(keep=kept)
    assert not kept.exists()
    played(first)
    again = game(keep=kept)
    assert again.results == first.results != {}
    assert game(keep=kept, title="another game").results == {}
    kept.write_text("{")
    with pytest.raises(ValueError, match=r"keep: expected the answers of a game in seen.json.*delete it"):
        game(keep=kept)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"Linf": "1" * 8}, "expected one text for each of"),
        ({**dict.fromkeys(EPS, "10101010"), "L2": "1x"}, "expected digits 0 and 1 for L2"),
        ({**dict.fromkeys(EPS, "10101010"), "L2": ""}, "expected digits 0 and 1 for L2"),
        (dict.fromkeys(EPS, "101"), "expected a finished game, got 3 answers for Linf"),
        (dict.fromkeys(EPS, "10" * 9), "ended after 8 answers"),
    ],
)
def test_answers_of_no_finished_game_are_refused(answers, message):
    made = game()
    with pytest.raises(ValueError, match=message):
        made.take(answers)
    assert made.results == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eps": {"Linf": [0.1, 0.2]}}, "expected the same norms"),
        ({"eps": EPS | {"L2": [2, 1, 4, 8]}}, "levels: expected at least two sizes > 0, ascending"),
        ({"eps": EPS | {"L0": [1, 2.5]}}, "expected whole numbers of pixels"),
        ({"eps": EPS | {"L0": [1, 65]}}, "expected at most 64 pixels for L0"),
        ({"eps": EPS | {"Linf": [0.1 / 255, 1]}}, "Linf 0.0003922 changes no pixel of picture 0"),
        ({"model_thresholds": {"Linf": 1.0}}, "model_thresholds: expected one for each of"),
        ({"model_thresholds": MODEL | {"L2": -1.0}}, "model_thresholds: expected sizes > 0"),
        ({"trials": 1}, "trials: expected a whole number >= 4"),
        ({"seconds": 0}, "seconds: expected a time > 0"),
        ({"blank": 9}, "blank: expected seconds from 0 to 5"),
        ({"seed": -1}, "seed: expected a whole number >= 0"),
        ({"pictures": torch.full((2, 3, 8, 8), 2.0)}, "pixel values in"),
        ({"pictures": torch.rand(2, 2, 8, 8)}, "expected grey"),
        ({"perturbations": {norm: torch.zeros(2, 3, 8, 8) for norm in EPS}}, "got zeros for one"),
        ({"perturbations": {norm: torch.ones(1, 3, 8, 8) for norm in EPS}}, "expected finite values of shape"),
    ],
)
def test_mistakes_are_clear_value_errors(settings, message):
    x, deltas = ingredients()
    full = {"pictures": x, "perturbations": deltas, "eps": EPS, "model_thresholds": MODEL} | settings
    with pytest.raises(ValueError, match=re.escape(message)):
        SeeingGame(**full)


def test_thresholds_of_a_linear_model_are_the_closed_forms():
    """Distance to a hyperplane: margin over the dual norm of the weights' difference; found on the next rung."""
    weights = torch.randn(2, 64, generator=draws(3))
    bias = torch.zeros(2)
    model = LinearModel(weights, bias)
    x = 0.5 + 0.02 * torch.randn(3, 1, 8, 8, generator=draws(4))
    logits = model(x)
    y = logits.argmax(1)
    gap, lead = (weights[0] - weights[1]), (logits[:, 0] - logits[:, 1]).abs()
    for norm, dual in (("Linf", 1), ("L2", 2)):
        sizes = [0.0005 * 1.1**i for i in range(90)]
        exact = (lead / gap.norm(dual)).tolist()
        change, _, broken = smallest_adversarial_changes(model, x, y, norm, sizes, steps=10)
        for distance, found in zip(exact, broken, strict=True):
            assert distance <= found * 1.0001
            assert found <= max(sizes[0], distance * 1.15)
        assert (predict(model, x + change).argmax(1) != y).all()
    _, order, broken = smallest_adversarial_changes(model, x, y, "L0", list(range(1, 33)))
    for i in range(3):
        sign = gap * (1 if y[i] == 0 else -1)  # what lowers this difference breaks the picture
        pixels = x[i].flatten()
        gain = torch.maximum(-sign * (1 - pixels), sign * pixels).sort(descending=True).values.cumsum(0)
        assert broken[i] == int((gain <= lead[i]).sum()) + 1, "the fewest pixels, exactly"
        assert order[i].flatten().sort().values[:32].tolist() == list(range(32))


def test_the_models_threshold_is_the_median_or_none():
    assert model_threshold([1.0, 2.0, math.inf]) == 2
    assert model_threshold([1.0, 4.0]) == 2.5
    assert model_threshold([1.0, math.inf, math.inf]) is None
    with pytest.raises(ValueError, match="norm: expected one of Linf, L2, L1, L0"):
        smallest_adversarial_changes(lambda x: x.flatten(1), torch.rand(1, 1, 4, 4), torch.tensor([0]), "TV", [1])


def test_the_digits_are_ready_small_and_break_the_model_as_shown():
    made = digits_game()
    assert len(made.to_html()) < 100_000
    assert made.to_html() == digits_game().to_html()
    model, (_, y) = mnist_classifier(), mnist("test", 4)
    for norm in made.norms:
        assert made.model_thresholds[norm] is not None
        top = len(made.eps[norm]) - 1
        shown = torch.stack([torch.from_numpy(made.changes.shown(norm, i, top)) for i in range(4)])
        wrong = predict(model, shown.permute(0, 3, 1, 2).float() / 255).argmax(1) != y
        assert wrong.sum() >= 3, f"the largest {norm} change fools the model"
    assert 10 / 255 < made.model_thresholds["Linf"] < 60 / 255


@pytest.mark.slow
def test_the_photographs_are_ready_in_time_and_under_a_megabyte():
    import time

    began = time.process_time()
    made = photographs_game()
    assert time.process_time() - began < 30  # about 7 s on the machine it was written on; told apart from a minute
    assert len(made.to_html()) < 1_000_000
    assert made.model_thresholds["Linf"] <= 2 / 255
    assert made.model_thresholds["L2"] < 1
    assert made.title in made.to_html()
