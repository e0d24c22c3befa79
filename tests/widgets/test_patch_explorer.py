"""The patch explorer's predictions are those of the pasted patch, and the page holds them all."""

import json
import re

import pytest
import torch
from conftest import draws

from cs329t_robust.attacks.physical.patches import place
from cs329t_robust.widgets.patch_explorer import PatchExplorer


def model(x):
    """Return logits that say which quarter of the picture is reddest; the fifth class is the default."""
    quarters = [x[:, 0, :12, :12], x[:, 0, :12, 12:], x[:, 0, 12:, :12], x[:, 0, 12:, 12:]]
    return torch.stack([*(50 * q.mean((1, 2)) for q in quarters), torch.full((len(x),), 5.0)], 1)


RED = torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 6, 6)


def explorer(**settings):
    x = torch.zeros(1, 3, 24, 24)
    return PatchExplorer(model, x, RED, **({"target": 3, "sizes": (6, 10), "places": 2, "shape": "square"} | settings))


def test_the_grid_is_what_the_model_says_of_the_pasted_patch():
    found = explorer()
    assert found.probabilities.argmax(3).tolist() == [[[0, 1], [2, 3]]] * 2
    assert found.share() == {6: 0.25, 10: 0.25}
    expected = model(place(torch.zeros(1, 3, 24, 24), RED, centre=(19.0, 5.0), size=10)).softmax(1)[0]
    torch.testing.assert_close(found.probabilities[1, 0, 1], expected)


def test_the_page_holds_every_prediction_and_no_address():
    found = explorer(class_names=["up left", "up right", "down left", "</script>", "nothing"])
    page = found.to_html()
    (text,) = re.findall(r'class="page-data">(.*?)</script>', page, re.S)
    data = json.loads(text)
    assert data == json.loads(json.dumps(found.data()))
    assert [len(size) for size in data["cells"]] == [2, 2]
    assert data["cells"][0][0][1][0][0] == 1
    assert data["clean"][0][0] == 4
    assert 3 in [c for c, _ in data["clean"]], "the target is always shown"
    assert data["places"] == [[3, 21], [5, 19]]
    assert data["classes"]["3"] == "</script>"
    assert "http" not in page.replace("http://www.w3.org", "")
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == "PatchExplorer: photograph; sizes 6, 10; 2×2 places; target </script>"
    assert bundle["text/html"] == page


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 7}, "target: expected a class from 0 to 4, got 7"),
        ({"places": 1}, "places: expected a whole number >= 2"),
        ({"sizes": ()}, "sizes: expected pixels"),
        ({"sizes": (30,)}, r"sizes: expected pixels in \(0, 24\]"),
        ({"shape": "star"}, "shape: expected"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        explorer(**settings)


def test_only_one_square_colour_picture():
    for shape in [(2, 3, 24, 24), (1, 1, 24, 24), (1, 3, 24, 20)]:
        with pytest.raises(ValueError, match="expected one square colour picture"):
            PatchExplorer(model, torch.rand(shape, generator=draws()), RED, target=0)
