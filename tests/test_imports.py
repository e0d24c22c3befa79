"""Imports only ever go down, and the package loads instantly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cs329t_robust

ROOT = Path(cs329t_robust.__file__).parent

# From the top to the bottom; a module imports only from lower lines. Modules named in one inner tuple may not
# import each other, except downwards as BESIDE allows.
LAYERS = [
    ("__main__",),
    ("cli",),
    ("scaffold",),
    ("claims", "capstone", "generalization_command", "showpieces_command"),
    ("bench", "doctor", "grading", "lessons", "lesson_source", "checkpoints", "sign_checkpoint", "dense_checkpoint"),
    ("showpieces", "generalization"),
    ("reproduce",),
    ("checks",),
    ("games",),
    (
        "widgets",
        "explorer_html",
        "plots",
        "landscapes",
        "patch_explorer",
        "tradeoff_explorer",
        "seeing_game",
        "courier",
        "curve_explorer",
        "live_training",
    ),
    ("human_alignment",),
    (
        "ladders",
        "recipes",
        "theory",
        "usefulness",
        "explain",
        "seeing_pictures",
        "norm_table",
        "semantics",
        "smoothing",
        "sanity",
    ),
    ("features",),
    ("training", "evaluation", "bounds"),
    ("training_state",),
    ("attacks", "signs", "staircase", "perception"),
    ("lending",),
    ("contract",),
    ("threat", "losses", "models", "data", "data_files", "photographs", "projections", "randomness", "runtime"),
    ("processes", "progress", "accessories", "repository"),
]
BESIDE = {
    ("grading", "lessons"),
    ("grading", "lesson_source"),
    ("lessons", "lesson_source"),
    ("widgets", "explorer_html"),
    ("landscapes", "plots"),
    ("seeing_game", "courier"),
    ("curve_explorer", "plots"),
    ("live_training", "plots"),
    ("threat", "randomness"),
    ("threat", "projections"),
    ("data", "data_files"),
    ("data", "photographs"),
    ("photographs", "data_files"),
}
HEIGHT = {name: len(LAYERS) - i for i, layer in enumerate(LAYERS) for name in layer}
NEVER = {("training", "attacks"), ("evaluation", "attacks")}  # they are handed an attack
# what draws, and who may import it at all; checks only display their reports
DRAWING = {"matplotlib", "IPython", "ipywidgets", "anywidget"}
DRAWERS = {
    "plots": {"matplotlib", "IPython"},
    "landscapes": {"matplotlib"},
    "live_training": {"matplotlib", "IPython"},
    "widgets": {"IPython", "ipywidgets", "anywidget"},
    "seeing_game": {"IPython"},
    "courier": {"anywidget"},
    "checks": {"IPython"},
    "grading": {"IPython"},  # its reader of cells with magics, which draws nothing
}


def edges(source, path):
    """Yield (top-level module of the package or of another, whether it is ours) for each import in `source`."""
    depth = len(path.relative_to(ROOT).parts)  # 1 for a module, 2 for one inside a subpackage
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                yield (parts[1], True) if parts[0] == "cs329t_robust" and parts[1:] else (parts[0], False)
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".") if node.module else []
            if node.level == 0 and parts[0] != "cs329t_robust":
                yield parts[0], False
            elif node.level in (0, depth):
                parts = parts[1:] if node.level == 0 else parts
                for name in [parts[0]] if parts else [alias.name for alias in node.names]:
                    yield name, True
            elif node.level > depth:
                yield "outside the package", True


def climbs(source, path):
    """Return every import in `source`, the text of module `path`, that goes up or draws where it must not."""
    module = path.relative_to(ROOT).parts[0].removesuffix(".py")
    found = []
    for name, ours in edges(source, path):
        if ours and name == "__version__":
            continue
        if ours:
            down = name == module or HEIGHT.get(name, 99) < HEIGHT[module] or (module, name) in BESIDE
            if not down or (module, name) in NEVER:
                found.append(f"{module} imports {name}")
        elif name in DRAWING - DRAWERS.get(module, set()):
            found.append(f"{module} imports {name}")
    return found


MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    name = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert name in HEIGHT, f"{name} has no place in LAYERS: give it one"
    assert climbs(path.read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("evaluation.py", "from .attacks import pgd"),
        ("training.py", "from cs329t_robust.attacks.pgd import pgd"),
        ("training.py", "def fit():\n    from .attacks import pgd"),
        ("threat/norms.py", "from ..contract import borrowed"),
        ("randomness.py", "from .threat import Ball"),
        ("models.py", "from . import data"),
        ("attacks/pgd.py", "from ..evaluation import accuracy"),
        ("attacks/pgd.py", "from .. import plots"),
        ("plots.py", "import cs329t_robust.checks"),
        ("losses.py", "import matplotlib.pyplot as plt"),
        ("evaluation.py", "from IPython.display import display"),
        ("plots.py", "import ipywidgets"),
        ("evaluation.py", "from .nowhere import thing"),
        ("attacks/pgd.py", "from ... import other"),
    ],
)
def test_a_climb_is_found(module, line):
    assert climbs(line, ROOT / module)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("attacks/pgd.py", "from .gradient import input_gradient\nfrom ..threat import Ball"),
        ("threat.py", "from .randomness import uniform_like"),
        ("cli.py", "from . import __version__, lessons"),
        ("plots.py", "import matplotlib\nfrom .evaluation import Curve"),
    ],
)
def test_a_descent_is_not(module, line):
    assert not climbs(line, ROOT / module)


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
