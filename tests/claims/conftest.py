"""Claims that take no time: one that holds, one that does not, one that breaks."""

import pytest

from cs329t_robust.claims import ledger, ledger_page
from cs329t_robust.claims.ledger import Claim, share


def holding():
    return share(18, 20, "coins", setting="tossed | by hand", holds=True)


def failing():
    return share(1, 2000, "coins", setting="tossed", holds=False, note="They were heavy.")


def breaking():
    raise RuntimeError("no coin was left")


def claim(name, run):
    return Claim(f"90.{name}", f"Coins {name}.", "a paper, arXiv:0000.00000", "no number given", "they do", run)


@pytest.fixture
def three():
    return claim("land", holding), claim("float", failing), claim("vanish", breaking)


@pytest.fixture
def docs(three, tmp_path, monkeypatch):
    """Let the command know the three claims alone, and keep its rows in a folder of its own."""

    def chosen(lesson=None, only=None):
        return tuple(one for one in three if (only or one.id) == one.id and (lesson or one.lesson) == one.lesson)

    monkeypatch.setattr(ledger, "claims", chosen)
    monkeypatch.setattr(ledger_page.keep, "__defaults__", (tmp_path,))
    monkeypatch.setattr(ledger_page.kept, "__defaults__", (tmp_path,))
    return tmp_path
