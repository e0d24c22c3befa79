"""Losses against their formulas in NumPy."""

import numpy as np
import pytest
import torch

from cs329t_robust import losses

ALL = [losses.cross_entropy, losses.margin, losses.dlr, losses.squared_penalty]


def batch(classes=6, n=40):
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (n,), generator=generator)


def formulas(z, y):
    """One row's cross-entropy, margin, DLR and squared penalty, written out."""
    p = np.exp(z) / np.exp(z).sum()
    other = max(z[j] for j in range(len(z)) if j != y)
    ordered = np.sort(z)[::-1]
    return -np.log(p[y]), other - z[y], (other - z[y]) / (ordered[0] - ordered[2]), ((p - np.eye(len(z))[y]) ** 2).sum()


def test_losses_equal_their_formulas():
    logits, y = batch()
    expected = np.array([formulas(z, t) for z, t in zip(logits.numpy(), y.tolist(), strict=True)]).T
    for loss, values in zip(ALL, expected, strict=True):
        np.testing.assert_allclose(loss(logits, y), values, rtol=1e-9)


def test_the_margin_is_positive_exactly_when_y_is_not_predicted():
    logits, y = batch()
    assert torch.equal(losses.margin(logits, y) > 0, logits.argmax(1) != y)


def test_dlr_does_not_change_with_shift_or_scale():
    logits, y = batch()
    torch.testing.assert_close(losses.dlr(1000 * logits - 17, y), losses.dlr(logits, y))


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_any_number_of_classes(loss, classes):
    logits, y = batch(classes)
    values = loss(logits.requires_grad_(), y)
    assert values.shape == y.shape
    assert values.isfinite().all()
    assert torch.autograd.grad(values.sum(), logits)[0].isfinite().all()


def test_with_two_classes_dlr_is_the_margin_so_that_it_can_be_climbed():
    logits, y = batch(2)
    torch.testing.assert_close(losses.dlr(logits, y), losses.margin(logits, y))
    torch.testing.assert_close(losses.targeted_dlr(logits, y, 1 - y), losses.margin(logits, y))


@pytest.mark.parametrize("classes", [2, 3, 4, 10, 1000])
def test_targeted_dlr_is_equation_7_and_positive_once_the_target_is_ahead(classes):
    logits, y = batch(classes)
    target = (y + 1) % classes
    got = losses.targeted_dlr(logits, y, target)
    rows = torch.arange(len(y))
    gap = logits[rows, target] - logits[rows, y]
    assert ((got > 0) == (gap > 0)).all()
    if classes >= 4:
        ordered = logits.sort(1, descending=True).values
        torch.testing.assert_close(got, gap / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2))
        torch.testing.assert_close(losses.targeted_dlr(1000 * logits - 17, y, target), got)


@pytest.mark.parametrize("loss", ALL)
def test_worse_predictions_cost_more(loss):
    right, wrong = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[1.0, 3.0, 0.0]])
    assert loss(wrong, torch.tensor([0])) > loss(right, torch.tensor([0]))
