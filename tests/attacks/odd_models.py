"""A linear model with images of its own, and the attacks that seek the nearest example."""

from functools import partial

import torch
from torch import nn

from cs329t_robust import cw, deepfool, fmn

MINIMUM = [partial(fmn, norm="L2"), partial(fmn, norm="Linf"), partial(deepfool, norm="L2"), deepfool, cw]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def made(shape=(3, 8, 8), classes=10, n=12, scale=1.0):
    """Return a linear model with trainable weights, images and the classes it predicts."""
    pixels = torch.Size(shape).numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes)).requires_grad_()
    with torch.no_grad():
        model[1].weight.copy_(scale * torch.randn(classes, pixels, generator=draws(1)) / pixels**0.5)
        model[1].bias.zero_()
        x = 0.2 + 0.6 * torch.rand(n, *shape, generator=draws(2))
        return model, x, model(x).argmax(1)
