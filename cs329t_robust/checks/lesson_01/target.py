"""Exercises 01.3 and 01.4: a step towards a target, and how often it arrives."""

import torch
from torch import Tensor, nn

from ..exercise import Exercise, Mistake, Parts, Probe
from ..one_step import WRONG_LOSSES, WRONG_STEPS, step
from ..shared_probes import (
    SHAPES,
    alone,
    classifier,
    follows,
    gradient,
    gradient_of,
    images,
    in_ball,
    in_image,
    labels,
    matches,
    share_is_right,
    uphill,
)


def _targeted(model: nn.Module, x: Tensor, target: Tensor, eps: float) -> Tensor:
    return (x - eps * gradient(model, x, target).sign()).clamp(0, 1)


def _target_with(label=None, loss=None, **parts):  # noqa: ANN001
    """Build a wrong targeted step out of a wrong label, a wrong loss or a wrong step."""
    label = label or (lambda model, x, target: target)
    loss = loss or (lambda z, y: nn.functional.cross_entropy(z, y, reduction="sum"))

    def attack(model: nn.Module, x: Tensor, target: Tensor, eps: float) -> Tensor:
        y = label(model, x, target)
        return step(x, -gradient_of(model, x, lambda z: loss(z, y)), eps, **parts)

    return attack


_PARTS = Parts(
    _target_with,
    [
        (
            "away from the target",
            {"side": -1},
            "This step climbs the target's loss, so it flees from the target. Towards a target the loss has to fall: x − ε·sign(∇).",
        ),
        (
            "towards the prediction",
            {"label": lambda m, x, t: m(x).argmax(1)},
            "You use the loss of the model's own prediction; it is the target's loss that counts.",
        ),
        *WRONG_LOSSES,
        *WRONG_STEPS,
    ],
)


def _twice(model: nn.Module, x: Tensor, target: Tensor, eps: float) -> Tensor:
    return _targeted(model, _targeted(model, x, target, eps), target, eps)


TARGETED_STEP = Exercise(
    "01.3",
    "targeted_step",
    _targeted,
    lambda seed: [
        (classifier(seed, s), images(seed, s), labels(seed, s[0]), eps)
        for s, eps in zip(SHAPES, (0.1, 0.04), strict=True)
    ],
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("makes the target more likely", 1, uphill(0, 1, 2, towards=True)),
        Probe("moves every pixel by ε", 1, matches("pixel")),
        Probe("stays in the ε-ball and in the image", 1, lambda run: in_image(run) or in_ball("Linf", 1, 3)(run)),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3])),
        ),
    ],
    [
        Mistake(
            "away from the prediction",
            _target_with(label=lambda m, x, t: m(x).argmax(1), side=-1),
            "This is the untargeted step: it flees from the model's own prediction, and the target plays no part.",
        ),
        *_PARTS.single,
        Mistake(
            "two steps",
            _twice,
            "Two steps are taken, so pixels move by up to 2ε; the exercise asks for one.",
        ),
    ],
    "As FGSM, with two changes: the label is the target, and the step goes down the loss instead of up.",
    parts=_PARTS,
)


def _success_rate(model: nn.Module, x_adv: Tensor, target: Tensor) -> float:
    with torch.no_grad():
        return (model(x_adv).argmax(1) == target).float().mean().item()


def _rate_cases(seed: int) -> list[tuple]:
    cases = []
    for n, hits in ((10, 7), (5, 1), (3, 3)):
        model, x = classifier(seed + n, SHAPES[0]), images(seed + n, (n, *SHAPES[0][1:]))
        with torch.no_grad():
            target = model(x).argmax(1)
        target[hits:] = (target[hits:] + 1 + torch.arange(n - hits) % 3) % 4
        cases.append((model, x, target))
    return cases


SUCCESS_RATE = Exercise(
    "01.4",
    "success_rate",
    _success_rate,
    _rate_cases,
    [
        Probe(
            "is a share between 0 and 1",
            1,
            lambda run: next((f"got {a:.4g}" for _, a, _ in run if not 0 <= a <= 1), ""),
        ),
        Probe(
            "is the share of images predicted as their target",
            3,
            share_is_right("reach", "the target", "rate"),
            essential=True,
        ),
    ],
    [
        Mistake(
            "untargeted success",
            lambda m, x, t: 1 - _success_rate(m, x, t),
            "You count the images that are NOT predicted as `target`. That is success for an untargeted attack; a targeted one "
            "succeeds when the prediction equals its target.",
        ),
        Mistake(
            "percentage",
            lambda m, x, t: 100 * _success_rate(m, x, t),
            "You return a percentage; rates are shares between 0 and 1 here.",
        ),
        Mistake(
            "count",
            lambda m, x, t: len(x) * _success_rate(m, x, t),
            "You return how many images reach their target; divide by the number of images.",
        ),
        Mistake(
            "mean probability of the target",
            lambda m, x, t: m(x).softmax(1).gather(1, t[:, None]).mean().item(),
            "This is the mean probability of the target; success asks whether the prediction equals the target.",
        ),
        Mistake(
            "more than half",
            lambda m, x, t: (m(x).softmax(1).gather(1, t[:, None]) > 0.5).float().mean().item(),
            "You ask for more than 50% probability; the target is reached as soon as it is the largest of all classes.",
        ),
        Mistake(
            "all or nothing",
            lambda m, x, t: float((m(x).argmax(1) == t).all()),
            "You return 1 only if every image reaches its target, else 0: all() does that, and so does the whole-number division //. Take the mean.",
        ),
        Mistake(
            "any",
            lambda m, x, t: float((m(x).argmax(1) == t).any()),
            "You return 1 as soon as one image reaches its target; take the mean.",
        ),
        Mistake(
            "argmax over the batch",
            lambda m, x, t: (m(x).argmax(0) == t).float().mean().item(),
            "argmax(0) looks down the batch; the predicted class of each image is argmax(1), along the classes.",
        ),
        Mistake(
            "logits compared with targets",
            lambda m, x, t: (m(x).amax(1) == t).float().mean().item(),
            "No image counts: you compare the target with the largest logit itself (.max(1) gives values before indices) or with one "
            "index for the whole batch (argmax() without a dim). argmax(1) is the predicted class of each image.",
        ),
        Mistake(
            "the first target for all",
            lambda m, x, t: (m(x).argmax(1) == t[0]).float().mean().item(),
            "Every image is compared with the first target; each has its own.",
        ),
        Mistake(
            "argmin",
            lambda m, x, t: (m(x).argmin(1) == t).float().mean().item(),
            "The predicted class has the largest logit: argmax, not argmin.",
        ),
        Mistake(
            "divided by the number of classes",
            lambda m, x, t: (m(x).argmax(1) == t).float().sum().item() / 4,
            "You divide by the number of classes; divide by the number of images.",
        ),
    ],
    "Predict (argmax(1) of the logits), compare with target, take the mean as a float.",
    returns="number",
)
