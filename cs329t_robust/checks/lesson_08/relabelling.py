"""Exercises 08.3 and 08.4: push pictures towards new labels, and shuffle what was done to them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..lesson_02.projections import project_l2, project_linf
from ..message_wording import part
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
    per_image,
    uphill,
)

# ---- 08.3 push(model, x, target, eps, steps)


def _unit(grad: Tensor) -> Tensor:
    return grad / per_image(grad.flatten(1).norm(dim=1).clamp_min(1e-12))


def _push_with(
    side: int = -1,
    direction: Callable[[Tensor], Tensor] = _unit,
    project: Callable[[Tensor, Tensor, float], Tensor] = project_l2,
    size: Callable[[float, int], float] = lambda eps, steps: 2.5 * eps / steps,
    at: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
    base: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
    label: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda model, x, target: target,
    count: Callable[[int], int] = lambda steps: steps,
) -> Callable[..., Tensor]:
    """Build targeted PGD in L2 from x; each argument replaces one part by a wrong one."""

    def push(model: nn.Module, x: Tensor, target: Tensor, eps: float, steps: int) -> Tensor:
        x_adv, goal = x.clone(), label(model, x, target)
        for _ in range(count(steps)):
            grad = gradient_of(model, at(x, x_adv), lambda z: F.cross_entropy(z, goal, reduction="sum"))
            x_adv = project(x, base(x, x_adv) + side * size(eps, steps) * direction(grad), eps)
        return x_adv

    return push


_PARTS = Parts(
    _push_with,
    [
        (
            "away from the target",
            {"side": 1},
            "You climb the loss of the target, so each picture flees from its new label. Towards it the loss must fall: targeted=True, "
            "or a minus sign before the step.",
        ),
        (
            "away from the prediction",
            {"side": 1, "label": lambda m, x, t: m(x).argmax(1)},
            "This is an untargeted attack: it drives each picture away from what it is and anywhere. The new label must be reached.",
        ),
        (
            "sign steps",
            {"direction": torch.sign},
            "You took the sign of the gradient, the L∞ step; in L2 the step is the gradient divided by its length.",
        ),
        (
            "gradient not normalised",
            {"direction": lambda g: g},
            "The gradient is not divided by its length, so steps are long or short by chance.",
        ),
        (
            "normalised over the batch",
            {"direction": lambda g: g / g.norm()},
            "The gradient is normalised over the whole batch: each image has a length of its own.",
        ),
        (
            "L-infinity ball",
            {"project": project_linf},
            "You project onto the L∞ ball; the threat here is L2.",
        ),
        (
            "never projected",
            {"project": lambda x, z, e: z.clamp(0, 1)},
            "The projection is missing: the steps add up to 2.5·ε.",
        ),
        (
            "step of eps",
            {"size": lambda eps, steps: eps},
            "Each step has length ε; the exercise asks for 2.5·ε/steps.",
        ),
        (
            "steps of eps by steps",
            {"size": lambda eps, steps: eps / steps},
            "Each step has length ε/steps; the exercise asks for 2.5·ε/steps, so that the edge of the ball can be reached and walked.",
        ),
        (
            "gradient always at x",
            {"at": lambda x, z: x},
            "The gradient is always taken at x: take it anew at the current picture in each step.",
        ),
        (
            "only one step",
            {"count": lambda n: 1},
            "Only one step has an effect: loop `steps` times, each step from the last picture.",
        ),
    ],
)


def _l_infinity(model: nn.Module, x: Tensor, target: Tensor, eps: float, steps: int) -> Tensor:
    return _push_with(direction=torch.sign, project=project_linf)(model, x, target, eps, steps)


def _random_start(model: nn.Module, x: Tensor, target: Tensor, eps: float, steps: int) -> Tensor:
    from ...attacks import pgd
    from ...threat import L2

    return pgd(model, x, target, threat=L2(eps), steps=steps, targeted=True)


def _pgd_untargeted(model: nn.Module, x: Tensor, target: Tensor, eps: float, steps: int) -> Tensor:
    from ...attacks import pgd
    from ...threat import L2

    return pgd(model, x, target, threat=L2(eps), steps=steps)


PUSH = Exercise(
    "08.3",
    "push",
    _push_with(),
    lambda seed: [
        (classifier(seed, s), images(seed, s), labels(seed, s[0]), eps, steps)
        for s, eps, steps in zip((SHAPES[0], *SHAPES), (0.8, 0.6, 0.5), (5, 7, 4), strict=True)
    ],
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("lowers the loss of the new label", 2, uphill(0, 1, 2, towards=True)),
        Probe("ends in the L2 ball", 1, in_ball("L2", 1, 3)),
        Probe("ends in the image, [0, 1]", 1, in_image),
        Probe("treats each image on its own", 1, alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], *a[3:]))),
        Probe("is targeted PGD from x, with steps of 2.5·ε/steps", 1, matches("pixel")),
    ],
    [
        *_PARTS.single,
        Mistake(
            "L-infinity throughout",
            _l_infinity,
            "This is PGD in L∞, sign steps and a box; the exercise asks for L2: threat=L2(eps).",
        ),
        Mistake(
            "random start",
            _random_start,
            "You start at a random point of the ball, which puts noise into the new data set as well. Start from the picture: "
            "random_start=False.",
        ),
        Mistake(
            "random start, untargeted",
            _pgd_untargeted,
            "You left two of pgd's defaults as they are: it flees from the labels it is given (targeted=True turns it round), and it "
            "starts at a random point (random_start=False).",
        ),
    ],
    "pgd(model, x, target, threat=L2(eps), …) with targeted=True and random_start=False does it; so does your loop of 02.7, downhill.",
    parts=_PARTS,
)


# ---- 08.4 shuffled(x, x_adv, source)


def _shuffled(x: Tensor, x_adv: Tensor, source: Tensor) -> Tensor:
    return (x + (x_adv - x)[source]).clamp(0, 1)


def _shuffled_cases(seed: int) -> list[tuple]:
    cases = []
    for shape in ((6, 1, 4, 4), (5, 3, 3, 2)):
        x = images(seed, shape)
        move = 0.4 * (torch.rand(shape, generator=generator(seed + 4)) - 0.5)
        order = torch.randperm(shape[0], generator=generator(seed + 5))
        source = torch.empty_like(order)
        source[order] = order.roll(1)
        cases.append((x, (x + move).clamp(0, 1), source))
    return cases


def _carries_the_others(run: Run) -> str:
    for (x, x_adv, source), answer, _ in run:
        want = (x_adv - x)[source]
        free = (x + want > 0.01) & (x + want < 0.99)
        wrong = ((answer - x - want).abs() > 1e-4) & free
        if wrong.any():
            at = int(wrong.flatten(1).any(1).nonzero()[0])
            return (
                f"picture {at} should carry what was done to picture {int(source[at])}: "
                f"{part(int(wrong[at].sum()), int(free[at].sum()), 'unclipped pixel', 'differ')} from that"
            )
    return ""


SHUFFLED = Exercise(
    "08.4",
    "shuffled",
    _shuffled,
    _shuffled_cases,
    [
        Probe("each picture carries another one's perturbation", 3, _carries_the_others, essential=True),
        Probe("stays in the image, [0, 1]", 1, in_image),
    ],
    [
        Mistake(
            "pictures shuffled",
            lambda x, x_adv, s: x_adv[s],
            "This is x_adv[source]: the pictures moved together with their perturbations, and only the order changes. Take x_adv − x first, each from its own picture, and move that.",
        ),
        Mistake(
            "pictures moved, perturbations not",
            lambda x, x_adv, s: (x[s] + x_adv - x).clamp(0, 1),
            "You moved the pictures and left the perturbations where they were. The label stays with its picture, so it is the "
            "perturbations that go: x + (x_adv − x)[source].",
        ),
        Mistake(
            "not clipped",
            lambda x, x_adv, s: x + (x_adv - x)[s],
            "A perturbation made for one picture can lead another out of [0, 1]: clamp(0, 1).",
        ),
        Mistake(
            "perturbation alone",
            lambda x, x_adv, s: (x_adv - x)[s].clamp(0, 1),
            "You return the perturbations without the pictures: add x.",
        ),
        Mistake(
            "subtracted",
            lambda x, x_adv, s: (x - (x_adv - x)[s]).clamp(0, 1),
            "The sign is flipped: the perturbation is added to the picture.",
        ),
        Mistake(
            "other way round",
            lambda x, x_adv, s: (x + (x_adv - x)[s.argsort()]).clamp(0, 1),
            "You went the other way: picture source[i] got what was done to picture i. Picture i should carry what was done to "
            "picture source[i].",
        ),
        Mistake(
            "on top of its own",
            lambda x, x_adv, s: (x_adv + (x_adv - x)[s]).clamp(0, 1),
            "Each picture carries its own perturbation and another's on top: start from x, not from x_adv.",
        ),
        Mistake(
            "not shuffled",
            lambda x, x_adv, s: (x + (x_adv - x)).clamp(0, 1),
            "Nothing is shuffled: this is x_adv again.",
        ),
        Mistake(
            "pixels shuffled",
            lambda x, x_adv, s: (x + (x_adv - x).flatten(1).flip(1).view_as(x)).clamp(0, 1),
            "You shuffled the pixels of each perturbation; it is the perturbations that change places, each whole.",
        ),
    ],
    "delta = x_adv − x; picture i gets delta[source[i]]; clip to [0, 1].",
    like=0,
)
