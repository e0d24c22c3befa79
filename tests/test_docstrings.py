"""Every public name is described: its parameters, what comes back, and what it raises."""

import ast
import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

import cs329t_robust
from cs329t_robust.contract import check_count

ROOT = Path(cs329t_robust.__file__).parent
# The rooms that hand on public names; claims, cli and grading are run, not imported.
ROOMS = [
    *sorted(
        ".".join(path.relative_to(ROOT).parent.parts)
        for path in ROOT.rglob("__init__.py")
        if path.parent != ROOT and "__all__" in path.read_text("utf-8") and "lesson_" not in str(path)
    ),
    "losses",
]
PART = re.compile(r"^([A-Z]\w+(?: \w+)*)\n-{3,}\n", re.MULTILINE)


def parts(docstring):
    """Return the text of a numpydoc docstring by its headings, the summary under ''."""
    pieces = PART.split(inspect.cleandoc(docstring or ""))
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def documented(text):
    """Return the names that a Parameters or Attributes section describes."""
    lines = re.findall(r"^(\S.*?)(?: *:.*)?$", text, re.MULTILINE)
    return {name.strip(" *") for line in lines for name in line.split(",")}


class Passed(ast.NodeTransformer):
    """Leave out what is tried where no error that is caught goes on."""

    def visit_Try(self, node):
        if node.handlers and not any(isinstance(inner, ast.Raise) for h in node.handlers for inner in ast.walk(h)):
            node.body = [ast.Pass()]
        return self.generic_visit(node)


@cache
def can_raise(function):
    """Say whether a function raises, refuses its input, or calls one of the package's that does."""
    function = inspect.unwrap(function)
    tree = Passed().visit(ast.parse(dedent(inspect.getsource(function))))
    if any(isinstance(node, ast.Raise) for node in ast.walk(tree)):
        return True
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    ours = [function.__globals__[name] for name in sorted(called & set(function.__globals__))]
    ours = [value for value in ours if inspect.isfunction(value) and value.__module__.startswith("cs329t_robust")]
    return any(can_raise(value) for value in ours if inspect.unwrap(value) is not function)


def lacking(value):
    """Return what the docstring of a function or a class does not tell."""
    found = parts(value.__doc__)
    lacks = [] if found[""].strip() else ["a first sentence"]
    own = {f"{value.__name__}("} if inspect.isclass(value) else set()
    if any(found[""].startswith(start) for start in own):  # what a dataclass writes for itself
        lacks.append("a first sentence")
    if inspect.isclass(value):
        made = next((vars(value)[name] for name in ("__post_init__", "__init__") if name in vars(value)), None)
        raising = made is not None and made.__module__ == value.__module__ and hasattr(made, "__code__")
        raising = raising and Path(made.__code__.co_filename).is_file() and can_raise(made)
        parameters = (
            [] if issubclass(value, Exception) or inspect.isabstract(value) else inspect.signature(value).parameters
        )
        told = documented(found.get("Parameters", "")) | documented(found.get("Attributes", ""))
    else:
        parameters = inspect.signature(value).parameters
        raising = can_raise(value)
        told = documented(found.get("Parameters", ""))
        returned = inspect.signature(value).return_annotation
        if returned not in (None, "None") and not {"Returns", "Yields"} & set(found):
            lacks.append("Returns")
    lacks += [f"the parameter {name}" for name in parameters if name not in told]
    return lacks + ["Raises"] * (raising and "Raises" not in found)


def public(room):
    """Return a room's public functions and classes, those that it defines itself, by name."""
    module = import_module(f"cs329t_robust.{room}")
    named = {name: getattr(module, name) for name in module.__all__}
    return {name: value for name, value in named.items() if inspect.isclass(value) or inspect.isfunction(value)}


NAMES = [(room, name) for room in ROOMS for name in public(room)]


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_a_public_name_says_what_goes_in_what_comes_out_and_what_it_raises(room, name):
    assert lacking(public(room)[name]) == []


def test_what_is_lacking_is_found():
    def silent(x):
        return x

    def halves(x, k: int) -> int:
        """Return the half.

        Parameters
        ----------
        x : int
        """
        if x % 2:
            raise ValueError("odd")
        return x // 2

    def caught(x) -> int:
        """Return x, or 0 for what halves refuses.

        Parameters
        ----------
        x : int

        Returns
        -------
        int
        """
        try:
            check_count("x", x, 0)
        except ValueError:
            return 0
        return x

    assert lacking(silent) == ["a first sentence", "Returns", "the parameter x"]
    assert lacking(halves) == ["Returns", "the parameter k", "Raises"]
    assert lacking(caught) == []
    assert can_raise(check_count)
    assert can_raise(cs329t_robust.accuracy)  # by what it calls


if __name__ == "__main__":
    for room, name in NAMES:
        if lacks := lacking(public(room)[name]):
            print(f"{room}.{name}: {lacks}")
