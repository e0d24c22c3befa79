"""The trade-off explorer's page: what it starts with, that it needs nothing else, and what it refuses."""

import json
import re

import pytest

from cs329t_robust.theory import StrongWeak
from cs329t_robust.widgets.tradeoff_explorer import SLIDERS, TradeoffExplorer


def test_the_page_holds_its_start_and_no_address():
    found = TradeoffExplorer(StrongWeak(50, 0.9, 0.25), 0.5, title="a </script> title")
    page = found.to_html()
    (text,) = re.findall(r'class="page-data">(.*?)</script>', page, re.S)
    data = json.loads(text)
    assert data["start"] == {"d": 50, "p": 0.9, "eta": 0.25, "eps": 0.5}
    assert data["title"] == "a </script> title"
    assert [row["name"] for row in data["sliders"]] == [row["name"] for row in SLIDERS]
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    bundle = found._repr_mimebundle_()
    assert bundle == {"text/plain": "TradeoffExplorer: d = 50, p = 0.9, η = 0.25, ε = 0.5", "text/html": page}


def test_without_scripts_the_numbers_of_the_start_are_told():
    page = TradeoffExplorer().to_html()
    assert "99.9% without attack" in page
    assert "against ε = 0.6. Trained against this ε: 95.0% and 95.0%." in page
    found = TradeoffExplorer().numbers()
    assert found["standard"] > 0.999
    assert found["standardRobust"] < 0.02
    assert found["best"] == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("model", "eps", "message"),
    [
        (StrongWeak(), 1.0, r"eps: expected a number in \[0, 0.99\], got 1.0"),
        (StrongWeak(eta=1.5), 0.5, "eta: expected a number"),
        (StrongWeak(p=0.999), 0.5, "p: expected a number"),
        (StrongWeak(d=20_000), 0.5, "d: expected a number"),
    ],
)
def test_a_start_off_its_slider_is_told(model, eps, message):
    with pytest.raises(ValueError, match=message):
        TradeoffExplorer(model, eps)
