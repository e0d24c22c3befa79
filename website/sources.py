"""What the site is made of: the lessons, the README and the documentation, each with its place and its title."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

REPOSITORY = Path(__file__).resolve().parent.parent
NAME = "CS 329T Robustness"
HIDDEN = "remove-cell"  # the tag of cells that only a notebook needs, as Jupyter Book has it
PACKAGE = "cs329t_robust"
INDEX = "docs/reference.md"  # the first page of the reference, which the others follow
DOCUMENTS = ("CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")


class SiteError(ValueError):
    """The site cannot be made as it is; the message names the page and what is wrong."""


@dataclass
class Page:
    """One page: where it comes from, where it goes, both relative to their roots, and its cells."""

    source: str
    path: str
    title: str
    notebook: NotebookNode

    @property
    def root(self) -> str:
        """The way from this page up to the site's root."""
        return "../" * self.path.count("/")

    @property
    def is_lesson(self) -> bool:
        """Say whether the page shows a notebook."""
        return self.source.endswith(".ipynb")


def pages(repository: Path = REPOSITORY, solutions: bool = False) -> dict[str, list[Page]]:
    """Return the pages of the site by their heading in the menu, lessons open unless `solutions`."""
    lessons = sorted((repository / "lessons").glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise SiteError(f"expected notebooks in {repository / 'lessons'}, found none; run: make lessons")
    folder = "lessons/solutions" if solutions else "lessons"
    docs = sorted(f"docs/{path.name}" for path in (repository / "docs").glob("*.md"))
    documents = [source for source in (*docs, *DOCUMENTS) if source != INDEX]
    return {
        "Start": [_document(repository, "README.md")],
        "Lessons": [_lesson(repository, f"{folder}/{path.name}") for path in lessons],
        "About": [_document(repository, name) for name in documents if (repository / name).is_file()],
    }


def place(source: str) -> str:
    """Return where a file of the repository goes in the site: notebooks, Markdown and rooms become pages."""
    if source == "README.md":
        return "index.html"
    room = re.fullmatch(rf"{PACKAGE}/(?:(.+)/__init__|(\w+))\.py", source)
    if room:
        return f"{INDEX.removesuffix('.md')}/{(room[1] or room[2]).replace('/', '.')}.html"
    if source.startswith("lessons/solutions/"):
        source = source.replace("solutions/", "", 1)
    if source.endswith((".md", ".ipynb")):
        return source.rsplit(".", 1)[0] + ".html"
    return source if "." in Path(source).name else f"{source}.txt"  # LICENSE


def _lesson(repository: Path, source: str) -> Page:
    notebook = nbformat.read(repository / source, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if HIDDEN not in cell.metadata.get("tags", [])]
    for at, cell in enumerate(notebook.cells):
        _check_outputs(cell, f"{source}, cell {at} ({cell.id})")
    return Page(source, place(source), _title(source, notebook), notebook)


def _check_outputs(cell: NotebookNode, where: str) -> None:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data and not output.metadata.get("image/png", {}).get("alt", "").strip():
            raise SiteError(f"{where}: its picture has no alt text; give one in the lesson's source")
        if any("widget-view" in kind for kind in data) and "text/html" not in data:
            raise SiteError(f"{where}: shows an ipywidget, which needs a kernel; show HTML that works without one")


def _document(repository: Path, source: str) -> Page:
    text = (repository / source).read_text(encoding="utf-8")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text, id="document")])
    return Page(source, place(source), NAME if source == "README.md" else _title(source, notebook), notebook)


def _title(source: str, notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        found = re.search(r"^# (.+)$", cell.source, flags=re.MULTILINE) if cell.cell_type == "markdown" else None
        if found:
            return found[1].strip()
    raise SiteError(f"{source}: expected a heading such as '# 02 · Attacks as optimization', found none")
