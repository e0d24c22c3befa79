"""A game for a notebook that measures how small a change its player notices, in each norm, beside the model's.

Two pictures, one changed; say which. A staircase (`staircase.py`) makes the change smaller until the player errs.

>>> game = photographs_game()          # from cs329t_robust.widgets; any pictures: SeeingGame(...)     # doctest: +SKIP
>>> game                               # last line of a cell: play it                                # doctest: +SKIP
>>> game.results                       # afterwards: {"Linf": Threshold(size=0.035, ...), ...}       # doctest: +SKIP
>>> print(game.summary())              # "Linf. The model breaks at 0.5/255, you notice at 9/255: …" # doctest: +SKIP

How the result is kept. The game is one piece of HTML that needs no kernel. While a kernel runs, an invisible widget
hands the answers to Python, which fills `results` and writes the game's output again with the answers in it: saved
with the notebook, they are there when it is opened without a kernel, on another machine, or as exported HTML. Without
a kernel the page offers a line, ``game.take({...})``, to copy into a cell. With ``keep="a_file.json"`` the answers also
go into that file, and running the cell again brings them back.
"""

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..contract.input_validation import check_count
from ..perception.staircase import TRIALS, Observer, Staircase, Threshold
from .page import build_page
from .seeing_game_pictures import Changes

LABELS = {
    "Linf": "Linf: every value a little",
    "L2": "L2: all together, by length",
    "L1": "L1: the sum of all changes",
    "L0": "L0: a few pixels, by any amount",
}


class SeeingGame:
    """Two pictures, one changed: find the smallest change that the player notices in each norm.

    Parameters
    ----------
    pictures, perturbations, eps, order
        As in `Changes`: pictures (n, c, h, w) in [0, 1]; for each norm a perturbation of each and a ladder of sizes.
    model_thresholds : mapping of norm to float or None
        The size at which the model breaks; None (or infinity) where it did not.
    denominators : mapping of norm to int, optional
        Write sizes of a norm as k/denominator, such as {"Linf": 255}.
    title : str
    trials : int >= 4
        Most pairs in each norm.
    seconds : float, optional
        Time that a pair is visible; unlimited when not given.
    blank : float
        Seconds of grey between pairs, without which a change would be seen to flicker.
    seed : int, optional
        Sides and order follow from it; they differ from play to play when not given.
    keep : path, optional
        A small JSON file that keeps the answers, beside the notebook.

    Attributes
    ----------
    results : dict of norm to Threshold
        Empty until the game was played to its end.
    answers : dict of norm to str
        What was answered, in order: "1" for a right choice.

    Raises
    ------
    ValueError
        If an argument is unusable; the message says what was expected, what came and the likely fix.
    """

    def __init__(
        self,
        pictures: Tensor,
        perturbations: Mapping[str, Tensor],
        eps: Mapping[str, Sequence[float]],
        model_thresholds: Mapping[str, float | None],
        *,
        order: Tensor | None = None,
        denominators: Mapping[str, int] | None = None,
        title: str = "The seeing game: which picture was changed?",
        trials: int = TRIALS,
        seconds: float | None = None,
        blank: float = 0.4,
        seed: int | None = None,
        keep: str | Path | None = None,
    ) -> None:
        self.changes = Changes(pictures, perturbations, eps, order)
        self.norms, self.eps = self.changes.norms, self.changes.eps
        for norm in self.norms:
            Staircase(self.eps[norm], trials=trials)  # complains of a ladder that does not ascend
        if set(model_thresholds) != set(self.norms):
            raise ValueError(
                f"model_thresholds: expected one for each of {list(self.norms)}, got {list(model_thresholds)}"
            )
        if seconds is not None and not seconds > 0:
            raise ValueError(f"seconds: expected a time > 0, or None for no limit, got {seconds!r}")
        if not 0 <= blank <= 5:
            raise ValueError(f"blank: expected seconds from 0 to 5, got {blank!r}")
        if seed is not None:
            check_count("seed", seed, 0)
        found = {norm: model_thresholds[norm] for norm in self.norms}
        self.model_thresholds = {n: None if v is None or v == float("inf") else float(v) for n, v in found.items()}
        if any(value is not None and not value > 0 for value in self.model_thresholds.values()):
            raise ValueError(f"model_thresholds: expected sizes > 0, got {dict(model_thresholds)}")
        self.denominators = dict.fromkeys(self.norms, 1) | dict(denominators or {})
        self.title, self.trials, self.seconds, self.blank, self.seed = title, trials, seconds, blank, seed
        self.answers: dict[str, str] = {}
        self.results: dict[str, Threshold] = {}
        self._listener: object = None
        about = json.dumps([title, self.eps, trials]).encode() + self.changes.clean.tobytes()
        self.id = hashlib.sha256(about).hexdigest()[:12]
        self._keep = None if keep is None else Path(keep)
        if self._keep and self._keep.exists():
            self._recall()

    def take(self, answers: Mapping[str, str]) -> None:
        """Take the answers of a finished game, as the page gives them.

        Raises
        ------
        ValueError
            If they are not those of a finished game with this one's norms and ladders.
        """
        if set(answers) != set(self.norms):
            raise ValueError(f"answers: expected one text for each of {list(self.norms)}, got {list(answers)}")
        replayed = {}
        for norm in self.norms:
            text = answers[norm]
            if not isinstance(text, str) or not text or set(text) - {"0", "1"}:
                raise ValueError(f"answers: expected digits 0 and 1 for {norm}, got {text!r}")
            replayed[norm] = Staircase.replay(self.eps[norm], [one == "1" for one in text], trials=self.trials)
            if not replayed[norm].done:
                raise ValueError(f"answers: expected a finished game, got {len(text)} answers for {norm}")
        self.answers = {norm: answers[norm] for norm in self.norms}
        self.results = {norm: replayed[norm].threshold for norm in self.norms}
        if self._keep:
            self._keep.write_text(json.dumps({"game": self.id, "answers": self.answers}) + "\n", "utf-8")

    def simulate(self, observers: Mapping[str, Observer]) -> None:
        """Let a simulated observer for each norm play the game to its end."""
        played = {}
        for norm in self.norms:
            stairs = Staircase(self.eps[norm], trials=self.trials)
            observers[norm].climb(stairs)
            played[norm] = "".join("1" if right else "0" for _, right in stairs.answers)
        self.take(played)

    def _recall(self) -> None:
        """Bring back the answers from the file, if they are this game's."""
        try:
            kept = json.loads(self._keep.read_text("utf-8"))
            if kept["game"] == self.id:
                self.take(kept["answers"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"keep: expected the answers of a game in {self._keep.name}, got a file that holds none; delete it"
            ) from error

    def say(self, norm: str, size: float) -> str:
        """Write a size in a norm's own unit, with two digits: "9.2/255", "0.083", "12 pixels"."""
        if norm == "L0":
            pixels = int(size + 0.5)
            return "1 pixel" if pixels == 1 else f"{pixels} pixels"
        value = _two_digits(size * self.denominators[norm])
        return value if self.denominators[norm] == 1 else f"{value}/{self.denominators[norm]}"

    def sentence(self, norm: str) -> str:
        """Say what was found in a norm, beside the model's threshold."""
        found, model, say = self.results[norm], self.model_thresholds[norm], lambda size: self.say(norm, size)
        breaks = "the model did not break" if model is None else f"the model breaks at {say(model)}"
        if found.where == "above":
            return f"You did not notice even {say(self.eps[norm][-1])}; {breaks}."
        if found.where == "below":
            return f"You noticed even the smallest, {say(self.eps[norm][0])}; {breaks}."
        start = f"{breaks[0].upper()}{breaks[1:]}, you notice at {say(found.size)}"
        if model is None:
            return f"{start}."
        if (found.low is None or found.low <= model) and (found.high is None or model <= found.high):
            return f"{start}: too close to tell apart with so few pairs."
        ratio = _two_digits(max(found.size / model, model / found.size))
        if model < found.size:
            return f"{start}: it breaks at a change {ratio} times smaller than you notice."
        return f"{start}: you notice a change {ratio} times smaller than breaks it."

    def summary(self) -> str:
        """Return a line for each norm, or that the game was not played yet."""
        if not self.results:
            return "Not played yet: play the game above to its end, then run this cell again."
        return "\n".join(f"{norm}. {self.sentence(norm)}" for norm in self.norms)

    def __repr__(self) -> str:
        n, pairs = len(self.changes.clean), self.trials * len(self.norms)
        played = "played" if self.results else "not played yet"
        return (
            f"SeeingGame: {n} picture{'s' if n > 1 else ''}; {', '.join(self.norms)}; at most {pairs} pairs; {played}"
        )

    def _ipython_display_(self) -> None:
        """Show the game, and listen for its end where a kernel can."""
        from IPython.display import display

        if self._listener is None:
            from .game_answers import GameAnswers

            self._listener = GameAnswers(self.id, self._played)
        display({"text/plain": repr(self), "text/html": self.to_html()}, raw=True, display_id=self.id)

    def _played(self, answers: Mapping[str, str]) -> None:
        """Take the answers that the page sent, and write the output again with them in it."""
        from IPython.display import update_display

        self.take(answers)
        update_display({"text/plain": repr(self), "text/html": self.to_html()}, raw=True, display_id=self.id)

    @cached_property
    def data(self) -> str:
        """What the page is played from, packed as `Changes.pack` says."""
        header = {
            "title": self.title, "id": self.id, "trials": self.trials, "seconds": self.seconds, "blank": self.blank,
            "seed": self.seed,
        }  # fmt: skip
        norms = [
            {
                "name": norm, "label": LABELS[norm], "levels": list(self.eps[norm]),
                "model": self.model_thresholds[norm], "denominator": self.denominators[norm],
            }
            for norm in self.norms
        ]  # fmt: skip
        return self.changes.pack(header, norms)

    def to_html(self) -> str:
        """Return the game as one self-contained piece of HTML, with the answers if it was played."""
        told = "".join(f"<li>{html.escape(line)}</li>" for line in self.summary().splitlines()) if self.results else ""
        said = f"<p>What was seen:</p><ul>{told}</ul>" if told else "<p>Two pictures, one changed: say which.</p>"
        return build_page(
            "game", ["staircase", "seeing_game"], self.data,
            title=self.title, still=said, hint="Run this cell to play.", themed=True,
            extra=f'<script type="application/json" class="cg-answers">{json.dumps(self.answers or None)}</script>',
        )  # fmt: skip


def _two_digits(value: float) -> str:
    """Write a number > 0 with two digits, halves rounded up as in JavaScript: "4.3" for 4.25."""
    exact = Decimal(value)
    return f"{float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1), ROUND_HALF_UP)):.12g}"
