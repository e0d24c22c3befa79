"""What nbval cannot see in the built notebooks: cells that were not run, widgets, leaked solutions, local paths."""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from cs329t_robust import checks
from cs329t_robust.lessons import build
from cs329t_robust.lessons.markdown_source import read_source, solution_regions

SOURCES = sorted((build.HOME / "source").glob("*.md"))
NOTEBOOKS = [folder / f"{s.stem}.ipynb" for s in SOURCES for folder in (build.HOME, build.HOME / "solutions")]
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
SECTIONS = ("What you will be able to do", "Summary", "What this does not show", "Discussion", "References")
LOCAL = r"(?<![\w.:/<*~])/[\w.-]+/[\w.-]+/\w|/(home|Users|root|tmp)/\w|[A-Z]:\\+Users|ipykernel_\d|\bat 0x[0-9a-f]{6}"
MAX_BYTES, MAX_WIDGET_BYTES = 12_000_000, 8_000_000


def name(path: Path) -> str:
    """Return a readable test id."""
    return path.relative_to(build.HOME).as_posix()


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=name)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: source.stem)
def source(request):
    return request.param


def outputs(notebook):
    """Return every output of a notebook."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts(notebook):
    """Return every text that a notebook's outputs and widgets hold, pictures and other base64 left out."""

    def walk(value):
        if isinstance(value, str):
            yield re.sub(r"[A-Za-z0-9+/=]{200,}", "", value)
        elif isinstance(value, list | dict):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from walk(inner)

    return list(walk([outputs(notebook), notebook.metadata.get("widgets", {})]))


def test_the_notebook_is_valid_and_small_enough(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size <= MAX_BYTES


def test_every_code_cell_was_run_in_order(notebook):
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))  # nbval compares nothing in a cell that was not run


def test_no_cell_is_skipped_by_its_tags(notebook):
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    comments = re.findall(r"NBVAL_\w+", "\n".join(cell.source for cell in notebook.cells))
    assert not tags & {"nbval-skip", "nbval-raises-exception", "raises-exception", "skip-execution"}
    assert not comments, "use the tag nbval-ignore-output"


def test_no_errors_no_stderr_no_vector_graphics(notebook):
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        assert "image/svg+xml" not in output.get("data", {})  # holds a date: never equal twice


def test_nothing_tells_when_or_where_it_was_built(notebook):
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    assert "version" not in notebook.metadata.language_info
    assert notebook.metadata.kernelspec.name == "cs329t-robust"
    here = [Path.home(), build.HOME.parent, Path(tempfile.gettempdir()), Path(sys.prefix)]
    machine = "|".join(re.escape(f"{folder}/") for folder in here if str(folder) != "/")
    pattern = re.compile(rf"{machine}|{LOCAL}", re.IGNORECASE)
    assert [found[0] for text in texts(notebook) if (found := pattern.search(text))] == []


def test_every_widget_has_its_stored_state(notebook):
    store = notebook.metadata.get("widgets", {}).get(STATE, {"state": {}})
    models = store["state"]
    shown = [output.data[VIEW]["model_id"] for output in outputs(notebook) if VIEW in output.get("data", {})]
    used = re.findall(r"IPY_MODEL_([0-9a-f]+)", str(models))
    assert {*shown, *used} <= set(models)
    assert {*models} <= {*shown, *used}, "state of a widget that is not shown"
    for model in models.values():
        assert model["model_name"]
        assert model["state"]
    assert len(str(models)) <= MAX_WIDGET_BYTES


def test_pictures_carry_the_text_that_their_cell_gives(notebook):
    for cell in notebook.cells:
        images = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        if "alt" in cell.metadata:
            assert images, "a cell with an alt text shows no picture"
            assert all(image.metadata["image/png"]["alt"] == cell.metadata.alt for image in images)


def test_the_lesson_has_its_sections(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^(?:#{1,4} +|\*\*)(.*)$", prose, flags=re.MULTILINE)
    missing = [section for section in SECTIONS if not any(h.lower().startswith(section.lower()) for h in headings)]
    assert missing == []


def test_the_student_notebook_holds_no_solution(source):
    student = nbformat.read(build.HOME / f"{source.stem}.ipynb", as_version=4)
    everything = "\n".join(squeezed(text) for text in [*(cell.source for cell in student.cells), *texts(student)])
    assert "SOLUTION" not in everything
    for cell in read_source(source):
        for region in solution_regions(cell.source):
            assert squeezed(region) not in everything, f"the solution of {cell.id}"


def squeezed(text):
    """Return a text's lines without indentation, comments and empty lines."""
    lines = (re.sub(r"\s*#.*", "", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def test_open_exercises_are_open_and_solved_ones_full(source):
    solved_already = {cell.id for cell in read_source(source) if not solution_regions(cell.source)}
    for folder, solution in ((build.HOME, False), (build.HOME / "solutions", True)):
        for cell in nbformat.read(folder / f"{source.stem}.ipynb", as_version=4).cells:
            label = cell.metadata.get("cs329t", {})
            if label.get("role") != "check":
                continue
            text = "\n".join(o.text if "text" in o else o.data["text/plain"] for o in cell.outputs)
            full = solution or cell.id.replace("-check", "-answer") in solved_already
            assert text.startswith(f"{'✓' if full else '○'} {label.exercise} "), f"{cell.id}: {text}"


def test_every_exercise_is_answered_and_checked_once_in_its_lesson():
    found = [
        (cell.metadata.cs329t.exercise, cell.metadata.cs329t.role)
        for source in SOURCES
        for cell in nbformat.read(build.HOME / f"{source.stem}.ipynb", as_version=4).cells
        if cell.metadata.get("cs329t", {}).get("role") in ("answer", "check")
    ]
    assert sorted(found) == sorted((e, role) for e in checks.exercises() for role in ("answer", "check"))
