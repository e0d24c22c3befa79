"""nbval, run as `make test` runs it, fails when a stored output is altered, and needs no registered kernel."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lesson_examples import cell, write

from cs329t_robust.lessons import build

pytestmark = pytest.mark.slow
REPOSITORY = build.HOME.parent
REPORT = """class Report:
    def __repr__(self):
        return "○ 90.1 double: not attempted yet"

    def _repr_html_(self):
        return "<b>○ 90.1 double</b>"
"""
BODY = (
    cell(REPORT)
    + cell("print('accuracy 0.93')\nprint('robust 0.02')")
    + cell("Report()")
    + cell("from IPython.display import display\ndisplay(Report())\nlen('abc')")
    + cell("import random\nprint(random.random())", ":tags: [nbval-ignore-output]\n")
    + cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    + cell("print('median  9.9 ± 0.3 of 10, robust 2.0% ± 0.5, others 4.0')\n'12.5 ± 0.3'")
)
Edit = Callable[[list], object]


def measured(cells: list, old: str, new: str) -> None:
    """Alter the printed text of the cell whose numbers carry tolerances."""
    text = "".join(cells[6]["outputs"][0]["text"])
    assert old in text
    cells[6]["outputs"][0]["text"] = text.replace(old, new)


ALTERED: dict[str, tuple[int, Edit]] = {
    "a printed number": (1, lambda cells: cells[1]["outputs"][0].update(text="accuracy 0.94\nrobust 0.02\n")),
    "a line more": (1, lambda cells: cells[1]["outputs"][0].update(text="accuracy 0.93\nrobust 0.02\n\n")),
    "a text": (2, lambda cells: cells[2]["outputs"][0]["data"].update({"text/plain": "✓ 90.1 double: 5/5"})),
    "a box": (2, lambda cells: cells[2]["outputs"][0]["data"].update({"text/html": "<b>✓ 90.1 double</b>"})),
    "a box lost": (2, lambda cells: cells[2]["outputs"][0]["data"].pop("text/html")),
    "an output lost": (3, lambda cells: cells[3]["outputs"].pop(0)),
    "all outputs lost": (1, lambda cells: cells[1]["outputs"].clear()),
    "a picture lost": (5, lambda cells: cells[5]["outputs"].clear()),
    "not run": (1, lambda cells: cells[1].update(execution_count=None)),
    "a number beyond its tolerance": (6, lambda cells: measured(cells, " 9.9 ±", "10.3 ±")),
    "another number beyond its tolerance": (6, lambda cells: measured(cells, "2.0% ±", "2.6% ±")),
    "a number without a tolerance": (6, lambda cells: measured(cells, "others 4.0", "others 4.1")),
    "a tolerance": (6, lambda cells: measured(cells, "± 0.3 of", "± 0.9 of")),
    "a unit": (6, lambda cells: measured(cells, "2.0% ±", "2.0 ±")),
    "a word beside a measured number": (6, lambda cells: measured(cells, "median", "mean")),
    "a measured repr": (6, lambda cells: cells[6]["outputs"][1]["data"].update({"text/plain": "'12.9 ± 0.3'"})),
    "code that raises": (3, lambda cells: cells[3].update(source="1 / 0")),
}
SAME: dict[str, Edit] = {
    "untouched": lambda cells: None,
    "an ignored output": lambda cells: cells[4]["outputs"][0].update(text="0.1\n"),
    "numbers within their tolerance": lambda cells: (
        measured(cells, " 9.9 ±", "10.2 ±"),
        measured(cells, "2.0% ±", "1.5% ±"),
        cells[6]["outputs"][1]["data"].update({"text/plain": "'12.2 ± 0.3'"}),
    ),
    "a figure's size": lambda cells: cells[5]["outputs"][0]["data"].update(
        {"text/plain": "<Figure size 400x200 with 1 Axes>"}
    ),
}


def options() -> list[str]:
    """Return nbval's options from the Makefile, so that what is proved here is what CI runs."""
    return re.search(r"^NBVAL := (.*)$", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)[1].split()


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[str, set[int]]:
    """Return, for each copy of a small built notebook, the cells that nbval failed."""
    home = tmp_path_factory.mktemp("altered")
    shutil.copy(build.HOME / "conftest.py", home)
    write(home, BODY)
    original = next(iter(build.build(home))).read_text(encoding="utf-8")
    copies = {}
    for name, edit in {**SAME, **{name: edit for name, (_, edit) in ALTERED.items()}}.items():
        notebook = json.loads(original)
        edit(notebook["cells"])
        copies[name] = home / (re.sub(r"\W", "_", name) + ".ipynb")
        copies[name].write_text(json.dumps(notebook), encoding="utf-8")
    done = nbval(list(copies.values()), home)
    failed = re.findall(r"^FAILED .*?([^/\s]+)\.ipynb::Cell (\d+)", done.stdout, flags=re.MULTILINE)
    assert re.search(r"\d+ passed", done.stdout), done.stdout + done.stderr
    return {name: {int(at) for stem, at in failed if stem == path.stem} for name, path in copies.items()}


def nbval(notebooks: list[Path], home: Path) -> subprocess.CompletedProcess:
    """Run nbval where no kernel cs329t-robust is registered and `python3` is another program."""
    spec = home / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "not me", "language": "python"}))
    configuration = ["-c", str(REPOSITORY / "pyproject.toml"), f"--rootdir={home}", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *configuration, *options(), *map(str, notebooks)]
    environment = {**os.environ, "JUPYTER_PATH": str(home / "jupyter"), "COLUMNS": "300"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_output_fails_in_its_cell(verdicts, name):
    assert verdicts[name] == {ALTERED[name][0]}


@pytest.mark.parametrize("name", SAME)
def test_what_may_differ_passes(verdicts, name):
    assert verdicts[name] == set()


def test_the_options_are_strict():
    assert "--nbval" in options()
    assert "--nbval-current-env" in options()
    assert not any("lax" in option for option in options())
