"""An answer in the sandbox is told what it is told in the notebook, and what cannot leave the judge is called back."""

import ast
import inspect
import re
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from cs329t_robust.checks import exercises
from cs329t_robust.grading.judge import Limits, hidden_seed, judge
from cs329t_robust.grading.sandbox.remote_function import Lost, RemoteFunction
from cs329t_robust.lessons.student_answers import Answer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mistakes"))
import students

WRITTEN = [(e, case.function) for e, cases in students.WRONG.items() for case in cases]
WRITTEN += [(e, function) for e, functions in students.RIGHT.items() for function in functions]
WRITTEN = [(e, function) for e, function in WRITTEN if inspect.isfunction(function) and function.__name__ != "<lambda>"]
SOME = WRITTEN[::5]  # all of them, a quarter of a second each, were the longest test of the suite


def as_cells(function, name):
    """Return the module of a function, and the function itself under the exercise's name, as two cells."""
    module = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    module.body = [n for n in module.body if not (isinstance(n, ast.ImportFrom) and n.level)]
    (own,) = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == function.__name__]
    module.body = [n for n in module.body if not getattr(n, "decorator_list", None)]
    own.decorator_list, own.name = [], name
    return [{"role": "given", "source": ast.unparse(module)}, {"role": "answer", "source": ast.unparse(own)}]


def assert_told_the_same(launcher, number, function, seed):
    exercise = exercises()[number]
    answer = Answer(as_cells(function, exercise.name))
    far, ended = judge(launcher, exercise, answer, seed, Limits(20, 1024))
    near = exercise.grade(function, seed)
    assert ended == ""
    assert without_lines(far) == without_lines(near)


def without_lines(report):
    return re.sub(r" \(line .*?\)(?=: |$)", "", str(report), flags=re.MULTILINE)


@pytest.mark.parametrize(("number", "function"), SOME, ids=lambda v: getattr(v, "__name__", v))
def test_an_answer_is_told_what_it_is_told_in_the_notebook(launcher, number, function):
    assert_told_the_same(launcher, number, function, hidden_seed("x", exercises()[number]))


def test_every_exercise_is_among_them():
    assert {number for number, _ in SOME} == {number for number, _ in WRITTEN}


def test_hidden_seeds_differ_from_the_notebooks_and_follow_from_the_secret():
    for exercise in exercises().values():
        seed = hidden_seed("a", exercise)
        assert seed >= 10_000
        assert seed == hidden_seed("a", exercise) != hidden_seed("b", exercise)


def remote(launcher, source, name="f", seconds=20):
    with launcher.fresh_sandbox(seconds, 1024) as sandbox:
        function = RemoteFunction(sandbox.channel, seconds)
        cells = [{"role": "given", "source": "import torch"}, {"role": "answer", "source": source}]
        function.begin({"cells": cells, "goal": name})
        yield function


class Counting(nn.Module):
    """A model of a probe's own: it counts its calls, and cannot be found from the sandbox."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = nn.Linear(3, 2), 0

    def forward(self, x):
        self.calls += 1
        return self.inner(x).tanh()


Counting.__module__ = "cs329t_robust.checks.lesson_99"  # as one of the checks' own


def test_a_model_of_the_checks_stays_and_is_called_back_with_gradients(launcher):
    torch.manual_seed(0)
    model, x = Counting(), torch.rand(4, 3)
    source = """
def f(model, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x).square().sum(), x)[0]"""
    for function in remote(launcher, source):
        found = function(model, x)
    assert model.calls == 1
    leaf = x.clone().requires_grad_()
    assert torch.allclose(found, torch.autograd.grad(model(leaf).square().sum(), leaf)[0])


def test_a_local_function_stays_and_may_be_handed_the_model_back(launcher):
    model, x, seen = nn.Linear(3, 2), torch.rand(4, 3), []

    def attack(inner, images, size=1.0):
        seen.append(inner)
        return images + size

    for function in remote(launcher, "def f(model, x, attack):\n    return attack(model, x, size=2.0)"):
        found = function(model, x, partial(attack, size=3.0))
    assert torch.equal(found, x + 2)
    assert seen == [model]


def test_an_error_of_a_called_back_object_reaches_the_students_code(launcher):
    def attack(x):
        raise ValueError("expected images")

    source = """
def f(x, attack):
    try:
        attack(x)
    except Exception as e:
        return str(e)"""
    for function in remote(launcher, source):
        assert function(torch.zeros(1), attack) == "expected images"


def test_what_a_call_changed_is_copied_back(launcher):
    source = """
def f(model, x, generator):
    model.train()
    x += 1
    with torch.no_grad():
        model[0].weight.zero_()
    model(x).sum().backward()
    return torch.rand(3, generator=generator), torch.rand(1)"""
    model, x, generator = nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(2, 3), torch.Generator().manual_seed(3)
    torch.manual_seed(7)
    for function in remote(launcher, source):
        drawn, also = function(model, x, generator)
    assert model.training
    assert torch.equal(x, torch.ones(2, 3))
    assert not model[0].weight.any()
    assert model[0].weight.grad is not None
    again = torch.Generator().manual_seed(3)
    assert torch.equal(drawn, torch.rand(3, generator=again))
    assert torch.equal(generator.get_state(), again.get_state())
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(also, torch.rand(1))
    assert torch.equal(after, torch.rand(1))


def test_time_is_one_budget_for_all_calls(launcher):
    for function in remote(launcher, "import time\ndef f():\n    time.sleep(0.8)", seconds=2):
        function()
        function()
        with pytest.raises(Lost, match="time"):
            function()


def test_calls_back_are_limited_in_time_and_bytes(launcher, monkeypatch):
    def slow(x):
        time.sleep(0.7)
        return x

    loop = "def f(x, attack):\n    while True:\n        attack(x)"
    for function in remote(launcher, loop, seconds=2):
        with pytest.raises(Lost, match="time"):
            function(torch.zeros(1), slow)
    monkeypatch.setattr("cs329t_robust.grading.sandbox.remote_function.TRAFFIC", 10**6)
    for function in remote(launcher, loop):
        with pytest.raises(Lost, match="protocol"):
            function(torch.zeros(10**5), lambda x: None)
