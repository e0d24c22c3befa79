"""The figures of lesson 02: what is drawn agrees with what was given, and bad input says what is wrong."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from cs329t_robust import L2, Linf
from cs329t_robust.models.networks import LinearModel
from cs329t_robust.plots.curves_and_planes import RIGHT, Slice, distances, lines, plane, shares
from cs329t_robust.plots.figures import COLOURS

pytestmark = pytest.mark.filterwarnings("error")
ACROSS, UP = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])


def half_planes(boundary: float) -> LinearModel:
    """Class 1 where the first of two pixels exceeds `boundary`."""
    return LinearModel(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.0, -boundary]))


def test_lines_draw_each_panel_with_its_own_values_and_colours() -> None:
    x = torch.linspace(0, 1, 30)
    fig = lines(x, {"loss": {"adversarial step": x, "tangent": 2 * x}, "label": {"only": 0 * x}}, xlabel="ε")
    loss, label = fig.axes
    assert [ax.get_title() for ax in fig.axes] == ["loss", "label"]
    assert loss.lines[0].get_color() == COLOURS["adversarial"] != loss.lines[1].get_color()
    assert np.allclose(loss.lines[1].get_ydata(), 2 * x)
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["adversarial step", "tangent"]
    assert label.get_legend() is None


def test_lines_draw_levels_marks_and_bands() -> None:
    x = torch.arange(1, 4).float()
    band = torch.stack([x - 1, x + 1], 1)
    fig = lines(
        x, {"a": {"k": x}, "b": {"m": x}}, xlabel="λ", log=True, marks={"here": 2}, levels={"a": 0.5}, bands={"k": band}
    )
    a, b = fig.axes
    assert a.get_xscale() == "log"
    assert [len(ax.lines) for ax in (a, b)] == [3, 2]  # the line, the mark, and a level in one of them
    assert [len(ax.collections) for ax in (a, b)] == [1, 0]
    assert a.texts[0].get_text() == "here"


def test_lines_refuse_values_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"loss, k: expected one value for each of the 3 x, got \(2,\)"):
        lines(torch.zeros(3), {"loss": {"k": torch.zeros(2)}}, xlabel="ε")


def test_plane_names_the_regions_and_outlines_the_ball() -> None:
    x = torch.tensor([[[0.4, 0.5]]])
    cuts = {
        "square": Slice(ACROSS, UP, Linf(0.2)),
        "disc": Slice(ACROSS, UP, L2(0.2), path=torch.stack([x, x + 0.1 * UP])),
    }
    square, disc = plane(half_planes(0.55), x, 0, cuts, reach=0.3).axes
    for ax in (square, disc):
        words = {text.get_text(): text.get_position()[0] for text in ax.texts}
        assert set(words) == {"0\nright", "1\nwrong"}
        assert words["0\nright"] < 0.15 < words["1\nwrong"]
    assert to_hex(square.collections[0].get_facecolor()[0]).upper() == RIGHT
    corner = [max(abs(p).min(1).max() for p in outline(ax)) for ax in (square, disc)]
    assert corner[0] == pytest.approx(0.2, abs=0.01)  # a square has corners (0.2, 0.2)
    assert corner[1] == pytest.approx(0.2 / 2**0.5, abs=0.01)  # a disc's farthest diagonal point
    assert np.allclose(disc.lines[0].get_data(), [[0, 0], [0, 0.1]], atol=1e-6)


def outline(ax) -> list[np.ndarray]:
    """The polygons of the last dashed contour."""
    return [path for path in ax.collections[-1].get_paths()[0].to_polygons(closed_only=False) if len(path)]


def test_plane_draws_a_region_without_a_boundary_and_leaves_the_model_alone() -> None:
    model = half_planes(9).train()
    (ax,) = plane(model, torch.tensor([[[0.4, 0.5]]]), 0, {"one": Slice(ACROSS, UP, L2(5))}, reach=0.3, box=True).axes
    assert [text.get_text() for text in ax.texts] == ["0\nright"]
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_distances_count_failures_and_mark_the_median() -> None:
    found = {
        "strong": torch.tensor([1.0, 2.0, 4.0]),
        "weak": torch.tensor([3.0, torch.nan, torch.nan]),
        "none": torch.full((3,), torch.nan),
    }
    (ax,) = distances(found, ylabel="distance").axes
    assert [text.get_text() for text in ax.texts] == ["3 of 3", "1 of 3", "0 of 3"]
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 2, 4], [3], []]
    assert [bar.get_segments()[0][0][1] for bar in ax.collections] == [2, 3]


def test_shares_draw_a_dot_and_its_interval_for_each_row():
    panels = {"one": {"near": [(0.5, (0.4, 0.6)), (1.0, (0.9, 1.0))], "far": [(0.1, (0.0, 0.2)), (0.2, (0.1, 0.3))]}}
    fig = shares(["a", "b"], panels, xlabel="agreement", chance=0.5)
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    near, far = ax.containers
    np.testing.assert_allclose(near.lines[0].get_xdata(), [0.5, 1.0])
    ends = [segment[:, 0] for segment in far.lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.0, 0.2], [0.1, 0.3]], atol=1e-12)
    with pytest.raises(ValueError, match="one, near: expected one share for each of the 1 rows, got 2"):
        shares(["a"], panels, xlabel="agreement")
