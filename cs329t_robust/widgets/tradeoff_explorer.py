"""Sliders over d, p, η and ε of the strong and weak features: closed forms computed in the browser, kernel-free."""

import html

from ..theory import StrongWeak
from ..theory.confidence_intervals import check_number
from .page import Page, build_page, to_json

SLIDERS = (
    {"name": "eps", "label": "ε, adversary's reach", "low": 0, "high": 0.99, "step": 0.01},
    {"name": "eta", "label": "η, lean of the weak", "low": 0.01, "high": 1, "step": 0.01},
    {"name": "p", "label": "p, strong one is right", "low": 0.5, "high": 0.99, "step": 0.01},
    {"name": "d", "label": "d, number of weak", "low": 0, "high": 4, "step": 0.02},
)


class TradeoffExplorer(Page):
    """The accuracy of standard and of adversarial training against ε, as d, p and η are moved.

    "Trained against this ε" is the linear classifier with equal weak weights that is best against ε, and "standard" the
    one that is best without an attack: `StrongWeak.best_ratio`. What is shown is one piece of HTML that computes by
    itself, so it also works in a notebook reopened without a kernel, and in exported HTML, offline.

    Parameters
    ----------
    model : StrongWeak
        Where the sliders start.
    eps : float in [0, 1)
    title : str

    Raises
    ------
    ValueError
        If a start lies off its slider.
    """

    def __init__(
        self,
        model: StrongWeak | None = None,
        eps: float = 0.6,
        title: str = "What does robustness cost? Move the sliders",
    ) -> None:
        self.model, self.title = model or StrongWeak(), title
        self.eps = check_number("eps", eps, 0, 0.99, closed="low high")
        check_number("eta", self.model.eta, 0.01, 1, closed="low high")
        check_number("p", self.model.p, 0.5, 0.99, closed="low high")
        check_number("d", self.model.d, 1, 10_000, closed="low high")

    def numbers(self) -> dict[str, float]:
        """Return what is shown at the start, computed in Python."""
        plain, tough = (self.model.mixed(self.model.best_ratio(eps)) for eps in (0.0, self.eps))
        return {
            "standard": self.model.accuracy(plain).item(),
            "standardRobust": self.model.accuracy(plain, self.eps).item(),
            "bestClean": self.model.accuracy(tough).item(),
            "best": self.model.accuracy(tough, self.eps).item(),
        }

    def __repr__(self) -> str:
        model = self.model
        return f"TradeoffExplorer: d = {model.d}, p = {model.p:g}, η = {model.eta:g}, ε = {self.eps:g}"

    def to_html(self) -> str:
        """Return the explorer as one self-contained piece of HTML, for any page."""
        start = {"d": self.model.d, "p": self.model.p, "eta": self.model.eta, "eps": self.eps}
        data = to_json({"title": self.title, "sliders": SLIDERS, "start": start})
        found = self.numbers()
        caption = (
            f"d = {self.model.d}, p = {self.model.p:g}, η = {self.model.eta:g}. Standard training: "
            f"{found['standard']:.1%} without attack, {found['standardRobust']:.1%} against ε = {self.eps:g}. Trained "
            f"against this ε: {found['bestClean']:.1%} and {found['best']:.1%}."
        )
        still, hint = f"<p>{html.escape(caption)}</p>", "Run this cell to move the sliders."
        return build_page("tradeoff", ["tradeoff_explorer"], data, title=self.title, still=still, hint=hint)
