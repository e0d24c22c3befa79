"""The seeing game in a real browser: played by keyboard alone by a simulated observer, kept, reopened, exported."""

import json
import random
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from cs329t_robust.perception.staircase import Observer, Staircase
from cs329t_robust.widgets.seeing_game import SeeingGame

from .conftest import notebook
from .explorer_page import contrasts
from .test_epsilon_explorer import open_notebook, run_cell

pytestmark = pytest.mark.browser

LIVE = ".cs329t-game[data-live=yes]"
# undefined for a moment after the end, while Python's new output with the answers in it unpacks its pictures
STATE = "document.querySelector('.cs329t-game')?.widget?.state"
# a small game: three norms on random pictures, short ladders, no blank
GAME_CELL = """\
import torch
from cs329t_robust.widgets import SeeingGame

draws = torch.Generator().manual_seed(0)
x = torch.rand(2, 3, 16, 16, generator=draws)
deltas = {norm: torch.randn(2, 3, 16, 16, generator=draws) for norm in ("Linf", "L2", "L0")}
eps = {"Linf": [2 ** (i / 2) / 255 for i in range(12)], "L2": [0.5, 0.7, 1, 1.4, 2, 2.8], "L0": [1, 2, 4, 8, 16]}
model = {"Linf": 0.5 / 255, "L2": 0.4, "L0": 8.5}
game = SeeingGame(x, deltas, eps, model, denominators={"Linf": 255}, trials=9, blank=0, seed=1)
game"""


def made(**settings):
    space = {}
    exec(GAME_CELL.removesuffix("\ngame"), space)
    game = space["game"]
    for name, value in settings.items():
        setattr(game, name, value)
    return game


def observers(game, seed=0):
    """One who sees mid-sized changes, one who sees all, and one who guesses."""
    return {
        "Linf": Observer(game.eps["Linf"][5], seed=seed),
        "L2": Observer(0, lapse=0),
        "L0": Observer(float("inf"), seed=seed + 1),
    }


def tab_into(page, most=80):
    """Press Tab until the focus is in the game."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("!!document.activeElement.closest('.cs329t-game')"):
            return
    raise AssertionError(f"the game is not reached by {most} presses of Tab")


def settled(page):
    """Wait until a pair can be chosen from, or the results are shown; return which: "choice" or "results"."""
    return page.wait_for_function(f"['choice', 'results'].includes({STATE}) && {STATE}").json_value()


def choose(page, watcher):
    """Answer the pair that is shown, by a key, as the observer of its norm would; return the norm and the answer."""
    norm, size, side = page.evaluate("""() => {
      const { widget: game } = document.querySelector('.cs329t-game'), { shown } = game;
      return [game.data.norms[shown.norm].name, game.data.norms[shown.norm].levels[shown.level], shown.side];
    }""")
    right = watcher[norm].choose(size)
    keys = random.Random(size).choice((("ArrowLeft", "ArrowRight"), ("f", "j"), ("ArrowUp", "ArrowDown")))
    page.keyboard.press(keys[side if right else 1 - side])
    return norm, right


def play(page, watcher):
    """Play from the first screen, whose first button has the focus, to the end; return the answers by norm."""
    page.keyboard.press("Enter")
    page.wait_for_function(f"{STATE} === 'choice'")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cg-card")).to_contain_text("practice and does not count")
    page.keyboard.press("Space")
    given = {}
    while settled(page) == "choice":
        norm, right = choose(page, watcher)
        given[norm] = given.get(norm, "") + "01"[right]
    return {norm: given[norm] for norm in ("Linf", "L2", "L0")}


def play_again(page):
    """Play from the results, without a kernel: there are new ones, and a line that would keep them."""
    page.get_by_role("button", name="Play again").focus()
    page.keyboard.press("Enter")
    play(page, observers(made(), seed=5))
    expect(page.locator(".cg-kept")).to_contain_text("No kernel is running here")
    assert page.locator(".cg-line").input_value().startswith('game.take({"Linf":"1')


def rows(page):
    return [row.locator("th, td").all_inner_texts() for row in page.locator(".cg-table tbody tr").all()]


@pytest.fixture
def opened(page, tmp_path):
    """Open a game as a page of its own, with every other address blocked; a listener stands for JupyterLab."""

    def show(game, width=1280, scheme="light"):
        hears = "<script>document.addEventListener('keydown', (e) => (window.heard ??= []).push(e.key), true);</script>"
        head = '<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">'
        (tmp_path / "page.html").write_text(head + hears + game.to_html(), "utf-8")
        page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((tmp_path / "page.html").as_uri())
        page.locator(LIVE).wait_for()
        return page

    return show


def test_played_by_keyboard_in_jupyterlab_kept_reopened_and_exported(page, lab, tmp_path):
    lab.stop_kernels()
    nbformat.write(notebook(GAME_CELL, "print(game.summary())"), lab.folder / "game.ipynb")
    open_notebook(page, lab, "game.ipynb")
    page.get_by_text("| Idle").wait_for()
    run_cell(page, 0)
    page.locator(LIVE).wait_for()
    page.keyboard.press("Escape")
    tab_into(page)
    active = "[...document.querySelectorAll('.jp-Cell')].findIndex((cell) => cell.classList.contains('jp-mod-active'))"
    before, cells = page.evaluate(active), page.locator(".jp-Cell").count()
    game = made()
    given = play(page, observers(game))
    assert page.evaluate(active) == before, "JupyterLab heard the arrow keys"
    assert page.locator(".jp-Cell").count() == cells
    expect(page.locator(".cg-kept")).to_contain_text("Kept in this notebook")
    assert page.evaluate("!!document.activeElement.closest('.cs329t-game')"), "the focus stays in the game"
    shown = rows(page)
    assert [row[-1] for row in shown] == [f"{text.count('1')} of {len(text)}" for text in given.values()]

    game.take(given)
    run_cell(page, 1)
    expect(page.locator(".jp-OutputArea-output pre").last).to_have_text(game.summary())
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    saved = (lab.folder / "game.ipynb").read_text("utf-8")
    (output,) = nbformat.reads(saved, 4).cells[0].outputs
    assert json.dumps(given) in output.data["text/html"]
    assert output.data["text/plain"].endswith("; played")

    page.goto("about:blank")
    lab.stop_kernels()
    # a request for a kernel is never answered; refused, it would raise dialogs in the way
    page.route("**/api/sessions*", lambda route: None if route.request.method == "POST" else route.fallback())
    open_notebook(page, lab, "game.ipynb")
    page.locator(LIVE).wait_for()
    assert rows(page) == shown
    assert lab.api("kernels") == []
    play_again(page)

    (tmp_path / "game.ipynb").write_text(saved, "utf-8")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(tmp_path / "game.ipynb")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page.unroute_all()
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((tmp_path / "game.html").as_uri())
    page.locator(LIVE).wait_for()
    assert rows(page) == shown
    play_again(page)


def test_a_page_that_was_reloaded_still_reaches_python(page, lab):
    """After a reload JupyterLab cannot rewrite the output; the answers arrive all the same, and the game says so."""
    lab.stop_kernels()
    nbformat.write(notebook(GAME_CELL, "print(game.summary())"), lab.folder / "reloaded.ipynb")
    open_notebook(page, lab, "reloaded.ipynb")
    page.get_by_text("| Idle").wait_for()
    run_cell(page, 0)
    page.locator(LIVE).wait_for()
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    page.reload()
    page.locator(LIVE).wait_for()
    page.wait_for_function("Object.keys(window.cs329tGameAnswers ?? {}).length === 1")
    page.get_by_role("button", name="Begin with a practice pair").focus()
    game = made()
    game.take(play(page, observers(game)))
    expect(page.locator(".cg-kept")).to_contain_text("game.results")
    run_cell(page, 1)
    expect(page.locator(".jp-OutputArea-output pre").last).to_have_text(game.summary())


def test_without_a_kernel_the_line_carries_the_result(opened):
    game = made()
    page = opened(game)
    tab_into(page, 3)
    given = play(page, observers(game))
    line = page.locator(".cg-line").input_value()
    assert line == f"game.take({json.dumps(given, separators=(',', ':'))})"
    exec(line, {"game": game})
    assert rows(page)[1] == ["L2: all together, by length", "even 0.5", "at most 0.59", "0.4", "9 of 9"]
    for norm, item in zip(game.norms, page.locator(".cg-sentences li").all(), strict=True):
        assert item.inner_text() == f"{norm}. {game.sentence(norm)}"
    assert set(page.evaluate("window.heard ?? []")) <= {"Tab"}, "the page around it hears nothing but the way in"


def test_the_two_staircases_are_one_algorithm(opened):
    """The page's own code and Python's, on equal answers: sizes shown, end, estimate and sentence."""
    game = made()
    page = opened(game)
    draw = random.Random(0)
    model = game.model_thresholds
    for case in range(40):
        share = (0.5, 0.75, 0.9, 1.0)[case % 4]
        norm = game.norms[case % 3]
        stairs = Staircase(game.eps[norm], trials=(4, 9, 18)[case % 3])
        while not stairs.done:
            stairs.answer(draw.random() < share)
        bits = [right for _, right in stairs.answers]
        game.trials, game.results = stairs.trials, {norm: stairs.threshold}
        shown, done, found, said = page.evaluate(
            """([norm, bits, trials]) => {
              const { widget: game } = document.querySelector('.cs329t-game');
              const at = game.data.norms.findIndex((one) => one.name === norm);
              const stairs = game.replay(at, bits, trials);
              const { answers, done, threshold } = stairs;
              return [answers.map((one) => one[0]), done, threshold, game.sentence(at, threshold)];
            }""",
            [norm, bits, stairs.trials],
        )
        assert shown == [index for index, _ in stairs.answers]
        assert done
        mine = stairs.threshold
        assert found["where"] == mine.where
        for one in ("size", "low", "high"):
            expected = getattr(mine, one)
            assert found[one] == (None if expected is None else pytest.approx(expected, rel=1e-12))
        assert said == game.sentence(norm)
    assert model == game.model_thresholds


def test_what_is_drawn_is_what_python_says_to_the_byte(opened):
    game = made()
    page = opened(game)
    page.get_by_role("button", name="Skip the practice").click()
    for at, norm in enumerate(game.norms):
        for picture in (0, 1):
            for level in (0, 2, len(game.eps[norm]) - 1):
                drawn = page.evaluate(
                    """(shown) => {
                      const { widget: game } = document.querySelector('.cs329t-game');
                      game.shown = shown;
                      game.reveal();
                      return game.pictures.map(({ context }) => [...context.getImageData(0, 0, 16, 16).data]);
                    }""",
                    {"norm": at, "picture": picture, "level": level, "side": 1},
                )
                clean, changed = (np.array(one, np.uint8).reshape(16, 16, 4)[..., :3] for one in drawn)
                assert np.array_equal(clean, game.changes.clean[picture])
                assert np.array_equal(changed, game.changes.shown(norm, picture, level))


def test_pictures_are_shown_in_whole_pixels_and_fit(opened):
    game = made()
    for width in (1280, 760, 390, 320):
        page = opened(game, width)
        page.get_by_role("button", name="Skip the practice").click()
        page.wait_for_function(f"{STATE} === 'choice'")
        boxes = [canvas.bounding_box() for canvas in page.locator(".cg-choice canvas").all()]
        for box in boxes:
            assert box["width"] / 16 == pytest.approx(round(box["width"] / 16), abs=1e-3)
            assert box["width"] == box["height"] >= 96
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.cg-choice canvas')).imageRendering") == "pixelated"
        )
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_large_pictures_stand_one_above_the_other_on_a_telephone(opened):
    x = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    page = opened(SeeingGame(x, {"Linf": torch.ones_like(x)}, {"Linf": [0.1, 0.2, 0.4]}, {"Linf": 0.1}), 390)
    page.get_by_role("button", name="Skip the practice").click()
    first, second = (button.bounding_box() for button in page.locator(".cg-choice").all())
    assert second["y"] > first["y"] + 200
    assert page.locator(".cg-choice canvas").first.bounding_box()["width"] == 200
    expect(page.locator(".cg-choice").first).to_contain_text("upper: ↑ or F")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_escape_pauses_and_held_keys_choose_once(opened):
    page = opened(made())
    page.get_by_role("button", name="Skip the practice").click()
    page.wait_for_function(f"{STATE} === 'choice'")
    count = "document.querySelector('.cs329t-game').widget.answered"
    page.keyboard.down("f")
    for _ in range(5):
        page.keyboard.down("f")  # held: the browser repeats it
        page.wait_for_timeout(20)
    page.keyboard.up("f")
    assert page.evaluate(count) == 1
    page.keyboard.press("Escape")
    expect(page.locator(".cg-card")).to_contain_text("Paused after 1 of at most 27 pairs.")
    expect(page.locator("[aria-live=polite]")).to_have_text("Paused after 1 of at most 27 pairs.")
    expect(page.locator(".cg-stage")).to_be_hidden()
    page.keyboard.press("j")
    assert page.evaluate(count) == 1
    page.keyboard.press("Enter")
    page.wait_for_function(f"{STATE} === 'choice'")
    expect(page.locator("[aria-live=polite]")).to_have_text("Pair 2 of at most 27")
    page.get_by_role("button", name="the right or lower picture was changed").click()
    assert page.evaluate(count) == 2


def test_a_blank_comes_between_pairs_and_time_can_be_limited(opened):
    page = opened(made(blank=2, seconds=1))  # time enough to look, beside other tests too
    page.get_by_role("button", name="Skip the practice").click()
    page.keyboard.press("f")
    assert page.evaluate(STATE) == "blank"
    assert page.evaluate("document.querySelector('.cs329t-game').widget.answered") == 0, "nothing to choose from yet"
    opaque = "document.querySelector('.cg-choice canvas').getContext('2d').getImageData(0, 0, 1, 1).data[3]"
    assert page.evaluate(opaque) == 0
    page.wait_for_function(f"{opaque} === 255")
    page.wait_for_function(f"{opaque} === 0")
    assert page.evaluate(STATE) == "choice"
    page.keyboard.press("f")
    assert page.evaluate("document.querySelector('.cs329t-game').widget.answered") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_and_the_focus_is_seen(opened, scheme):
    game = made()
    game.simulate(observers(game))
    page = opened(game, scheme=scheme)
    root = page.locator(LIVE)
    for screen in ("results", "start", "choice"):
        found = contrasts(root, ".page-panel")
        assert len(found) >= 5, screen
        assert min(found.values()) >= 4.5, {text: round(ratio, 2) for text, ratio in found.items() if ratio < 4.5}
        page.keyboard.press("Tab")
        assert float(page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")) >= 2
        if screen != "choice":
            names = {"results": "Play again", "start": "Skip the practice"}
            page.get_by_role("button", name=names[screen]).click()
