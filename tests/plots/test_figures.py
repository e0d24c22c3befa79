"""Figures: what is drawn and written, and errors for shapes that do not fit. (How they look, a person judges.)"""

import re

import pytest
import torch
from matplotlib.figure import Figure

from cs329t_robust.evaluation.accuracy import Accuracy, Curve
from cs329t_robust.plots import figures


def titles(fig: Figure) -> list[str]:
    return [ax.get_title() for ax in fig.axes]


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def logits(*winners: int, k: int = 4) -> torch.Tensor:
    return 10 * torch.nn.functional.one_hot(torch.tensor(winners), k).float()


def batch(n: int = 2, c: int = 1, side: int = 8) -> torch.Tensor:
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize(
    ("winner", "target", "expected"),
    [
        (1, None, "1 → 1 (>99%)\nright"),
        (2, None, "1 → 2 (>99%)\nwrong"),
        (2, 2, "1 → 2 (>99%)\nwrong, target reached"),
        (2, 3, "1 → 2 (>99%)\nwrong, target missed"),
        (1, 3, "1 → 1 (>99%)\nright, target missed"),
    ],
)
def test_verdict_says_right_or_wrong_in_words(winner, target, expected):
    assert figures.verdict(logits(winner)[0], 1, target=target) == expected


def test_verdict_uses_class_names_and_whole_percent():
    z = torch.tensor([0.6, 0.4]).log()
    assert figures.verdict(z, 1, ["cat", "dog"]) == "dog → cat (60%)\nwrong"


@pytest.mark.parametrize(("p", "expected"), [(1.0, ">99%"), (0.99, "99%"), (0.5, "50%"), (0.01, "1%"), (1e-6, "<1%")])
def test_percent_never_claims_certainty(p, expected):
    assert figures.percent(p) == expected


@pytest.mark.parametrize("c", [1, 3])
def test_triptych_rows_are_clean_perturbation_adversarial(c):
    x = batch(2, c)
    x_adv = (x + torch.tensor([0.1, -0.1]).view(2, 1, 1, 1)).clamp(0, 1)
    fig = figures.triptych(x, x_adv, torch.tensor([0, 1]), logits(0, 1), logits(2, 1))
    assert isinstance(fig, Figure)
    first, second = titles(fig)[:3], titles(fig)[3:]
    assert first[0] == "clean\n0 → 0 (>99%)\nright"
    assert "change" in first[1]
    assert "0.1" in first[1]
    assert first[2] == "adversarial\n0 → 2 (>99%)\nwrong"
    assert second[2] == "adversarial\n1 → 1 (>99%)\nright"


def test_triptych_draws_the_perturbation_zero_centred_with_its_own_scale():
    x = torch.full((1, 1, 8, 8), 0.5)
    x_adv = x.clone()
    x_adv[0, 0, 0, 0] += 2 / 255
    fig = figures.triptych(x, x_adv, torch.tensor([0]), logits(0), logits(0), denominator=255)
    (picture,) = fig.axes[1].get_images()
    low, high = picture.get_clim()
    assert low == -high == pytest.approx(-2 / 255, rel=1e-4)
    assert "2/255" in fig.axes[1].get_title()


def test_triptych_names_other_kinds_and_targets():
    x = batch(2)
    fig = figures.triptych(
        x, x, torch.tensor([0, 0]), logits(0, 0), logits(0, 3), target=torch.tensor([3, 3]), kinds=["noise", "patch"]
    )
    assert titles(fig)[2] == "noise\n0 → 0 (>99%)\nright, target missed"
    assert titles(fig)[5] == "patch\n0 → 3 (>99%)\nwrong, target reached"


def test_triptych_of_an_unchanged_image_can_be_drawn():
    x = batch(1)
    fig = figures.triptych(x, x, torch.tensor([0]), logits(0), logits(0))
    fig.draw_without_rendering()


def test_small_images_keep_hard_pixel_edges():
    small, large = figures.images(batch(1, 1, 28)), figures.images(batch(1, 3, 224))
    assert small.axes[0].get_images()[0].get_interpolation() == "nearest"
    assert large.axes[0].get_images()[0].get_interpolation() != "nearest"


def test_predictions_lists_the_most_probable_classes_in_order():
    z = torch.tensor([[0.1, 0.6, 0.3]]).log()
    fig = figures.predictions(batch(1, 3), z, ["ant", "bee", "cow"], ["a photo"], top=2)
    assert texts(fig) == ["bee 60%", "cow 30%"]
    assert "a photo" in titles(fig)


def test_probabilities_draws_every_class_of_every_input_in_its_colour():
    p = {"clean": torch.tensor([0.9, 0.1]), "adversarial": torch.tensor([0.2, 0.8])}
    (ax,) = figures.probabilities(p, ["a", "b"]).axes
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.9, 0.1, 0.2, 0.8])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["clean", "adversarial"]
    assert ax.patches[0].get_facecolor() != ax.patches[2].get_facecolor()


def curve(*accuracies: float, n: int = 20) -> Curve:
    hits = [torch.arange(n) < round(a * n) for a in accuracies]
    return Curve(tuple(i / 10 for i in range(len(hits))), tuple(Accuracy(h) for h in hits))


def test_curves_write_n_and_chance_and_show_the_interval():
    fig = figures.curves({"adversarial, PGD": curve(1, 0.5, 0)}, chance=0.1)
    (ax,), (key,) = fig.axes, fig.legends
    legend = [text.get_text() for text in key.get_texts()]
    assert legend == ["adversarial, PGD (n = 20)", "chance (10%)"]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() >= 0
    assert band.max() <= 1
    low, high = Accuracy(torch.arange(20) < 10).interval
    assert low == pytest.approx(band[(band > 0.2) & (band < 0.45)].min())
    assert high > 0.5


def test_curves_in_255ths():
    (ax,) = figures.curves({"clean": curve(1, 0.5)}, chance=0, denominator=255).axes
    assert ax.get_xlabel() == "ε (/255)"
    assert ax.get_lines()[0].get_xdata().tolist() == pytest.approx([0, 25.5])


def test_grid_puts_words_into_cells():
    fig = figures.grid(torch.tensor([[0.1, float("nan")]]), [["yes", "own"]], ["row"], ["a", "b"], "title")
    assert texts(fig) == ["yes", "own"]
    assert titles(fig) == ["title"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.images(torch.rand(1, 8, 8)), "x: expected images"),
        (lambda: figures.images(batch(2, 2)), "x: expected images"),
        (lambda: figures.images(batch(2), ["one"]), "titles: expected one for each of the 2 images, got 1"),
        (
            lambda: figures.triptych(batch(2), batch(1), torch.zeros(2), logits(0, 0), logits(0, 0)),
            "x_adv: expected the shape of x, (2, 1, 8, 8), got (1, 1, 8, 8)",
        ),
        (
            lambda: figures.triptych(batch(2), batch(2), torch.zeros(2), logits(0, 0), logits(0)),
            "logits_adv: expected one row for each of the 2 images, got 1",
        ),
        (
            lambda: figures.probabilities({"clean": torch.zeros(3)}, ["a"]),
            "expected one value for each of 1 classes, got 3",
        ),
        (
            lambda: figures.probabilities({"green": torch.zeros(1)}, ["a"]),
            "expected a name that starts with one of clean",
        ),
        (lambda: figures.grid(torch.zeros(2, 2), [["a", "b"]], ["r"], ["c", "d"]), "expected (1, 2) cells"),
        (lambda: figures.show(Figure(), " "), "alt: expected a sentence"),
    ],
)
def test_what_does_not_fit_is_a_value_error(draw, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        draw()


def test_show_gives_the_picture_its_words(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    figures.show(figures.images(batch(1)), alt="A <noisy> square.")
    (picture, options), (words, _) = shown
    assert set(picture) == {"image/png", "text/plain"}
    assert picture["text/plain"] == "Figure: A <noisy> square."
    assert options["metadata"] == {"image/png": {"alt": "A <noisy> square."}}
    assert "A &lt;noisy&gt; square." in words["text/html"]


def test_drawing_changes_nothing_it_is_given():
    x, z = batch(2).requires_grad_(), logits(0, 1).requires_grad_()
    before = x.detach().clone()
    figures.triptych(x, x * 0.9, torch.tensor([0, 1]), z, z)
    assert torch.equal(x, before)
    assert x.requires_grad
    assert z.grad is None


def test_attributions_draw_a_row_for_each_image_and_refuse_other_shapes():
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    fig = figures.attributions(x, {"a": x - 0.5, "b": -x}, changed=x.flip(0))
    assert len(fig.axes) == 3 * 4
    assert [ax.get_title() for ax in fig.axes[:4]] == ["image x", "image x′", "a", "b"]
    drawn = fig.axes[2].images[0]
    assert drawn.get_clim()[0] == -drawn.get_clim()[1]
    with pytest.raises(ValueError, match="a: expected the shape of x"):
        figures.attributions(x, {"a": x[:, :, 1:]})
