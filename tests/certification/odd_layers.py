"""More odd networks: what hangs on calls, numbers, the batch, gradients or the mode; and layers in all settings."""

import random

import numpy as np
import torch
from odd_networks import Doing, altered, built, dense, doing, images
from torch import nn
from torch.nn import functional as F

# 6. What changes from call to call.


def counted(self, x):
    self.calls += 1
    return self.net(x * (1 + self.calls % 3))


def grown(self, x):
    self.net[1].bias.data.add_(0.05)
    return self.net(x)


def buffered(self, x):
    self.bn.running_mean.add_(0.1)
    return self.net(x + self.bn.running_mean)


def remembered(self, x):
    before, self.last = getattr(self, "last", None), x.detach()
    return self.net(x) if before is None or before.shape != x.shape else self.net(x + before)


def closure_counts(net):
    calls = []

    def forward(x):
        calls.append(1)
        return net(x * (1 + len(calls) % 2))

    return forward


doing("counts its calls", counted)
doing("trains itself", grown)
doing("moves its buffer", buffered, net=dense, bn=lambda: nn.BatchNorm2d(1))
doing("remembers the last images", remembered)
altered("a closure that counts", closure_counts)
doing("random numbers", lambda self, x: self.net(x + torch.rand(1)))
doing("noise for each image", lambda self, x: self.net(x + torch.randn_like(x)))
doing("Python's random numbers", lambda self, x: self.net(x * random.choice([1, -1])))
doing("NumPy's random numbers", lambda self, x: self.net(x + float(np.random.rand())))

# 7. What depends on numbers, on the batch, on gradients, or on the mode.
doing("a branch on brightness", lambda self, x: self.net(x if x.mean() > 0.5 else 1 - x))
doing("a branch on each pixel", lambda self, x: self.net(torch.where(x > 0.5, 3 * x, -x)))
doing("a lookup", lambda self, x: self.net(torch.linspace(-1, 1, 11)[(10 * x).long()]))
doing("NumPy", lambda self, x: self.net(x + torch.from_numpy(np.sin(x.detach().numpy() * 9))))
doing("a list", lambda self, x: self.net(x * (1 + max(x.flatten().tolist()))))
doing("minus the batch's mean", lambda self, x: self.net(x - x.mean(0)))
doing("minus the first image", lambda self, x: self.net(x - x[:1]))
doing("the batch in reverse", lambda self, x: self.net(x.flip(0)))
doing("rolled over the batch", lambda self, x: self.net(x.reshape(-1).roll(1).view_as(x)))
doing("another batch size", lambda self, x: self.net(x if len(x) == 2 else 1.5 * x))
doing("with gradients", lambda self, x: self.net(x if x.requires_grad else 1 - x))
doing("with gradients on", lambda self, x: self.net(x if torch.is_grad_enabled() else 1 - x))
altered("another in train mode", lambda net: Doing(lambda self, x: net(1 - x if self.training else x)).train())
doing("tried, and else", lambda self, x: _tried(self.net, x))


def _tried(net, x):
    try:
        return net(torch.where(x > 0.5, x, -x))
    except (RuntimeError, ValueError):
        return net(x)


# 8. BatchNorm, dropout, normalisation.
built("BatchNorm", lambda: images(nn.BatchNorm2d(2), nn.ReLU()))
built(
    "BatchNorm, flat",
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)),
)
altered("BatchNorm training", lambda net: net.train(), lambda: images(nn.BatchNorm2d(2), nn.ReLU()))
altered(
    "BatchNorm training, frozen",
    lambda net: net.train() and net[1].eval() and None,
    lambda: images(nn.BatchNorm2d(2), nn.ReLU()),
)
built("BatchNorm without statistics", lambda: images(nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU()))
built("dropout", lambda: images(nn.ReLU(), nn.Dropout(0.5)))
altered("dropout training", lambda net: net.train(), lambda: images(nn.ReLU(), nn.Dropout(0.5)))
built("dropout always", lambda: images(nn.ReLU(), Doing(lambda self, x: F.dropout(x, 0.5))))
altered("plain, training", lambda net: net.train())
built("LayerNorm", lambda: images(nn.LayerNorm(3), nn.ReLU()))
built("GroupNorm", lambda: images(nn.GroupNorm(1, 2), nn.ReLU()))
doing(
    "normalised per image",
    lambda self, x: self.net((x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)),
)
doing("centred per image", lambda self, x: self.net(x - x.mean((1, 2, 3), keepdim=True)))

# 9. Other layers, and the same ones in all their settings.
for layer in (nn.Tanh, nn.GELU, nn.Sigmoid, nn.ReLU6, nn.Softplus, nn.Hardtanh, nn.PReLU, nn.ELU, nn.Softmax2d):
    built(f"{layer.__name__}", lambda layer=layer: images(layer()))
built("max pooling", lambda: images(nn.MaxPool2d(2, 1), size=8))
built("average pooling", lambda: images(nn.AvgPool2d(2, 1), nn.ReLU(), size=8))
built(
    "average pooling, odd",
    lambda: images(nn.ReLU(), nn.AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False), size=8),
)
built("average pooling, negative", lambda: images(nn.ReLU(), nn.AvgPool2d(2, 1, divisor_override=-3), size=8))
built("adaptive pooling", lambda: images(nn.ReLU(), nn.AdaptiveAvgPool2d(2), size=8))
built("global pooling", lambda: images(nn.ReLU(), nn.AdaptiveAvgPool2d(1), size=2))
built("convolutions", lambda: images(nn.ReLU(), nn.Conv2d(2, 4, 2, 2, 2, 2, groups=2), nn.ReLU(), size=36))
built(
    "a transposed convolution",
    lambda: images(nn.ReLU(), nn.ConvTranspose2d(2, 1, 2, 2, output_padding=1), nn.ReLU(), size=49),
)
built("padded around", lambda: images(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.ReLU()))
built("padded the same", lambda: images(nn.Conv2d(2, 2, 2, padding="same"), nn.ReLU()))
built("ends in ReLU", lambda: nn.Sequential(*dense(), nn.ReLU()))
built("ends in softmax", lambda: nn.Sequential(*dense(), nn.LogSoftmax(1)))
built("one class", lambda: nn.Sequential(*dense()[:5], nn.Linear(6, 1)))
built("a bare Linear", lambda: nn.Linear(3, 3))
built("deeply nested", lambda: nn.Sequential(nn.Sequential(nn.Sequential(dense()[:2]), nn.Identity()), dense()[2:]))
built(
    "three dimensions", lambda: nn.Sequential(nn.Flatten(2), nn.Linear(9, 5), nn.ReLU(), nn.Flatten(), nn.Linear(5, 3))
)
doing("rearranged", lambda self, x: self.net(x.permute(0, 1, 3, 2).flip(2)[..., [2, 0, 1]].roll(1, 3).contiguous()))
doing("repeated", lambda self, x: self.net(x[:, :, :1].expand(-1, -1, 3, -1).repeat(1, 1, 1, 1) - x))
doing("side by side", lambda self, x: self.net[3:](torch.cat([self.net[:3](x)[:, :4], 1 - x.flatten(1)[:, :2]], 1)))
doing("stacked", lambda self, x: self.net(torch.stack([x[:, 0, 0], -x[:, 0, 1], x[:, 0, 2] * 2], 1)[:, None]))
doing("dense residual", lambda self, x: self.net[5](self.net[3](h := self.net[:3](x)).relu() + h))
doing("cancelling", lambda self, x: self.net(x - 0.9 * x) + x.flatten(1)[:, :3] - x.flatten(1)[:, :3])
doing("a small mistake", lambda self, x: self.net(x + 1e8 - 1e8))
doing("the images squared", lambda self, x: self.net(x * x))
doing("one over the images", lambda self, x: self.net(1 / (x + 1)))
doing("the images attend", lambda self, x: self.net(x @ x.transpose(2, 3)))
doing("clamped", lambda self, x: self.net(x.clamp(0.3, 0.6)))
doing("clamped from below", lambda self, x: self.net((x - 0.4).clamp(min=0)))
doing("half precision", lambda self, x: self.net(x.bfloat16().float()))
doing("whole numbers", lambda self, x: self.net((9 * x).long().float()))
doing("absolute", lambda self, x: self.net((x - 0.5).abs()))
doing("sorted", lambda self, x: self.net(x.flatten(1).sort(1).values.view_as(x)))
doing("a convolution residual", lambda self, x: self.head((self.b(h := self.a(x).relu()) + h).relu().flatten(1)),
      a=lambda: nn.Conv2d(1, 2, 3, padding=1), b=lambda: nn.Conv2d(2, 2, 3, padding=1),
      head=lambda: nn.Linear(18, 3))  # fmt: skip
doing("a temperature", lambda self, x: self.net(x) / 0.2)
doing("autocast", lambda self, x: torch.autocast("cpu", torch.bfloat16)(self.net)(x).float())
