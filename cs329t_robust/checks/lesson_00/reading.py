"""Exercises 00.1 and 00.2: reading a model's answer, as accuracy and as confidence."""

import torch
from torch import Tensor, nn

from ..agreement import TOLERANCE
from ..exercise import Exercise, Mistake, Probe
from ..shared_probes import SHAPES, classifier, generator, images, matches, share_is_right


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def _accuracy_cases(seed: int) -> list[tuple]:
    cases = []
    for n, hits in ((12, 9), (5, 1), (4, 4)):
        model, x = classifier(seed + n, SHAPES[0]), images(seed + n, (n, *SHAPES[0][1:]))
        with torch.no_grad():
            y = model(x).argmax(1)
        y[hits:] = (y[hits:] + 1 + torch.arange(n - hits) % 3) % 4
        cases.append((model, x, y))
    return cases


ACCURACY = Exercise(
    "00.1",
    "accuracy",
    _accuracy,
    _accuracy_cases,
    [
        Probe(
            "is a share between 0 and 1",
            1,
            lambda run: next((f"got {a:.4g}" for _, a, _ in run if not 0 <= a <= 1), ""),
        ),
        Probe(
            "is the share of images classified as y",
            3,
            share_is_right("are", "classified correctly", "accuracy"),
            essential=True,
        ),
    ],
    [
        Mistake(
            "a percentage",
            lambda m, x, y: 100 * _accuracy(m, x, y),
            "You return a percentage; this workbook writes accuracy as a share between 0 and 1, so leave out the factor 100.",
        ),
        Mistake(
            "a count",
            lambda m, x, y: _accuracy(m, x, y) * len(x),
            "You return how many images are right; divide by the number of images (take the mean, not the sum).",
        ),
        Mistake(
            "the error rate",
            lambda m, x, y: 1 - _accuracy(m, x, y),
            "You return the error rate, the share that is wrong; accuracy counts where prediction and label are equal.",
        ),
        Mistake(
            "argmax over the batch",
            lambda m, x, y: (m(x).argmax(0) == y).float().mean().item(),
            "argmax(0) looks down the batch; the predicted class of each image is argmax(1), along the classes.",
        ),
        Mistake(
            "argmax over the batch, cut to length",
            lambda m, x, y: (m(x).argmax(0)[: len(y)] == y[:4]).float().mean().item(),
            "argmax(0) looks down the batch: for each class, which image; the predicted class of each image is argmax(1).",
        ),
        Mistake(
            "logits compared with labels",
            lambda m, x, y: (m(x).amax(1) == y).float().mean().item(),
            "No image counts as right: you compare y with the largest logit itself (.max(1) gives values before indices) or with one "
            "index for the whole batch (argmax() without a dim). argmax(1) is the predicted class of each image.",
        ),
        Mistake(
            "only the first image",
            lambda m, x, y: (m(x).argmax(1) == y)[0].item() / len(x),
            "Only the first image is counted: the `return` stands inside the loop.",
        ),
        Mistake(
            "argmin",
            lambda m, x, y: (m(x).argmin(1) == y).float().mean().item(),
            "The predicted class is the one with the largest logit: argmax, not argmin.",
        ),
        Mistake(
            "mean confidence in y",
            lambda m, x, y: m(x).softmax(1).gather(1, y[:, None]).mean().item(),
            "This is the mean probability of the true class; accuracy only asks whether the predicted class is y.",
        ),
        Mistake(
            "mean confidence",
            lambda m, x, y: m(x).softmax(1).amax(1).mean().item(),
            "This is the mean confidence, which does not look at y at all; accuracy compares the predicted class with y.",
        ),
        Mistake(
            "divided by the number of classes",
            lambda m, x, y: (m(x).argmax(1) == y).float().sum().item() / 4,
            "You divide by the number of classes; divide by the number of images.",
        ),
        Mistake(
            "all or nothing",
            lambda m, x, y: float((m(x).argmax(1) == y).all()),
            "You return 1 only if every image is right, else 0: all() does that, and so does the whole-number division //. Take the mean.",
        ),
        Mistake(
            "any",
            lambda m, x, y: float((m(x).argmax(1) == y).any()),
            "You return 1 as soon as one image is right (any); take the mean instead.",
        ),
    ],
    "model(x) has shape (n, classes). Its argmax(1) is the predicted class of each image; compare with y, and take the mean.",
    returns="number",
)


def _confidence(logits: Tensor) -> Tensor:
    return logits.softmax(1).amax(1)


CONFIDENCE = Exercise(
    "00.2",
    "confidence",
    _confidence,
    lambda seed: [(torch.randn((n, k), generator=generator(seed + n)) * 3,) for n, k in ((6, 4), (1, 10), (3, 2))],
    [
        Probe(
            "is a probability between 0 and 1",
            1,
            lambda run: next(
                (
                    f"values from {a.min():.3g} to {a.max():.3g}"
                    for _, a, _ in run
                    if a.min() < 0 or a.max() > 1 + TOLERANCE
                ),
                "",
            ),
        ),
        Probe("is the softmax probability of the predicted class", 3, matches("value"), essential=True),
    ],
    [
        Mistake(
            "the largest logit",
            lambda z: z.amax(1),
            "You return the largest logit; logits are no probabilities. Apply the softmax first.",
        ),
        Mistake(
            "softmax over the batch",
            lambda z: z.softmax(0).amax(1),
            "Your softmax runs down the batch (dim 0), so images share one budget of probability; it is along the classes, dim 1.",
        ),
        Mistake(
            "softmax and maximum over the batch",
            lambda z: z.softmax(0).amax(0),
            "Softmax and maximum run down the batch (dim 0); the classes are along dim 1.",
        ),
        Mistake(
            "maximum over the batch",
            lambda z: z.softmax(1).amax(0),
            "The maximum runs down the batch: one value per class. Take it along the classes, dim 1, for one value per image.",
        ),
        Mistake(
            "the predicted class",
            lambda z: z.argmax(1).float(),
            "You return the number of the predicted class; the exercise asks for its probability (amax, not argmax).",
        ),
        Mistake(
            "the predicted class as an integer",
            lambda z: z.argmax(1),
            "You return the number of the predicted class; the exercise asks for its probability (amax, not argmax).",
        ),
        Mistake(
            "the smallest probability",
            lambda z: z.softmax(1).amin(1),
            "You return the smallest probability; the predicted class has the largest.",
        ),
        Mistake(
            "a sigmoid",
            lambda z: z.sigmoid().amax(1),
            "You used the sigmoid, which treats each class by itself; probabilities of exclusive classes come from the softmax.",
        ),
        Mistake(
            "log-probability",
            lambda z: z.log_softmax(1).amax(1),
            "You return the logarithm of the probability: use softmax, not log_softmax.",
        ),
        Mistake(
            "normalised without exponential",
            lambda z: (z / z.sum(1, keepdim=True)).amax(1),
            "You divided the logits by their sum; the softmax takes their exponentials first (logits may be negative).",
        ),
        Mistake(
            "one number for the batch",
            lambda z: z.softmax(1).amax(),
            "You return one number for the whole batch; each image has its own confidence: amax(1).",
        ),
        Mistake(
            "all probabilities",
            lambda z: z.softmax(1),
            "You return the probabilities of all classes; keep the largest of each image: .amax(1).",
        ),
        Mistake(
            "one sum for the batch",
            lambda z: (z.exp() / z.exp().sum()).amax(1),
            "You divided by the sum over the whole batch; each image's probabilities sum to 1 on their own: dim 1.",
        ),
        Mistake(
            "exponential alone",
            lambda z: z.exp().amax(1),
            "These are exponentials that nothing was divided by: the softmax divides them by their sum over the classes.",
        ),
        Mistake(
            "mean probability",
            lambda z: z.softmax(1).mean(1),
            "You return the mean over the classes, which is always 1/classes; the predicted class has the largest probability.",
        ),
        Mistake(
            "probability of the first class",
            lambda z: z.softmax(1)[:, 0],
            "You return the probability of class 0; the predicted class has the largest.",
        ),
        Mistake(
            "softmax applied twice",
            lambda z: z.softmax(1).softmax(1).amax(1),
            "The softmax is applied twice, which flattens the probabilities.",
        ),
    ],
    "Two steps: softmax along the classes (dim 1) turns logits into probabilities; the predicted class has the largest.",
    returns="vector",
    like=0,
)
