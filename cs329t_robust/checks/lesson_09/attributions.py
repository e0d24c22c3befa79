"""Exercises 09.1 and 09.2: the gradient of a logit, and its mean along the way from a baseline."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Parts, Probe, Run
from ..message_wording import part
from ..shared_probes import SHAPES, alone, classifier, follows, gradient_of, images, labels, matches


def _logit(z: Tensor, y: Tensor) -> Tensor:
    return z.gather(1, y[:, None]).sum()


def _gradient_with(of: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Make the gradient of any number made of the logits and the labels."""
    return lambda model, x, y: gradient_of(model, x, lambda z: of(z, y))


_saliency = _gradient_with(_logit)


def _cases(seed: int) -> list[tuple]:
    return [(classifier(seed, s), images(seed, s), labels(seed, s[0])) for s in SHAPES]


def _shifted(run: Run) -> Run:
    """Turn gradients into changes of the image, for probes that look at changes."""
    return Run(
        run.cases,
        [args[1] + answer for args, answer, _ in run],
        [args[1] + expected for args, _, expected in run],
        run.call,
    )


SALIENCY = Exercise(
    "09.1",
    "saliency",
    _saliency,
    _cases,
    [
        Probe("points where the logit of y rises", 1, lambda run: follows(1)(_shifted(run)), essential=True),
        Probe("is the gradient of the logit of y, pixel by pixel", 3, matches("pixel value")),
        Probe("treats each image on its own", 1, alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1]))),
    ],
    [
        Mistake(
            "cross-entropy",
            _gradient_with(lambda z, y: F.cross_entropy(z, y, reduction="sum")),
            "This is the gradient of the cross-entropy. It points away from the class, and mixes in all other logits; here the "
            "question is what raises the logit of y itself.",
        ),
        Mistake(
            "minus cross-entropy",
            _gradient_with(lambda z, y: -F.cross_entropy(z, y, reduction="sum")),
            "This is the gradient of the log-probability, which also falls where other classes rise. Differentiate the logit of y alone.",
        ),
        Mistake(
            "probability",
            _gradient_with(lambda z, y: _logit(z.softmax(1), y)),
            "This is the gradient of the probability after a softmax: where the model is sure it almost vanishes. Use the logit.",
        ),
        Mistake(
            "sum of all logits",
            _gradient_with(lambda z, y: z.sum()),
            "You added up the logits of all classes; pick the logit of y in each row, for instance by z.gather(1, y[:, None]).",
        ),
        Mistake(
            "largest logit",
            _gradient_with(lambda z, y: z.amax(1).sum()),
            "You explain the largest logit, whatever y is. The exercise asks for the class that it is given.",
        ),
        Mistake(
            "column instead of row",
            _gradient_with(lambda z, y: z[:, y].sum()),
            "z[:, y] takes, for every image, the logits of the labels of ALL images. One logit a row: z[range(n), y], or gather.",
        ),
        Mistake(
            "mean over the batch",
            lambda model, x, y: _saliency(model, x, y) / len(x),
            "You averaged the logits over the batch, so each gradient is divided by the number of images. Use the sum.",
        ),
        Mistake(
            "absolute value",
            lambda model, x, y: _saliency(model, x, y).abs(),
            "You return absolute values. Keep the sign: it says whether a pixel speaks for or against the class.",
        ),
        Mistake(
            "sign",
            lambda model, x, y: _saliency(model, x, y).sign(),
            "You return the sign alone, which FGSM needs. Here the sizes are the point.",
        ),
        Mistake(
            "times the input",
            lambda model, x, y: _saliency(model, x, y) * x,
            "You multiplied by the picture (gradient × input). That is another attribution; the saliency is the gradient itself.",
        ),
        Mistake(
            "downhill",
            lambda model, x, y: -_saliency(model, x, y),
            "The sign is flipped: this is where the logit falls.",
        ),
    ],
    "Make a leaf of x, take the logit of y in each row (gather), add them up, and differentiate with torch.autograd.grad.",
)


def _integrated_with(
    points: Callable[[int, int], float] = lambda k, steps: (k + 0.5) / steps,
    along: Callable[[Tensor, Tensor, float], Tensor] = lambda x, base, a: base + a * (x - base),
    total: Callable[[list[Tensor]], Tensor] = lambda grads: torch.stack(grads).mean(0),
    times: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda grad, x, base: (x - base) * grad,
    of: Callable[[Tensor, Tensor], Tensor] = _logit,
) -> Callable[..., Tensor]:
    """Build integrated gradients with one of its parts replaced."""

    def answer(model: nn.Module, x: Tensor, y: Tensor, baseline: Tensor, steps: int) -> Tensor:
        grads = [
            gradient_of(model, along(x, baseline, points(k, steps)).detach(), lambda z: of(z, y)) for k in range(steps)
        ]
        return times(total(grads), x, baseline)

    return answer


_integrated = _integrated_with()


def _integrated_cases(seed: int) -> list[tuple]:
    return [
        (classifier(seed, s), images(seed, s), labels(seed, s[0]), images(seed + 9, s) * 0.5, steps)
        for s, steps in zip(SHAPES, (12, 9), strict=True)
    ]


def _complete(run: Run) -> str:
    for (model, x, y, baseline, _), answer, _ in run:
        with torch.no_grad():
            gap = (model(x) - model(baseline)).gather(1, y[:, None])[:, 0]
        got = answer.flatten(1).sum(1)
        off = (got - gap).abs() > 0.05 * gap.abs().clamp_min(0.5)
        if off.any():
            at = int((got - gap).abs().argmax())
            return (
                f"{part(int(off.sum()), len(x), 'image', 'do')} not add up: the values of image {at} add up to {got[at]:.3f}, but its logit "
                f"rose by {gap[at]:.3f} from the baseline to x"
            )
    return ""


_PARTS = Parts(
    _integrated_with,
    [
        (
            "not multiplied",
            {"times": lambda grad, x, base: grad},
            "The mean gradient is there; it still has to be multiplied by x − baseline, pixel by pixel.",
        ),
        (
            "times x",
            {"times": lambda grad, x, base: x * grad},
            "You multiply by x. That is right for a black baseline only: multiply by x − baseline.",
        ),
        (
            "baseline minus x",
            {"times": lambda grad, x, base: (base - x) * grad},
            "You multiply by baseline − x; the way goes from the baseline to x, so it is x − baseline.",
        ),
        (
            "sum instead of mean",
            {"total": lambda grads: torch.stack(grads).sum(0)},
            "You add up the gradients of all points; an integral over [0, 1] is their mean.",
        ),
        (
            "last point only",
            {"total": lambda grads: grads[-1]},
            "Only the last point's gradient survives your loop; collect all and take the mean.",
        ),
        (
            "left end of each part",
            {"points": lambda k, steps: k / steps},
            "Your points are k/steps: they begin at the baseline and never come near x. Take the middles, (k + ½)/steps.",
        ),
        (
            "right end of each part",
            {"points": lambda k, steps: (k + 1) / steps},
            "Your points are (k + 1)/steps, the right ends of the parts. Take the middles, (k + ½)/steps.",
        ),
        (
            "from black",
            {"along": lambda x, base, a: a * x},
            "Your way starts at a black picture, whatever the baseline is: baseline + α·(x − baseline).",
        ),
        (
            "no way at all",
            {"along": lambda x, base, a: x},
            "Every gradient is taken at x: α is not used. Look at baseline + α·(x − baseline).",
        ),
        (
            "probability",
            {"of": lambda z, y: _logit(z.softmax(1), y)},
            "You differentiate the probability; the exercise asks for the logit of y.",
        ),
        (
            "loss",
            {"of": lambda z, y: F.cross_entropy(z, y, reduction="sum")},
            "You differentiate the cross-entropy; the exercise asks for the logit of y.",
        ),
    ],
)

INTEGRATED = Exercise(
    "09.2",
    "integrated_gradients",
    _integrated,
    _integrated_cases,
    [
        Probe("adds up to the rise of the logit", 2, _complete, essential=True),
        Probe("is (x − baseline) times the mean gradient at the middles", 2, matches("pixel value")),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3][i : i + 1], a[4])),
        ),
    ],
    _PARTS.single,
    "For k = 0 … steps−1 take the logit's gradient at baseline + (k + ½)/steps · (x − baseline); average; multiply by x − baseline.",
    parts=_PARTS,
)
