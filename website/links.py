"""Turn the repository's links into the site's, and make sure that every one of them leads somewhere."""

import posixpath
import re
from collections import Counter
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from .sources import Page, SiteError, place

ATTRIBUTES = (("a", "href"), ("img", "src"))


def rewrite(cells: list[Tag], page: Page, known: set[str], repository: Path) -> set[str]:
    """Point a page's links at the site's own files, and return the files of the repository that must be copied.

    Parameters
    ----------
    cells : list of Tag
        The page's text, without the frame.
    page : Page
    known : set of str
        The sources that are pages.
    repository : Path

    Raises
    ------
    SiteError
        If a link leads to a file that does not exist, or to a page that the site does not have.
    """
    wanted = set()
    for tag, attribute in ATTRIBUTES:
        for node in [node for cell in cells for node in cell.find_all(tag, attrs={attribute: True})]:
            parts = urlsplit(node[attribute])
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), unquote(parts.path)))
            if target.startswith("..") or not (repository / target).is_file():
                raise SiteError(f"{page.source}: the link {node[attribute]!r} leads to no file of the repository")
            if target not in known:
                if target.endswith((".md", ".ipynb")):
                    raise SiteError(f"{page.source}: the link {node[attribute]!r} leads to a file that is no page")
                wanted.add(target)
            way = posixpath.relpath(place(target), posixpath.dirname(page.path) or ".")
            node[attribute] = quote(way) + (f"#{parts.fragment}" if parts.fragment else "")
    return wanted


def name_headings(headings: list[Tag]) -> None:
    """Give each heading the id that GitHub gives it, so that a link to it works in both places."""
    seen: Counter[str] = Counter()
    for heading in headings:
        anchor = heading.find("a", class_="anchor-link")
        words = heading.get_text().removesuffix("¶").strip().lower()
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words)) or "section"
        heading["id"] = f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1
        if anchor:
            anchor["href"] = f"#{heading['id']}"
            anchor["aria-label"] = "Link to this section"


def broken(out: Path) -> list[str]:
    """Return every link of a finished site that leads to no file, or to no such place in it, a line each."""
    soups = {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in out.rglob("*.html")}
    anchors = {path: {node["id"] for node in soup.find_all(id=True)} for path, soup in soups.items()}
    found = []
    for path, soup in soups.items():
        for tag, attribute in (*ATTRIBUTES, ("script", "src"), ("link", "href")):
            for node in soup.find_all(tag, attrs={attribute: True}):
                problem = _problem(node[attribute], path, anchors)
                if problem:
                    found.append(f"{path.relative_to(out).as_posix()}: {node[attribute][:80]!r} {problem}")
    return found


def _problem(link: str, path: Path, anchors: dict[Path, set[str]]) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "leads to no file"
    if parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
        return "leads to no such place on its page"
    return ""
