"""What is read of a network, what is left as it was, and that a wrong reading would be noticed."""

import pytest
import torch
from odd_networks import Doing, dense, randomised
from torch import nn
from torch.nn import functional as F

from cs329t_robust import Linf, certification
from cs329t_robust.certification import operations
from cs329t_robust.certification.network import Node
from cs329t_robust.certification.read_network import read
from cs329t_robust.losses import margin
from cs329t_robust.models import networks

THREAT = Linf(0.1)
BOUNDS = [certification.interval, certification.linear, certification.exact]


@pytest.fixture
def case():
    x = torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    net = randomised(dense(), 2)
    return net, x, net(x).argmax(1)


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda b: b.__name__)
@pytest.mark.parametrize("hook", ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"])
def test_a_hook_is_refused_by_the_name_of_its_module(case, bound, hook):
    net, x, y = case
    handle = getattr(net[3], f"register_{hook}")(lambda *_: None)
    with pytest.raises(ValueError, match=r"got one that has a hook on model\.3 \(Linear\); call remove\(\)"):
        bound(net, x, y, threat=THREAT)
    handle.remove()
    bound(net, x, y, threat=THREAT)


def test_a_hook_on_all_modules_is_refused(case):
    net, x, y = case
    handle = nn.modules.module.register_module_forward_hook(lambda module, images, out: 2 * out)
    try:
        with pytest.raises(ValueError, match="runs under a hook on all modules"):
            certification.interval(net, x, y, threat=THREAT)
    finally:
        handle.remove()


def test_a_model_that_changes_itself_is_refused_and_put_back():
    def counting(self, x):
        self.calls += 1
        self.last = x
        self.bn.running_mean.add_(1)
        self.bn.running_var = 2 * self.bn.running_var
        return self.net(x)

    net = randomised(Doing(counting, net=dense(), bn=nn.BatchNorm2d(1)), 0)
    before, variance, attributes = net.bn.running_mean.clone(), net.bn.running_var, set(vars(net))
    with pytest.raises(ValueError, match="changes itself while it runs"):
        certification.interval(net, torch.rand(1, 1, 3, 3), torch.tensor([0]), threat=THREAT)
    assert net.calls == 0
    assert set(vars(net)) == attributes
    assert torch.equal(net.bn.running_mean, before)
    assert net.bn.running_var is variance


def test_batch_norm_in_train_mode_is_refused_and_left_as_it_was(untouched):
    snapshot, assert_same = untouched
    net = randomised(nn.Sequential(nn.BatchNorm2d(1), *dense()), 0).train()
    before = snapshot(net)
    x, y = torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
    for refused in (
        lambda: certification.linear(net, x, y, threat=THREAT),
        lambda: certification.worst_logits(net, x, x, y),
    ):
        with pytest.raises(ValueError, match=r"in model\.0 \(BatchNorm2d\): BatchNorm in train mode.*call model\.eval"):
            refused()
    assert_same(before, snapshot(net))
    assert (certification.interval(net.eval(), x, y, threat=THREAT) >= margin(net(x), y) - 1e-5).all()


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda b: b.__name__)
@pytest.mark.parametrize("factor", [0.5, 1.001])
def test_a_wrong_reading_is_noticed(case, bound, factor, monkeypatch):
    """The safeguard: were a ReLU read as a multiple of itself, the model would not be what was read."""
    net, x, y = case
    right = operations.READERS["mm"], operations.READERS["addmm"]

    def wrong(call):
        node, merged = right[call.name == "addmm"](call)
        return Node(node.shape, node.terms, factor * node.bias), merged

    monkeypatch.setitem(operations.READERS, "addmm", wrong)
    with pytest.raises(RuntimeError, match=r"logits are .* away from those of the network that was read"):
        bound(net.double(), x.double(), y, threat=THREAT)


@pytest.mark.parametrize("name", ["interval", "linear", "exact"])
def test_a_bound_that_is_crossed_is_told(case, name, monkeypatch):
    net, x, y = case
    lowered = "relaxed" if name != "interval" else "lead_bounds"
    module = __import__(f"cs329t_robust.certification.{name}", fromlist=["_"])
    right = getattr(module, lowered)

    def wrong(*arguments):
        answer = right(*arguments)
        return answer - 50 * (answer != 0) if name == "interval" else (answer[0] - 50, answer[1])

    monkeypatch.setattr(module, lowered, wrong)
    if name == "exact":  # its bound is never below what an attack finds; let that find nothing
        monkeypatch.setattr(module, "strongest", lambda network, x, y, *_, **__: x)
        net, y = net.double(), net.double()(x.double()).argmin(1)
        threat, x = Linf(1.0), x.double()
    else:
        threat = THREAT
    with pytest.raises(RuntimeError, match=f"the {name} bound .* is crossed by .* at a point within the threat"):
        getattr(certification, name)(net, x, y, threat=threat)


def test_nothing_is_kept_from_one_call_to_the_next(case):
    net, x, y = case
    before = certification.interval(net, x, y, threat=THREAT), certification.worst_logits(net, x - 0.1, x + 0.1, y)
    net[5].weight.data.mul_(2)
    net[5].bias.data.mul_(2)
    after = certification.interval(net, x, y, threat=THREAT), certification.worst_logits(net, x - 0.1, x + 0.1, y)
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(2 * one, two)
    net[4] = nn.Identity()
    assert not torch.allclose(certification.interval(net, x, y, threat=THREAT), after[0])


def test_gradients_reach_weights_however_they_are_called(case):
    net, x, y = case
    apart = Doing(lambda self, x: F.linear(self.net[:3](x), 2 * self.net[5].weight, self.net[5].bias), net=net)
    certification.worst_logits(apart, x - 0.1, x + 0.1, y).sum().backward()
    assert (net[1].weight.grad.abs().sum(), net[5].weight.grad.abs().sum()) > (0, 0)


def test_the_network_that_is_read_computes_what_the_model_computes():
    """A ResNet-18: BatchNorm, ReLUs and sums in place, 11 million weights; and its interval bounds hold."""
    net = networks.cifar_resnet(seed=0).eval()
    draw = torch.Generator().manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(generator=draw).mul_(0.1)
            part.running_var.uniform_(0.5, 1.5, generator=draw)
    x = torch.rand(2, 3, 32, 32, generator=draw)
    with torch.no_grad():
        logits, y = net(x), net(x).argmax(1)
    with torch.no_grad():
        assert torch.allclose(read(net, x)(x.double()).float(), logits, atol=1e-3 * logits.abs().max())
    bound = certification.interval(net, x, y, threat=Linf(1e-6))
    assert (bound >= margin(logits, y) - 1e-3).all()
    with pytest.raises(ValueError, match=r"expected a small network, got one with \d+ ReLUs"):
        certification.exact(net, x[:1], y[:1], threat=THREAT)
