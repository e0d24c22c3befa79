"""What all pages share (`page.js`, `page.css`, `page.py`), by itself in a real browser: data, parts, keys, themes."""

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from cs329t_robust.widgets.page import STATIC, Block, to_json
from cs329t_robust.widgets.tradeoff_explorer import TradeoffExplorer

from .explorer_page import contrasts

pytestmark = pytest.mark.browser

LISTENER = "<script>document.addEventListener('keydown', (e) => (window.heard ??= []).push(e.key), true);</script>"
# a widget that uses ArrowUp, and hands the functions of its own copy of page.js to the test
PROBE = """
class Probe {
  constructor(root, data) {
    Object.assign(this, { data, used: [], moved: [], id: uniqueId(), announcer: new Announcer() });
    this.slider = slider({ min: 0, max: 4, step: 1, value: 2 }, (value) => this.moved.push(value));
    this.bar = bar("probe-bar", make("span", "", "on it"));
    this.bar.node.style.cssText = "width: 200px; height: 20px";
    this.menu = menu(["zero", "one"], 1, (i) => this.moved.push(`menu ${i}`));
    this.box = checkbox((on) => this.moved.push(on));
    this.button = button("", "press", () => this.moved.push("pressed"));
    openPanel(root, "A title", this.slider, this.bar.node, this.menu, this.box, this.button, this.announcer.node);
  }
  onKey(event) {
    if (event.key !== "ArrowUp") return false;
    this.used.push(event.key);
    return true;
  }
}
comeAlive(".cs329t-probe", async (root) => {
  root.functions = { Picture, make, nearest, clamp, pointIn, unpack };
  return new Probe(root, root.querySelector(".packed") ? await unpack(root) : readJson(root));
});
"""


def piece(data, classes="cs329t-themed", kind="json", style=""):
    """Return a page as `build_page` writes it, with the probe in a widget's place."""
    css, js = ((STATIC / f"page.{name}").read_text("utf-8") for name in ("css", "js"))
    return (
        f'<div class="cs329t-page cs329t-probe {classes}"><style>{css}{style}</style><div class="page-static">'
        f'<p class="page-hint">Run this cell.</p></div>'
        f'<script type="text/plain" class="page-data {kind}">{data}</script>'
        f'<script>(() => {{\n"use strict";\n{js}\n{PROBE}\n}})();</script></div>'
    )


@pytest.fixture
def opened(page, tmp_path):
    def show(*pieces, before=LISTENER):
        text = '<!doctype html><meta charset=utf-8><input id="outside">' + before + "".join(pieces)
        (tmp_path / "page.html").write_text(text, "utf-8")
        page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("!document.querySelector('.cs329t-page:not([data-live]), [data-live=loading]')")
        return page

    return show


def ask(page, expression, *given):
    """Evaluate an expression of `root`, `widget` (the first one's) and `given`."""
    lead = "const root = document.querySelector('.cs329t-probe'), { widget } = root; return"
    return page.evaluate(f"(given) => {{ {lead} ({expression}); }}", list(given))


def test_packed_data_come_back_to_the_byte(opened):
    block = Block()
    arrays = [np.arange(-3, 4, dtype=np.int8), np.array([1, 65535], "<u2"), np.array([0, 2**32 - 1], "<u4")]
    places = [block.put(array.tobytes()) for array in arrays]
    assert all(place % 4 == 0 for place in places)
    header = {"names": ["ε ≤ 8/255", "</script>"], "places": places}
    page = opened(piece(block.pack(header), kind="packed"))
    assert ask(page, "widget.data.header") == header
    for kind, array, place in zip(("Int8Array", "Uint16Array", "Uint32Array"), arrays, places, strict=True):
        seen = ask(page, f"[...new {kind}(widget.data.body, {place}, {len(array)})]")
        assert seen == array.tolist()


def test_plain_data_may_end_a_script_and_broken_data_say_so(opened):
    data = {"text": "a </script> and ε", "n": [1, 2.5, None]}
    page = opened(piece(to_json(data)), piece("!!!", kind="packed"))
    assert ask(page, "widget.data") == data
    failed = page.locator("[data-live=failed]")
    expect(failed.locator(".page-hint")).to_contain_text("This needs a browser from 2023 or later")
    assert page.locator("[data-live=yes]").count() == 1


def test_a_bar_is_filled_to_its_share(opened):
    page = opened(piece("{}"))
    for share in (0, 0.25, 1):
        width = ask(
            page, "(widget.bar.fill(given[0]), widget.bar.node.firstChild.getBoundingClientRect().width)", share
        )
        assert width == pytest.approx(200 * share, abs=0.01)
    assert ask(page, "widget.bar.node.innerText") == "on it"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_shows_its_bytes(opened, channels):
    page = opened(piece("{}"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, channels), dtype=np.uint8)
    drawn, cleared = ask(
        page,
        """(() => {
          const picture = new root.functions.Picture(5, 3);
          const read = () => [...picture.context.getImageData(0, 0, 5, 3).data];
          picture.paint(Uint8Array.from(given[0]), given[1]);
          const drawn = read();
          picture.clear();
          return [drawn, read()];
        })()""",
        pixels.flatten().tolist(),
        channels,
    )
    seen = np.array(drawn).reshape(3, 5, 4)
    assert np.array_equal(seen[..., :3], np.broadcast_to(pixels, (3, 5, 3)))
    assert (seen[..., 3] == 255).all()
    assert not any(cleared)


def test_places_and_numbers(opened):
    page = opened(piece("{}"))
    assert ask(page, "given.map((x) => root.functions.nearest([0, 1, 4], x))", -1, 0.6, 2.4, 2.6, 9) == [0, 1, 1, 2, 2]
    assert ask(page, "given.map((x) => root.functions.clamp(x, 0, 3))", -1, 2, 9) == [0, 2, 3]
    half = """(() => {
      const { left, top, width, height } = widget.bar.node.getBoundingClientRect();
      const event = { clientX: left + width / 2, clientY: top + height / 4 };
      return root.functions.pointIn(widget.bar.node, event, 10, 8);
    })()"""
    assert ask(page, half) == pytest.approx([5, 2])


def test_a_slider_a_menu_and_a_box_move_by_keys_that_the_page_does_not_hear(opened):
    page = opened(piece("{}"))
    page.locator("#outside").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # the last option already
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert ask(page, "widget.moved") == [3, 0, 4, "menu 0", False, "pressed"]
    assert page.evaluate("window.heard") == ["Tab"], "only the way in"


def test_a_key_that_the_widget_uses_is_its_own_and_commands_pass(opened):
    page = opened(piece("{}"))
    page.locator(".cs329t-probe input[type=range]").focus()
    page.keyboard.press("ArrowUp")
    assert ask(page, "widget.used") == ["ArrowUp"]
    assert ask(page, "widget.moved") == [], "the slider does not move too"
    page.keyboard.press("d")
    assert page.evaluate("window.heard") is None
    for command in ("Control+s", "Shift+Enter", "Alt+x", "Meta+k"):
        page.keyboard.press(command)
    assert {"s", "Enter", "x", "k"} <= set(page.evaluate("window.heard"))
    page.locator("#outside").focus()
    page.keyboard.press("ArrowUp")
    assert page.evaluate("window.heard.at(-1)") == "ArrowUp"
    assert ask(page, "widget.used") == ["ArrowUp"]


def test_copies_on_a_page_keep_apart(opened):
    before = opened().evaluate("Object.keys(window)")
    page = opened(piece('{"n": 1}'), piece('{"n": 2}'), TradeoffExplorer().to_html())
    made = set(page.evaluate("Object.keys(window)")) - set(before) - {"heard"}
    assert all(name.startswith("cs329t") for name in made), made
    widgets = "[...document.querySelectorAll('.cs329t-page')].map((root) => root.widget)"
    assert page.evaluate(f"{widgets}.slice(0, 2).map((one) => one.data.n)") == [1, 2]
    assert len(set(page.evaluate(f"{widgets}.slice(0, 2).map((one) => one.id)"))) == 2
    page.locator(".cs329t-probe input[type=range]").nth(1).focus()
    page.keyboard.press("ArrowUp")
    assert page.evaluate(f"{widgets}.slice(0, 2).map((one) => one.used.length)") == [0, 1]
    page.locator(".cs329t-tradeoff input").first.focus()
    page.keyboard.press("Home")
    assert page.locator(".ct-value").first.inner_text() == "0.00"
    assert page.evaluate("window.heard") is None


def test_a_script_that_runs_twice_builds_once(opened):
    page = opened(piece("{}"))
    ask(page, "widget.kept = true")
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = document.querySelector('.cs329t-probe script:not(.page-data)').textContent;
          document.querySelector('.cs329t-probe').append(script);
        }"""
    )
    assert ask(page, "widget.kept") is True
    assert page.locator(".page-panel").count() == 1


def test_a_screen_reader_hears_where_it_came_to_rest(opened):
    page = opened(piece("{}"))
    ask(page, "['a', 'b', 'c'].forEach((text) => widget.announcer.say(text))")
    assert ask(page, "widget.announcer.node.textContent") == ""
    expect(page.locator("[aria-live=polite]")).to_have_text("c")
    ask(page, "widget.announcer.say('now', 0)")
    assert ask(page, "widget.announcer.node.textContent") == "now"
    expect(page.get_by_role("group", name="A title")).to_be_visible()


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(28, 28, 28)"


@pytest.mark.parametrize(
    ("scheme", "lab", "classes", "card"),
    [
        ("light", None, "cs329t-themed", LIGHT),
        ("dark", None, "cs329t-themed", DARK),
        ("dark", None, "", LIGHT),
        ("dark", "true", "cs329t-themed", LIGHT),
        ("light", "false", "cs329t-themed", DARK),
    ],
)
def test_a_themed_page_follows_the_page_around_it(opened, page, scheme, lab, classes, card):
    page.emulate_media(color_scheme=scheme)
    page = opened(piece("{}", classes))
    if lab:  # what JupyterLab sets on its body, which outweighs the system's wish
        names = {"--jp-layout-color1": card, "--jp-ui-font-color1": "#1f1f1f" if lab == "true" else "#ececec"}
        page.evaluate(
            """([lab, names]) => {
              document.body.dataset.jpThemeLight = lab;
              for (const [name, value] of Object.entries(names)) document.body.style.setProperty(name, value);
            }""",
            [lab, names],
        )
    assert page.evaluate("getComputedStyle(document.querySelector('.page-panel')).backgroundColor") == card
    accent = ask(page, "getComputedStyle(root).getPropertyValue('--page-clean')")
    assert accent == ("#4aa8e0" if card == DARK else "#0072b2")
    found = contrasts(page.locator(".cs329t-probe"))
    assert len(found) >= 2
    assert min(found.values()) >= 4.5
    page.locator(".cs329t-probe input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    assert ask(page, "getComputedStyle(document.activeElement).outlineWidth") == "3px"


def test_a_widgets_own_style_holds_wherever_it_stands(opened):
    own = ".cs329t-own.cs329t-page { max-width: 300px; } .cs329t-own.cs329t-page .page-title { margin-bottom: 3px; }"
    page = opened(piece("{}", "cs329t-own", style=own), piece("{}"))  # the second repeats page.css
    first, second = page.locator(".cs329t-probe").all()
    assert [one.bounding_box()["width"] for one in (first, second)] == [300, 1000]
    margin = "node => getComputedStyle(node).marginBottom"
    assert [one.locator(".page-title").evaluate(margin) for one in (first, second)] == ["3px", "10px"]


@pytest.mark.parametrize("wish", ["reduce", "no-preference"])
def test_nothing_moves_by_itself(opened, page, wish):
    """Whoever asks for less motion has nothing to miss: no page has a transition or an animation."""
    page.emulate_media(reduced_motion=wish)
    every = "".join(f"<style>{path.read_text('utf-8')}</style>" for path in STATIC.iterdir() if path.suffix == ".css")
    page = opened(piece("{}"), TradeoffExplorer().to_html(), before=every)
    page.locator(".cs329t-tradeoff input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.getAnimations().length") == 0
    for path in STATIC.iterdir():
        text = path.read_text("utf-8")
        assert not any(word in text for word in ("transition", "animat", "@keyframes", "scroll-behavior")), path.name


def test_json_of_a_page_is_read_back_by_anyone():
    assert json.loads(to_json({"a": "</script>", "ε": 1})) == {"a": "</script>", "ε": 1}
    with pytest.raises(ValueError, match="Out of range float"):
        to_json({"a": float("nan")})
