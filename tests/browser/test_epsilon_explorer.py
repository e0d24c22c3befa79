"""The epsilon slider in a real JupyterLab and a real browser: live, busy, reopened, exported, dark, by keyboard."""

import copy
import subprocess
import sys

import nbformat
import pytest
from playwright.sync_api import expect

from .conftest import EXPLORER_CELL, notebook
from .explorer_page import LIVE, check_drags, contrasts, live, slider, verdict

pytestmark = pytest.mark.browser


def open_notebook(page, lab, name):
    page.goto(lab.address(name))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()


def run_cell(page, index):
    """Run a cell as a student does: click into it, Shift+Enter."""
    page.locator(".jp-CodeCell .cm-content").nth(index).click()
    page.keyboard.press("Shift+Enter")


@pytest.fixture(scope="module")
def exported(executed, tmp_path_factory):
    """The executed notebook, turned into a page by `jupyter nbconvert --to html`."""
    folder = tmp_path_factory.mktemp("exported")
    nbformat.write(executed, folder / "lesson.ipynb")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(folder / "lesson.ipynb")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / "lesson.html"


@pytest.fixture
def offline(page, exported):
    """The exported page, opened as a file with every other address blocked."""
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto(exported.as_uri())
    live(page)
    return page


def test_drags_live_then_busy_then_reopened_without_a_kernel(page, lab):
    lab.stop_kernels()
    nbformat.write(notebook(EXPLORER_CELL, "while True:\n    pass"), lab.folder / "live.ipynb")
    open_notebook(page, lab, "live.ipynb")
    page.get_by_text("| Idle").wait_for()
    run_cell(page, 0)
    check_drags(page, "live")

    run_cell(page, 1)
    page.get_by_text("| Busy").wait_for()
    check_drags(page, "kernel busy")
    assert [kernel["execution_state"] for kernel in lab.api("kernels")] == ["busy"]

    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    page.goto("about:blank")
    lab.stop_kernels()
    # a request for a kernel is never answered; refused, it would raise dialogs in the way
    page.route("**/api/sessions*", lambda route: None if route.request.method == "POST" else route.fallback())
    open_notebook(page, lab, "live.ipynb")
    check_drags(page, "reopened without a kernel")
    assert lab.api("kernels") == []


def test_drags_in_exported_html_offline(offline):
    check_drags(offline, "nbconvert html, network blocked")


def test_an_untrusted_notebook_shows_the_still_picture(page, lab, executed):
    book = copy.deepcopy(executed)
    book.metadata.author = "a stranger"  # trust goes by content: nothing else that a test signs may be equal to this
    nbformat.write(book, lab.folder / "untrusted.ipynb")
    open_notebook(page, lab, "untrusted.ipynb")
    page.locator(".cs329t-explorer").wait_for()
    page.wait_for_timeout(3000)  # time enough to come alive, were the script run
    expect(page.get_by_text("Run this cell to make the slider live.")).to_be_visible()
    still = page.locator(".cs329t-explorer img")
    assert still.evaluate("image => image.complete && image.naturalWidth") > 100
    assert still.get_attribute("alt").startswith("Predicted at ε = 0.00: 7; ε = 0.08: 3")
    assert page.locator(".cs329t-explorer[data-live], .cs329t-explorer script").count() == 0


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_text_is_legible_in_both_themes(page, lab, executed, theme):
    lab.stop_kernels()
    lab.set_theme(theme)
    lab.trust(executed, "themed.ipynb")
    open_notebook(page, lab, "themed.ipynb")
    root = live(page)
    light = page.evaluate("() => document.body.dataset.jpThemeLight")
    assert light == ("true" if theme.endswith("Light") else "false")
    slider(root).focus()
    page.keyboard.press("End")
    found = contrasts(root)
    assert len(found) > 30
    assert min(found.values()) >= 4.5, {text: round(ratio, 2) for text, ratio in found.items() if ratio < 4.5}
    lab.set_theme("JupyterLab Light")


def test_every_control_has_a_name_and_the_keyboard_reaches_all(offline):
    page = offline
    root = live(page)
    for name in ("Image", "Attack", "Norm", "Target"):
        expect(root.get_by_role("combobox", name=name, exact=True)).to_be_visible()
    expect(root.get_by_role("slider", name="epsilon")).to_be_visible()
    assert root.locator("select, input").count() == 5
    for picture in ("clean image, predicted 7", "perturbation of size epsilon", "adversarial image, predicted"):
        expect(root.get_by_role("img", name=picture)).to_be_visible()

    root.get_by_role("combobox", name="Image").focus()
    reached = []
    for _ in range(5):
        reached.append(page.evaluate("() => document.activeElement.id.split('-').pop()"))
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineWidth")
        assert float(outline.removesuffix("px")) >= 2, reached
        page.keyboard.press("Tab")
    assert reached == ["image", "attack", "norm", "target", "eps"]

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("End")
    assert "wrong (true: 7)" in verdict(root)
    root.get_by_role("combobox", name="Image").focus()
    page.keyboard.press("ArrowDown")
    assert "true: 2" in verdict(root)
    root.get_by_role("combobox", name="Attack").focus()
    page.keyboard.press("ArrowDown")
    expect(root.get_by_role("combobox", name="Target")).to_be_disabled()
    assert "predicted: 2" in verdict(root)
    expect(root.locator(".cx-summary")).to_contain_text("No flip up to ε = 0.24")
    expect(root.locator("[aria-live=polite]")).to_have_text(f"epsilon 0.24: {verdict(root)}")


def test_a_target_is_reached_and_named(offline):
    root = live(offline)
    root.get_by_role("combobox", name="Target").select_option("3")
    slider(root).focus()
    offline.keyboard.press("End")
    assert "predicted: 3" in verdict(root)
    expect(root.locator(".cx-summary")).to_contain_text("reaches the target")
    expect(root.locator(".cx-flag")).to_contain_text("reaches target at 0.")
    expect(root.locator(".cx-tag")).to_have_text(["target", "true"])


def test_what_is_drawn_is_the_attack(offline):
    """The adversarial canvas equals clean plus perturbation, within the rounding that is documented."""
    root = live(offline)
    slider(root).focus()
    offline.keyboard.press("End")
    worst, biggest = root.evaluate(
        """root => {
          const { clean, adv } = root.widget.panes;
          let worst = 0, biggest = 0;
          const view = root.widget.view, level = view.step.length - 1, size = 784;
          for (let i = 0; i < size; i++) {
            const delta = 255 * view.step[level] * view.frames[(level - 1) * size + i];
            const drawn = adv.context.getImageData(i % 28, Math.floor(i / 28), 1, 1).data[0];
            const base = clean.context.getImageData(i % 28, Math.floor(i / 28), 1, 1).data[0];
            worst = Math.max(worst, Math.abs(drawn - Math.min(255, Math.max(0, base + delta))));
            biggest = Math.max(biggest, Math.abs(drawn - base));
          }
          return [worst, biggest];
        }"""
    )
    assert worst <= 0.51
    assert abs(biggest - 0.24 * 255) <= 1


def test_two_explorers_share_a_page(offline):
    """The same output shown twice stays two explorers, with different ids."""
    offline.evaluate(
        """async () => {
          const root = document.querySelector('.cs329t-explorer');
          const copy = document.createElement('div');
          copy.className = root.className;
          copy.innerHTML = '<div class="page-static"></div>';
          copy.append(root.querySelector('.page-data').cloneNode(true));
          const script = document.createElement('script');
          script.textContent = root.querySelector('script:not(.page-data)').textContent;
          copy.append(script);
          root.after(copy);
        }"""
    )
    expect(offline.locator(LIVE)).to_have_count(2)
    ids = offline.evaluate("() => [...document.querySelectorAll('.cs329t-explorer [id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))
    first, second = offline.locator(LIVE).all()
    slider(second).focus()
    offline.keyboard.press("End")
    assert "wrong" in verdict(second)
    assert "right" in verdict(first)


@pytest.mark.parametrize("width", [1280, 1000, 900, 760, 390, 320])
def test_the_slider_stays_under_the_pointer(offline, width):
    """Nothing above the slider changes height when the verdict changes, or the thumb would slip away in a drag."""
    offline.set_viewport_size({"width": width, "height": 900})
    root = live(offline)
    slider(root).focus()
    heights = set()
    for key in ["Home"] + ["ArrowRight"] * 24:
        offline.keyboard.press(key)
        heights.add(root.evaluate("r => r.widget.slider.getBoundingClientRect().y - r.getBoundingClientRect().y"))
    assert len(heights) == 1


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_overflows_at_phone_width(offline, width):
    offline.set_viewport_size({"width": width, "height": 800})
    root = live(offline)
    inside = root.evaluate("root => [root.scrollWidth - root.clientWidth, root.getBoundingClientRect().right]")
    assert inside[0] <= 0
    assert inside[1] <= width
