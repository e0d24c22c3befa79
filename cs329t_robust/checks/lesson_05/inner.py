"""Exercise 05.2: the inner maximum of training, on a model that is being trained."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Parts, Probe, Run
from ..one_step import LOGIT, NO_SIGN
from ..shared_probes import (
    SHAPES,
    alone,
    follows,
    generator,
    gradient_of,
    images,
    in_ball,
    in_image,
    labels,
    matches,
    uphill,
)


def student_net(seed: int, shape: tuple[int, ...], k: int = 4) -> nn.Module:
    """Return a small random classifier with a BatchNorm that has seen data, in train mode: one in mid-training."""
    draw = generator(seed + 3)
    pixels, hidden = shape[1] * shape[2] * shape[3], 12
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, k)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * (1.5 / parameter.shape[-1] ** 0.5))
        model[2].weight.fill_(1.0)
        model[2].running_var.copy_(0.5 + torch.rand(hidden, generator=draw))
    return model.train()


def project(x: Tensor, x_adv: Tensor, eps: float) -> Tensor:
    """Clip the change to [−eps, eps] and the image to [0, 1]."""
    return (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)


def _ce(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z, y, reduction="sum")


def _inner_with(
    begin: Callable[[Tensor, Tensor], Tensor] = lambda x, delta: (x + delta).clamp(0, 1),
    mode: Callable[[nn.Module], object] = lambda model: model.eval(),
    back: Callable[[nn.Module, bool], object] = lambda model, was: model.train(was),
    direction: Callable[[Tensor], Tensor] = torch.sign,
    side: int = 1,
    size: Callable[[float, float, int], float] = lambda eps, step_size, steps: step_size,
    count: Callable[[int], int] = lambda steps: steps,
    onto: Callable[[Tensor, Tensor, float], Tensor] = project,
    last: Callable[[Tensor, Tensor, float], Tensor] = lambda x, x_adv, eps: x_adv,
    centre: Callable[[Tensor, Tensor], Tensor] = lambda x, delta: x,
    at: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
    see: Callable[[Tensor], Tensor] = lambda x_adv: x_adv,
    base: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
    label: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda model, x, y: y,
    loss: Callable[[Tensor, Tensor], Tensor] = _ce,
    answer: Callable[[Tensor, Tensor], Tensor] = lambda x, x_adv: x_adv,
) -> Callable[..., Tensor]:
    """Build an inner maximum; each argument replaces one part of it by a wrong one."""

    def inner_max(
        model: nn.Module, x: Tensor, y: Tensor, delta: Tensor, eps: float, step_size: float, steps: int
    ) -> Tensor:
        was = model.training
        mode(model)
        x_adv = begin(x, delta)
        for _ in range(count(steps)):
            with torch.no_grad():
                named = label(model, x_adv, y)
            grad = gradient_of(lambda z: model(see(z)), at(x, x_adv), lambda z, named=named: loss(z, named))
            x_adv = base(x, x_adv) + side * size(eps, step_size, steps) * direction(grad)
            x_adv = onto(centre(x, delta), x_adv, eps)
        back(model, was)
        return answer(x, last(x, x_adv, eps))

    return inner_max


def _inner_cases(seed: int) -> list[tuple]:
    cases = []
    settings = ((0.2, 0.05, 1), (0.1, 0.03, 5), (0.15, 0.06, 4), (0.2, 0.08, 2))
    for i, (shape, (eps, step_size, steps)) in enumerate(zip((SHAPES[0], *SHAPES, SHAPES[0]), settings, strict=True)):
        start = eps * (2 * torch.rand(shape, generator=generator(seed + 40 + i)) - 1)
        x, y = images(seed + i, shape), labels(seed, shape[0])
        model = student_net(seed, shape).train(i < 3)  # the last one comes in eval mode, as between two epochs
        cases.append((model, x, y, start, eps, step_size, steps))
    return cases


def _keeps_statistics(run: Run) -> str:
    model, *rest = run.cases[1]
    before = model[2].running_mean.clone()
    run.call(model, *rest)
    if torch.equal(before, model[2].running_mean):
        return ""
    return (
        "the search has moved the running statistics of the model's BatchNorm: they belong to the images that it learns "
        "from. Search in eval mode, and put the mode back"
    )


def _evaluated(probe: Callable[[Run], str]) -> Callable[[Run], str]:
    """Make a probe look at the models in eval mode, where the images of a batch have nothing to do with each other."""

    def test(run: Run) -> str:
        return probe(Run([(args[0].eval(), *args[1:]) for args in run.cases], run.answers, run.expected, run.call))

    return test


_BALL = {"onto": lambda x, z, eps: x + (z - x).clamp(-eps, eps)}
_SEEN = (
    "Only the model sees a clipped image. What you start from, step from and return is outside [0, 1]: clip x + δ itself, at the start and after "
    "every step."
)
_SEEN_LAST = (
    "You clip the image for the model and once at the end; in between, the point that you start and step from is outside [0, 1]: clip x + δ itself, "
    "at the start and after every step."
)
_FOR_THE_MODEL = [
    (", through the clip", {"see": lambda z: z.clamp(0, 1)}, _SEEN),
    (", before the clip", {"at": lambda x, z: z.clamp(0, 1)}, _SEEN),
    (" and at the end, through the clip", {"see": lambda z: z.clamp(0, 1), "last": project}, _SEEN_LAST),
    (" and at the end, before the clip", {"at": lambda x, z: z.clamp(0, 1), "last": project}, _SEEN_LAST),
]

_PARTS = Parts(
    lambda **parts: _inner_with(**parts),
    [
        (
            "in train mode",
            {"mode": lambda model: None, "back": lambda model, was: None},
            "The search runs in train mode: BatchNorm then mixes the images of a batch and moves its running statistics (and "
            "dropout would be on). model.eval() before the loop, model.train(was) after it.",
        ),
        (
            "start not used",
            {"begin": lambda x, delta: x},
            "The search starts at x; it has to start at x + delta. Without the random start, training learns to bend the loss "
            "just around x.",
        ),
        (
            "start not clipped",
            {"begin": lambda x, delta: x + delta},
            "The start leaves the image: clip x + delta to [0, 1] before the first gradient.",
        ),
        (
            "start twice",
            {"begin": lambda x, delta: (x + 2 * delta).clamp(0, 1)},
            "delta is added twice.",
        ),
        (
            "sign of the step flipped",
            {"side": -1},
            "The sign of the step is flipped: this is a minimum, and the model would be trained on images made easy.",
        ),
        ("raw gradient", {"direction": lambda g: g}, NO_SIGN),
        ("raw gradient, mean loss", {"direction": lambda g: g / len(g)}, NO_SIGN),
        (
            "projection missing",
            {"onto": lambda x, z, eps: z.clamp(0, 1)},
            "The steps add up beyond ε: after each step clip the change x′ − x to [−ε, ε].",
        ),
        (
            "ball only, not the image",
            {"onto": lambda x, z, eps: x + (z - x).clamp(-eps, eps)},
            "The ε-ball is kept, but the image is not: clip to [0, 1] after every step as well.",
        ),
        (
            "nothing projected",
            {"onto": lambda x, z, eps: z},
            "Nothing is projected: neither onto the ε-ball around x nor onto the image.",
        ),
        *(
            (f"clipped only for the model{way}", {"begin": lambda x, delta: x + delta, **parts, **_BALL}, says)
            for way, parts, says in _FOR_THE_MODEL
        ),
        (
            "projected at the end only",
            {"onto": lambda x, z, eps: z, "last": project},
            "You project once, after the loop: project after every step.",
        ),
        (
            "ball around the start",
            {"centre": lambda x, delta: (x + delta).clamp(0, 1)},
            "The ball is drawn around the start x + delta, so the result can be 2ε away from x: it is a ball around x.",
        ),
        (
            "gradient always at x",
            {"at": lambda x, z: x},
            "The gradient is always taken at x: take it anew at the current x′ in each step.",
        ),
        (
            "step always from x",
            {"base": lambda x, z: x},
            "Every step starts again from x, so the steps do not add up: start it from the last x′.",
        ),
        (
            "eps as the step",
            {"size": lambda eps, step_size, steps: eps},
            "Each step has length ε; it should have length step_size.",
        ),
        (
            "step divided by the number of steps",
            {"size": lambda eps, step_size, steps: step_size / steps},
            "step_size is divided by the number of steps: it is already the length of one step.",
        ),
        (
            "one step too few",
            {"count": lambda steps: steps - 1},
            "One step is missing: the loop must run `steps` times.",
        ),
        (
            "one step too many",
            {"count": lambda steps: steps + 1},
            "There is one step too many: the loop must run `steps` times.",
        ),
        (
            "only one step",
            {"count": lambda steps: 1},
            "Only one step has an effect: start each step from the last x′, and return after the loop, not inside it.",
        ),
        (
            "the model's prediction in place of y",
            {"label": lambda model, x_adv, y: model(x_adv).argmax(1)},
            "You climbed the loss of the model's own prediction; the label y that was passed in is not used.",
        ),
        ("the label's logit", {"loss": lambda z, y: -z.gather(1, y[:, None]).sum()}, LOGIT),
        (
            "softmax before cross-entropy",
            {"loss": lambda z, y: F.cross_entropy(z.softmax(1), y, reduction="sum")},
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
        ),
        (
            "perturbation returned",
            {"answer": lambda x, x_adv: x_adv - x},
            "You returned the perturbation δ alone; return x + δ.",
        ),
    ],
)

INNER_MAX = Exercise(
    "05.2",
    "inner_max",
    _inner_with(),
    _inner_cases,
    [
        Probe("moves along the gradient of the loss", 1, _evaluated(follows(1)), essential=True),
        Probe("raises the loss", 1, _evaluated(uphill(0, 1, 2))),
        Probe("ends in the ε-ball and in the image", 1, lambda run: in_ball("Linf", 1, 4)(run) or in_image(run)),
        Probe("leaves BatchNorm's statistics alone", 1, _keeps_statistics),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3][i : i + 1], *a[4:])),
        ),
        Probe("is the inner maximum exactly", 2, matches("pixel")),
    ],
    _PARTS.single,
    "model.eval(); x_adv = (x + delta).clamp(0, 1); then `steps` times: gradient at x_adv, step of step_size·sign, both clips. Then the "
    "mode back as it was.",
    parts=_PARTS,
)
