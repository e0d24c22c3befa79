"""The trade-off explorer in a real browser: its arithmetic against Python's, its sliders by keyboard; offline."""

import math

import pytest
import torch

from cs329t_robust.theory import StrongWeak
from cs329t_robust.widgets.tradeoff_explorer import TradeoffExplorer

pytestmark = pytest.mark.browser

LISTENER = (
    "<script>document.addEventListener('keydown', () => { window.lab = true; }, true);</script>"  # as JupyterLab's
)
CALL = "([name, ...args]) => document.querySelector('.cs329t-tradeoff').widget.functions[name](...args)"
MANY = "(xs) => xs.map(document.querySelector('.cs329t-tradeoff').widget.functions.phi)"


@pytest.fixture
def explorer(page, tmp_path):
    (tmp_path / "page.html").write_text(
        "<!doctype html><meta charset=utf-8>" + LISTENER + TradeoffExplorer().to_html(), "utf-8"
    )
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".page-panel")
    return page


def cells(page):
    return page.locator(".ct-table td").all_inner_texts()


def test_the_normal_law_is_pythons_to_the_last_digits(explorer):
    x = torch.cat([torch.linspace(-9, 9, 3601, dtype=torch.float64), torch.tensor([-40.0, 0.0, 40.0]).double()])
    seen = torch.tensor(explorer.evaluate(MANY, x.tolist()), dtype=torch.float64)
    torch.testing.assert_close(seen, torch.special.ndtr(x), rtol=1e-9, atol=1e-15)


def test_accuracies_ratios_and_bounds_are_pythons(explorer):
    for d, p, eta in ((1, 0.5, 0.2), (100, 0.95, 0.3), (1000, 0.8, 0.1), (40, 0.99, 0.7)):
        model, given = StrongWeak(d, p, eta), {"d": d, "p": p, "eta": eta}
        for eps in (0.0, 0.05, 0.2, 0.35, 0.6, 0.9):
            ratio = explorer.evaluate(CALL, ["bestRatio", given, eps])
            assert ratio == pytest.approx(model.best_ratio(eps), rel=1e-9)
            for r in (0.0, 0.7, ratio):
                seen = explorer.evaluate(CALL, ["accuracy", given, r, eps])
                assert seen == pytest.approx(model.accuracy(model.mixed(r), eps).item(), abs=1e-9)
        assert explorer.evaluate(CALL, ["bound", p, 0.03]) == pytest.approx(model.bound(0.03))
    assert explorer.evaluate(CALL, ["bestRatio", {"d": 100, "p": 0.95, "eta": 0.3}, 0.5]) == math.inf


def test_the_start_is_what_python_says_and_the_picture_is_told_in_words(explorer):
    found = TradeoffExplorer().numbers()
    names = ("standard", "standardRobust", "bestClean", "best")
    assert cells(explorer) == [f"{100 * found[name]:.1f}%" for name in names]
    said = explorer.get_attribute("svg", "aria-label")
    assert "d = 100, p = 0.95, η = 0.30" in said
    assert explorer.locator("path.ct-line").count() == 4


def test_sliders_by_keyboard_change_the_verdict_and_jupyter_hears_nothing(explorer):
    page = explorer
    slider = page.get_by_label("ε, adversary's reach")
    assert "strong feature alone" in page.inner_text(".ct-verdict")
    slider.focus()
    page.keyboard.press("Home")
    assert "the weak features too" in page.inner_text(".ct-verdict")
    assert cells(page)[0] == cells(page)[1], "at ε = 0 there is no attack"
    assert "the theorem says nothing yet" in page.inner_text(".ct-verdict")
    page.keyboard.press("ArrowRight")
    assert page.locator(".ct-value").first.inner_text() == "0.01"
    assert page.evaluate("window.lab") is None, "the notebook does not hear the arrow keys"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.parentElement.innerText").startswith("η")
    page.get_by_label("d, number of weak").focus()
    page.keyboard.press("End")
    assert page.locator(".ct-value").last.inner_text() == "10000"
