"""An exercise: what is asked, and the probes that measure an answer."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .agreement import WrongType, agree, checked, constant_factor, frozen
from .exception_messages import explain_exception
from .mistakes import Function, Known, Mistake, Parts
from .report import Outcome, Report
from .side_effects import SideEffects, observed

MANNERS = "leaves its arguments and the model as they were"
UNSTEADY = (
    "Two calls with the same arguments give different answers: either something random is in it (a random start, noise), "
    "or something is remembered from call to call."
)


@dataclass(frozen=True)
class Run:
    """A student's function beside the reference, on the exercise's seeded inputs.

    Iterating gives (args, answer, expected) for each case.

    Attributes
    ----------
    cases : list of tuple
        The arguments of each call.
    answers, expected : list
        What the student's function returned for each, and what the reference did.
    call : callable
        The student's function, for further calls.
    """

    cases: list[tuple]
    answers: list[Any]
    expected: list[Any]
    call: Function

    def __iter__(self) -> Iterator[tuple[tuple, Any, Any]]:
        return zip(self.cases, self.answers, self.expected, strict=True)


@dataclass(frozen=True)
class Probe:
    """One property of a right answer: `test` returns what is wrong, with numbers, or an empty string.

    An `essential` probe shows that the function does what it is for at all. While it fails nothing else earns points,
    so the identity, a constant or random noise is worth nothing.

    Attributes
    ----------
    name : str
        What is tested, as the report says it.
    points : int
        What passing it earns.
    test : callable
        From a `Run` to what is wrong; empty if nothing is.
    essential : bool
    """

    name: str
    points: int
    test: Callable[[Run], str]
    essential: bool = False


@dataclass(frozen=True)
class Exercise:
    """One exercise, complete; CONTRIBUTING.md shows how to add one.

    Parameters
    ----------
    id, name : str
        "02.3" and the function's name.
    reference : callable
        A solution. It is called, never shown.
    cases : callable
        ``cases(seed)`` makes the argument tuples of each call, fresh at each call.
    probes, mistakes : sequences
    hint : str
        Shown when a probe fails and no known mistake matches.
    parts : Parts or None
        Where the mistakes' combinations come from.
    returns : str
        "images", "features", "vector" (one value per image), "number" or "number or None".
    like : int
        Which argument the answer is shaped like.
    keeps_graph : bool
        The answer may stay on the autograd graph (a loss must, an adversarial image must not).
    after : callable, optional
        For a function that trains: ``after(*args)``, called once it has run, is what is measured in place of what it
        returned, such as the model's new weights. The model may then change.
    """

    id: str
    name: str
    reference: Function
    cases: Callable[[int], list[tuple]]
    probes: Sequence[Probe]
    mistakes: Sequence[Mistake]
    hint: str
    returns: str = "images"
    like: int = 1
    keeps_graph: bool = False
    parts: Parts | None = None
    after: Function | None = None

    def answer(self, function: Function, args: tuple) -> Any:
        """Call ``function(*args)`` and return what is measured of it."""
        answer = function(*args)
        return self.after(*args) if self.after else answer

    @property
    def points(self) -> int:
        """Points of all probes, and one for leaving arguments and model alone."""
        return sum(probe.points for probe in self.probes) + 1

    def grade(self, function: Function, seed: int = 0) -> Report:
        """Measure `function` on inputs that follow from `seed`.

        Never raises at the student: whatever goes wrong becomes part of the Report. The same seed gives the same text.
        """
        effects = SideEffects()
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # a warning's text holds paths and line numbers; the advice says what matters
            warnings.simplefilter("ignore")
            torch.default_generator.manual_seed(seed)  # not CUDA's, which fork_rng leaves alone
            problem = self._call_problem(function)
            if problem:
                return self._broken(problem)
            cases = self.cases(seed)
            try:
                answers = [observed(function, args, effects, self.keeps_graph, bool(self.after)) for args in cases]
                measured = [self.after(*args) for args in cases] if self.after else answers
            except (Exception, SystemExit) as error:
                if _is_stub(error):
                    return self._open()
                named = self.known.raising(error, seed)
                told = explain_exception(error, function)
                return self._broken(*([told[0], *named] if named else told), *effects.faults)
            if all(answer is None for answer in answers) and _does_nothing(function):
                return self._open()
            return self._measured(function, measured, effects, seed)

    def _measured(self, function: Function, answers: list, effects: SideEffects, seed: int) -> Report:
        cases = self.cases(seed)
        expected = [self.answer(self.reference, args) for args in self.cases(seed)]
        try:
            usable = [self._usable(*row) for row in zip(answers, expected, cases, strict=True)]
        except WrongType as error:
            named = self.known.behaving(answers, expected, seed)
            return self._broken(*(named or [_sentence(str(error))]), *effects.faults)
        run = Run(cases, usable, expected, function)
        outcomes = [self._outcome(probe, run) for probe in self.probes]
        failed = any(outcome.problem for outcome in outcomes)
        outcomes.append(Outcome(MANNERS, 1, "see below" if effects.faults else ""))
        worthless = any(o.problem and p.essential for o, p in zip(outcomes, self.probes, strict=False))
        earned = 0 if worthless else sum(outcome.points for outcome in outcomes if not outcome.problem)
        named = self.known.behaving(usable, expected, seed) if failed else []
        if failed and not named:
            named = self._unsteady(function, usable, seed) or self._scaled(run)
        return Report(
            self.id,
            self.name,
            earned,
            self.points,
            tuple(outcomes),
            (*named, *effects.faults),
            () if failed else tuple(effects.notes),
            self.hint if failed and not named else "",
        )

    def _usable(self, answer: Any, expected: Any, args: tuple) -> Any:
        """Return the answer in the form that the probes measure, or raise WrongType."""
        if not self.after:
            answer = checked(answer, args[self.like], self.returns)
        elif answer.shape != expected.shape:
            raise WrongType(
                "your function leaves another model than the one it was given: train the layers that are there, and add or "
                "remove none."
            )
        return answer.to(expected.dtype) if isinstance(answer, Tensor) else answer

    @staticmethod
    def _outcome(probe: Probe, run: Run) -> Outcome:
        try:
            return Outcome(probe.name, probe.points, probe.test(run))
        except (Exception, SystemExit) as error:
            return Outcome(probe.name, probe.points, " ".join(explain_exception(error, run.call)))

    @cached_property
    def known(self) -> Known:
        """The known mistakes, ready to be compared with an answer."""
        return Known(self.answer, self.cases, self.mistakes, self.parts)

    def _unsteady(self, function: Function, answers: list, seed: int) -> list[str]:
        """Say so if a second call on the same inputs gives another answer."""
        torch.default_generator.manual_seed(seed + 1)
        try:
            again = [frozen(self.answer(function, args)) for args in self.cases(seed)]
        except (Exception, SystemExit):
            return [UNSTEADY]
        return [] if agree(again, answers) else [UNSTEADY]

    def _scaled(self, run: Run) -> list[str]:
        """Say so if the answer of the first case, or its change of the image, is a multiple of the right one."""
        args, got, want = next(iter(run))
        if not isinstance(got, Tensor) or agree(got, want):
            return []
        told = "Your answer"
        factor = constant_factor(got, want)
        x = args[self.like]
        if factor is None and self.returns == "images" and not self.after:
            told = "Your change of the image"
            free = (got > 0) & (got < 1) & (want > 0) & (want < 1)  # not cut off by the clip
            factor = constant_factor((got - x)[free], (want - x)[free])
        if factor is None or abs(factor - 1) < 0.02 or abs(factor) < 1e-4:
            return []
        return [
            f"{told} is {factor:.3g} times the right one everywhere: look for a wrong {'sign or ' if factor < 0 else ''}factor."
        ]

    def _call_problem(self, function: Function) -> str:
        if not callable(function):
            return (
                f"Expected the function itself, check.{self.name}({self.name}), got {type(function).__name__}: "
                "leave out the brackets after its name."
            )
        args = self.cases(0)[0]
        try:
            inspect.signature(function).bind(*args)
        except TypeError:
            asked = ", ".join(inspect.signature(self.reference).parameters)
            return f"Expected a function called as {self.name}({asked}), got one with {inspect.signature(function)}."
        except ValueError:
            return ""  # a built-in without a readable signature: calling it will tell
        return ""

    def _broken(self, *sentences: str) -> Report:
        return Report(self.id, self.name, 0, self.points, (), sentences, (), self.hint)

    def _open(self) -> Report:
        return Report(self.id, self.name, 0, self.points, attempted=False)


def _does_nothing(function: Function) -> bool:
    """Say whether a function that returned None is an empty stub: it names nothing and calls nothing."""
    code = getattr(function, "__code__", None)
    return code is not None and not code.co_names


def _is_stub(error: BaseException) -> bool:
    """Say whether an error is the stub's own: torch raises the same type for what it cannot do to a tensor."""
    return isinstance(error, NotImplementedError) and (not str(error) or "your code here" in str(error))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
