"""The checks checked: every known and every student's mistake is caught and named, every right answer passes."""

import re
import time
from collections import Counter
from dataclasses import replace

import pytest
import torch
from students import RIGHT, WRONG
from torch import Tensor

from cs329t_robust import checks

EXERCISES = checks.exercises()
MISTAKES = [pytest.param(e, m, id=f"{e.id} {m.name}") for e in EXERCISES.values() for m in e.mistakes]
STUDENTS = [pytest.param(EXERCISES[i], c, id=f"{i} {c.function.__name__}") for i, cs in WRONG.items() for c in cs]
ANSWERS = [pytest.param(EXERCISES[i], f, id=f"{i} {f.__name__}") for i, fs in RIGHT.items() for f in fs]
NOUNS = "pixels|pixel values|images|losses|outputs|bounds|flags|points|values|features|times"
UNGRAMMATICAL = re.compile(
    rf"(?<![\d.])1 (?:\w+ )?(?:{NOUNS})\b|(?<!\d)1 of \d+ [a-z ]*s (?:are|have|do|differ|were)\b|sss\b"
)
EACH = [pytest.param(e, id=f"{e.id} {e.name}") for e in EXERCISES.values()]


def told(report: checks.Report) -> str:
    """What the report says about the mistake itself, in one line: no hint, no verdicts of passed probes."""
    return " ".join([*(o.problem for o in report.outcomes), *report.diagnosis])


def behaviour(exercise: checks.Exercise, function) -> list:
    torch.manual_seed(0)
    try:
        return [exercise.answer(function, args) for args in exercise.cases(0)]
    except Exception as error:
        return [type(error).__name__, str(error)]


def same(a: list, b: list) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and x.dtype == y.dtype and torch.allclose(x, y, rtol=1e-4, atol=2e-5, equal_nan=True)
        if isinstance(x, Tensor) and isinstance(y, Tensor)
        else type(x) is type(y) and (x == pytest.approx(y, abs=2e-5) if isinstance(x, float) else x == y)
        for x, y in zip(a, b, strict=True)
    )


# ---- wrong answers


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_known_mistake_is_caught_and_named_in_time(exercise, mistake):
    start = time.process_time()
    report = exercise.grade(mistake.wrong)
    assert time.process_time() - start < 3
    assert report.score < report.points
    assert mistake.says in report.diagnosis
    assert not UNGRAMMATICAL.search(str(report))


@pytest.mark.parametrize("exercise", EACH)
def test_at_least_four_known_mistakes_all_different(exercise):
    assert len(exercise.mistakes) >= 4
    seen = [(m.name, behaviour(exercise, m.wrong)) for m in exercise.mistakes]
    twins = [(a, b) for i, (a, one) in enumerate(seen) for b, two in seen[:i] if same(one, two)]
    assert not twins
    assert max(Counter(m.name for m in exercise.mistakes).values()) == 1


@pytest.mark.parametrize(("exercise", "case"), STUDENTS)
def test_students_mistake_is_caught_and_named(exercise, case):
    report = exercise.grade(case.function)
    assert report.score < report.points
    assert re.search(case.expected, told(report)), str(report)
    assert not UNGRAMMATICAL.search(str(report))


def test_an_unknown_factor_is_told():
    wrong = lambda model, x, y: -0.3 * EXERCISES["02.2"].reference(model, x, y)  # noqa: E731
    assert "Your answer is -0.3 times the right one everywhere: look for a wrong sign or factor." in told(
        EXERCISES["02.2"].grade(wrong)
    )
    step = lambda x, grad, eps: (x + 1.7 * eps * grad.sign()).clamp(0, 1)  # noqa: E731
    assert "Your change of the image is 1.7 times the right one" in told(EXERCISES["01.2"].grade(step))


@pytest.mark.parametrize("exercise", [e for e in EXERCISES.values() if e.parts], ids=lambda e: e.id)
def test_two_mistakes_at_once_are_both_named(exercise):
    pairs = list(exercise.parts.pairs)
    named = 0
    for pair in pairs[:: max(1, len(pairs) // 12)]:
        report = exercise.grade(pair.wrong)
        assert report.score < report.points
        named += bool(report.diagnosis)
    assert named >= 0.9 * len(pairs[:: max(1, len(pairs) // 12)])


# ---- right answers


@pytest.mark.parametrize("exercise", EACH)
def test_reference_and_at_least_four_alternatives(exercise):
    assert len(RIGHT[exercise.id]) >= 4
    for seed in range(3):
        report = exercise.grade(exercise.reference, seed)
        assert report.status == "done"
        assert not report.notes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("exercise", "function"), ANSWERS)
def test_right_answer_gets_full_points(exercise, function, seed):
    report = exercise.grade(function, seed)
    assert report.score == report.points, str(report)
    assert report.status == "done"


def test_weight_gradients_are_a_note_that_costs_nothing():
    backward = next(f for f in RIGHT["02.2"] if f.__name__ == "gradient_backward")
    report = EXERCISES["02.2"].grade(backward)
    assert report.status == "done"
    assert "filled the .grad" in str(report)


# ---- lazy answers and stubs


def _lazy(exercise: checks.Exercise) -> dict:
    like, number = exercise.like, exercise.returns.startswith("number")
    vector = exercise.returns == "vector"

    def made(make):
        def function(*args):
            return make(args[like][:, 0, 0, 0] if vector and args[like].ndim == 4 else args[like])

        return function

    if number:
        return {"zero": made(lambda _: 0.0), "half": made(lambda _: 0.5), "minus one": made(lambda _: -1.0)}
    if vector:
        return {"zeros": made(lambda x: torch.zeros(len(x))), "ones": made(lambda x: torch.ones(len(x)))}
    return {
        "identity": made(lambda x: x.clone()),
        "zeros": made(torch.zeros_like),
        "grey": made(lambda x: torch.full_like(x, 0.5)),
        "random image": made(torch.rand_like),
        "small noise": made(lambda x: (x + 0.1 * torch.randn_like(x).sign()).clamp(0, 1)),
    }


@pytest.mark.parametrize("exercise", EACH)
def test_lazy_answers_score_nothing(exercise):
    scores = {name: exercise.grade(function).score for name, function in _lazy(exercise).items()}
    assert scores == dict.fromkeys(scores, 0)


NEIGHBOURS = [("02.4", "02.5"), ("02.5", "02.4"), ("02.3", "02.2"), ("02.2", "02.3"), ("00.1", "00.2")]


@pytest.mark.parametrize(("asked", "given"), NEIGHBOURS)
def test_a_neighbours_solution_scores_nothing(asked, given):
    assert EXERCISES[asked].grade(EXERCISES[given].reference).score == 0


def test_pgd_in_the_other_norm_is_named():
    assert "This is PGD in L∞" in told(EXERCISES["02.7"].grade(EXERCISES["02.6"].reference))
    assert "L2 ball" in told(EXERCISES["02.6"].grade(EXERCISES["02.7"].reference))


def _stubs() -> dict:
    def raises(*args):
        # YOUR CODE HERE
        raise NotImplementedError("02.3: your code here")

    def empty(*args):
        pass

    def documented(*args):
        """Return x + eps * sign(gradient), clipped to [0, 1]."""

    def returns_none(*args):
        return None

    def dots(*args): ...

    return {f.__name__: f for f in (raises, empty, documented, returns_none, dots)}


@pytest.mark.parametrize("stub", _stubs().values(), ids=_stubs().keys())
@pytest.mark.parametrize("exercise", EACH)
def test_stub_reads_not_attempted_yet(exercise, stub):
    assert str(exercise.grade(stub)) == f"○ {exercise.id} {exercise.name}: not attempted yet"


@pytest.mark.parametrize("exercise", EACH)
def test_what_torch_cannot_do_is_not_an_open_exercise(exercise):
    def unable(*args):
        return (torch.ones(2) > 0).abs()  # a NotImplementedError, as the stub's

    text = str(exercise.grade(unable))
    assert "not attempted" not in text
    assert "not implemented for 'Bool'" in text
    assert "(torch.ones(2) > 0).abs()" in text


# ---- answers that are no answers


def test_not_a_function():
    text = str(EXERCISES["02.3"].grade(torch.zeros(3)))
    assert "Expected the function itself, check.fgsm(fgsm), got Tensor" in text
    assert "Expected the function itself" in str(EXERCISES["02.3"].grade(None))


def test_wrong_signature():
    text = str(EXERCISES["02.3"].grade(lambda model, x: x))
    assert "Expected a function called as fgsm(model, x, y, eps), got one with (model, x)." in text


RETURNS = {
    "None": (lambda model, x, y, eps: print(end=""), "`return` missing"),
    "a number": (lambda model, x, y, eps: 1.0, "returned a float"),
    "a list": (lambda model, x, y, eps: list(x), "torch.stack"),
    "an array": (lambda model, x, y, eps: x.numpy().copy(), "torch.from_numpy"),
    "a tuple": (lambda model, x, y, eps: (x,), r"take its \[0\]"),
    "a pair": (lambda model, x, y, eps: x.max(1), "amax"),
    "integers": (lambda model, x, y, eps: x.long(), "torch.int64"),
    "another shape": (lambda model, x, y, eps: x[:, 0], "returned shape"),
    "NaN": (lambda model, x, y, eps: x / 0 * 0, "NaN or infinite"),
    "a string": (lambda model, x, y, eps: "x", "returned a str"),
    "a class": (lambda model, x, y, eps: int, "returned a type"),
}


@pytest.mark.parametrize(("function", "expected"), RETURNS.values(), ids=RETURNS.keys())
def test_wrong_type_is_told(function, expected):
    report = EXERCISES["02.3"].grade(function)
    assert report.score == 0
    assert re.search(expected, told(report))


def _raise(error: BaseException):
    raise error


RAISES = {
    "no leaf": (lambda m, x, y, e: torch.autograd.grad(x.sum(), x), "make a leaf of your own"),
    "None": (lambda m, x, y, e: x.grad.sign(), "Something is None"),
    "not a scalar": (lambda m, x, y, e: m(x).backward(), "start from one number"),
    "leaf in place": (lambda m, x, y, e: x.requires_grad_().add_(1), "changed in place"),
    "graph twice": (lambda m, x, y, e: [loss.backward() for loss in [m(x).pow(2).sum()] * 2], "graph of an earlier"),
    "shapes": (lambda m, x, y, e: x * torch.ones(28), "take it from x.shape"),
    "view": (lambda m, x, y, e: x.view(-1, 784), "take it from x.shape"),
    "numpy": (lambda m, x, y, e: m(x).numpy(), "NumPy cannot follow"),
    "name": (lambda m, x, y, e: undefined, "does not define or import"),  # noqa: F821
    "train": (lambda m, x, y, e: m.train()(x[:1]), "train mode"),
    "one image": (lambda m, x, y, e: m(x[0]), "batch dimension"),
    "ambiguous if": (lambda m, x, y, e: x if x > e else y, "`if` decides once"),
    "item": (lambda m, x, y, e: x.item(), "tensor of one element"),
    "empty": (lambda m, x, y, e: x[x > 9].min(), "selection came out empty"),
    "tuple": (lambda m, x, y, e: x.max(1).sign(), "values and indices"),
    "brackets": (lambda m, x, y, e: x + x.sign, "brackets after its name"),
    "labels": (lambda m, x, y, e: torch.nn.functional.nll_loss(m(x), y.int().float()), "must stay integers"),
    "SystemExit": (lambda m, x, y, e: _raise(SystemExit(1)), "raised SystemExit"),
    "recursion": (lambda m, x, y, e: _raise(RecursionError("maximum recursion depth exceeded")), "RecursionError"),
    "StopIteration": (lambda m, x, y, e: next(iter([])), "raised StopIteration"),
}


@pytest.mark.parametrize(("function", "expected"), RAISES.values(), ids=RAISES.keys())
def test_exception_is_told_with_advice(function, expected):
    report = EXERCISES["02.3"].grade(function)
    assert report.score == 0
    assert "Your function raised" in told(report)
    assert expected in told(report)


# ---- the report


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("exercise", EACH)
def test_text_is_deterministic_and_global_state_is_left_alone(exercise, threads):
    functions = [exercise.reference, WRONG[exercise.id][0].function, WRONG[exercise.id][-1].function]
    torch.manual_seed(1)
    first = [str(exercise.grade(f)) for f in functions]
    before, used = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(7)
        before = torch.get_rng_state()
        again = [str(exercise.grade(f)) for f in functions]
    finally:
        torch.set_num_threads(used)
    assert again == first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("exercise", EACH)
def test_inputs_are_fresh_at_every_call(exercise):
    expected = str(exercise.grade(exercise.reference))

    def vandal(*args):
        for arg in args:
            if isinstance(arg, torch.nn.Module):
                arg.train()
                for p in arg.parameters():
                    p.data.zero_()
            elif isinstance(arg, Tensor):
                arg.zero_()
        return args[exercise.like]

    assert exercise.grade(vandal).score == 0
    assert str(exercise.grade(exercise.reference)) == expected


def test_html_escapes_what_the_student_wrote():
    html = EXERCISES["02.3"].grade(lambda m, x, y, e: _raise(ValueError("<script>alert(1)</script>")))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(("exercise", "name"), [("01.3", "targeted_grad_none"), ("02.6", "pgd_grad_none_second_step")])
def test_a_warning_does_not_reach_the_notebook(exercise, name, recwarn, capfd):
    (function,) = [case.function for case in WRONG[exercise] if case.function.__name__ == name]
    EXERCISES[exercise].grade(function)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_displays_in_ipython_and_prints_elsewhere(capsys, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    check = checks.lesson("02")
    check.fgsm(EXERCISES["02.3"].reference)
    assert capsys.readouterr().out == "✓ 02.3 fgsm: 5/5\n"
    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            check.fgsm(EXERCISES["02.3"].reference)
        (shown,) = captured.outputs
        assert shown.data["text/plain"] == "✓ 02.3 fgsm: 5/5"
        assert shown.data["text/html"].startswith("<div")
        assert captured.stdout == ""
    finally:
        InteractiveShell.clear_instance()
        del shell


def test_unknown_names_are_told():
    with pytest.raises(AttributeError, match=r"no exercise 'fsgm' in this lesson; it has penalty, .*fgsm"):
        checks.lesson("02").fsgm(None)
    with pytest.raises(ValueError, match=r"expected one of 00, 01, 02, 03.*got '2'"):
        checks.lesson("2")
    assert "fgsm" in dir(checks.lesson("02"))


# ---- what is kept from check to check


def test_known_mistakes_are_asked_once_and_told_as_if_they_were_asked_each_time():
    asked = []

    def counted(mistake):
        def wrong(*args):
            asked.append(mistake.name)
            return mistake.wrong(*args)

        return replace(mistake, wrong=wrong)

    plain = EXERCISES["02.3"]
    twin = replace(plain, mistakes=[counted(mistake) for mistake in plain.mistakes])
    unheard_of = lambda model, x, y, eps: (x + 0.3 * eps).clamp(0, 1)  # noqa: E731
    answers, calls = [unheard_of, *(mistake.wrong for mistake in plain.mistakes)], []
    for seed in (0, 0, 1, 0):
        before, fresh = len(asked), replace(plain)
        assert [str(twin.grade(f, seed)) for f in answers] == [str(fresh.grade(f, seed)) for f in answers]
        calls.append(len(asked) - before)
    again = calls.pop(1)
    assert again < min(calls) - len(plain.mistakes) / 2  # only those that agree in the first case are asked again
    assert calls[0] == calls[2]


# ---- trickery


def test_a_tensor_that_says_yes_to_everything_earns_nothing():
    class Yes(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            out = super().__torch_function__(func, types, args, kwargs or {})
            return torch.ones_like(out) if isinstance(out, Tensor) and out.dtype == torch.bool else out

        def __eq__(self, other):
            return True

        __hash__ = Tensor.__hash__

    report = EXERCISES["02.3"].grade(lambda model, x, y, eps: torch.zeros_like(x).as_subclass(Yes))
    assert report.score == 0


def test_memory_between_calls_is_told():
    calls = []

    def remembers(model, x, y, eps):
        calls.append(1)
        return (x + eps * len(calls) * torch.sign(x - 0.5)).clamp(0, 1)

    report = EXERCISES["02.3"].grade(remembers)
    assert report.score < report.points
    assert "different answers" in told(report)


if torch.cuda.is_available():

    def test_answer_on_another_device_is_told():
        report = EXERCISES["02.3"].grade(lambda model, x, y, eps: x.to("cuda"))
        assert "stay with x.device" in told(report)

    def test_cuda_random_state_is_left_alone():
        before = torch.cuda.get_rng_state()
        EXERCISES["02.3"].grade(EXERCISES["02.3"].reference)
        assert torch.equal(torch.cuda.get_rng_state(), before)
