"""Build each lesson's student and solution notebook from its one Markdown source, and compare with what is on disk."""

import os
import re
import tempfile
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .source import BEGIN, END, LessonError, lesson_number, read_source

__all__ = ["HOME", "LessonError", "build", "check", "execute", "render", "sources"]

HOME = Path(__file__).resolve().parent.parent.parent / "lessons"
KERNELSPEC = {"name": "cs329t-robust", "display_name": "CS 329T Robustness", "language": "python"}
LANGUAGE = {
    "name": "python",
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "pygments_lexer": "ipython3",
    "nbconvert_exporter": "python",
    "codemirror_mode": {"name": "ipython", "version": 3},
}
WIDGETS = "application/vnd.jupyter.widget-state+json"
CELL_TIMEOUT = 120  # seconds


def build(home: Path | None = None, only: str | None = None) -> Iterator[Path]:
    """Build and execute the notebooks of every lesson, or of lesson `only`, and yield each path written.

    Both notebooks of a lesson are executed before either is written, and a file is replaced in one step.

    Raises
    ------
    LessonError
        If a source is inconsistent, a cell raises, takes longer than two minutes or writes to stderr.
    """
    home = home or HOME
    for source in sources(home, only):
        done = [(path, execute(notebook, path)) for path, notebook in _notebooks(home, source)]
        for path, notebook in done:
            _write(path, notebook)
            yield path


def check(home: Path | None = None, only: str | None = None) -> list[str]:
    """Return how the notebooks on disk differ from what their sources make, a line each; nothing is executed.

    Cell types, ids, sources and metadata are compared and the notebook's metadata, outputs are not (nbval does that).

    Raises
    ------
    LessonError
        If a source is inconsistent.
    """
    home = home or HOME
    differences, expected = [], set()
    for source in sources(home, only):
        for path, notebook in _notebooks(home, source):
            expected.add(path)
            name = path.relative_to(home).as_posix()
            if path.is_file():
                differences += [f"{name}: {text}" for text in _differences(notebook, _read(path))]
            else:
                differences.append(f"{name}: missing")
    on_disk = {*home.glob("*.ipynb"), *home.glob("solutions/*.ipynb")} if only is None else set()
    stray = sorted(on_disk - expected)
    return differences + [f"{path.relative_to(home).as_posix()}: has no source" for path in stray]


def sources(home: Path | None = None, only: str | None = None) -> list[Path]:
    """Return the lessons' sources in order, or the one of lesson `only` ("02"); none at all raises LessonError."""
    folder = (home or HOME) / "source"
    found = sorted(folder.glob("*.md"))
    chosen = [path for path in found if only is None or lesson_number(path) == only]
    if not chosen:
        names = ", ".join(path.name for path in found) or "no source at all"
        raise LessonError(f"expected a lesson source{f' {only}_….md' if only else ''} in {folder}, found {names}")
    return chosen


def render(source: Path, solved: bool, known: dict[str, str] | None = None) -> NotebookNode:
    """Return a lesson's notebook without outputs: solutions kept if `solved`, else replaced by stubs."""
    cells = read_source(source, known)
    for cell in cells:
        if cell.metadata.get("cs329t", {}).get("role") == "answer":
            cell.source = (
                _without_marks(cell.source) if solved else _stubbed(cell.source, cell.metadata.cs329t.exercise)
            )
    if solved:
        text = (
            f"> **Solution notebook** of `{source.stem}.ipynb`, generated from `lessons/source/{source.name}` by "
            "`make lessons`. Do not edit it: change the source."
        )
        cells.insert(0, nbformat.v4.new_markdown_cell(text, id="solution-notice"))
    label = {"lesson": lesson_number(source), "notebook": "solution" if solved else "student"}
    notebook = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": KERNELSPEC, "language_info": LANGUAGE, "cs329t": label}
    )
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def execute(notebook: NotebookNode, path: Path) -> NotebookNode:
    """Run a notebook with this interpreter, in the folder of `path`, and return it with its outputs.

    The result holds nothing that changes from run to run: no timings, no Python version, no random widget ids.

    Raises
    ------
    LessonError
        If a cell raises, takes longer than two minutes or writes to stderr; it names the notebook and the cell.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    running = ["before the first cell"]

    def remember(cell: NotebookNode, cell_index: int) -> None:
        running[0] = f"cell {cell_index} ({cell.id})"

    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_ThisInterpreter()),
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        on_cell_execute=remember,
    )
    try:
        client.execute(cwd=str(path.parent), cleanup_kc=True, env={**os.environ, "CS329T_PROGRESS": "0"})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        tail = "\n".join(_plain(str(error)).rstrip().splitlines()[-12:])
        raise LessonError(f"{_title(path, notebook)}, {running[0]} failed:\n{tail}") from error
    for at, cell in enumerate(notebook.cells):
        _check_outputs(cell, f"{_title(path, notebook)}, cell {at} ({cell.id})")
        _describe_images(cell)
    notebook.metadata.language_info = nbformat.from_dict(LANGUAGE)
    return _with_stable_widgets(notebook, _title(path, notebook))


class _ThisInterpreter(KernelSpecManager):
    """Start kernels with the Python that is running, whatever kernels are registered on the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        from ipykernel.kernelspec import get_kernel_dict

        return KernelSpec(resource_dir="", **get_kernel_dict(extra_arguments=["--log-level=ERROR"]))


def _notebooks(home: Path, source: Path) -> list[tuple[Path, NotebookNode]]:
    known = _exercises(lesson_number(source))
    name = f"{source.stem}.ipynb"
    return [
        (home / name, render(source, solved=False, known=known)),
        (home / "solutions" / name, render(source, solved=True, known=known)),
    ]


def _exercises(number: str) -> dict[str, str] | None:
    from .. import checks

    if number not in checks.LESSONS:
        return None
    return {exercise.id: name for name, exercise in checks.lesson(number).exercises.items()}


def _without_marks(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))


def _stubbed(source: str, exercise: str) -> str:
    stub = rf'\1# YOUR CODE HERE\n\1raise NotImplementedError("{exercise}: your code here")'
    pattern = rf"^([ \t]*){re.escape(BEGIN)}[ \t]*\n.*?^[ \t]*{re.escape(END)}[ \t]*$"
    return re.sub(pattern, stub, source, flags=re.MULTILINE | re.DOTALL)


def _check_outputs(cell: NotebookNode, where: str) -> None:
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            tail = "\n".join(_plain(output.text).rstrip().splitlines()[-12:])
            raise LessonError(f"{where} wrote to stderr, which no two machines do alike:\n{tail}")


def _describe_images(cell: NotebookNode) -> None:
    for output in cell.get("outputs", []) if "alt" in cell.metadata else []:
        if "image/png" in output.get("data", {}):
            output.metadata["image/png"] = {**output.metadata.get("image/png", {}), "alt": cell.metadata.alt}


def _with_stable_widgets(notebook: NotebookNode, title: str) -> NotebookNode:
    """Replace ipywidgets' random model ids, wherever they occur, by ids that follow from the order of creation."""
    models = _shown_widgets(notebook)
    new = {old: sha1(f"{title} {at}".encode()).hexdigest()[:32] for at, old in enumerate(models)}
    if not new:
        return notebook
    text = re.sub(r"[0-9a-f]{32}", lambda found: new.get(found[0], found[0]), nbformat.writes(notebook))
    return nbformat.reads(text, as_version=4)


def _shown_widgets(notebook: NotebookNode) -> dict:
    """Return the state of the widgets that outputs show, and drop that of others, such as a game's `GameAnswers`."""
    models = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    outputs = str([cell.get("outputs", []) for cell in notebook.cells])
    kept, seen = set(), {name for name in models if name in outputs}
    while seen:
        kept |= seen
        seen = {name for one in seen for name in models if f"IPY_MODEL_{name}" in str(models[one])} - kept
    for name in set(models) - kept:
        del models[name]
    if not models:
        notebook.metadata.pop("widgets", None)
    return models


def _write(path: Path, notebook: NotebookNode) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".ipynb.tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(nbformat.writes(notebook) + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise LessonError(f"{path.name}: not a notebook ({error})") from error


def _differences(expected: NotebookNode, found: NotebookNode) -> Iterator[str]:
    kept = {name: value for name, value in found.metadata.items() if name != "widgets"}
    if kept != expected.metadata:
        yield "the notebook's metadata differs"
    for at, (want, have) in enumerate(zip(expected.cells, found.cells, strict=False)):
        wrong = [part for part in ("cell_type", "source", "id", "metadata") if want.get(part) != have.get(part)]
        if wrong:
            yield f"cell {at} ({want.id}): differs in {', '.join(wrong)}"
    if len(expected.cells) != len(found.cells):
        yield f"expected {len(expected.cells)} cells, found {len(found.cells)}"


def _title(path: Path, notebook: NotebookNode) -> str:
    return f"{path.name} ({notebook.metadata.cs329t.notebook})"


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
