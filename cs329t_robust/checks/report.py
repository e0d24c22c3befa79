"""The report that a student reads: a plain, deterministic text, and the same in a coloured box."""

from dataclasses import dataclass
from html import escape

from .message_wording import count

_COLOURS = {"done": "#009E73", "partly": "#E69F00", "wrong": "#D55E00", "open": "#7f7f7f"}
_SIGNS = {"done": "✓", "partly": "◐", "wrong": "✗", "open": "○"}
_WORDS = {"done": "solved", "partly": "partly right", "wrong": "not right yet"}


@dataclass(frozen=True)
class Outcome:
    """One probe's verdict: `problem` is empty when it passed."""

    name: str
    points: int
    problem: str = ""

    def __str__(self) -> str:
        sign, tail = ("✗", f": {self.problem}") if self.problem else ("✓", "")
        return f"{sign} {self.name} ({count(self.points, 'point')}){tail}"


@dataclass(frozen=True)
class Report:
    """The result of checking one exercise.

    Attributes
    ----------
    exercise, name : str
        "02.3" and "fgsm".
    score, points : int
        Points earned, and points possible.
    outcomes : tuple of Outcome
        One for each probe; empty when the answer could not be measured at all.
    diagnosis : tuple of str
        What the mistake is.
    notes : tuple of str
        Advice that costs nothing.
    hint : str
        Where to look next.
    attempted : bool
        False for an untouched stub.
    """

    exercise: str
    name: str
    score: int
    points: int
    outcomes: tuple[Outcome, ...] = ()
    diagnosis: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""
    attempted: bool = True

    @property
    def status(self) -> str:
        """One of open, done, partly, wrong."""
        if not self.attempted:
            return "open"
        return "done" if self.score == self.points else "partly" if self.score else "wrong"

    @property
    def head(self) -> str:
        """The first line, such as "✓ 02.3 fgsm: 5/5"."""
        result = f"{self.score}/{self.points}" if self.attempted else "not attempted yet"
        return f"{_SIGNS[self.status]} {self.exercise} {self.name}: {result}"

    @property
    def body(self) -> list[tuple[str, str]]:
        """The lines after the first, each with its kind: probe, cause, note or hint."""
        probes = [("probe", str(outcome)) for outcome in self.outcomes] if self.status != "done" else []
        causes = [("cause", f"→ {sentence}") for sentence in self.diagnosis]
        notes = [("note", f"Note. {sentence}") for sentence in self.notes]
        hints = [("hint", f"Hint. {self.hint}")] if self.hint else []
        return probes + causes + notes + hints

    def __str__(self) -> str:
        return "\n".join([self.head, *(f"    {text}" for _, text in self.body)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.status]
        word = f" — {_WORDS[self.status]}" if self.attempted else ""
        rows = "".join(
            f'<div style="margin:.35em 0 0 1.2em{";font-weight:600" if kind == "cause" else ""}">{escape(text)}</div>'
            for kind, text in self.body
        )
        return (
            f'<div style="border-left:6px solid {colour};background:{colour}1c;padding:.5em .9em;margin:.3em 0;'
            f'max-width:60em;line-height:1.45"><b>{escape(self.head)}</b>{word}{rows}</div>'
        )
