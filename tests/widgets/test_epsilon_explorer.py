"""The epsilon explorer's numbers against a linear model, whose flipping radius is known, and its payload."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch

from cs329t_robust.data.datasets import mnist
from cs329t_robust.models.networks import LinearModel, mnist_classifier
from cs329t_robust.widgets.epsilon_explorer import EpsilonExplorer

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def linear():
    """A two-class linear model on 4x4 grey images around 0.5, far enough from the box's faces to ignore them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 16, generator=generator)
    x = 0.5 + 0.05 * torch.randn(3, 1, 4, 4, generator=generator)
    model = LinearModel(weight, -(weight @ torch.full((16,), 0.5)))
    return model, x, model(x).argmax(1)


def unpack(html):
    """Read the page's data block as `page.js` does: the header and the body."""
    packed = re.search(r'class="page-data">([^<]*)</script>', html)[1]
    block = zlib.decompress(base64.b64decode(packed))
    end = 4 + int.from_bytes(block[:4], "little")
    return json.loads(block[4:end]), block[end:]


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize(("norm", "p"), [("Linf", torch.inf), ("L2", 2)])
def test_flip_eps_is_the_first_step_past_the_known_boundary(linear, attack, norm, p):
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, attacks=(attack,), norms=(norm,), eps_max={norm: 0.4}, levels=400)
    for image, distance in enumerate(model.distance(x, y, p).tolist()):
        assert 0 < distance < 0.4
        flip = explorer.flip_eps(image, attack, norm)
        search = 0.03 * distance if attack == "pgd" else 0  # 20 steps from a random start end near the best point
        assert distance - 1e-4 <= flip <= distance + 0.001 + search + 1e-4


def test_a_target_flips_where_the_other_class_is_reached(linear):
    model, x, y = linear
    other = 1 - int(y[0])
    explorer = EpsilonExplorer(model, x[:1], y[:1], attacks=("pgd",), norms=("Linf",), targets=(other,))
    assert explorer.flip_eps(target=other) == explorer.flip_eps() is not None
    assert explorer.prediction(explorer.flip_eps(), target=other)[0] == other


def test_no_flip_is_none_and_said(linear):
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, eps_max={"Linf": 1e-4, "L2": 1e-4})
    assert explorer.flip_eps() is None
    assert all("No flip up to ε" in view["summary"] for view in unpack(explorer.to_html())[0]["views"])


def test_a_flip_that_a_larger_eps_undoes_is_said():
    """A model that mistakes only mid-sized brightness: the summary must not claim that the flip stays."""

    def bump(images):
        mean = images.flatten(1).mean(1)
        return torch.stack([torch.full_like(mean, 0.02), 0.04 - (mean - 0.6).abs()], 1)

    x, y = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    explorer = EpsilonExplorer(bump, x, y, attacks=("fgsm",), norms=("Linf",), eps_max={"Linf": 0.2}, levels=20)
    (view,) = unpack(explorer.to_html())[0]["views"]
    assert view["flipped"] != sorted(view["flipped"])
    assert "Not for good" in view["summary"]


def test_noise_has_the_full_size_and_the_same_signs(linear):
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, attacks=("noise",), eps_max={"Linf": 0.1, "L2": 0.1}, levels=4)
    for norm, order in (("Linf", torch.inf), ("L2", 2)):
        delta = explorer._ladder(0, "noise", norm, None).delta.flatten(1)
        torch.testing.assert_close(delta.norm(order, dim=1), explorer.ladder(norm), atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(delta[4], 4 * delta[1], atol=1e-6, rtol=1e-4)


def test_the_payload_draws_the_attack(linear):
    """Clean bytes, perturbation frames (chained or not) and probabilities come back within their rounding."""
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, targets=(0,), levels=6, eps_max={"Linf": 0.1, "L2": 0.4})
    header, body = unpack(explorer.to_html())
    assert {view["chained"] for view in header["views"]} == {True, False}
    assert len(header["views"]) == len(explorer._ladders)
    for view, (key, ladder) in zip(header["views"], explorer._ladders.items(), strict=True):
        frames = np.frombuffer(body, np.int8, 6 * 16, view["framesAt"]).reshape(6, 16)
        if view["chained"]:
            frames = frames.cumsum(0)
        step = np.array(view["step"][1:])[:, None]
        drawn = frames * step
        assert np.abs(drawn - ladder.delta[1:].flatten(1).numpy()).max() <= step.max() / 2 + 1e-6
        p = np.frombuffer(body, "<u2", 7 * 2, view["pAt"]).reshape(7, 2) / 65535
        assert np.abs(p - ladder.probabilities.numpy()).max() < 1e-4
        clean = np.frombuffer(body, np.uint8, 16, header["images"][key[0]]["offset"])
        assert np.abs(clean / 255 - x[key[0]].flatten().numpy()).max() <= 0.5 / 255 + 1e-6


def test_mnist_is_small_quick_and_the_same_twice():
    x, y = mnist("test", 4)
    explorer = EpsilonExplorer(mnist_classifier(), x, y, targets=(3, 8))
    assert explorer.flip_eps(0, "noise") is None
    assert 0.02 <= explorer.flip_eps(0, "pgd") <= 0.2
    page = explorer.to_html()
    assert len(page) <= 1.5 * MEGABYTE
    assert page == EpsilonExplorer(mnist_classifier(), x, y, targets=(3, 8)).to_html()


def test_a_photograph_sized_explorer_stays_within_four_megabytes():
    """The worst case of an attack's pattern: unlike at every radius, on noise that no compressor can shorten."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 224, 224, generator=generator)
    weight = torch.randn(1000, 64, generator=generator)

    def model(images):
        return torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True).sin(), 28).flatten(1) @ weight.T

    settings = {"norms": ("Linf",), "levels": 12, "steps": 2, "targets": (7,), "denominator": 255}
    explorer = EpsilonExplorer(model, x, model(x).argmax(1), **settings)
    assert len(explorer.to_html()) <= 4 * MEGABYTE
    header, _ = unpack(explorer.to_html())
    assert header["norms"][0]["eps"][-1] == "8/255"
    assert all(len(view["rows"]) == 10 and view["other"] for view in header["views"])


def test_text_is_deterministic_and_without_scripts_a_picture_shows(linear):
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, class_names=("a<b", "c"), title="T & U")
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == (
        "EpsilonExplorer: 3 images; fgsm, pgd, noise; target: any wrong class; eps up to 0.24 (Linf) and 3.60 (L2)"
    )
    still = bundle["text/html"].split("<script")[0]
    assert "Run this cell to make the slider live." in still
    assert 'src="data:image/png;base64,' in still
    assert "T &amp; U" in still
    assert "a<b" not in still
    assert "http" not in re.sub(r"<style>.*?</style>", "", still)


def test_start_chooses_the_first_view(linear):
    model, x, y = linear
    explorer = EpsilonExplorer(model, x, y, start={"image": 2, "attack": "fgsm", "norm": "L2", "eps": 1.5})
    start = unpack(explorer.to_html())[0]["start"]
    assert start == {"image": 2, "attack": 0, "norm": 1, "target": 0, "position": 10}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ("cw",)}, "attacks: expected different members of 'fgsm', 'pgd', 'noise'"),
        ({"attacks": ()}, "attacks: expected"),
        ({"norms": ("L1",)}, "norms: expected"),
        ({"targets": (2,)}, "targets: expected different members of 0 to 1"),
        ({"eps_max": {"Linf": -0.1}}, "eps_max: expected a number > 0 for Linf"),
        ({"eps_max": {"inf": 0.1}}, "eps_max: expected keys among Linf, L2"),
        ({"levels": 0}, "levels: expected a whole number >= 1"),
        ({"steps": 1.5}, "steps: expected"),
        ({"class_names": ("a",)}, "class_names: expected 2 names, got 1"),
        ({"image_names": ("a",)}, "image_names: expected 3 names, got 1"),
        ({"denominator": 0}, "denominator: expected"),
        ({"start": {"eps": 9.0}}, "eps: expected a number from 0"),
        ({"start": {"picture": 1}}, "start: expected some of image"),
        ({"start": {"image": 7}}, "expected image 0 to 2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_a_clear_value_error(linear, change, message):
    model, x, y = linear
    with pytest.raises(ValueError, match=re.escape(message)):
        EpsilonExplorer(model, x, y, **change)


def test_bad_images_labels_and_questions_are_clear_value_errors(linear):
    model, x, y = linear
    with pytest.raises(ValueError, match="pixel values in"):
        EpsilonExplorer(model, x * 3, y)
    with pytest.raises(ValueError, match="one label for each"):
        EpsilonExplorer(model, x, y[:1])
    with pytest.raises(ValueError, match="below the model's 2 classes"):
        EpsilonExplorer(model, x, y + 2)
    with pytest.raises(ValueError, match=r"grey .* or colour"):
        EpsilonExplorer(lambda z: z.flatten(1) @ torch.ones(32, 2), x.repeat(1, 2, 1, 1), y)
    explorer = EpsilonExplorer(model, x, y, levels=2, steps=1)
    with pytest.raises(ValueError, match="noise aims at no class"):
        explorer.flip_eps(attack="noise", target=1)
    with pytest.raises(ValueError, match="norm: expected one of Linf, L2"):
        explorer.ladder("L0")
    with pytest.raises(ValueError, match="top of the ladder"):
        explorer.prediction(0.5)
