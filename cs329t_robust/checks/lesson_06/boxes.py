"""Exercise 06.3: how large can a linear layer's outputs get when its inputs lie in a box?"""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import generator


def _interval_linear(low: Tensor, high: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return weight @ (high + low) / 2 + weight.abs() @ (high - low) / 2 + bias


def _cases(seed: int) -> list[tuple]:
    draw, cases = generator(seed), []
    for inputs, outputs in ((5, 3), (2, 4), (7, 7)):
        ends = torch.randn(2, inputs, generator=draw)
        weight, bias = torch.randn(outputs, inputs, generator=draw), torch.randn(outputs, generator=draw)
        cases.append((ends.amin(0), ends.amax(0), weight, bias))
    low = torch.randn(4, generator=draw)
    return [*cases, (low, low.clone(), torch.randn(3, 4, generator=draw), torch.randn(3, generator=draw))]


def _nothing_is_above(run: Run) -> str:
    for (low, high, weight, bias), answer, _ in list(run)[:3]:
        corners = low + (high - low) * torch.randint(2, (500, len(low)), generator=generator(9))
        reached = (corners @ weight.T + bias).amax(0)
        above = reached > answer + 1e-4
        if above.any():
            i = int((reached - answer).argmax())
            return (
                f"{part(int(above.sum()), len(bias), 'output')} can get above your bound: output {i} reaches {reached[i]:.3f} at a corner "
                f"of the box, your bound is {answer[i]:.3f}"
            )
    return ""


def _reached(run: Run) -> str:
    for (_, _, _, bias), answer, expected in list(run)[:3]:
        loose = answer > expected + 1e-4
        if loose.any():
            i = int((answer - expected).argmax())
            return f"{part(int(loose.sum()), len(bias), 'bound', 'are')} larger than need be: output {i} cannot exceed {expected[i]:.3f}, yours is {answer[i]:.3f}"
    return ""


def _a_point(run: Run) -> str:
    (_, _, _, bias), answer, expected = list(run)[3]
    wrong = int(((answer - expected).abs() > 1e-4).sum())
    return (
        f"in a box without extent the bound is the output itself; {part(wrong, len(bias), 'bound', 'differ')}"
        if wrong
        else ""
    )


def _both(run: Run) -> str:
    return _nothing_is_above(run) or _reached(run)


INTERVAL_LINEAR = Exercise(
    "06.3",
    "interval_linear",
    _interval_linear,
    _cases,
    [
        Probe("is the largest value that each output can take", 3, _both, essential=True),
        Probe("no input of the box gives more", 1, _nothing_is_above),
        Probe("is the output itself where the box is a point", 1, _a_point),
    ],
    [
        Mistake(
            "upper ends",
            lambda l, h, w, b: w @ h + b,
            "This is the output with every input at its upper end (W times half the side, without |W|, comes to the same). Where the weight "
            "is negative the output is largest at the lower end: take the absolute value |W|.",
        ),
        Mistake(
            "lower ends",
            lambda l, h, w, b: w @ l + b,
            "You put every input at its lower end. Where the weight is positive the output is largest at the upper end.",
        ),
        Mistake(
            "middle only",
            lambda l, h, w, b: w @ (l + h) / 2 + b,
            "This is the output at the middle of the box; add what the half sides can contribute, |W|·(high − low)/2.",
        ),
        Mistake(
            "lower bound",
            lambda l, h, w, b: w @ (l + h) / 2 - w.abs() @ (h - l) / 2 + b,
            "This is the smallest value that each output can take, a lower bound; the largest is asked for: add |W|·(high − low)/2. (Or "
            "your two ends are swapped: positive weights take the upper end.)",
        ),
        Mistake(
            "larger of the two ends",
            lambda l, h, w, b: torch.maximum(w @ l, w @ h) + b,
            "You compared only two corners, all low and all high. Each input chooses its own end, by the sign of its weight.",
        ),
        Mistake(
            "whole side",
            lambda l, h, w, b: w @ (l + h) / 2 + w.abs() @ (h - l) + b,
            "From the middle an input can move by half the side, (high − low)/2; you let it move by all of it.",
        ),
        Mistake(
            "sum for the middle",
            lambda l, h, w, b: w @ (l + h) + w.abs() @ (h - l) / 2 + b,
            "The middle of the box is (low + high)/2; you forgot to halve it.",
        ),
        Mistake(
            "nothing halved",
            lambda l, h, w, b: w @ (l + h) + w.abs() @ (h - l) + b,
            "The middle is (low + high)/2 and half a side is (high − low)/2; you halved neither.",
        ),
        Mistake(
            "bias forgotten",
            lambda l, h, w, b: _interval_linear(l, h, w, 0 * b),
            "The bias is missing; it shifts every output.",
        ),
        Mistake(
            "bias by its size",
            lambda l, h, w, b: _interval_linear(l, h, w, b.abs()),
            "You took the absolute value of the bias; it is a constant and keeps its sign.",
        ),
        Mistake(
            "only the positive weights",
            lambda l, h, w, b: w.clamp(min=0) @ h + b,
            "Only the positive weights count in your bound; the negative ones act too, at the lower ends.",
        ),
        Mistake(
            "absolute weights on the upper end",
            lambda l, h, w, b: w.abs() @ h + b,
            "You multiplied |W| with the upper ends. Split it: the middle goes through W, half the side through |W|.",
        ),
        Mistake(
            "largest absolute value",
            lambda l, h, w, b: w.abs() @ torch.maximum(l.abs(), h.abs()) + b,
            "This holds, but it lets every input take either sign, also where the box does not reach: use the middle and half the side.",
        ),
        Mistake(
            "relu applied",
            lambda l, h, w, b: _interval_linear(l, h, w, b).relu(),
            "You applied a ReLU; this is the linear layer alone.",
        ),
    ],
    "Positive weights take their input's upper end, negative weights its lower end: W⁺·high + W⁻·low + b, with W⁺ = weight.clamp(min=0).",
    returns="outputs",
    like=3,
)
