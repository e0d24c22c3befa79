"""The chart of robustness curves holds what was measured, and refuses curves that do not go together."""

import json
import re

import pytest
import torch

from cs329t_robust.evaluation.accuracy import Accuracy, Curve
from cs329t_robust.widgets.curve_explorer import CurveExplorer

EPS = (0.0, 0.1, 0.3)


def curve(*rights, eps=EPS, n=200):
    return Curve(eps, tuple(Accuracy(torch.arange(n) < right, "pgd", "Linf") for right in rights))


def measured():
    return {
        "PGD": {"standard": curve(198, 40, 0), "pgd, </script>": curve(190, 185, 171)},
        "FGSM": {"standard": curve(198, 90, 10), "pgd, </script>": curve(190, 187, 180)},
    }


def test_the_page_holds_every_value_with_its_interval_and_no_address():
    explorer = CurveExplorer(measured(), title="<b>")
    page = explorer.to_html()
    (text,) = re.findall(r'class="page-data">(.*?)</script>', page, re.S)
    data = json.loads(text)
    assert data == json.loads(json.dumps(explorer.data()))
    assert data["eps"] == list(EPS)
    assert [[row[0] for row in model] for model in data["values"][0]] == [[990, 200, 0], [950, 925, 855]]
    value, low, high = data["values"][1][0][1]
    assert (value, low, high) == (450, 383, 519)  # Wilson: 90 of 200
    assert data["n"] == [200, 200]
    assert [model["name"] for model in data["models"]] == ["standard", "pgd, </script>"]
    assert len({model["colour"] for model in data["models"]}) == 2
    assert len({model["shape"] for model in data["models"]}) == 2
    assert "&lt;b&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert len(page) < 150_000


def test_without_scripts_a_picture_and_a_table_remain():
    page = CurveExplorer(measured()).to_html()
    still = page.split('class="page-static">')[1].split("<script")[0]
    assert 'alt="Accuracy under PGD' in still
    assert "data:image/png;base64," in still
    assert "<td>99%</td><td>20%</td><td>0%</td>" in still


def test_jupyter_gets_html_and_everything_else_a_line():
    bundle = CurveExplorer(measured())._repr_mimebundle_()
    assert bundle["text/plain"] == "CurveExplorer: standard, pgd, </script>; PGD, FGSM; 3 radii from 0 to 0.3"
    assert bundle["text/html"].startswith('<div class="cs329t-page cs329t-curves">')


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({}, "expected attacks, each with the curves of at least one model"),
        ({"PGD": {}}, "expected attacks, each with the curves of at least one model"),
        ({"PGD": {"pgd": curve(9, 8, 7)}, "FGSM": {"fgsm": curve(9, 8, 7)}}, "the models pgd for FGSM, got fgsm"),
        ({"PGD": {"pgd": curve(9, 8, 7), "fast": curve(9, 8, eps=(0, 1))}}, r"radii \(0.0, 0.1, 0.3\) for PGD, fast"),
        ({"PGD": {"mine": curve(9, 8, 7)}}, "start with one of standard, .*got 'mine'"),
    ],
)  # fmt: skip
def test_curves_that_do_not_go_together(measured, message):
    with pytest.raises(ValueError, match=message):
        CurveExplorer(measured)


@pytest.mark.parametrize("chance", [-0.1, 1.5, True])
def test_chance_is_an_accuracy(chance):
    with pytest.raises(ValueError, match="chance: expected an accuracy"):
        CurveExplorer(measured(), chance=chance)
