"""Compare robustness curves: switch models on and off and read their values; holds its data, needs no kernel."""

import html
from collections.abc import Mapping

from ..evaluation.accuracy import Accuracy, Curve
from ..plots.figures import METHODS, curves, keyword
from .page import Page, build_page, data_address, figure_png, picture_tag, to_json

NOTE = "Move over the chart, or focus it and use the arrow keys, to read the values at one ε."
DASHES = ("", "9 4", "2 4", "9 4 2 4", "14 4", "5 3")
SHAPES = ("circle", "square", "up", "diamond", "cross", "down")


class CurveExplorer(Page):
    """Robustness curves of several models in one chart: choose the attack, switch models on and off, read values.

    What is shown is one piece of HTML that holds its data, so it also works in a notebook reopened without a kernel
    and in exported HTML, offline. Without scripts a picture and a table remain.

    Parameters
    ----------
    measured : mapping of an attack's name to a mapping of a model's name to its Curve
        Every attack with the same models, every curve with the same radii. A model's name starts with one of
        `plots.METHODS`, which gives its colour.
    chance : float in [0, 1]
        Accuracy of guessing, drawn as a dotted line.
    title : str

    Raises
    ------
    ValueError
        If there is nothing to draw, or the curves do not go together.

    Examples
    --------
    >>> CurveExplorer({"PGD": {"standard": curve, "pgd": other}})      # doctest: +SKIP
    """

    def __init__(
        self,
        measured: Mapping[str, Mapping[str, Curve]],
        *,
        chance: float = 0.1,
        title: str = "Accuracy under attack, by how the network was trained",
    ) -> None:
        self.measured = {attack: dict(models) for attack, models in measured.items()}
        if not self.measured or not all(self.measured.values()):
            raise ValueError("measured: expected attacks, each with the curves of at least one model, got none")
        if isinstance(chance, bool) or not 0 <= chance <= 1:
            raise ValueError(f"chance: expected an accuracy in [0, 1], got {chance!r}")
        self.chance, self.title = float(chance), title
        self.attacks = tuple(self.measured)
        first = next(iter(self.measured.values()))
        self.models, self.eps = tuple(first), next(iter(first.values())).eps
        for attack, models in self.measured.items():
            if tuple(models) != self.models:
                raise ValueError(
                    f"measured: expected the models {', '.join(self.models)} for {attack}, got {', '.join(models)}"
                )
            for name, curve in models.items():
                if curve.eps != self.eps:
                    raise ValueError(f"measured: expected the radii {self.eps} for {attack}, {name}, got {curve.eps}")
        for name in self.models:
            if keyword(name) not in METHODS:
                raise ValueError(f"measured: expected names that start with one of {', '.join(METHODS)}, got {name!r}")

    def __repr__(self) -> str:
        return (
            f"CurveExplorer: {', '.join(self.models)}; {', '.join(self.attacks)}; "
            f"{len(self.eps)} radii from {self.eps[0]:g} to {self.eps[-1]:g}"
        )

    def data(self) -> dict[str, object]:
        """Return what the page is drawn from; accuracies in per mille, with their 95% intervals."""
        return {
            "title": self.title, "note": NOTE, "chance": self.chance, "eps": [round(e, 6) for e in self.eps],
            "attacks": list(self.attacks),
            "n": [next(iter(models.values())).accuracy[0].n for models in self.measured.values()],
            "models": [
                {"name": name, "colour": METHODS[keyword(name)],
                 "dash": DASHES[i % len(DASHES)], "shape": SHAPES[i % len(SHAPES)]}
                for i, name in enumerate(self.models)
            ],
            "values": [
                [[_row(a) for a in curve.accuracy] for curve in models.values()] for models in self.measured.values()
            ],
        }  # fmt: skip

    def to_html(self) -> str:
        """Return the chart as one self-contained piece of HTML, for any page."""
        hint = "Run this cell to choose attacks and models."
        data = to_json(self.data())
        return build_page("curves", ["curve_explorer"], data, title=self.title, still=self._still(), hint=hint)

    def _still(self) -> str:
        """Return a picture and a table of the first attack, for readers without scripts."""
        attack, models = next(iter(self.measured.items()))
        png = figure_png(curves(models, chance=self.chance), dpi=72)
        head = "".join(f"<th>{e:g}</th>" for e in self.eps)
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{float(a):.0%}</td>' for a in curve.accuracy)}</tr>"
            for name, curve in models.items()
        )
        caption = f"Accuracy under {attack}, by ε"
        picture = picture_tag(data_address(png), f"{caption}; the table below has the numbers")
        return f"{picture}<table><caption>{html.escape(caption)}</caption><tr><th>ε</th>{head}</tr>{rows}</table>"


def _row(accuracy: Accuracy) -> list[int]:
    """Return an accuracy and its 95% interval in per mille."""
    return [round(1000 * float(value)) for value in (accuracy, *accuracy.interval)]
