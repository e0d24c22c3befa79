"""One bar, where somebody looks, with a robust accuracy that only falls; and nothing where nobody does."""

from functools import partial

import pytest

from cs329t_robust import Linf, apgd, autoattack, pgd, robust_accuracy, square
from cs329t_robust.data import datasets
from cs329t_robust.models import networks
from cs329t_robust.runtime import progress_bar


@pytest.fixture
def shown(monkeypatch):
    """Pretend that somebody looks; return every bar that was made, as (name, total, [(position, words), …])."""
    import tqdm.auto

    bars = []

    class Bar:
        def __init__(self, *, total, desc, **_):
            self.n, self.words = 0.0, ""
            bars.append((desc, total, []))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def set_postfix_str(self, words, refresh):
            self.words = words

        def update(self, step):
            self.n += step
            bars[-1][2].append((self.n, self.words))

    monkeypatch.setattr(progress_bar, "wanted", lambda: True)
    monkeypatch.setattr(progress_bar, "EVERY", 0.0)
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    return bars


ATTACKS = [
    partial(pgd, steps=4, restarts=3, drop_adversarial=True),
    partial(apgd, steps=8, drop_adversarial=True),
    partial(square, queries=60),
    partial(square, queries=400, hope=0.9),
    partial(autoattack, version="fast"),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.func.__name__)
@pytest.mark.parametrize("parts", [False, True])
def test_one_bar_runs_to_its_end_and_the_bound_only_falls(shown, monkeypatch, attack, parts):
    if parts:
        monkeypatch.setattr("cs329t_robust.attacks.engine.batches.AT_ONCE", {"cpu": 7 * 784})
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 30)
    found = robust_accuracy(model, x, y, attack, Linf(0.3), batch_size=20)
    ((name, total, steps),) = shown
    assert name.startswith(attack.func.__name__)
    assert total == 30
    places = [place for place, _ in steps]
    assert places == sorted(places)
    assert places[-1] == pytest.approx(30)
    bounds = [float(words.split()[-1]) for _, words in steps]
    assert bounds == sorted(bounds, reverse=True)
    assert len(set(bounds)) > 1
    assert bounds[-1] >= float(found) - 1e-3


def test_an_attack_alone_has_a_bar_too(shown):
    square(networks.mnist_classifier(), *datasets.mnist("test", 10), threat=Linf(0.1), queries=20)
    assert [name for name, *_ in shown] == ["square"]


def test_the_bar_changes_no_result(shown, monkeypatch):
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 20)
    with_bar = apgd(model, x, y, threat=Linf(0.1), steps=10)
    monkeypatch.setattr(progress_bar, "wanted", lambda: False)
    assert apgd(model, x, y, threat=Linf(0.1), steps=10).equal(with_bar)


def test_an_attack_that_fails_leaves_no_listener(shown):
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 5)
    with pytest.raises(ValueError, match="steps"):
        pgd(model, x, y, threat=Linf(0.1), steps=-1)
    pgd(model, x, y, threat=Linf(0.1), steps=1)
    assert len(shown) == 2


@pytest.mark.parametrize("name", ["CI", "PYTEST_VERSION", "CS329T_PROGRESS"])
def test_silent_where_nobody_looks(monkeypatch, name):
    for other in ("CI", "PYTEST_VERSION", "CS329T_PROGRESS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert progress_bar.wanted()
    monkeypatch.setenv(name, "0")
    assert not progress_bar.wanted()


def test_a_table_shows_one_bar_for_its_rows_and_none_for_what_they_measure(shown, monkeypatch):
    import tqdm.auto

    written = []
    monkeypatch.setattr(tqdm.auto.tqdm, "write", lambda self, text: written.append(text), raising=False)
    model, (x, y) = networks.mnist_classifier(), datasets.mnist("test", 4)
    with progress_bar.rows("claims", 2) as done:
        for text in ("first", "second"):
            robust_accuracy(model, x, y, partial(pgd, steps=2), Linf(0.1))
            done(text)
    ((name, total, steps),) = shown
    assert (name, total, [place for place, _ in steps]) == ("claims", 2, [1, 2])
    assert written == ["first", "second"]


def test_a_table_is_only_printed_where_nobody_looks(capsys):
    with progress_bar.rows("claims", 1) as done:
        done("first")
    assert capsys.readouterr() == ("first\n", "")


def test_counting_is_asked_for_now_and_then(shown, monkeypatch):
    monkeypatch.setattr(progress_bar, "EVERY", 3600.0)
    counted = []
    with progress_bar.bar("work", 3):
        progress_bar._told[0] = -7200.0
        for i in range(9):
            progress_bar.tick(i / 9, lambda: counted.append(0) or 0)
    assert len(counted) == 1
