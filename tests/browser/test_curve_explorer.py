"""The chart of robustness curves in a real browser: hover, keys, attacks, models switched off; offline."""

import pytest
import torch

from cs329t_robust.evaluation.accuracy import Accuracy, Curve
from cs329t_robust.widgets.curve_explorer import CurveExplorer

pytestmark = pytest.mark.browser

LISTENER = (
    "<script>document.addEventListener('keydown', () => { window.lab = true; }, true);</script>"  # as JupyterLab's
)


def curve(*rights):
    return Curve((0.0, 0.1, 0.3), tuple(Accuracy(torch.arange(200) < right, "pgd", "Linf") for right in rights))


@pytest.fixture
def chart(page, tmp_path):
    made = CurveExplorer(
        {
            "PGD": {"standard": curve(198, 40, 0), "pgd, 7 steps": curve(190, 185, 171)},
            "FGSM": {"standard": curve(198, 90, 10), "pgd, 7 steps": curve(190, 187, 180)},
        }
    )
    (tmp_path / "page.html").write_text("<!doctype html><meta charset=utf-8>" + LISTENER + made.to_html(), "utf-8")
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".cs329t-curves[data-live=yes]")
    yield page
    assert errors == []


def reads(page):
    return [text.strip() for text in page.locator(".cc-readout .cc-value").all_inner_texts()]


def test_hover_keys_attack_and_switches(chart):
    page, svg = chart, chart.locator(".cc-chart svg")
    assert page.locator(".cc-readout caption").inner_text() == "at ε = 0.1, n = 200 (95% interval)"
    assert reads(page) == ["20%", "92.5%"]
    box = svg.bounding_box()
    page.mouse.move(box["x"] + 0.96 * box["width"], box["y"] + box["height"] / 2)
    assert reads(page) == ["0%", "85.5%"]
    page.mouse.move(box["x"] + 0.11 * box["width"], box["y"] + box["height"] / 2)
    assert reads(page) == ["99%", "95%"]
    svg.focus()
    page.keyboard.press("ArrowRight")
    assert reads(page) == ["20%", "92.5%"]
    page.keyboard.press("End")
    assert svg.get_attribute("aria-valuetext") == "ε = 0.3: standard 0%, pgd, 7 steps 85.5%"
    assert page.evaluate("window.lab") is None, "the notebook does not hear the arrow keys"
    page.select_option(".cc-menu select", label="FGSM")
    assert reads(page) == ["5%", "90%"]
    assert page.locator(".cc-model").count() == 2
    page.locator(".cc-readout input").first.uncheck()
    assert page.locator(".cc-model").count() == 1
    assert reads(page) == ["–", "90%"]
    page.wait_for_timeout(400)
    assert page.locator(".page-hidden").text_content() == "FGSM, ε = 0.3: pgd, 7 steps 90%"


def test_the_curve_is_drawn_where_its_values_are(chart):
    points = chart.locator(".cc-model[data-model=standard] .cc-curve").get_attribute("points").split()
    heights = [float(point.split(",")[1]) for point in points]
    zero, full = 314.0, 12.0  # the chart's own units: accuracy 0 and 1
    assert [round((zero - y) / (zero - full), 3) for y in heights] == [0.99, 0.2, 0.0]
