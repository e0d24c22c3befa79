"""Exercise 03.3: a gradient over many views."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import SHAPES, alone, classifier, follows, generator, images, labels, matches

View = Callable[[Tensor], Tensor]


def _with_views(objective: Callable[[nn.Module, Tensor, Tensor, list[View]], Tensor]) -> Callable[..., Tensor]:
    """Make a function that differentiates `objective` with respect to x."""

    def gradient(model: nn.Module, x: Tensor, y: Tensor, views: list[View]) -> Tensor:
        x = x.detach().clone().requires_grad_()
        return torch.autograd.grad(objective(model, x, y, views), x)[0]

    return gradient


def _ce(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z, y, reduction="sum")


_eot = _with_views(lambda m, x, y, views: sum(_ce(m(view(x)), y) for view in views) / len(views))


def _views(seed: int) -> list[View]:
    light = 0.5 + 0.4 * torch.rand(1, generator=generator(seed + 7)).item()
    return [lambda x: x.flip(3), lambda x: light * x, lambda x: x.roll(1, 2)]


def _eot_cases(seed: int) -> list[tuple]:
    return [
        (classifier(seed, s), images(seed, s), labels(seed, s[0]), _views(seed)[:count])
        for s, count in zip(SHAPES, (3, 2), strict=True)
    ]


def _unmoved(model: nn.Module, x: Tensor, y: Tensor, views: list[View]) -> Tensor:
    """Average gradients that were taken at the seen pictures and never brought back."""
    total = torch.zeros_like(x)
    for view in views:
        seen = view(x).detach().requires_grad_()
        total += torch.autograd.grad(_ce(model(seen), y), seen)[0]
    return total / len(views)


EOT = Exercise(
    "03.3",
    "eot_gradient",
    _eot,
    _eot_cases,
    [
        Probe(
            "points where the loss over all views rises",
            1,
            lambda run: follows(1)(
                Run(
                    run.cases,
                    [args[1] + answer for args, answer, _ in run],
                    [args[1] + expected for args, _, expected in run],
                    run.call,
                )
            ),
            essential=True,
        ),
        Probe("is the mean of the views' gradients", 3, matches("pixel value")),
        Probe(
            "treats each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3])),
        ),
    ],
    [
        Mistake(
            "sum over the views",
            _with_views(lambda m, x, y, views: sum(_ce(m(view(x)), y) for view in views)),
            "You summed over the views; an expectation is their mean: divide by len(views).",
        ),
        Mistake(
            "only the first view",
            _with_views(lambda m, x, y, views: _ce(m(views[0](x)), y)),
            "Only the first view counts in your gradient; go through all of them.",
        ),
        Mistake(
            "only the last view",
            _with_views(lambda m, x, y, views: _ce(m(views[-1](x)), y)),
            "Only the last view counts: the earlier losses are overwritten in the loop. Add them up.",
        ),
        Mistake(
            "last view, divided",
            _with_views(lambda m, x, y, views: _ce(m(views[-1](x)), y) / len(views)),
            "Only the last view counts: the earlier losses are overwritten in the loop, and then you divide. Add them up.",
        ),
        Mistake(
            "views not used",
            _with_views(lambda m, x, y, views: _ce(m(x), y)),
            "This is the gradient of the unmoved picture: the model has to see view(x).",
        ),
        Mistake(
            "one view after the other",
            _with_views(lambda m, x, y, views: _ce(m(_chain(x, views)), y)),
            "You chained the views, each on top of the one before; each view starts from x itself.",
        ),
        Mistake(
            "mean picture",
            _with_views(lambda m, x, y, views: _ce(m(sum(view(x) for view in views) / len(views)), y)),
            "You averaged the pictures and asked the model once, about a picture nobody sees. Average the losses.",
        ),
        Mistake(
            "mean logits",
            _with_views(lambda m, x, y, views: _ce(sum(m(view(x)) for view in views) / len(views), y)),
            "You averaged the logits before the loss. The expectation is of the loss: one loss for each view, then the mean.",
        ),
        Mistake(
            "gradient of the seen picture",
            _unmoved,
            "Your gradient is with respect to view(x), so it is flipped and shifted as the view is. Differentiate through the view, "
            "with respect to x.",
        ),
        Mistake(
            "sign returned",
            lambda m, x, y, views: _eot(m, x, y, views).sign(),
            "You returned the gradient's sign; the exercise asks for the gradient itself.",
        ),
        Mistake(
            "downhill",
            lambda m, x, y, views: -_eot(m, x, y, views),
            "The sign is flipped: this is the way down the loss.",
        ),
        Mistake(
            "mean over the batch",
            lambda m, x, y, views: _eot(m, x, y, views) / len(x),
            "F.cross_entropy averages over the batch unless told otherwise, so each image's gradient depends on how many "
            'others there are. Use reduction="sum".',
        ),
        Mistake(
            "mean over the batch, sum over the views",
            lambda m, x, y, views: _eot(m, x, y, views) * len(views) / len(x),
            'Two things at once: the views are summed, not averaged; and F.cross_entropy averages over the batch (reduction="sum").',
        ),
    ],
    "One leaf x, one loss for each view, F.cross_entropy(model(view(x)), y, reduction='sum'); their mean; then torch.autograd.grad.",
)


def _chain(x: Tensor, views: list[View]) -> Tensor:
    for view in views:
        x = view(x)
    return x
