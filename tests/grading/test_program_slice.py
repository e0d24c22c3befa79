"""Of a notebook runs what an answer needs, and nothing else."""

import math

import pytest

from cs329t_robust.grading.sandbox.program_slice import Unreadable, run


def space(answer, *others, goal="f"):
    return run([*({"role": role, "source": text} for role, text in others), {"role": "answer", "source": answer}], goal)


def test_only_what_is_needed_runs():
    names = space(
        "def f(x):\n    return helper(x) + K\n\n\nprint(1 / 0)",
        ("given", "import math\n1 / 0\nK = 3\nU = 1 / 0"),
        ("own", "raise SystemExit\ndef helper(x):\n    return math.floor(x)"),
        ("own", "this is no Python"),
    )
    assert names["f"](2.5) == 5
    assert "U" not in names


def test_a_helper_below_the_answer_is_found():
    names = run(
        [{"role": "answer", "source": "def f():\n    return g()"}, {"role": "own", "source": "g = lambda: 4"}], "f"
    )
    assert names["f"]() == 4


def test_local_names_are_no_needs():
    names = space("def f(x):\n    y = x\n    return [z for z in y]", ("given", "y = 1 / 0\nz = 1 / 0\nx = 1 / 0"))
    assert names["f"]([1]) == [1]


def test_the_last_definition_and_the_nearest_helper_count():
    names = space(
        "def f():\n    return 1\n\ndef f():\n    return g()",
        ("own", "def g():\n    return 2"),
        ("own", "def g():\n    return 3"),
    )
    assert names["f"]() == 3


def test_a_name_that_is_made_in_steps():
    assert space("def f():\n    return K", ("given", "K = 1"), ("given", "K = K + 1"), ("given", "K += 1"))["f"]() == 3


def test_changes_in_place_and_imports_by_star_and_tries():
    names = space(
        "def f():\n    return CACHE['a'], floor(1.5), h",
        ("given", "from math import *"),
        ("own", "CACHE = {}\nCACHE['a'] = 5"),
        ("own", "try:\n    import nothing as h\nexcept ImportError:\n    h = 6"),
    )
    assert names["f"]() == (5, 1, 6)


def test_another_exercises_cell_may_not_patch_a_module():
    patch = "import math\nmath.pi = 3"
    cells = [{"role": "given", "source": "import math"}, {"role": "own", "source": patch}]
    before = math.pi
    assert run([*cells, {"role": "answer", "source": "def f():\n    return math.pi"}], "f")["f"]() == before


def test_recursion_decorators_defaults_and_classes():
    names = space(
        "@twice\ndef f(n=START):\n    return 1 if n == 0 else A.b * f(n - 1)",
        ("given", "BASE = 2"),
        ("own", "START = 3\ndef twice(g):\n    return g\n\n\nclass A:\n    b = BASE"),
    )
    assert names["f"]() == 8


def test_magics_are_left_out():
    assert space("%matplotlib inline\n!rm -rf /\ndef f():\n    return 1")["f"]() == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(:\n  pass", r"no Python \(line 1: def f\(:\)"),
        ("def g(): pass", "Expected a function f in the answer's cell, got g"),
        ("", "no definition at all"),
        ("x = '\0'", "no Python"),
    ],
)
def test_an_unreadable_answer_says_why(source, told):
    with pytest.raises(Unreadable, match=told):
        space(source)
