"""Build the site: `make site`, or `python -m website.build --out DIR` with MathJax in website/.venv."""

import argparse
import re
import shutil
import struct
import sys
from base64 import b64decode
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from cs329t_robust.lessons import repository as online
from website.links import broken, name_headings, rewrite
from website.reference_pages import reference_pages
from website.sources import NAME, REPOSITORY, Page, SiteError, pages, place

HERE = Path(__file__).resolve().parent
MARK = ".cs329t-site"  # a folder with this file in it is ours to replace
MATH = re.compile(r"\$[^$\n]+\$|\$\$")


def build(out: Path, repository: Path = REPOSITORY, solutions: bool = False) -> list[Path]:
    """Write the site into `out`, replacing an older one, and return its pages.

    Parameters
    ----------
    out : Path
        A folder that does not exist, is empty, or holds an older site.
    repository : Path
    solutions : bool
        Show the solved notebooks instead of the open ones.

    Raises
    ------
    SiteError
        If a picture has no alt text, a link leads nowhere, or `out` holds something else.
    """
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise SiteError(f"--out {out}: expected a new or empty folder, or an older site, got one with other files")
    mathjax = _mathjax()  # missing, it is told before anything is removed
    menu = pages(repository, solutions)
    menu = {
        "Start": menu.pop("Start"),
        "Lessons": menu.pop("Lessons"),
        "Reference": reference_pages(repository),
        **menu,
    }
    menu = {heading: group for heading, group in menu.items() if group}
    everything = [page for group in menu.values() for page in group]
    known = {page.source for page in everything}
    known |= {page.source.replace("lessons/solutions/", "lessons/") for page in menu["Lessons"]}
    shutil.rmtree(out, ignore_errors=True)
    _write_assets(out, mathjax)
    exporter, wanted = _exporter(), set()
    for page in everything:
        soup = _rendered(exporter, page, menu)
        wanted |= rewrite(soup.select(".jp-Cell"), page, known, repository)
        path = out / page.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(soup), encoding="utf-8")
        if page.is_lesson:
            shutil.copy(repository / page.source, path.with_suffix(".ipynb"))
    for source in sorted(wanted):
        target = out / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / source, target)
    wrong = broken(out)
    if wrong:
        raise SiteError("links that lead nowhere:\n  " + "\n  ".join(wrong))
    return [out / page.path for page in everything]


def _mathjax() -> Path:
    found = sorted((HERE / ".venv").glob("[Ll]ib/**/site-packages/mathjax/static/mathjax/es5/tex-svg.js"))
    if not found:
        raise SiteError("MathJax: expected the package of website/requirements.lock in website/.venv; run: make site")
    return found[0].parent.parent


def _write_assets(out: Path, mathjax: Path) -> None:
    (out / "assets" / "mathjax").mkdir(parents=True)
    (out / MARK).touch()
    for name in ("es5/tex-svg.js", "LICENSE"):
        shutil.copy(mathjax / name, out / "assets" / "mathjax" / Path(name).name)
    colours = HtmlFormatter(style="default", nobackground=True).get_style_defs(".highlight")
    (out / "assets" / "site.css").write_text((HERE / "site.css").read_text("utf-8") + colours + "\n", "utf-8")


def _exporter() -> HTMLExporter:
    return HTMLExporter(
        extra_template_basedirs=[str(HERE / "template")],
        template_name="cs329t",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def _rendered(exporter: HTMLExporter, page: Page, menu: dict[str, list[Page]]) -> BeautifulSoup:
    """Return a page in its frame, with the page's own sections below its entry in the menu."""
    lessons = menu["Lessons"]
    at = lessons.index(page) if page in lessons else None
    prose = "\n".join(cell.source for cell in page.notebook.cells if cell.cell_type == "markdown")
    context = {
        "site": NAME,
        "title": page.title,
        "path": page.path,
        "root": page.root,
        "math": bool(MATH.search(prose)),
        "menu": [(heading, _listed(heading, group, page)) for heading, group in menu.items()],
        "notebook": Path(page.path).with_suffix(".ipynb").name if page.is_lesson else "",
        "elsewhere": online.links(page.source) if page.is_lesson else [],
        "before": lessons[at - 1] if at else None,
        "after": lessons[at + 1] if at is not None and at + 1 < len(lessons) else None,
    }
    html, _ = exporter.from_notebook_node(page.notebook, resources={"page": context})
    soup = BeautifulSoup(html, "html.parser")
    for image in soup.select(".jp-RenderedImage img"):
        width, height = _size(image["src"])
        if width > 1.5 * height and width > 600:
            image["class"] = "wide"
    name_headings(soup.select(".jp-Cell :is(h1, h2, h3, h4)"))
    headings = soup.select(":is(.jp-Cell, .reference) h2[id]")
    if headings:
        inner = soup.new_tag("ul")
        for node in headings:
            link = soup.new_tag("a", href=f"#{node['id']}")
            link.string = _text(node)
            item = soup.new_tag("li")
            item.append(link)
            inner.append(item)
        soup.select_one("#pages a[aria-current]").parent.append(inner)
    return soup


def _listed(heading: str, group: list[Page], page: Page) -> list[Page]:
    """Return what the menu shows of a group: of the reference its index alone, but on its own pages every room."""
    return group[:1] if heading == "Reference" and page not in group else group


def _size(source: str) -> tuple[int, int]:
    """Return width and height of a PNG in a data: address, from its header."""
    return struct.unpack(">II", b64decode(source.partition(",")[2][:44])[16:24])


def _text(heading: Tag) -> str:
    return heading.get_text().removesuffix("¶").strip()


def main(argv: list[str] | None = None) -> int:
    """Build the site as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m website.build", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "site", metavar="DIR")
    parser.add_argument("--solutions", action="store_true", help="show the solved notebooks instead of the open ones")
    arguments = parser.parse_args(argv)
    try:
        made = build(arguments.out, solutions=arguments.solutions)
    except SiteError as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    print(f"{len(made)} pages; open {arguments.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
