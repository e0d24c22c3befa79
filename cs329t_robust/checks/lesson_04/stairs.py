"""Exercise 04.6: which size does the seeing game show next?"""

from ..exercise import Exercise, Mistake, Probe, Run


def _clamped(index: int, count: int) -> int:
    return min(max(index, 0), count - 1)


def _step(answers: list[bool], up: int = 3, down: int = 1, fast: int = 2) -> int:
    if not answers[-1]:
        return up
    return -fast if all(answers) else -down


def _next_level(index: int, answers: list[bool], count: int) -> int:
    return _clamped(index + _step(answers), count)


def _cases(seed: int) -> list[tuple]:
    base = 5 + seed % 3
    return [
        (base + 3, [True, False, True], 14),  # after a mistake: one down
        (base + 1, [True, True, False], 14),  # a mistake: three up
        (base + 2, [True, True, True], 14),  # no mistake yet: two down
        (base, [True], 14),
        (base + 1, [False, False, True, True], 14),
        (base, [False], 14),
        (0, [True, False, True], 14),
        (1, [True, True], 14),
        (12, [True, False], 14),
        (8, [False], 9),
    ]


def _told(answers: list[bool]) -> str:
    return ", ".join("right" if right else "wrong" for right in answers)


def _moves(chosen: slice) -> object:
    def test(run: Run) -> str:
        for (index, answers, count), answer, expected in list(run)[chosen]:
            if answer != expected:
                return f"at level {index} of 0 to {count - 1}, answers {_told(answers)}: expected {expected}, got {answer:g}"
        return ""

    return test


NEXT_LEVEL = Exercise(
    "04.6",
    "next_level",
    _next_level,
    _cases,
    [
        Probe("goes down after a right answer, up after a wrong one", 2, _moves(slice(0, 2)), essential=True),
        Probe("goes down by two before the first mistake", 1, _moves(slice(2, 4))),
        Probe("looks back over all answers for a mistake", 1, _moves(slice(4, 6))),
        Probe("stays on the ladder", 1, _moves(slice(6, None))),
    ],
    [
        Mistake(
            "upside down",
            lambda i, a, n: _clamped(i - _step(a), n),
            "Upside down: after a right answer the change gets smaller (down), after a wrong one larger (up).",
        ),
        Mistake(
            "leaves the ladder",
            lambda i, a, n: i + _step(a),
            "The level leaves the ladder: keep it between 0 and count − 1.",
        ),
        Mistake(
            "one past the end",
            lambda i, a, n: _clamped(i + _step(a), n + 1),
            "The last level is count − 1: a ladder of 14 sizes has levels 0 to 13.",
        ),
        Mistake(
            "negative levels",
            lambda i, a, n: min(i + _step(a), n - 1),
            "The level becomes negative: the lower end, 0, is missing.",
        ),
        Mistake(
            "no upper end",
            lambda i, a, n: max(i + _step(a), 0),
            "The level passes the top of the ladder: the upper end, count − 1, is missing.",
        ),
        Mistake(
            "one up",
            lambda i, a, n: _clamped(i + _step(a, up=1), n),
            "One up and one down meet where half of the answers are right, which is guessing. A wrong answer goes three up.",
        ),
        Mistake(
            "always one down",
            lambda i, a, n: _clamped(i + _step(a, fast=1), n),
            "Before the first mistake a right answer goes down by two; you always go by one.",
        ),
        Mistake(
            "always two down",
            lambda i, a, n: _clamped(i + _step(a, down=2), n),
            "You go down by two even after a mistake; from the first mistake on it is one.",
        ),
        Mistake(
            "only the last two answers",
            lambda i, a, n: _clamped(i + _step(a[-2:]), n),
            "You look for a mistake in the last two answers only; any earlier one counts.",
        ),
        Mistake(
            "one and two swapped",
            lambda i, a, n: _clamped(i + _step(a, down=2, fast=1), n),
            "One and two are swapped: two down as long as there was no mistake, one down afterwards.",
        ),
        Mistake(
            "first answer",
            lambda i, a, n: _clamped(i + (3 if not a[0] else _step(a)), n),
            "You look at the first answer; the newest is the last of the list, answers[-1].",
        ),
        Mistake(
            "any mistake goes up",
            lambda i, a, n: _clamped(i + (3 if not all(a) else -2), n),
            "You go up whenever there was a mistake at all; only the newest answer decides between up and down.",
        ),
        Mistake(
            "step returned",
            lambda i, a, n: _step(a),
            "You returned the step; add it to the level.",
        ),
    ],
    "Three cases: the newest answer is wrong (+3); right, and all were right (−2); right, but not all were (−1). Then keep the level "
    "between 0 and count − 1.",
    returns="number",
    like=0,
)
