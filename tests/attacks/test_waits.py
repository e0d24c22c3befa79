"""No step of an attack makes the host wait for the device, but for a look every ten steps.

Told without a GPU, from the operators that would wait there: they read a value or make a result whose size depends
on one. FAB is the exception: its projection (`projections.filled`) asks after every Newton step whether it is done.
"""

from collections import Counter
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cs329t_robust import L0, L1, L2, Linf, apgd, apgd_t, cw, deepfool, fmn, pgd, sparse_rs, square
from cs329t_robust.attacks.engine import shrinking
from cs329t_robust.data import datasets
from cs329t_robust.models import networks

WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique2", "repeat_interleave"}


class Waits(TorchDispatchMode):
    """Count the calls that would make the host wait if the tensors were on a GPU."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masks = args[1] if name.startswith(("index", "_index")) and isinstance(args[1], list | tuple) else []
        masked = any(isinstance(mask, torch.Tensor) and mask.dtype == torch.bool for mask in masks)
        sent = name == "lift_fresh"  # torch.tensor(number, device=…): a copy to the device
        if name in WAITING or masked or sent:
            self.found[name] += 1
        return function(*args, **(kwargs or {}))


ATTACKS = {
    "pgd": lambda steps: partial(pgd, threat=Linf(0.1), steps=steps, step_size=0.01, drop_adversarial=True),
    "pgd-momentum": lambda steps: partial(
        pgd, threat=L2(1.0), steps=steps, step_size=0.1, momentum=0.9, drop_adversarial=True
    ),
    "pgd-L0": lambda steps: partial(pgd, threat=L0(9), steps=steps, step_size=2.0, drop_adversarial=True),
    "pgd-ladder": lambda steps: partial(pgd, threat=Linf(torch.full((24,), 0.1)), steps=steps, drop_adversarial=True),
    "apgd": lambda steps: partial(apgd, threat=Linf(0.1), steps=steps, drop_adversarial=True),
    "apgd-L1": lambda steps: partial(apgd, threat=L1(8.0), steps=steps, drop_adversarial=True),
    "apgd_t": lambda steps: partial(apgd_t, threat=Linf(0.1), steps=steps, targets=3),
    "fmn-L2": lambda steps: partial(fmn, steps=steps),
    "fmn-L1": lambda steps: partial(fmn, norm="L1", steps=steps),
    "cw": lambda steps: partial(cw, steps=steps, searches=1),
    "deepfool": lambda steps: partial(deepfool, steps=steps, overshoot=0.0),
    "square": lambda steps: partial(square, threat=Linf(0.1), queries=steps),
    "square-L2": lambda steps: partial(square, threat=L2(1.0), queries=steps),
    "sparse_rs": lambda steps: partial(sparse_rs, threat=L0(5), queries=steps),
}
# APGD also looks after shares of its budget; DeepFool looks twice; Adam counts its steps on the host, in a tensor there
ALLOWED = {"apgd": 4, "apgd-L1": 4, "apgd_t": 4, "deepfool": 2, "cw": 10}


@pytest.mark.parametrize("name", ATTACKS)
def test_ten_more_steps_wait_for_one_look_at_most(monkeypatch, name):
    monkeypatch.setattr(shrinking, "LOOK", {"cpu": 10})
    monkeypatch.setattr(shrinking, "LEAVING_COSTS", {"cpu": 1e9})  # nobody leaves: both runs do the same in every step
    model, (x, y) = networks.mnist_classifier("pgd"), datasets.mnist("test", 24)

    def waits(steps):
        with Waits() as waits:
            ATTACKS[name](steps)(model, x, y)
        return waits.found

    more = waits(20)
    more.subtract(waits(10))
    assert sum(more.values()) <= ALLOWED.get(name, 1), dict(+more)


def test_a_wait_is_found():
    x = torch.rand(5)
    with Waits() as waits:
        x[x > 0.5], bool(x.any()), x[x > 0.5].sum().item(), torch.tensor(0.5)
        x[torch.arange(3)], torch.where(x > 0.5, x, 0), x.new_full((2,), 0.5)
    assert waits.found == {"index": 2, "_local_scalar_dense": 2, "lift_fresh": 1}
