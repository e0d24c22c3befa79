"""The answers of a seeing game, received from the page where it is played by an invisible widget."""

from collections.abc import Callable, Mapping

import anywidget
import traitlets

from .page import STATIC


class GameAnswers(anywidget.AnyWidget):
    """Call `played` with every set of answers that the page of game `game` sends; nothing is shown."""

    _esm = (STATIC / "game_answers.js").read_text("utf-8")
    game = traitlets.Unicode().tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    kept = traitlets.Int(0).tag(sync=True)

    def __init__(self, game: str, played: Callable[[Mapping[str, str]], None]) -> None:
        super().__init__(game=game)
        self._played = played

    @traitlets.observe("answers")
    def _arrived(self, change: Mapping[str, object]) -> None:
        if change["new"]:
            self._played(change["new"])
            self.kept += 1
