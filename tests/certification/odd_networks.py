"""Networks that are legal but odd: each family makes one from a seed, for images (1, 3, 3) and three classes."""

import copy
from functools import partial

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
    """Register networks that are changed by `alter(network)`, or replaced by its answer, once weights are drawn."""

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
altered("a compiled function", lambda net: torch.compile(net.forward, backend="eager"))
altered("quantised", lambda net: torch.ao.quantization.quantize_dynamic(net, {nn.Linear}))
altered("vmap", lambda net: torch.vmap(lambda image: net(image[None])[0]))
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
