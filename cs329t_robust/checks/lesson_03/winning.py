"""Exercise 03.2: success beyond the control."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import agreeing, part
from ..shared_probes import generator


def _net_success(before: Tensor, after: Tensor, target: int) -> float:
    could = before != target
    return ((after == target) & could).sum().item() / max(int(could.sum()), 1)


def _success_cases(seed: int) -> list[tuple]:
    draw = generator(seed)
    cases = []
    for n, already, hits in ((10, 2, 5), (8, 4, 1), (7, 0, 7), (4, 4, 0)):
        target = 3
        before = torch.full((n,), target)
        before[already:] = torch.randint(target, (n - already,), generator=draw)
        after = (before + 4) % 3  # all changed, none the target
        after[already : already + hits] = target
        after[:already][1:] = target
        order = torch.randperm(n, generator=draw)
        cases.append((before[order], after[order], target))
    return cases


def _right_share(run: Run) -> str:
    for (before, after, target), answer, expected in run:
        if abs(answer - expected) > 1e-4:
            could, hits = int((before != target).sum()), int(((after == target) & (before != target)).sum())
            return (
                f"{part(could, len(before), 'picture', 'were')} not called {target} before; of those {hits} {agreeing(hits, 'are')} now: "
                f"expected {expected:.3f}, got {answer:.4g}"
            )
    return ""


NET_SUCCESS = Exercise(
    "03.2",
    "net_success",
    _net_success,
    _success_cases,
    [
        Probe("counts what the attack has won", 3, lambda run: _right_share(_first(run, 3)), essential=True),
        Probe("is 0 where there was nothing to win", 1, lambda run: _right_share(_last(run))),
    ],
    [
        Mistake(
            "control forgotten",
            lambda b, a, t: (a == t).double().mean().item(),
            "You also count the pictures that were called the target before the attack; those it did not win.",
        ),
        Mistake(
            "divided by all",
            lambda b, a, t: ((a == t) & (b != t)).double().mean().item(),
            "You divide by all pictures; those that were the target already cannot be won, so leave them out below as well.",
        ),
        Mistake(
            "any change counts",
            lambda b, a, t: ((a != b) & (b != t)).sum().item() / max(int((b != t).sum()), 1),
            "You count every change of the label; a targeted attack has succeeded only where the label is the target.",
        ),
        Mistake(
            "difference of the rates",
            lambda b, a, t: ((a == t).double().mean() - (b == t).double().mean()).item(),
            "You subtract the two rates; a picture that the attack lost then hides one that it won. Look picture by picture.",
        ),
        Mistake(
            "per cent",
            lambda b, a, t: 100 * _net_success(b, a, t),
            "You return per cent; a share lies between 0 and 1.",
        ),
        Mistake(
            "a count",
            lambda b, a, t: ((a == t) & (b != t)).sum().item(),
            "You return how many; divide by the number of pictures that could be won.",
        ),
        Mistake(
            "division by nothing",
            lambda b, a, t: (a[b != t] == t).double().mean().item(),
            "If every picture was the target already, you divide by zero and get NaN; the exercise asks for 0 there.",
        ),
        Mistake(
            "complement",
            lambda b, a, t: 1 - _net_success(b, a, t),
            "This is the share that held out; the attack's success is 1 minus that.",
        ),
    ],
    "Two masks: could = before != target, and won = could & (after == target).",
    returns="number",
    like=0,
)


def _first(run: Run, count: int) -> Run:
    return Run(run.cases[:count], run.answers[:count], run.expected[:count], run.call)


def _last(run: Run) -> Run:
    return Run(run.cases[-1:], run.answers[-1:], run.expected[-1:], run.call)
