"""Networks that are legal but odd: each family makes one from a seed, for images (1, 3, 3) and three classes."""

import copy
import random
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

FAMILIES = {}


class Doing(nn.Module):
    """Run `function(self, x)` over parts."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function, self.calls = function, 0

    def forward(self, x):
        return self.function(self, x)


def randomised(module, seed):
    """Return a module with weights drawn anew, and BatchNorm's statistics with them, in eval mode."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
                part.running_mean.copy_(0.3 * torch.randn(part.running_mean.shape, generator=draw))
                part.running_var.copy_(0.5 + torch.rand(part.running_var.shape, generator=draw))
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=draw) * 1.5 / (p[0].numel() if p.ndim > 1 else 4) ** 0.5)
    return module.eval()


def dense(width=6):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(9, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
    )


def images(*layers, size=18):
    """A convolution to two channels, `layers`, and a head."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), *layers, nn.Flatten(), nn.Linear(size, 3))


def doing(name, function, **parts):
    """Register networks that run `function(self, x)`; without parts, around `self.net`, a dense one."""
    parts = parts or {"net": dense}
    FAMILIES[name] = lambda seed: randomised(Doing(function, **{key: part() for key, part in parts.items()}), seed)


def built(name, build):
    """Register networks that `build()` makes."""
    FAMILIES[name] = lambda seed: randomised(build(), seed)


def altered(name, alter, build=dense):
    """Register networks that are changed by `alter(network)`, or replaced by what it returns, after weights are drawn."""

    def make(seed):
        network = randomised(build(), seed)
        changed = alter(network)
        return network if changed is None else changed

    FAMILIES[name] = make


# 1. Classes whose forward is not their parent's.
class Shifted(nn.Sequential):
    def forward(self, x):
        return super().forward(2 * x - 1)


class Doubled(nn.Linear):
    def forward(self, x):
        return super().forward(2 * x)


class Leaky(nn.ReLU):
    def forward(self, x):
        return F.leaky_relu(x, -0.3)


class Flipped(nn.Flatten):
    def forward(self, x):
        return super().forward(x.flip(2) * 1.3)


class Standardised(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), self.bias)


class Called(nn.Sequential):
    def __call__(self, x):
        return super().__call__(1 - x)


built("a Sequential of 2z - 1", lambda: Shifted(*dense()))
built("a Linear of 2z", lambda: nn.Sequential(nn.Flatten(), Doubled(9, 6), nn.ReLU(), Doubled(6, 3)))
built("a ReLU that leaks", lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 6), Leaky(), nn.Linear(6, 3)))
built("a Flatten that flips", lambda: nn.Sequential(Flipped(), *dense()[1:]))
built(
    "a standardised convolution",
    lambda: nn.Sequential(Standardised(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)),
)
built("a __call__ of its own", lambda: Called(*dense()))
altered("forward set on a layer", lambda net: setattr(net[1], "forward", lambda x: F.linear(x * 1.5, net[1].weight)))
altered("forward set on the network", lambda net: setattr(net, "forward", lambda x: net[3:](net[:3](x) + 0.2)))

# 2. Hooks and parametrisations.
altered("a forward hook", lambda net: net[3].register_forward_hook(lambda m, x, out: out * 1.4 + 0.3) and None)
altered("a hook before", lambda net: net[3].register_forward_pre_hook(lambda m, x: (x[0] * 1.6,)) and None)
altered("a hook on the whole", lambda net: net.register_forward_pre_hook(lambda m, x: (1 - x[0],)) and None)
altered("a backward hook", lambda net: net[2].register_full_backward_hook(lambda m, i, o: (-i[0],)) and None)
doing("a hook on a tensor", lambda self, x: self.net(_hooked(x * 1.0)))
altered("a weight norm", lambda net: parametrizations.weight_norm(net[1]) and None)
altered("a spectral norm", lambda net: parametrizations.spectral_norm(net[3]) and None)
altered("an old weight norm", lambda net: torch.nn.utils.weight_norm(net[1]) and None)
altered("a parametrised bias", lambda net: parametrize.register_parametrization(net[5], "bias", nn.Softplus()) and None)


def _hooked(x):
    if x.requires_grad:
        x.register_hook(lambda grad: -grad)
    return x


# 3. One module more than once, and shared weights.
doing("one block twice", lambda self, x: self.out(self.b(self.b(self.a(x.flatten(1)).relu()).relu()).relu()),
      a=lambda: nn.Linear(9, 5), b=lambda: nn.Linear(5, 5), out=lambda: nn.Linear(5, 3))  # fmt: skip
doing("tied weights", lambda self, x: F.linear(F.linear(x.flatten(1), self.a.weight).relu(), self.a.weight.T)[:, :3],
      a=lambda: nn.Linear(9, 5))  # fmt: skip
altered("one ReLU everywhere", lambda net: nn.Sequential(*net[:4], net[2], net[5]))
altered("one layer twice in a row", lambda net: nn.Sequential(*net[:5], net[3], net[2], net[5]))
doing("the network twice", lambda self, x: self.net(x) - 0.5 * self.net(1 - x))

# 4. In place.
built("ReLUs in place", lambda: images(nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(inplace=True)))
doing("arithmetic in place", lambda self, x: self.net((x * 2).mul_(0.7).add_(0.1).sub_(0.2).neg_()))
doing("the images in place", lambda self, x: self.net(x.mul_(1.5)))
doing("the images in place, flat", lambda self, x: self.net[1:](F.relu_(x.flatten(1).sub_(0.4))))


def view_overwritten(self, x):
    h = self.net[1](x.flatten(1))
    half = h[:, :3]
    half.mul_(-2)
    return self.net[2:](h)


def original_overwritten(self, x):
    h = self.net[1](x.flatten(1))
    seen = h.view(len(x), 2, 3)
    h.relu_()
    return self.net[3:](seen.flatten(1))


def residual_in_place(self, x):
    h = self.net[:3](x)
    out = self.net[3](h)
    out += h
    return self.net[5](F.relu(out, inplace=True))


def written_into(self, x):
    out = torch.zeros(len(x), 9, dtype=x.dtype)
    out[:, :5] = x.flatten(1)[:, :5] * 2
    return self.net[1:](out)


def constant_overwritten(self, x):
    shift = torch.full((9,), 0.3)
    h = x.flatten(1) + shift
    shift.data.mul_(-4)
    return self.net[1:](h + shift)


doing("a view overwritten", view_overwritten)
doing("the original overwritten", original_overwritten)
doing("a residual in place", residual_in_place)
doing("written into zeros", written_into)
doing("a constant overwritten", constant_overwritten)

# 5. Functions, closures and wrappers.
doing("functional", lambda self, x: F.linear(F.relu(F.conv2d(x, self.c.weight, None, 2, 1)).flatten(1), self.l.weight),
      c=lambda: nn.Conv2d(1, 3, 2), l=lambda: nn.Linear(12, 3))  # fmt: skip
altered("a lambda", lambda net: lambda x: net(0.5 + x / 2))
altered("a partial", lambda net: partial(lambda scale, x: net(scale * x), 1.7))
altered("a bound method", lambda net: Shifted(*net).forward)
altered("a closure", lambda net: (lambda shift: lambda x: net(x - shift))(torch.linspace(0, 1, 9).view(1, 3, 3)))
altered("functional_call", lambda net: lambda x: torch.func.functional_call(net, _negated(net), (x,)))
altered("compiled", lambda net: torch.compile(net, backend="eager"))
altered("scripted", lambda net: torch.jit.script(net))
altered("jit traced", lambda net: torch.jit.trace(net, torch.rand(2, 1, 3, 3)))
altered("a part scripted", lambda net: nn.Sequential(Doing(lambda self, x: 1 - x), torch.jit.script(net)))
altered("a copy", lambda net: copy.deepcopy(net).double().float())
doing("a checkpoint", lambda self, x: checkpoint(self.net, 2 * x - 1, use_reentrant=False))
doing("no_grad", lambda self, x: torch.no_grad()(self.net)(x * 1.5))
doing("inference mode", lambda self, x: torch.inference_mode()(self.net)(x * 1.5).clone())


def _negated(net):
    return {name: -value for name, value in net.named_parameters()}


class Masked(torch.autograd.Function):
    """Double what comes, and say that nothing hangs on it."""

    @staticmethod
    def forward(context, x):
        return 2 * x

    @staticmethod
    def backward(context, grad):
        return torch.zeros_like(grad)


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return (4 * x).round() / 4

    @staticmethod
    def backward(context, grad):
        return grad


doing("a masked gradient", lambda self, x: self.net(Masked.apply(x) - 0.5))
doing("rounded, straight through", lambda self, x: self.net(Rounded.apply(x)))

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
doing("NumPy's random numbers", lambda self, x: self.net(x + float(np.random.rand())))  # noqa: NPY002

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
built("BatchNorm, flat", lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)))
altered("BatchNorm training", lambda net: net.train(), lambda: images(nn.BatchNorm2d(2), nn.ReLU()))
altered("BatchNorm training, frozen", lambda net: net.train() and net[1].eval() and None, lambda: images(nn.BatchNorm2d(2), nn.ReLU()))
built("BatchNorm without statistics", lambda: images(nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU()))
built("dropout", lambda: images(nn.ReLU(), nn.Dropout(0.5)))
altered("dropout training", lambda net: net.train(), lambda: images(nn.ReLU(), nn.Dropout(0.5)))
built("dropout always", lambda: images(nn.ReLU(), Doing(lambda self, x: F.dropout(x, 0.5))))
altered("plain, training", lambda net: net.train())
built("LayerNorm", lambda: images(nn.LayerNorm(3), nn.ReLU()))
built("GroupNorm", lambda: images(nn.GroupNorm(1, 2), nn.ReLU()))
doing("normalised per image", lambda self, x: self.net((x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)))
doing("centred per image", lambda self, x: self.net(x - x.mean((1, 2, 3), keepdim=True)))

# 9. Other layers, and the same ones in all their settings.
for layer in (nn.Tanh, nn.GELU, nn.Sigmoid, nn.ReLU6, nn.Softplus, nn.Hardtanh, nn.PReLU, nn.ELU, nn.Softmax2d):
    built(f"{layer.__name__}", lambda layer=layer: images(layer()))
built("max pooling", lambda: images(nn.MaxPool2d(2, 1), size=8))
built("average pooling", lambda: images(nn.AvgPool2d(2, 1), nn.ReLU(), size=8))
built("average pooling, odd", lambda: images(nn.ReLU(), nn.AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False), size=8))
built("average pooling, negative", lambda: images(nn.ReLU(), nn.AvgPool2d(2, 1, divisor_override=-3), size=8))
built("adaptive pooling", lambda: images(nn.ReLU(), nn.AdaptiveAvgPool2d(2), size=8))
built("global pooling", lambda: images(nn.ReLU(), nn.AdaptiveAvgPool2d(1), size=2))
built("convolutions", lambda: images(nn.ReLU(), nn.Conv2d(2, 4, 2, 2, 2, 2, groups=2), nn.ReLU(), size=36))
built("a transposed convolution", lambda: images(nn.ReLU(), nn.ConvTranspose2d(2, 1, 2, 2, output_padding=1), nn.ReLU(), size=49))
built("padded around", lambda: images(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.ReLU()))
built("padded the same", lambda: images(nn.Conv2d(2, 2, 2, padding="same"), nn.ReLU()))
built("ends in ReLU", lambda: nn.Sequential(*dense(), nn.ReLU()))
built("ends in softmax", lambda: nn.Sequential(*dense(), nn.LogSoftmax(1)))
built("one class", lambda: nn.Sequential(*dense()[:5], nn.Linear(6, 1)))
built("a bare Linear", lambda: nn.Linear(3, 3))
built("deeply nested", lambda: nn.Sequential(nn.Sequential(nn.Sequential(dense()[:2]), nn.Identity()), dense()[2:]))
built("three dimensions", lambda: nn.Sequential(nn.Flatten(2), nn.Linear(9, 5), nn.ReLU(), nn.Flatten(), nn.Linear(5, 3)))
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
      a=lambda: nn.Conv2d(1, 2, 3, padding=1), b=lambda: nn.Conv2d(2, 2, 3, padding=1), head=lambda: nn.Linear(18, 3))  # fmt: skip
doing("a temperature", lambda self, x: self.net(x) / 0.2)
doing("autocast", lambda self, x: torch.autocast("cpu", torch.bfloat16)(self.net)(x).float())
