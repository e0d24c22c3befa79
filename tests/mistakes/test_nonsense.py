"""Answers that no known mistake matches: whatever a function returns, its check tells something and never raises."""

import copy

import pytest
import torch
from torch import Tensor, nn

from cs329t_robust import checks

EXERCISES = checks.exercises()
EACH = [pytest.param(e, id=f"{e.id} {e.name}") for e in EXERCISES.values()]


def _noise(t: Tensor) -> Tensor:
    return t + 0.3 * torch.randn(t.shape, generator=torch.Generator().manual_seed(3))


CONSTANTS = {
    "None": None,
    "a float": 0.37,
    "an integer": 3,
    "a truth value": True,
    "infinity": float("inf"),
    "an integer beyond float64": 10**400,
    "a complex number": 1j,
    "a string": "x + δ",
    "a dictionary": {},
    "an empty list": [],
    "a class": int,
    "an array": torch.ones(3, 7).numpy(),
    "a tensor of one element": torch.tensor(0.37),
    "an empty tensor": torch.zeros(0),
    "a tensor of another shape": torch.ones(3, 7),
    "a parameter": nn.Parameter(torch.ones(2)),
}
CHANGES = {
    "scaled": lambda t: 1.7 * t,
    "negated": lambda t: -t,
    "shifted": lambda t: t + 0.31,
    "noisy": _noise,
    "one value everywhere": lambda t: torch.full_like(t, 0.37),
    "NaN": lambda t: t * torch.nan,
    "infinite": lambda t: t + torch.inf,
    "one more dimension": lambda t: t[None],
    "cut short": lambda t: t.flatten()[:-1],
    "integers": lambda t: t.long(),
    "truth values": lambda t: t > 0.5,
    "complex": lambda t: t + 1j,
    "half precision": lambda t: t.half(),
}


def constant(exercise: checks.Exercise, value: object):
    def answer(*args):
        return copy.copy(value)

    return answer


def changed(exercise: checks.Exercise, change):
    """The right answer (for a function that trains: the right weights), spoilt by `change`."""

    def answer(*args):
        right = exercise.reference(*args)
        if exercise.after:
            for parameter in args[0].parameters():
                spoilt = change(parameter.data)
                parameter.data = spoilt if spoilt.dtype == parameter.dtype else parameter.data
        if isinstance(right, Tensor):
            return change(right)
        return None if right is None else change(torch.tensor(float(right)))

    return answer


USUAL = {
    "a float",
    "a string",
    "a tensor of another shape",
    "scaled",
    "negated",
    "noisy",
    "one more dimension",
    "integers",
}


def _row(make, name: str, what: object):
    return pytest.param(make, what, id=name, marks=() if name in USUAL else pytest.mark.slow)


NONSENSE = [
    *(_row(constant, name, value) for name, value in CONSTANTS.items()),
    *(_row(changed, name, change) for name, change in CHANGES.items()),
]


@pytest.mark.parametrize(("make", "what"), NONSENSE)
@pytest.mark.parametrize("exercise", EACH)
def test_nonsense_is_told_and_raises_nothing(exercise, make, what):
    report = exercise.grade(make(exercise, what))
    assert report.status == "done" or report.body, "neither right nor told what is wrong"
    assert "raised" not in str(report)  # the student's function returned: an error would be ours


@pytest.mark.parametrize("exercise", EACH)
def test_a_right_answer_in_double_precision_is_right(exercise):
    report = exercise.grade(changed(exercise, lambda t: t.double() if exercise.after is None else t))
    assert report.score == report.points, str(report)


def test_a_model_that_is_another_afterwards_is_told():
    def grows(model, *rest):
        EXERCISES["05.3"].reference(model, *rest)
        model.append(nn.Linear(4, 4))

    def shrinks(model, *rest):
        model.weight = None
        model.state_dict = None

    assert "another model" in str(EXERCISES["05.3"].grade(grows))
    assert EXERCISES["05.3"].grade(shrinks).score == 0
