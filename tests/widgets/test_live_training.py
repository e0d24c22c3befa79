"""The live picture records every moment, is redrawn in place, and is silent outside Jupyter."""

from types import SimpleNamespace

import pytest

from cs329t_robust import Linf, fgsm
from cs329t_robust.data import datasets as data
from cs329t_robust.models import networks
from cs329t_robust.training.fit import Moment, fit
from cs329t_robust.widgets.live_training import LiveTraining


def moments(count, steps=100):
    return [Moment(20 * (i + 1), steps, 1.0, 0.5 + 0.1 * i, 0.1 * i) for i in range(count)]


def test_fit_hands_over_its_moments(capsys):
    live = LiveTraining("tiny")
    x, y = data.mnist("train", 512)
    fit(networks.SmallCNN(seed=0), x, y, inner=fgsm, threat=Linf(0.1), batch_size=16, epochs=2, watch=live)
    assert [moment.step for moment in live.moments] == [20, 40, 60]
    assert live.words().startswith("tiny: step 60 of 64, clean accuracy ")
    assert capsys.readouterr() == ("", "")


def test_the_figure_draws_both_accuracies_and_their_means():
    live = LiveTraining("both")
    assert live.words() == "both: nothing is recorded yet"
    for moment in moments(3):
        live(moment)
    (ax,) = live.figure().axes
    thin, thick = ax.lines[0], ax.lines[1]
    assert list(thin.get_ydata()) == pytest.approx([0.5, 0.6, 0.7])
    assert list(thick.get_ydata()) == pytest.approx([0.5, 0.55, 0.6])
    assert [text.get_text() for text in ax.get_legend().texts] == ["clean", "perturbed by the inner maximum"]
    assert live.words() == "both: step 60 of 100, clean accuracy 60%, perturbed accuracy 10%"


def test_one_picture_is_replaced_in_place_and_the_last_moment_is_always_drawn(monkeypatch):
    import IPython
    import IPython.display

    shown = []
    handle = SimpleNamespace(update=lambda data, **settings: shown.append(("update", data, settings)))

    def display(data, **settings):
        shown.append(("display", data, settings))
        return handle

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=True))
    monkeypatch.setattr(IPython.display, "display", display)
    live = LiveTraining("in place", every=1000)
    for moment in moments(5):
        live(moment)
    assert [kind for kind, _, _ in shown] == ["display", "update"]
    assert shown[0][1]["text/plain"] == shown[1][1]["text/plain"] == "LiveTraining: in place"
    assert shown[1][2]["metadata"]["image/png"]["alt"] == live.words()
    assert shown[0][1]["image/png"] != shown[1][1]["image/png"]


@pytest.mark.parametrize("every", [-1, True, float("nan")])
def test_every_is_seconds(every):
    with pytest.raises(ValueError, match="every: expected seconds >= 0"):
        LiveTraining("x", every=every)
