"""An invisible widget that carries the answers of a seeing game from the page to Python."""

from collections.abc import Callable, Mapping
from importlib.resources import files

import anywidget
import traitlets


class Courier(anywidget.AnyWidget):
    """Hand every set of answers that the page of game `game` sends to `played`; nothing is shown."""

    _esm = (files(__package__) / "static" / "game_answers.js").read_text("utf-8")
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
