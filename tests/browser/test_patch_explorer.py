"""The patch explorer in a real browser: dragged, moved by keys, resized, taken away; offline."""

import pytest
import torch

from cs329t_robust.widgets.patch_explorer import PatchExplorer

pytestmark = pytest.mark.browser

LISTENER = (
    "<script>document.addEventListener('keydown', () => { window.lab = true; }, true);</script>"  # as JupyterLab's
)


def reddest(x):
    """Return which quarter of the picture is reddest, as logits; the fifth class is the default."""
    quarters = [x[:, 0, :20, :20], x[:, 0, :20, 20:], x[:, 0, 20:, :20], x[:, 0, 20:, 20:]]
    return torch.stack([*(50 * q.mean((1, 2)) for q in quarters), torch.full((len(x),), 2.0)], 1)


@pytest.fixture
def explorer(page, tmp_path):
    red = torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 8, 8)
    names = ["up left", "up right", "down left", "down right", "nothing"]
    made = PatchExplorer(
        reddest, torch.zeros(1, 3, 40, 40), red, target=1, sizes=(10, 14), places=2, shape="square", class_names=names
    )
    (tmp_path / "page.html").write_text("<!doctype html><meta charset=utf-8>" + LISTENER + made.to_html(), "utf-8")
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".cp-canvas")
    return page


def says(page):
    return page.inner_text(".cp-verdict").split(" (")[0]


def test_drag_keys_size_and_no_patch(explorer):
    page = explorer
    box = page.locator(".cp-canvas").bounding_box()
    far, near = 0.8 * box["width"], 0.2 * box["width"]
    page.mouse.move(box["x"] + far, box["y"] + far)
    page.mouse.down()
    assert says(page) == "down right"
    page.mouse.move(box["x"] + far, box["y"] + near, steps=3)
    assert page.inner_text(".cp-verdict").endswith("target reached")
    page.mouse.move(box["x"] + near, box["y"] + near, steps=3)
    assert says(page) == "up left"
    page.mouse.up()
    page.mouse.move(box["x"] + far, box["y"] + far)
    assert says(page) == "up left", "let go, the patch stays"
    page.locator(".cp-canvas").focus()
    for key, expected in [("ArrowDown", "down left"), ("ArrowRight", "down right"), ("ArrowUp", "up right")]:
        page.keyboard.press(key)
        assert says(page) == expected
    assert page.evaluate("window.lab") is None, "the notebook does not hear the arrow keys"
    page.select_option(".cp-controls select", "0")
    assert says(page) == "up right"
    page.uncheck(".cp-controls input")
    assert says(page) == "nothing"
