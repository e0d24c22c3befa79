"""The core imports nothing of the extra, and where a package of it is missing, the error says how to install it."""

import ast
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cs329t_robust
from cs329t_robust.runtime.extras import LESSONS, MissingExtra, needed_by

ROOT = Path(cs329t_robust.__file__).parent
PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["project"]
CORE = {"torch", "torchvision", "numpy", "scipy", "safetensors", "tqdm", "PIL"}  # PIL: Pillow, torchvision's own
BROUGHT = {"jupyter-client", "jupyter-core", "traitlets"}  # by packages of the extra, which need them
ROOMS = {"plots", "widgets"}  # their __init__ looks for what all of their files import
FILES = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*.py"))]


def names(lines):
    return {canonicalize_name(Requirement(line).name) for line in lines}


def unguarded(source):
    """Yield (package, line) of each import of another package outside of `with needed_by(…)`."""

    def visit(node, guarded):
        if isinstance(node, ast.With):
            guarded = guarded or any(is_guard(item.context_expr) for item in node.items)
        if isinstance(node, ast.Try):
            guarded = guarded or any(ast.unparse(handler.type or node) == "ImportError" for handler in node.handlers)
        if not guarded:
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.partition(".")[0], node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, guarded)

    yield from visit(ast.parse(source), False)


def is_guard(context):
    return isinstance(context, ast.Call) and ast.unparse(context.func) == "needed_by"


def test_the_table_holds_the_extras_packages():
    extra = names(PROJECT["optional-dependencies"]["lessons"])
    assert set(LESSONS.values()) == extra | BROUGHT
    assert names(line for name in extra for line in requires(name) or []) >= BROUGHT


def test_the_core_asks_for_what_it_imports_and_no_more():
    assert names(PROJECT["dependencies"]) == CORE - {"PIL"}
    assert "pillow" in names(requires("torchvision"))


@pytest.mark.parametrize("file", FILES)
def test_a_package_of_the_extra_is_imported_where_its_absence_is_explained(file):
    source = (ROOT / file).read_text("utf-8")
    outside = sys.stdlib_module_names | CORE | {"cs329t_robust"}
    found = {package for package, _ in unguarded(source)} - outside
    if file == "checks/__init__.py":
        found -= {"IPython"}  # displayed where IPython has said that it runs
    if file.partition("/")[0] in ROOMS:
        found -= set(LESSONS)
    assert found == set(), file


@pytest.mark.parametrize(
    "source",
    [
        "import timm",
        "def f():\n    from timm.data import x",
        "with open(p):\n    import timm",
        "try:\n    import timm\nfinally:\n    pass",
    ],
)
def test_an_unguarded_import_is_found(source):
    assert [package for package, _ in unguarded(source)] == ["timm"]


def test_the_rooms_that_draw_look_first():
    for room in ROOMS:
        assert f'with needed_by("cs329t_robust.{room}"):' in (ROOT / room / "__init__.py").read_text("utf-8")


@pytest.mark.parametrize("module", sorted(LESSONS))
def test_what_is_missing_is_named_with_its_remedy(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # as Python has it where nothing can be found
    says = (
        f"drawing needs the package {LESSONS[module]}, which comes with the extra: pip install 'cs329t-robust[lessons]'"
    )
    with pytest.raises(MissingExtra) as caught, needed_by("outer"), needed_by("drawing"):
        __import__(f"{module}.part")
    assert str(caught.value) == says
    assert caught.value.name == module
    assert isinstance(caught.value, ModuleNotFoundError)


OTHERS = [ModuleNotFoundError("No module named 'sklearn'", name="sklearn"), ImportError("libx.so"), ValueError("x")]


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_every_other_error_passes(error):
    with pytest.raises(type(error)) as caught, needed_by("drawing"):
        raise error
    assert caught.value is error
