"""The reference's pages: an index of every public name, and a page a room, whose names link to one another."""

import re
from html import escape
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .reference import ROOMS, Entry, entries, pdoc, room_module, source_of
from .sources import INDEX, PACKAGE, REPOSITORY, Page, place


def reference_pages(repository: Path = REPOSITORY) -> list[Page]:
    """Return the index and the rooms' pages; none for a checkout that has no reference.

    Raises
    ------
    SiteError
        If a public name has no docstring, or pdoc is missing.
    """
    if not (repository / INDEX).is_file():
        return []
    rooms = {room: entries(room) for room in ROOMS}
    homes = _homes(rooms)
    words = nbformat.v4.new_markdown_cell((repository / INDEX).read_text("utf-8"), id="document")
    made = [_page(INDEX, "Reference", words, nbformat.v4.new_raw_cell(_index(rooms), id="names"))]
    for room, names in rooms.items():
        cell = nbformat.v4.new_raw_cell(_room(room, names, homes), id="reference")
        made.append(_page(source_of(room), room, cell))
    return made


def _page(source: str, title: str, *cells: nbformat.NotebookNode) -> Page:
    return Page(source, place(source), title, nbformat.v4.new_notebook(cells=list(cells)))


def _index(rooms: dict[str, list[Entry]]) -> str:
    """Return every public name with the first sentence of its docstring, room by room."""
    lines = ['<div class="reference">']
    for room, names in rooms.items():
        way = f"reference/{room}.html"
        lines.append(f'<h2 id="{room}"><a href="{way}">{room}</a></h2><ul class="names">')
        for entry in names:
            first = escape(entry.docstring.split("\n\n")[0], quote=False)
            first = re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", first)
            lines.append(f'<li><a href="{way}#{entry.name}"><code>{entry.name}</code></a> {first}</li>')
        lines.append("</ul>")
    return "\n".join([*lines, "</div>"])


def _room(room: str, names: list[Entry], homes: dict[str, list[str]]) -> str:
    soup = BeautifulSoup(f'<div class="reference"><h1>{room}</h1></div>', "html.parser")
    opening = soup.new_tag("section")
    opening.append(_prose(room_module(room).__doc__))
    soup.div.append(opening)
    for entry in names:
        soup.div.append(_section(entry, "h2"))
    for section in soup.find_all("section"):
        _link(section, room, homes)
    return str(soup)


def _section(entry: Entry, heading: str) -> Tag:
    """Return a name's section: where it is imported from, its signature, its docstring, and those of its methods."""
    lines = [f'<section><{heading} id="{entry.name}">{entry.name}</{heading}>']
    if heading == "h2":
        lines.append(f'<p class="import"><code>from {entry.home} import {entry.name}</code></p>')
    if entry.signature or entry.kind == "class":
        code = "class " * (entry.kind == "class") + entry.name.rpartition(".")[2] + entry.signature
        lines.append(highlight(code, PythonLexer(), HtmlFormatter(cssclass="highlight signature")))
    section = BeautifulSoup("".join([*lines, "</section>"]), "html.parser").section
    section.append(_prose(entry.docstring))
    for base, names in entry.inherited.items():
        section.append(_prose(f"From `{base}`: " + ", ".join(f"`{base}.{name}`" for name in names) + "."))
    for member in entry.members:
        section.append(_section(member, "h3"))
    return section


def _prose(docstring: str) -> BeautifulSoup:
    """Return a numpydoc docstring as HTML; the titles of its parts are no headings, which would fill the outline."""
    markdown = pdoc().docstrings.convert(docstring, "numpy", None)
    soup = BeautifulSoup(pdoc().render_helpers.to_html(markdown), "html.parser")
    for title in soup.find_all("h6"):
        title.name, title.attrs = "p", {"class": "part"}
    for item in soup.find_all("li"):
        last = item.find_all(string=True)[-1] if item.get_text().rstrip().endswith("):") else None
        if last:
            last.replace_with(last.rstrip().removesuffix(":"))  # a parameter whose type says it all
    return soup


def _homes(rooms: dict[str, list[Entry]]) -> dict[str, list[str]]:
    """Return, for each name that has a place of its own, the rooms whose pages hold it."""
    homes: dict[str, list[str]] = {}
    for room, names in rooms.items():
        for entry in names:
            for name in (entry.name, *(member.name for member in entry.members)):
                homes.setdefault(name, []).append(room)
    return homes


def _link(section: Tag, room: str, homes: dict[str, list[str]]) -> None:
    """Turn the public names in a section's code into links; its own name and its parameters stay as they are."""
    heading = section.find(["h2", "h3"], recursive=False)
    own = {node.get_text() for node in section.select(":scope > .signature .n")} | (
        {heading["id"]} if heading else set()
    )
    for node in section.select("code, .signature .n"):
        words, typed = node.get_text(), node.name == "span"
        if node.find_parent("section") is not section or node.find_parent("a" if typed else ["a", "pre"]):
            continue
        known = not typed and words in own
        if known or (typed and not words[:1].isupper()) or node.find_parent(class_="import"):
            continue
        way = _way(words, room, homes)
        if way:
            node.wrap(Tag(name="a", attrs={"href": way}))


def _way(words: str, room: str, homes: dict[str, list[str]]) -> str:
    """Return the link from a room's page to what `words` name; empty if that is nothing, or one of several."""
    words = words.removesuffix("()").removeprefix(f"{PACKAGE}.")
    before, _, name = words.rpartition(".")
    if words in ROOMS and (words != room):
        return f"{words}.html"
    if before in homes.get(name, []):
        return f"{before}.html#{name}"
    found = homes.get(words, [])
    if room in found:
        return f"#{words}"
    return f"{found[0]}.html#{words}" if len(found) == 1 else ""
