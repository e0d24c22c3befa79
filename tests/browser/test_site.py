"""The site in a real browser, from a folder and without a network: every page, on a desktop and on a phone."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

import cs329t_robust
from cs329t_robust import checks, losses
from cs329t_robust.lessons import build
from cs329t_robust.lessons.markdown_source import read_source, solution_regions
from website import build as builder
from website.links import broken
from website.reference import ROOMS, entries
from website.sources import SiteError

from .explorer_page import flip_level, live, slider, verdict

pytestmark = pytest.mark.browser
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
SOURCES = sorted((build.HOME / "source").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built by the command that `make site` runs."""
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "website.build", "--out", str(out)]
    done = subprocess.run(command, cwd=build.HOME.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ pages; open .*index\.html\n", done.stdout)
    return out


@pytest.fixture(params=WIDTHS)
def opened(request, browser):
    """A tab of a desktop's or a phone's size, what it complained of, and what it asked other hosts for."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=request.param == "phone")
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda asked: troubles.append(f"failed: {asked.url[:100]}"))
    page.on("request", lambda asked: troubles.append(asked.url[:100]) if not is_local(asked.url) else None)
    yield page, troubles
    context.close()


# The least contrast (WCAG 2) of any text that a selector finds, with what lies behind it.
CONTRAST = """selector => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => parts(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return Math.min(...[...document.querySelectorAll(selector)].filter(node => node.innerText.trim()).map(node => {
    const two = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    return (two[0] + .05) / (two[1] + .05);
  }));
}"""


def is_local(url):
    return url.startswith(("file:", "data:", "blob:"))


def lesson(site, number):
    (path,) = (site / "lessons").glob(f"{number}_*.html")
    return path.as_uri()


def test_every_page_opens_fits_and_asks_no_other_host_for_anything(site, opened):
    page, troubles = opened
    paths = sorted(site.rglob("*.html"))
    assert {path.stem for path in paths} >= {"index", *(source.stem for source in SOURCES)}
    formulas = Counter()
    for path in paths:
        page.goto(path.as_uri())
        if page.evaluate("!!window.MathJax"):
            page.evaluate("MathJax.startup.promise")
            assert page.locator("mjx-merror").count() == 0, path.name
        formulas[path.stem] = page.locator("mjx-container").count()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path.name} scrolls sideways by {wide} pixels"
        assert page.evaluate("[...document.images].filter(image => !image.complete || !image.naturalWidth).length") == 0
        described = page.evaluate("[...document.images].map(image => image.alt.trim())")
        assert all(text and "No description" not in text for text in described), path.name
        expect(page.locator("h1").first).to_be_visible()
        assert troubles == [], path.name
    assert formulas["02_attacks_as_optimization"] > 50


def test_no_formula_stays_tex(site, opened):
    page, _ = opened
    page.goto(lesson(site, "02"))
    page.evaluate("MathJax.startup.promise")
    prose = page.evaluate(
        """() => [...document.querySelectorAll('.jp-MarkdownCell')].map(cell => {
          const copy = cell.cloneNode(true);
          copy.querySelectorAll('mjx-container, code, pre').forEach(node => node.remove());
          return copy.textContent;
        }).join(' ')"""
    )
    assert len(prose) > 5000
    assert "$" not in prose
    assert "\\lVert" not in prose


def test_the_slider_moves_by_keys_and_the_prediction_changes(site, opened):
    page, troubles = opened
    page.goto(lesson(site, "00"))
    root = live(page)
    slider(root).focus()
    page.keyboard.press("Home")
    assert verdict(root).startswith("predicted: 7")
    assert "right" in verdict(root)
    for _ in range(flip_level(root)):
        page.keyboard.press("ArrowRight")
    assert "wrong (true: 7)" in verdict(root)
    root.get_by_role("combobox", name="Attack").select_option(label="random noise")
    assert "right" in verdict(root)
    assert troubles == []


def test_the_patch_moves_by_keys_and_the_prediction_changes(site, opened):
    page, troubles = opened
    page.goto(lesson(site, "03"))
    canvas = page.locator(".cp-canvas").first
    canvas.scroll_into_view_if_needed()
    said = page.locator(".cp-verdict").first
    canvas.focus()
    seen = {said.inner_text()}
    for key in ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"] * 3 + ["ArrowRight"] * 4:
        page.keyboard.press(key)
        seen.add(said.inner_text())
    page.locator(".cp-controls input").first.uncheck()
    seen.add(said.inner_text())
    assert len(seen) >= 2, seen
    assert troubles == []


def test_from_the_landing_page_to_the_first_lesson_and_on(site, opened):
    page, _ = opened
    page.goto((site / "index.html").as_uri())
    page.locator("main").get_by_role("link", name="00 start here").click()
    expect(page.locator("h1")).to_contain_text("00 · Start here")
    page.locator(".turn a[rel=next]").click()
    expect(page.locator("h1")).to_contain_text("01 · Brittle models")
    if page.viewport_size["width"] == 390:
        page.get_by_role("link", name="All pages").click()
    page.locator("#pages").get_by_role("link", name="02 · Attacks as optimization").click()
    page.locator("#pages").get_by_role("link", name="1 · The question").click()
    top = page.evaluate(
        "document.getElementById(decodeURIComponent(location.hash.slice(1))).getBoundingClientRect().top"
    )
    assert 0 <= top < 300


def test_no_solution_is_on_the_open_site(site):
    for source in SOURCES:
        soup = BeautifulSoup((site / "lessons" / f"{source.stem}.html").read_text("utf-8"), "html.parser")
        text = squeezed("\n".join(soup.find_all(string=True)))
        regions = [region for cell in read_source(source) for region in solution_regions(cell.source)]
        graded = bool(checks.lesson(source.stem[:2]).exercises)  # the capstone has none
        assert (len(regions) > 2) == graded
        for region in regions:
            assert squeezed(region) not in text, f"{source.stem}: {region}"
        assert ("not attempted yet" in text) == graded
        handed = nbformat.read(site / "lessons" / f"{source.stem}.ipynb", as_version=4)
        assert handed.metadata.cs329t.notebook == "student"


def squeezed(text):
    """Return a text's lines without indentation, comments and empty lines."""
    lines = (re.sub(r"\s*#.*", "", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def test_every_link_leads_somewhere_and_a_broken_one_is_found(site, tmp_path):
    assert broken(site) == []
    shutil.copytree(site, tmp_path / "copy")
    index = tmp_path / "copy" / "index.html"
    index.write_text(
        index.read_text("utf-8").replace(
            "</main>", '<a href="gone.html">a</a><a href="#gone">b</a><img alt="c" src="gone.png"></main>'
        ),
        "utf-8",
    )
    found = broken(tmp_path / "copy")
    assert [line.split("'")[1] for line in found] == ["gone.html", "#gone", "gone.png"]


def test_the_reference_has_a_place_with_a_signature_for_every_public_name(site):
    package = Path(cs329t_robust.__file__).parent
    rooms = {".".join(path.relative_to(package).parent.parts) for path in package.rglob("__init__.py")} - {""}
    modules = {room: import_module(f"cs329t_robust.{room}") for room in (*rooms, "losses")}
    index = BeautifulSoup((site / "docs" / "reference.html").read_text("utf-8"), "html.parser")
    listed = {link["href"] for link in index.select("main .names a")}
    for room, module in modules.items():
        if not hasattr(module, "__all__"):
            continue
        page = room if room in ROOMS else room.rpartition(".")[0]  # what attacks.physical has, attacks hands on
        soup = BeautifulSoup((site / "docs" / "reference" / f"{page}.html").read_text("utf-8"), "html.parser")
        for name in module.__all__:
            section = soup.find(id=name).parent
            assert section.select_one(".import").get_text().endswith(f" import {name}"), f"{room}.{name}"
            value = getattr(module, name)
            if callable(value):
                said = section.select_one(":scope > .signature").get_text().strip()
                exception = isinstance(value, type) and issubclass(value, Exception)
                assert re.match(rf"(class )?{name}(\(|$)", said), f"{room}.{name}: {said}"
                assert exception or name == "Threat" or "(" in said
            assert section.find("p", class_=False).get_text().strip()
            assert f"reference/{page}.html#{name}" in listed
    ways = {link["href"] for link in index.select("main table a")}
    assert {f"reference/{room}.html" for room in ROOMS} <= ways
    root = (site / "docs" / "reference" / "attacks.html").read_text("utf-8")
    assert "from cs329t_robust import pgd<" in root
    assert {name for name in cs329t_robust.__all__ if not name.startswith("_")} <= {
        way.partition("#")[2] for way in listed
    }


def test_a_public_name_without_a_docstring_is_refused(monkeypatch):
    monkeypatch.setattr(losses, "__all__", [*losses.__all__, "NAKED"])
    monkeypatch.setattr(losses, "NAKED", 1, raising=False)
    with pytest.raises(SiteError, match="losses: its public name NAKED has no docstring"):
        entries("losses")


def test_a_name_in_the_reference_leads_to_its_own_place(site, opened):
    page, troubles = opened
    page.goto((site / "index.html").as_uri())
    page.locator("main").get_by_role("link", name="reference", exact=True).click()
    page.locator("main table").get_by_role("link", name="attacks", exact=True).click()
    section = page.locator("section", has=page.locator("#pgd"))
    expect(section.get_by_text("Raises", exact=True)).to_be_visible()
    section.get_by_role("link", name="Threat", exact=True).click()
    expect(page.locator("#Threat")).to_be_in_viewport()
    assert page.url.endswith("docs/reference/threat.html#Threat")
    assert troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_can_be_read_in_either_theme(site, browser, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((site / "docs" / "reference" / "attacks.html").as_uri())
    worst = page.evaluate(CONTRAST, "main :is(p, li, a, span, code, h2)")
    context.close()
    assert worst >= 4.5, worst


@pytest.fixture
def checkout(tmp_path):
    """A tiny checkout: a README and one lesson with a picture."""
    (tmp_path / "lessons" / "solutions").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Tiny\n\n[lesson](lessons/00_tiny.ipynb)\n", "utf-8")
    for folder, kind in (("lessons", "open"), ("lessons/solutions", "solved")):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# 00 · {kind}")])
        nbformat.write(notebook, tmp_path / folder / "00_tiny.ipynb")
    return tmp_path


def test_solutions_are_shown_where_they_are_asked_for(checkout):
    for solutions, kind in ((False, "open"), (True, "solved")):
        builder.build(checkout / "out", checkout, solutions)
        assert f"00 · {kind}" in (checkout / "out" / "lessons" / "00_tiny.html").read_text("utf-8")


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = {"image/png": PIXEL}


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"output_type": "display_data", "metadata": {}, "data": PICTURE}, "has no alt text"),
        (
            {
                "output_type": "display_data",
                "metadata": {},
                "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "W"},
            },
            "needs a kernel",
        ),
    ],
    ids=["a picture without words", "a widget"],
)
def test_what_a_site_cannot_show_is_refused(checkout, output, told):
    path = checkout / "lessons" / "00_tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(output)]))
    nbformat.write(notebook, path)
    with pytest.raises(SiteError, match=f"00_tiny.ipynb, cell 1 .*{told}"):
        builder.build(checkout / "out", checkout)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("gone.md", "no file of the repository"),
        ("../x.md", "no file of the repository"),
        ("lessons/solutions/00_tiny.ipynb", "no page"),
        ("lessons/00_tiny.ipynb#gone", "no such place"),
    ],
)
def test_a_link_that_leads_nowhere_stops_the_build(checkout, link, told):
    readme = checkout / "README.md"
    readme.write_text(readme.read_text("utf-8") + f"\n[x]({link})\n", "utf-8")
    with pytest.raises(SiteError, match=told):
        builder.build(checkout / "out", checkout)


def test_a_folder_with_other_files_is_left_alone(checkout):
    (checkout / "out").mkdir()
    (checkout / "out" / "mine.txt").write_text("x")
    with pytest.raises(SiteError, match="expected a new or empty folder"):
        builder.build(checkout / "out", checkout)
    assert [path.name for path in Path(checkout / "out").iterdir()] == ["mine.txt"]
