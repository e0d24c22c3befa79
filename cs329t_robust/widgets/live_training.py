"""Watch a network learn: a picture of clean and perturbed accuracy that is redrawn while `fit` trains."""

import base64
import time

from matplotlib.figure import Figure

from ..plots.figures import COLOURS, WIDTH
from ..training.fit import Moment
from .page import figure_png

SMOOTH = 5  # moments averaged in the thick lines


class LiveTraining:
    """Show both accuracies as they move: ``fit(model, x, y, …, watch=LiveTraining("FGSM training"))``.

    The picture is a PNG that is replaced in place, so the last one stays in the notebook when the kernel is gone, and
    in exported HTML. Elsewhere than in Jupyter nothing is shown, but `figure` draws what was recorded.

    Parameters
    ----------
    title : str
    every : float >= 0
        Seconds between two pictures. Each takes about a tenth of a second, which is not spent on training.

    Attributes
    ----------
    moments : list of Moment
        What `fit` reported: for every 20th batch its clean and its perturbed accuracy.

    Raises
    ------
    ValueError
        If `every` is no number of seconds >= 0.
    """

    def __init__(self, title: str, *, every: float = 1.0) -> None:
        if isinstance(every, bool) or not every >= 0:
            raise ValueError(f"every: expected seconds >= 0 between two pictures, got {every!r}")
        self.title, self.every = title, float(every)
        self.moments: list[Moment] = []
        self._handle, self._drawn = None, -float("inf")

    def __call__(self, moment: Moment) -> None:
        """Record a moment, and redraw if it is time or the training is about to end."""
        self.moments.append(moment)
        gap = moment.step - self.moments[-2].step if len(self.moments) > 1 else moment.step
        last = moment.step + gap > moment.steps
        if last or time.monotonic() - self._drawn >= self.every:
            self._show()
            self._drawn = time.monotonic()

    def __repr__(self) -> str:
        return f"LiveTraining: {self.title}"

    def words(self) -> str:
        """Say in a sentence where training stands."""
        if not self.moments:
            return f"{self.title}: nothing is recorded yet"
        now = self.moments[-1]
        clean, perturbed = (_smooth([getattr(m, key) for m in self.moments])[-1] for key in ("clean", "robust"))
        where = f"{self.title}: step {now.step} of {now.steps}"
        return f"{where}, clean accuracy {clean:.0%}, perturbed accuracy {perturbed:.0%}"

    def figure(self) -> Figure:
        """Draw all moments so far: thin lines are single batches, thick ones the mean of the last five."""
        fig = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        ax = fig.subplots()
        steps = [moment.step for moment in self.moments]
        kinds = (("clean", "clean", "o", "-"), ("robust", "adversarial", "s", "--"))
        for key, colour, marker, dash in kinds:
            values = [getattr(moment, key) for moment in self.moments]
            ax.plot(steps, values, color=COLOURS[colour], linewidth=0.8, alpha=0.35)
            label = "clean" if key == "clean" else "perturbed by the inner maximum"
            ax.plot(steps, _smooth(values), dash, color=COLOURS[colour], linewidth=2.2, label=label)
            if values:
                ax.plot(steps[-1], _smooth(values)[-1], marker, color=COLOURS[colour], markersize=7)
        total = self.moments[-1].steps if self.moments else 1
        ax.set(xlim=(0, total * 1.02), ylim=(0, 1.02), xlabel="training step", ylabel="accuracy on the batch")
        ax.set_title(self.title, fontsize=10)
        ax.legend(frameon=False, loc="lower right", title=f"thin: one batch; thick: mean of {SMOOTH}")
        ax.spines[["top", "right"]].set_visible(False)
        return fig

    def _show(self) -> None:
        try:
            from IPython import get_ipython
        except ImportError:
            return
        shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):
            return
        from IPython.display import display

        png = figure_png(self.figure(), dpi=100)
        # the text is the same from first to last, because nbval sees the first one only
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": repr(self)}
        metadata = {"image/png": {"alt": self.words()}}
        if self._handle is None:
            self._handle = display(data, raw=True, metadata=metadata, display_id=True)
        else:
            self._handle.update(data, raw=True, metadata=metadata)


def _smooth(values: list[float]) -> list[float]:
    """Return each value's mean with the few before it."""
    return [sum(part) / len(part) for i in range(len(values)) for part in [values[max(0, i - SMOOTH + 1) : i + 1]]]
