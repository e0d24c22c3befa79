"""Exercises 02.2 and 02.3: the gradient with respect to the image, and FGSM."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..one_step import WRONG_LOSSES, WRONG_STEPS, step
from ..shared_probes import (
    SHAPES,
    alone,
    classifier,
    follows,
    gradient,
    gradient_of,
    images,
    in_image,
    labels,
    matches,
    uphill,
)


def _model_x_y(seed: int) -> list[tuple]:
    return [(classifier(seed, s), images(seed, s), labels(seed, s[0])) for s in SHAPES]


def _one_of_three(args: tuple, i: int) -> tuple:
    return (args[0], args[1][i : i + 1], args[2][i : i + 1], *args[3:])


GRADIENT = Exercise(
    "02.2",
    "input_gradient",
    gradient,
    _model_x_y,
    [
        Probe(
            "points where the loss rises",
            1,
            lambda run: uphill(0, 1, 2)(Run(run.cases, [a[1] + 1e-2 * g for a, g, _ in run], run.expected, run.call)),
        ),
        Probe("is the gradient of each image's cross-entropy", 2, matches("component"), essential=True),
        Probe("does not depend on the batch", 1, alone(_one_of_three)),
    ],
    [
        Mistake(
            "gradient of the batch mean",
            lambda m, x, y: gradient_of(m, x, lambda z: F.cross_entropy(z, y)) if len(x) > 1 else gradient(m, x, y),
            "This is the gradient of the batch's mean loss: each image's gradient came out divided by n. Sum the losses "
            "(reduction='sum'), and the images do not influence one another.",
        ),
        Mistake(
            "sign of the gradient",
            lambda m, x, y: gradient(m, x, y).sign(),
            "You returned the gradient's sign; the exercise asks for the gradient itself. The sign comes with FGSM.",
        ),
        Mistake(
            "minus the gradient",
            lambda m, x, y: -gradient(m, x, y),
            "The sign is flipped: this is minus the gradient, the direction in which the loss falls.",
        ),
        Mistake(
            "gradient of the label's logit",
            lambda m, x, y: gradient_of(m, x, lambda z: z.gather(1, y[:, None]).sum()),
            "You differentiated the logit of class y, not the cross-entropy loss.",
        ),
        Mistake(
            "gradient of all logits",
            lambda m, x, y: gradient_of(m, x, torch.sum),
            "You differentiated the sum of the logits; y plays no part in it. Differentiate the cross-entropy.",
        ),
        Mistake(
            "the prediction in place of y",
            lambda m, x, y: gradient(m, x, m(x).argmax(1)),
            "You used the model's own prediction as the label; the exercise gives you y.",
        ),
        Mistake(
            "softmax before cross-entropy",
            lambda m, x, y: gradient_of(m, x, lambda z: F.cross_entropy(z.softmax(1), y, reduction="sum")),
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice, which flattens the gradient.",
        ),
        Mistake(
            "gradient normalised",
            lambda m, x, y: F.normalize(gradient(m, x, y).flatten(1)).view_as(x),
            "You scaled the gradient to length 1; the exercise asks for the gradient as it is.",
        ),
        Mistake(
            "probability instead of loss",
            lambda m, x, y: gradient_of(m, x, lambda z: z.softmax(1).gather(1, y[:, None]).sum()),
            "You differentiated the probability of y, not its cross-entropy −log p(y).",
        ),
        Mistake(
            "gradients added up",
            lambda m, x, y: gradient(m, x, y) * torch.arange(len(x), 0, -1).view(-1, 1, 1, 1),
            "The gradients of several backward() calls add up in x.grad: it is never set back to zero between them.",
        ),
        Mistake(
            "averaged over the images",
            lambda m, x, y: gradient(m, x, y).mean(0, keepdim=True).expand_as(x),
            "You averaged the gradient over the images of the batch; each image has its own.",
        ),
        Mistake(
            "loss returned",
            lambda m, x, y: F.cross_entropy(m(x), y, reduction="none"),
            "You returned the loss; return its derivative with respect to the image (x.grad, or what autograd.grad gives).",
        ),
        Mistake(
            "mean loss returned",
            lambda m, x, y: F.cross_entropy(m(x), y),
            "You returned the mean loss; return its derivative with respect to the image (x.grad, or what autograd.grad gives).",
        ),
        Mistake(
            "absolute gradient",
            lambda m, x, y: gradient(m, x, y).abs(),
            "You returned the gradient's absolute value (a saliency map); its sign is what an attack needs.",
        ),
    ],
    "Make a leaf of your own (x.clone().detach().requires_grad_()), run the model on it, sum the losses, and ask "
    "torch.autograd.grad for their derivative with respect to that leaf.",
)


def _fgsm(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    return (x + eps * gradient(model, x, y).sign()).clamp(0, 1)


def _fgsm_with(label=None, loss=None, **parts):  # noqa: ANN001
    """Build a wrong FGSM out of a wrong label, a wrong loss or a wrong step."""
    label = label or (lambda model, x, y: y)
    loss = loss or (lambda z, y: F.cross_entropy(z, y, reduction="sum"))

    def attack(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
        named = label(model, x, y)
        return step(x, gradient_of(model, x, lambda z: loss(z, named)), eps, **parts)

    return attack


_FGSM_PARTS = Parts(
    _fgsm_with,
    [
        (
            "sign of the step flipped",
            {"side": -1},
            "This is what you get when the sign of the step is flipped: x − ε·sign(∇) makes the model more sure of y. To leave y, "
            "climb the loss: x + ε·sign(∇).",
        ),
        (
            "model's prediction in place of y",
            {"label": lambda m, x, y: m(x).argmax(1)},
            "You climbed the loss of the model's own prediction; the label y that was passed in is not used.",
        ),
        *WRONG_LOSSES,
        *WRONG_STEPS,
    ],
)


def _fgsm_cases(seed: int) -> list[tuple]:
    return [(*args, eps) for args, eps in zip(_model_x_y(seed), (0.1, 0.04), strict=True)]


def _whole_step(run: Run) -> str:
    problem = matches("pixel")(run)
    if not problem:
        return ""
    for (_, x, _, eps), answer, _ in run:
        inside = (x > eps) & (x < 1 - eps)
        sizes = (answer - x)[inside].abs()
        if not torch.allclose(sizes, torch.full_like(sizes, eps), atol=1e-4):
            return (
                f"away from the edges of [0, 1] every pixel must move by exactly ε = {eps}; yours move by "
                f"{sizes.min():.3g} to {sizes.max():.3g}"
            )
    return problem


FGSM = Exercise(
    "02.3",
    "fgsm",
    _fgsm,
    _fgsm_cases,
    [
        Probe("moves along the gradient of the loss", 1, follows(1), essential=True),
        Probe("raises the loss", 1, uphill(0, 1, 2)),
        Probe("moves every pixel by ε, in the direction of the gradient's sign", 1, _whole_step),
        Probe("stays in the image, [0, 1]", 1, in_image),
    ],
    [
        *_FGSM_PARTS.single,
        Mistake(
            "gradient of the logit",
            lambda m, x, y, eps: step(x, gradient_of(m, x, lambda z: z.gather(1, y[:, None]).sum()), eps),
            "You climbed the logit of y, which makes the model more sure of y; climb the cross-entropy.",
        ),
        Mistake(
            "largest logit",
            lambda m, x, y, eps: step(x, gradient_of(m, x, lambda z: z.amax(1).sum()), eps),
            "You climbed the largest logit, which makes the model more sure of its prediction; climb the cross-entropy of y.",
        ),
        Mistake(
            "largest logit of the batch",
            lambda m, x, y, eps: step(x, gradient_of(m, x, torch.max), eps),
            "You climbed the largest logit of the whole batch, so a single image changes; climb the cross-entropy of y.",
        ),
        Mistake(
            "clipped to the ε-box around zero",
            lambda m, x, y, eps: (x + eps * gradient(m, x, y).sign()).clamp(-eps, eps),
            "You clipped the image to [−ε, ε]; ε limits the change, and the image is clipped to [0, 1].",
        ),
        Mistake(
            "image scaled",
            lambda m, x, y, eps: (x * (1 + eps * gradient(m, x, y).sign())).clamp(0, 1),
            "You scaled the image by 1 ± ε; the step is added, x + ε·sign(∇).",
        ),
    ],
    "Three lines: the gradient of the cross-entropy with respect to x; a step of ε times its sign; clamp(0, 1).",
    parts=_FGSM_PARTS,
)
