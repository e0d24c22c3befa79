"""Exercises 05.4 and 05.5: notice catastrophic overfitting, and mend it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..one_step import LOGIT, NO_SIGN
from ..shared_probes import (
    SHAPES,
    alone,
    classifier,
    follows,
    generator,
    gradient_of,
    images,
    in_ball,
    in_image,
    labels,
    matches,
)
from .inner import _ce, project


def _first_collapse(one_step: Tensor, many_steps: Tensor) -> int | None:
    fooled = (one_step >= 0.5) & (many_steps < 0.5 * one_step)
    return int(fooled.nonzero()[0]) + 1 if fooled.any() else None


def _collapse_cases(seed: int) -> list[tuple]:
    draw = generator(seed)

    def curve(*values: float) -> Tensor:
        jitter = 0.02 * torch.rand(len(values), generator=draw)
        return (torch.tensor(values) + jitter).clamp(0, 1)

    return [
        (curve(0.10, 0.62, 0.74, 0.82, 0.91, 0.93), curve(0.08, 0.55, 0.66, 0.36, 0.31, 0.02)),
        (curve(0.30, 0.71, 0.80, 0.86), curve(0.05, 0.62, 0.73, 0.79)),
        (curve(0.88, 0.90, 0.95), curve(0.02, 0.01, 0.02)),
        (curve(0.70, 0.80, 0.92, 0.84, 0.85), curve(0.60, 0.72, 0.10, 0.70, 0.74)),
        (curve(0.40, 0.55, 0.65), curve(0.01, 0.34, 0.40)),
        (torch.tensor([0.30, 0.50, 0.90]), torch.tensor([0.20, 0.10, 0.10])),  # exactly 50% is "at least 50%"
        (torch.tensor([0.30, 0.80, 0.90]), torch.tensor([0.20, 0.40, 0.10])),  # exactly half is not "less than half"
    ]


def _right_epoch(run: Run) -> str:
    for (one_step, many_steps), answer, expected in run:
        if answer != expected:
            rows = ", ".join(f"{a:.0%}/{b:.0%}" for a, b in zip(one_step.tolist(), many_steps.tolist(), strict=True))
            return (
                f"accuracies under one step/many steps after each epoch: {rows}. Expected {expected}, got "
                f"{'None' if answer is None else f'{answer:g}'}"
            )
    return ""


def _some(run: Run, which: list[int]) -> Run:
    return Run(*([part[i] for i in which] for part in (run.cases, run.answers, run.expected)), run.call)


def _first(fooled: Tensor) -> int:
    return int(fooled.nonzero()[0]) + 1


def _rule(
    fooled: Callable[[Tensor, Tensor], Tensor], pick: Callable[[Tensor], int] = _first
) -> Callable[[Tensor, Tensor], int | None]:
    """Make an answer that applies another rule for one epoch, or picks another epoch."""

    def answer(one_step: Tensor, many_steps: Tensor) -> int | None:
        found = fooled(one_step, many_steps)
        return pick(found) if found.any() else None

    return answer


def _is(one: Tensor, many: Tensor) -> Tensor:
    return (one >= 0.5) & (many < 0.5 * one)


_AT_LEAST = "“At least 50%” includes exactly 50%, which your comparison leaves out."
_LESS = "“Less than half” leaves out exactly half, which your comparison includes."

FIRST_COLLAPSE = Exercise(
    "05.4",
    "first_collapse",
    _first_collapse,
    _collapse_cases,
    [
        Probe("finds the epoch of a collapse", 1, lambda run: _right_epoch(_some(run, [0, 2, 3])), essential=True),
        Probe("says None where there is none", 1, lambda run: _right_epoch(_some(run, [1]))),
        Probe("does not take a weak network for a collapsed one", 1, lambda run: _right_epoch(_some(run, [4]))),
        Probe("draws both lines where the text does", 1, lambda run: _right_epoch(_some(run, [5, 6]))),
    ],
    [
        Mistake(
            "counted from 0",
            _rule(_is, lambda f: int(f.nonzero()[0])),
            "You count the epochs from 0; the first epoch is number 1.",
        ),
        Mistake(
            "the last such epoch",
            _rule(_is, lambda f: int(f.nonzero()[-1]) + 1),
            "This is the last collapsed epoch; the first is asked for.",
        ),
        Mistake(
            "how many epochs",
            _rule(_is, lambda f: int(f.sum())),
            "You return how many epochs are collapsed; the number of the first one is asked for.",
        ),
        Mistake(
            "yes or no",
            lambda one, many: float(_is(one, many).any()),
            "You say whether there is a collapse; the number of its first epoch is asked for, None if there is none.",
        ),
        Mistake(
            "the other way round",
            _rule(lambda one, many: (many >= 0.5) & (one < 0.5 * many)),
            "The two are the other way round: the network holds against one step and falls to many.",
        ),
        Mistake(
            "only a fall of the second curve",
            _rule(lambda one, many: many < 0.5),
            "You look at the many-step accuracy alone. A network that has not learned yet is low under both; a collapsed one is high under one "
            "step and low under many.",
        ),
        Mistake(
            "weak networks count",
            _rule(lambda one, many: many < 0.5 * one),
            "An untrained network counts as collapsed in yours: the one-step accuracy has to be at least 50%.",
        ),
        Mistake("more than 50%", _rule(lambda one, many: (one > 0.5) & (many < 0.5 * one)), _AT_LEAST),
        Mistake("half counts", _rule(lambda one, many: (one >= 0.5) & (many <= 0.5 * one)), _LESS),
        Mistake(
            "both lines",
            _rule(lambda one, many: (one > 0.5) & (many <= 0.5 * one)),
            f"Two things at once. (1) {_AT_LEAST} (2) {_LESS}",
        ),
        Mistake(
            "any gap counts",
            _rule(lambda one, many: (one >= 0.5) & (many < one)),
            "You call every gap a collapse. Many steps are always a little stronger than one; a collapse is less than half.",
        ),
        Mistake(
            "gap of a half",
            _rule(lambda one, many: (one >= 0.5) & (one - many > 0.5)),
            "You compare the difference with one half; what is asked is less than half *of* the one-step accuracy.",
        ),
        Mistake(
            "below a half",
            _rule(lambda one, many: (one >= 0.5) & (many < 0.5)),
            "You compare the many-step accuracy with 50%; what is asked is less than half of the one-step accuracy.",
        ),
        Mistake(
            "one-step accuracy falls",
            _rule(lambda one, many: torch.cat([torch.tensor([False]), one[1:] < one[:-1]])),
            "You look for a fall of the one-step accuracy, but in a collapse it stays high: that is what deceives.",
        ),
        Mistake(
            "the epoch of the lowest",
            lambda one, many: int((many - one).argmin()) + 1,
            "This is the epoch with the widest gap, and it exists always. The first epoch of a collapse is asked for, and None if there is none.",
        ),
        Mistake(
            "0 for none",
            lambda one, many: _first_collapse(one, many) or 0,
            "You return 0 where nothing collapses; return None.",
        ),
        Mistake(
            "-1 for none",
            lambda one, many: _first_collapse(one, many) or -1,
            "You return −1 where nothing collapses; return None.",
        ),
    ],
    "A mask over the epochs: (one_step >= 0.5) & (many_steps < 0.5 * one_step). If .any(), the first True is at .nonzero()[0]; count from 1.",
    returns="number or None",
    like=0,
)


def _fast_with(
    begin: Callable[[Tensor, Tensor, float], Tensor] = lambda x, start, eps: x + eps * start,
    direction: Callable[[Tensor], Tensor] = torch.sign,
    side: int = 1,
    reach: float = 1.25,
    base: Callable[[Tensor, Tensor], Tensor] = lambda x, begun: begun,
    at: Callable[[Tensor, Tensor], Tensor] = lambda x, begun: begun,
    onto: Callable[[Tensor, Tensor, Tensor, float], Tensor] = lambda x, begun, z, eps: project(x, z, eps),
    loss: Callable[[Tensor, Tensor], Tensor] = _ce,
    answer: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
) -> Callable[..., Tensor]:
    """Build one step from a random start; each argument replaces one part of it by a wrong one."""

    def fast(model: nn.Module, x: Tensor, y: Tensor, eps: float, start: Tensor) -> Tensor:
        begun = begin(x, start, eps)
        grad = gradient_of(model, at(x, begun), lambda z: loss(z, y))
        return answer(x, onto(x, begun, base(x, begun) + side * reach * eps * direction(grad), eps))

    return fast


def _fast_cases(seed: int) -> list[tuple]:
    return [
        (
            classifier(seed, shape),
            images(seed, shape),
            labels(seed, shape[0]),
            eps,
            2 * torch.rand(shape, generator=generator(seed + 30)) - 1,
        )
        for shape, eps in zip((*SHAPES, SHAPES[0]), (0.3, 0.1, 0.05), strict=True)
    ]


_FAST = Parts(
    lambda **parts: _fast_with(**parts),
    [
        (
            "start not used",
            {"begin": lambda x, start, eps: x},
            "The step starts at x: this is FGSM, a little longer, and it collapses. Start at x + ε·start.",
        ),
        (
            "start not scaled",
            {"begin": lambda x, start, eps: x + start},
            "start lies in [−1, 1]: stretch it to the ball, ε·start.",
        ),
        (
            "start clipped to the image",
            {"begin": lambda x, start, eps: (x + eps * start).clamp(0, 1)},
            "The start is clipped to [0, 1]. On digits, whose pixels are nearly all 0 or 1, half of the start is lost by it, and training "
            "collapses more often: clip only the result.",
        ),
        (
            "step of eps",
            {"reach": 1.0},
            "The step has length ε. From a random start that reaches the ball's surface too seldom: 1.25·ε.",
        ),
        (
            "sign of the step flipped",
            {"side": -1},
            "The sign of the step is flipped: it lowers the loss.",
        ),
        ("raw gradient", {"direction": lambda g: g}, NO_SIGN),
        ("raw gradient, mean loss", {"direction": lambda g: g / len(g)}, NO_SIGN),
        (
            "gradient at x",
            {"at": lambda x, begun: x},
            "The gradient is taken at x; take it where the step starts, at x + ε·start.",
        ),
        (
            "step from x",
            {"base": lambda x, begun: x},
            "Every result lies on the surface of the ball: you step from x, or by 2ε and more. Step by 1.25·ε from x + ε·start.",
        ),
        (
            "ball not kept",
            {"onto": lambda x, begun, z, eps: z.clamp(0, 1)},
            "Start and step add up beyond ε: clip the change x′ − x to [−ε, ε].",
        ),
        (
            "ball around the start",
            {"onto": lambda x, begun, z, eps: project(begun, z, eps)},
            "The ball is drawn around the start: the change from x is what must stay within ε.",
        ),
        (
            "image not kept",
            {"onto": lambda x, begun, z, eps: x + (z - x).clamp(-eps, eps)},
            "The result is no valid image: finish with clamp(0, 1).",
        ),
        (
            "nothing projected",
            {"onto": lambda x, begun, z, eps: z},
            "Nothing is projected: clip the change to [−ε, ε] and the result to [0, 1].",
        ),
        ("the label's logit", {"loss": lambda z, y: -z.gather(1, y[:, None]).sum()}, LOGIT),
        (
            "perturbation returned",
            {"answer": lambda x, x_adv: x_adv - x},
            "You returned the perturbation δ alone; return x + δ.",
        ),
    ],
)

FAST = Exercise(
    "05.5",
    "fast",
    _fast_with(),
    _fast_cases,
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("ends in the ε-ball", 1, in_ball("Linf", 1, 3)),
        Probe("ends in the image, [0, 1]", 1, in_image),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3], a[4][i : i + 1])),
        ),
        Probe("is one step of 1.25·ε from the random start", 2, matches("pixel")),
    ],
    [
        *_FAST.single,
        Mistake(
            "start only",
            lambda model, x, y, eps, start: project(x, x + eps * start, eps),
            "This is the random start alone, a control: the step along the gradient's sign is missing.",
        ),
    ],
    "begun = x + eps * start, not clipped; the gradient there; begun + 1.25·eps·sign; then clip the change to ±eps, and the image to [0, 1].",
    parts=_FAST,
)
