"""Each recipe trains; each inner maximum and loss is what its paper says."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from cs329t_robust import L2, Linf, pgd, robust_accuracy
from cs329t_robust.cli import train
from cs329t_robust.data import datasets
from cs329t_robust.models import networks
from cs329t_robust.training import recipes
from cs329t_robust.training.fit import fit
from cs329t_robust.training.recipes import RECIPES


@pytest.fixture(scope="module")
def digits():
    return datasets.mnist("train", 256)


def test_the_command_offers_every_recipe():
    assert sorted(train.METHODS) == sorted(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name, digits):
    model = networks.SmallCNN(seed=0)
    history = fit(model, *digits, epochs=1, batch_size=64, **RECIPES[name].settings())
    assert history[0].loss == history[0].loss
    assert any(
        not torch.equal(a, b) for a, b in zip(model.parameters(), networks.SmallCNN(seed=0).parameters(), strict=True)
    )


@pytest.mark.parametrize("name", ["standard", "gaussian", "masked"])
def test_a_radius_is_refused_where_there_is_none(name):
    with pytest.raises(ValueError, match=r"eps: expected none for a method without a radius, got 0\.2"):
        RECIPES[name].settings(0.2)


def test_another_radius():
    assert RECIPES["pgd"].settings(0.1)["threat"].eps == 0.1
    assert isinstance(RECIPES["pgd_l2"].settings(1.0)["threat"], L2)


def test_noise_has_its_size_and_is_not_clipped(digits):
    x, y = digits
    added = recipes.noise(networks.SmallCNN(seed=0), x, y, sigma=0.3, seed=0) - x
    assert float(added.std()) == pytest.approx(0.3, rel=0.01)
    assert float(added.mean()) == pytest.approx(0, abs=0.005)
    assert float((x + added).min()) < -0.5


def test_fast_steps_along_the_gradient_at_the_unclipped_start(digits):
    x, y = digits
    model, seen = networks.SmallCNN(seed=0), []

    def spy(images):
        seen.append(images.detach().clone())
        return model(images)

    x_adv = recipes.fast(spy, x, y, threat=Linf(0.3), seed=1)
    begun = seen[0]
    assert float((begun - x).abs().max()) <= 0.3 < float((begun - x).abs().max()) + 0.01
    assert float(begun.min()) < -0.25
    begun.requires_grad_()
    (grad,) = torch.autograd.grad(F.cross_entropy(model(begun), y), begun)
    expected = (begun - x + 0.375 * grad.sign()).clamp(-0.3, 0.3).add(x).clamp(0, 1).detach()
    assert torch.allclose(x_adv, expected, atol=1e-6)
    with pytest.raises(ValueError, match="expected Linf for a signed step"):
        recipes.fast(model, x, y, threat=L2(1.0))


def test_away_raises_the_divergence_within_the_threat(digits):
    x, y = digits
    model = networks.mnist_classifier()
    x_adv = recipes.trades_attack(model, x, y, threat=Linf(0.1), steps=7)
    assert float((x_adv - x).abs().max()) <= 0.1 + 1e-6
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1

    def apart(images):
        clean, other = model(x).softmax(1), model(images).softmax(1)
        return (clean * (clean.log() - other.log())).sum(1).mean().item()

    random = Linf(0.1).sample(x, torch.Generator().manual_seed(0))
    assert apart(x_adv) > 10 * apart(random) > 0


def test_trades_is_its_formula(digits):
    x, y = digits
    model = networks.mnist_classifier()
    x_adv = pgd(model, x, y, threat=Linf(0.1), steps=2)
    losses, logits = recipes.trades(model, x, x_adv, y, beta=6.0)
    p, q = model(x).softmax(1), model(x_adv).softmax(1)
    expected = -p.gather(1, y[:, None]).squeeze(1).log() + 6 * (p * (p.log() - q.log())).sum(1)
    assert torch.allclose(losses, expected, atol=1e-4)
    assert torch.equal(logits, model(x_adv))


def test_a_collapse_is_high_under_one_step_and_low_under_many():
    weak, strong = torch.tensor([0.4, 0.8, 0.9, 0.9]), torch.tensor([0.1, 0.7, 0.4, 0.0])
    assert recipes.first_collapse(weak, strong) == 3
    assert recipes.first_collapse(weak[:2], strong[:2]) is None


@pytest.mark.slow
def test_adversarial_training_makes_digits_robust():
    """3,000 images and 6 epochs at ε = 0.1 are enough to see it; standard training on as many is far below."""
    x, y = datasets.mnist("train", 3000)
    test = datasets.mnist("test", 300)
    attack, found = partial(pgd, steps=20, drop_adversarial=True), {}
    for name in ("standard", "fast"):
        model = networks.SmallCNN(seed=0)
        recipe = RECIPES[name]
        fit(model, x, y, epochs=6, **recipe.settings(0.1 if recipe.kind else None))
        found[name] = robust_accuracy(model, *test, attack, Linf(0.1))
    assert found["fast"] > found["standard"] + 0.2
