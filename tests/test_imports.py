"""Imports only ever go down, and the package loads instantly."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cs329t_robust

ROOT = Path(cs329t_robust.__file__).parent

# From the ground up: a room imports only from rooms before it, so no two import each other.
ROOMS = [
    "losses",
    "runtime",
    "models",
    "threat",
    "contract",
    "data",
    "attacks",
    "checks",
    "evaluation",
    "certification",
    "perception",
    "explanation",
    "theory",
    "training",
    "features",
    "checkpoints",
    "plots",
    "widgets",
    "lessons",
    "grading",
    "capstone",
    "claims",
    "cli",
    "__main__",
]
HANDED_AN_ATTACK = {"training/fit.py", "training/state.py", "evaluation/accuracy.py"}  # these never import one
DRAWING = {"matplotlib", "IPython", "ipywidgets", "anywidget"}
# what draws, and with what; checks display their reports, and grading only splits cells with IPython's reader
DRAWERS = {
    "plots": {"matplotlib", "IPython"},
    "widgets": {"matplotlib", "IPython", "ipywidgets", "anywidget"},
    "checks": {"IPython"},
    "grading": {"IPython"},
}


def imported(source, file):
    """Yield what `source`, the text of `file` in the package, imports, as (a room or another package, is it ours)."""
    package = ["cs329t_robust", *Path(file).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, *filter(None, [node.module])]) or "outside the package"
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "cs329t_robust" else [base]
        else:
            continue
        for first, *rest in (name.split(".") for name in names):
            yield (rest[0], True) if first == "cs329t_robust" and rest else (first, False)


def climbs(source, file):
    """Return every import in `source`, the text of `file`, that goes up or draws where it must not."""
    room, found = Path(file).parts[0].removesuffix(".py"), []
    for name, ours in imported(source, file):
        if not ours:
            wrong = name in DRAWING - DRAWERS.get(room, set()) or name == "outside the package"
        elif name in ("__version__", "lazily"):
            wrong = False  # what the package itself defines
        else:
            climbing = name not in ROOMS or ROOMS.index(name) > ROOMS.index(room)
            wrong = climbing or (name == "attacks" and file in HANDED_AN_ATTACK)
        found += [f"{file} imports {name}"] * wrong
    return found


FILES = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def test_the_root_holds_rooms_and_little_else():
    found = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert {name.removesuffix(".py") for name in found} == {*ROOMS, "__init__", "py.typed"}
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "losses.py"}
    assert all(ast.get_docstring(ast.parse(path.read_text("utf-8"))) for path in ROOT.glob("*/__init__.py"))


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down(file):
    assert climbs((ROOT / file).read_text(encoding="utf-8"), file) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("evaluation/accuracy.py", "from ..attacks import pgd"),
        ("training/fit.py", "from cs329t_robust.attacks.pgd import pgd"),
        ("training/state.py", "def fit():\n    from ..attacks import pgd"),
        ("threat/norms.py", "from ..contract import borrowed"),
        ("runtime/randomness.py", "from ..threat import Ball"),
        ("models/networks.py", "from .. import data"),
        ("attacks/engine/shrinking.py", "from ...evaluation import accuracy"),
        ("attacks/pgd.py", "from .. import plots"),
        ("plots/figures.py", "import cs329t_robust.lessons"),
        ("lessons/cells.py", "from ..grading.submissions import Student"),
        ("losses.py", "import matplotlib.pyplot as plt"),
        ("evaluation/accuracy.py", "from IPython.display import display"),
        ("plots/figures.py", "import ipywidgets"),
        ("evaluation/accuracy.py", "from ..nowhere import thing"),
        ("attacks/pgd.py", "from ... import other"),
    ],
)
def test_a_climb_is_found(file, line):
    assert climbs(line, file)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("attacks/pgd.py", "from .engine.gradient import input_gradient\nfrom ..threat import Ball"),
        ("threat/base.py", "from ..runtime.randomness import uniform_like"),
        ("training/recipes.py", "from ..attacks import pgd"),
        ("cli/main.py", "from .. import __version__, lessons"),
        ("plots/figures.py", "import matplotlib\nfrom ..evaluation import Curve"),
    ],
)
def test_a_descent_is_not(file, line):
    assert not climbs(line, file)


# Files that share a name since they are the same thing: an exercise and what it teaches, a command and its work.
SAME = {
    "attributions.py", "fgsm.py", "generalization.py", "glasses_and_patch.py", "penalty.py", "pgd.py", "projections.py",
    "spatial.py",
}  # fmt: skip


def test_no_two_files_share_a_name_unless_they_are_the_same_thing():
    names = [Path(file).name for file in FILES if not file.endswith("__init__.py")]
    assert {name for name in names if names.count(name) > 1} == SAME


def test_lessons_import_from_rooms_alone():
    rooms = {*ROOMS, "data.signs"}
    for path in sorted((ROOT.parent / "lessons" / "source").glob("*.md")):
        named = re.findall(r"^ *(?:from|import) cs329t_robust\.([\w.]+)", path.read_text("utf-8"), flags=re.MULTILINE)
        assert set(named) <= rooms, path.name


def fresh(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_the_package_alone_loads_nothing_heavy():
    heavy = {"torch", "numpy", "matplotlib", "IPython", "torchvision", "timm", "scipy", "ipywidgets", "skimage"}
    loaded = fresh("import sys, cs329t_robust; dir(cs329t_robust); print(*{m.split('.')[0] for m in sys.modules})")
    assert "cs329t_robust" in loaded.split()
    assert not heavy & set(loaded.split())


def test_the_core_loads_neither_jupyter_nor_what_draws():
    code = (
        "import sys; from cs329t_robust import *; from cs329t_robust import models, training; "
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    loaded = set(fresh(code).split())
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "IPython", "torchvision", "timm", "scipy", "ipywidgets", "skimage", "pandas"}


def test_an_attack_adds_little_to_torchs_own_import():
    code = (
        "import time; a = time.perf_counter(); import torch; b = time.perf_counter(); "
        "from cs329t_robust import pgd, Linf, robust_accuracy; c = time.perf_counter(); print(b - a, c - b)"
    )
    torch_alone, ours = zip(*(map(float, fresh(code).split()) for _ in range(3)), strict=True)
    assert min(ours) < 0.5 * min(torch_alone)


def test_every_public_name_exists_and_no_other():
    for name in cs329t_robust.__all__:
        assert getattr(cs329t_robust, name) is not None
        assert name in dir(cs329t_robust)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = cs329t_robust.nothing
