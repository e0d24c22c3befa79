"""Known mistakes: wrong implementations that an answer is compared with, each with the sentence that would help."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch

from .agreement import agree, clipped, frozen

Function = Callable[..., Any]
RAISED = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)  # what a known mistake may raise


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that students really write, and the sentence that would help.

    Attributes
    ----------
    name : str
    wrong : callable
        In place of the student's function.
    says : str
        The sentence, told when the student's function behaves exactly like `wrong`.
    """

    name: str
    wrong: Function
    says: str


@dataclass(frozen=True)
class Parts:
    """Mistakes that each replace a part of the solution, so that two of them at once are recognised as well.

    Parameters
    ----------
    build : callable
        ``build(**parts)`` returns the solution with those parts replaced.
    rows : sequence of (name, parts, says)
    """

    build: Callable[..., Function]
    rows: Sequence[tuple[str, dict[str, Any], str]]

    @property
    def single(self) -> list[Mistake]:
        """Each row as a mistake."""
        return [Mistake(name, self.build(**parts), says) for name, parts, says in self.rows]

    @property
    def pairs(self) -> Iterator[Mistake]:
        """Every two rows that replace different parts, as one mistake with both sentences."""
        for (name, parts, says), (other, others, also) in combinations(self.rows, 2):
            if not parts.keys() & others.keys():
                both = f"Two things at once. (1) {says} (2) {also}"
                yield Mistake(f"{name} + {other}", self.build(**parts, **others), both)


class Known:
    """An exercise's known mistakes, and what each of them does with the inputs of a seed.

    What a mistake answers in the first case is kept for as long as the seed stays the same: most are told apart from an
    answer by that alone, and a check that runs again, or a class that is graded, need not ask the mistakes anew.
    """

    def __init__(
        self,
        answer: Callable[[Function, tuple], Any],
        cases: Callable[[int], list[tuple]],
        mistakes: Sequence[Mistake],
        parts: Parts | None,
    ) -> None:
        self._answer, self._cases, self._mistakes = answer, cases, mistakes
        self._pairs = list(parts.pairs) if parts else []
        self._first: tuple[int | None, dict[Mistake, list]] = None, {}

    def behaving(self, answers: list, expected: list, seed: int) -> list[str]:
        """Return the sentence of the mistake that behaves identically on the same inputs, if there is one."""
        for view, candidates in ((list, self._mistakes), (list, self._pairs), (clipped, self._mistakes)):
            if agree(view(answers), view(expected)):
                continue
            for mistake in candidates:
                if self._behaves_so(mistake, answers, seed, view):
                    return [mistake.says]
        return []

    def raising(self, error: BaseException, seed: int) -> list[str]:
        """Return the sentence of the mistake that raises the same error, if there is one."""
        for mistake in self._mistakes:
            try:
                for _ in self._answers(mistake, seed):
                    pass
            except RAISED as known:
                if type(known) is type(error) and str(known) == str(error):
                    return [mistake.says]
        return []

    def _behaves_so(self, mistake: Mistake, answers: list, seed: int, view: Callable[[list], list]) -> bool:
        if not agree(view(self._first_answer(mistake, seed)), view(answers[:1])):
            return False
        try:
            return all(agree(view([a]), view([b])) for a, b in zip(self._answers(mistake, seed), answers, strict=True))
        except RAISED:
            return False

    def _first_answer(self, mistake: Mistake, seed: int) -> list:
        """Return what a mistake answers in the first case, in a list; it is empty if that raises."""
        of, first = self._first
        if of != seed:
            first = {}
            self._first = seed, first
        if mistake not in first:
            try:
                first[mistake] = [next(self._answers(mistake, seed))]
            except RAISED:
                first[mistake] = []
        return first[mistake]

    def _answers(self, mistake: Mistake, seed: int) -> Iterator[Any]:
        torch.default_generator.manual_seed(seed)
        for args in self._cases(seed):
            yield frozen(self._answer(mistake.wrong, args))
