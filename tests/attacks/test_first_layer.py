"""The shorter way down to the pixels gives PyTorch's own gradients, whatever a model does on the way."""

import warnings
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp, stack_module_state, vmap
from torch.func import grad as functional_grad
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from cs329t_robust.attacks.engine import first_layer as module
from cs329t_robust.attacks.engine.first_layer import _ToPixels, _ToWeights, first_layer

X = torch.rand(24, 3, 17, 19, generator=torch.Generator().manual_seed(0))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16 * 90, 5)).eval()


NET, W = network(), torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(1))


def at_test_time(create_graph):
    """A model that adapts to its images by the gradient of its own weights, as test-time training does."""

    def forward(x):
        entropy = NET(x if create_graph else x.detach()).softmax(1).square().mean()
        slopes = torch.autograd.grad(entropy, list(NET.parameters()), create_graph=create_graph)
        return NET(x) * (1 + 100 * sum(slope.square().sum() for slope in slopes))

    return forward


def without_gradient(x):
    with torch.no_grad():
        fixed = NET(x)
    return NET(x) + fixed


def ensemble(x):
    weights, buffers = stack_module_state([network(1), network(2)])
    return vmap(lambda w, b: functional_call(NET, (w, b), (x,)))(weights, buffers).mean(0)


def by_its_own_gradient(x):
    (slope,) = torch.autograd.grad(NET(x).square().sum(), x, create_graph=True)
    return NET(x + slope)


def conv(**settings):
    torch.manual_seed(2)
    return nn.Conv2d(3, 24, **settings).eval()


TAKEN = {
    "plain": NET,
    "its parts are not square": conv(kernel_size=(3, 2), stride=(2, 1), padding=(0, 1)),
    "rows left over": conv(kernel_size=3, stride=3),
    "reflected borders": conv(kernel_size=3, padding=1, padding_mode="reflect"),
    "channels last": network(3).to(memory_format=torch.channels_last),
    "frozen": network(4).requires_grad_(False),
    "by keyword": lambda x: F.conv2d(input=x, weight=W, stride=[2, 2], padding=[1, 0]),
    "spectral norm": nn.utils.parametrizations.spectral_norm(conv(kernel_size=3)).eval(),
    "a copy without gradient": without_gradient,
    "adapts": at_test_time(False),
    "adapts, second order": at_test_time(True),
    "its own gradient": by_its_own_gradient,
}
LEFT = {
    "padding by name": conv(kernel_size=3, padding="same"),
    "dilation": conv(kernel_size=3, dilation=2),
    "groups": conv(kernel_size=3, groups=3),
    "one size for two": lambda x: F.conv2d(x, W, None, (2,), (1,), (1,)),
    "one by one": lambda x: torch.stack([F.conv2d(image, W) for image in x]),
    "large patches, few outputs": lambda x: F.conv2d(x, torch.ones(2, 3, 5, 5)),
    "ensemble": ensemble,
    "image by image": lambda x: vmap(lambda image: NET(image[None])[0])(x),
    "in parts": lambda x: vmap(NET)(x.view(2, 12, 3, 17, 19)).flatten(0, 1),
    "functional gradient": lambda x: x + functional_grad(lambda images: NET(images).square().sum())(x),
    "forward derivative": lambda x: jvp(NET, (x,), (torch.ones_like(x),))[1] + 0 * NET(x.detach()),
    "checkpoint": lambda x: checkpoint(NET, x, use_reentrant=False),
}


def gradient(model, x, context):
    x = x.clone().requires_grad_()
    with context(x):
        out = model(x.clone())
    return torch.autograd.grad(out.square().sum(), x)[0]


@pytest.mark.parametrize(
    ("name", "model"), (TAKEN | LEFT).items(), ids=lambda value: value if value in TAKEN | LEFT else ""
)
def test_the_gradient_is_pytorchs(name, model, monkeypatch):
    own, asked = gradient(model, X, lambda x: nullcontext()), []
    monkeypatch.setattr(
        module, "_ToPixels", type("Counted", (), {"apply": lambda *a: asked.append(1) or _ToPixels.apply(*a)})
    )
    ours = gradient(model, X, first_layer)
    assert bool(asked) == (name in TAKEN)
    torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-5 * float(own.abs().max()))


@pytest.mark.parametrize("way", ["compiled", "scripted", "traced"])
def test_a_compiled_model_is_left_alone(way):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is out of fashion
        model = {
            "compiled": lambda: torch.compile(network(), backend="aot_eager", fullgraph=True),
            "scripted": lambda: torch.jit.script(network()),
            "traced": lambda: torch.jit.trace(network(), X),
        }[way]()
    torch.testing.assert_close(gradient(model, X, first_layer), gradient(model, X, lambda x: nullcontext()))


def test_first_and_second_derivatives_are_those_of_a_convolution():
    g = torch.Generator().manual_seed(3)
    shapes = ((2, 2, 5, 6), (8, 2, 3, 3), (8,))
    inputs = tuple(torch.randn(shape, dtype=torch.double, generator=g).requires_grad_() for shape in shapes)

    def convolve(x, weight, bias):
        return _ToPixels.apply(x, _ToWeights.apply(weight, bias, [x], 2, 1), weight, 2, 1)

    assert torch.autograd.gradcheck(convolve, inputs)
    assert torch.autograd.gradgradcheck(convolve, inputs)


def test_an_attack_does_not_pay_for_the_gradient_to_the_weights(monkeypatch):
    def refuse(*args):
        raise AssertionError("asked for the weights' gradient")

    monkeypatch.setattr(module, "conv2d_weight", refuse)
    gradient(NET, X, first_layer)
    with pytest.raises(AssertionError, match="the weights"), first_layer(x := X.clone().requires_grad_()):
        NET(x).sum().backward()


@pytest.mark.parametrize(
    ("x", "wanted"),
    [(X[:1], True), (X.double(), True), (X, False)],
    ids=["a handful", "float64", "no gradient"],
)
def test_elsewhere_pytorchs_own_way_is_taken(x, wanted, monkeypatch):
    monkeypatch.setattr(module, "_ToPixels", None)
    x = x.clone().requires_grad_(wanted)
    model = network().to(x.dtype)
    with first_layer(x):
        model(x)


def test_under_autocast_it_is_left_alone(monkeypatch):
    monkeypatch.setattr(module, "_ToPixels", None)
    with torch.autocast("cpu", torch.bfloat16), first_layer(x := X.clone().requires_grad_()):
        assert NET(x).dtype == torch.bfloat16


@pytest.fixture
def asked_anew():
    """Let the module find out once more what torch can be asked."""
    module._can_ask.cache_clear()
    yield
    module._can_ask.cache_clear()


def other_torches():
    functions, saved = (
        (torch._C._functorch, "peek_interpreter_stack"),
        (torch._C._autograd, "_top_saved_tensors_default_hooks"),
    )
    yield "no such name", *functions, None
    yield "no such name either", *saved, None
    yield "another argument", *saved, lambda: None
    yield "another answer", *functions, lambda: None


@pytest.mark.parametrize(
    ("place", "name", "stand_in"), [row[1:] for row in other_torches()], ids=[row[0] for row in other_torches()]
)
def test_with_another_torch_the_gradient_is_pytorchs_and_it_is_said_once(
    monkeypatch, asked_anew, place, name, stand_in
):
    own = gradient(NET, X, lambda x: nullcontext())
    if stand_in is None:
        monkeypatch.delattr(place, name)
    else:
        monkeypatch.setattr(place, name, stand_in)
    monkeypatch.setattr(module, "_ToPixels", None)
    with pytest.warns(RuntimeWarning, match="results are the same, only slower") as said:
        first, second = gradient(NET, X, first_layer), gradient(NET, X, first_layer)
    assert len(said) == 1
    assert torch.equal(first, own)
    assert torch.equal(second, own)


def test_this_torch_can_be_asked(asked_anew):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module._can_ask()
    assert not module._watched()
