"""Inputs and measurements that the probes of several lessons share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .agreement import TOLERANCE, agree
from .exercise import Run
from .message_wording import part

SHAPES = ((6, 1, 5, 5), (1, 3, 4, 4))  # a batch of grey images, and a single colour image


def generator(seed: int) -> torch.Generator:
    """Return a CPU generator, so that a seed gives the same inputs on every machine."""
    return torch.Generator().manual_seed(1000 + seed)


def images(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Return random images of which about a third of the pixels are exactly 0 or 1, where clipping matters."""
    x = torch.rand(shape, generator=generator(seed)) * 1.5 - 0.25
    return x.clamp(0, 1)


def labels(seed: int, n: int, k: int = 4) -> Tensor:
    """Return n labels below k."""
    return torch.randint(k, (n,), generator=generator(seed + 1))


def classifier(seed: int, shape: tuple[int, ...], k: int = 4) -> nn.Module:
    """Return a small smooth random classifier in eval mode, with a BatchNorm and a dropout to be left alone."""
    draw = generator(seed + 2)
    pixels, hidden = shape[1] * shape[2] * shape[3], 12
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, hidden),
        nn.BatchNorm1d(hidden),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(hidden, k),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * (1.5 / parameter.shape[-1] ** 0.5))
        model[2].weight.fill_(1.0)
    return model.eval()


def gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of each image's own cross-entropy."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(nn.functional.cross_entropy(model(x), y, reduction="sum"), x)[0]


def gradient_of(model: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient with respect to x of any number made of the logits."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(model(x)), x)[0]


def per_image(values: Tensor) -> Tensor:
    """Shape one value per image (n,) so that it multiplies images (n, c, h, w)."""
    return values.view(-1, 1, 1, 1)


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each image, without gradients."""
    with torch.no_grad():
        return nn.functional.cross_entropy(model(x), y, reduction="none")


def in_image(run: Run) -> str:
    """Say how many values left [0, 1]."""
    outside = sum(int(((a < -TOLERANCE) | (a > 1 + TOLERANCE)).sum()) for _, a, _ in run)
    if not outside:
        return ""
    low, high = min(a.min().item() for _, a, _ in run), max(a.max().item() for _, a, _ in run)
    total = sum(a.numel() for _, a, _ in run)
    return (
        f"{part(outside, total, 'pixel')} left [0, 1] (from {low:.2f} to {high:.2f}): clip the result to a valid image"
    )


def in_ball(norm: str, image_at: int, eps_at: int) -> Callable[[Run], str]:
    """Make a test that each answer lies within the radius argument of the image argument."""

    def test(run: Run) -> str:
        bad, total, worst = 0, 0, (0.0, 0.0)
        for args, answer, _ in run:
            size = lengths(answer - args[image_at], norm)
            far = size > args[eps_at] * (1 + 1e-4) + TOLERANCE
            bad, total = bad + int(far.sum()), total + len(size)
            if far.any() and size.max().item() - args[eps_at] > worst[0] - worst[1]:
                worst = (size.max().item(), args[eps_at])
        sign = "max |x′−x|" if norm == "Linf" else "‖x′−x‖₂"
        return (
            f"{part(bad, total, 'image')} left the ε-ball: {sign} = {worst[0]:.3f} > ε = {worst[1]:.3f}" if bad else ""
        )

    return test


def lengths(delta: Tensor, norm: str) -> Tensor:
    """Return the size of each image's change."""
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "Linf" else flat.norm(dim=1)


def matches(what: str = "value") -> Callable[[Run], str]:
    """Make a test that every answer equals the reference's, and say how far the first wrong one is off."""

    def test(run: Run) -> str:
        for _, answer, expected in run:
            if agree(answer, expected):
                continue
            if not isinstance(answer, Tensor):
                return f"expected {_short(expected)}, got {_short(answer)}"
            gap = (answer - expected).abs()
            at = int(gap.flatten().argmax())
            wrong = int((gap > TOLERANCE + 1e-4 * expected.abs()).sum())
            return (
                f"{part(wrong, gap.numel(), what, 'differ')}; for example expected {expected.flatten()[at]:.4g}, "
                f"got {answer.flatten()[at]:.4g}"
            )
        return ""

    return test


def _short(value: float | None) -> str:
    return "None" if value is None else f"{value:.4g}"


def alone(function_args: Callable[[tuple, int], tuple]) -> Callable[[Run], str]:
    """Make a test that an image gets the same answer alone as in its batch; `function_args(args, i)` takes image i."""

    def test(run: Run) -> str:
        for args, answer, _ in run:
            if len(answer) == 1:
                continue
            for i in range(len(answer)):
                own = (a.clone() if isinstance(a, Tensor) else a for a in function_args(args, i))
                single = run.call(*own)  # on copies: what a function changes in place must not reach the next image
                if not agree(single.detach()[0], answer[i]):
                    gap = (single.detach()[0] - answer[i]).abs().max().item()
                    return (
                        f"image {i} gets another answer alone than in a batch of {len(answer)} (they differ by {gap:.3g}): "
                        "something is averaged, summed or normalised over the whole batch"
                    )
        return ""

    return test


def uphill(model_at: int, image_at: int, label_at: int, towards: bool = False) -> Callable[[Run], str]:
    """Make a test that the loss rises (or falls, `towards` a target) for nearly every image."""

    def test(run: Run) -> str:
        before, after = [], []
        for args, answer, _ in run:
            model, x, y = args[model_at], args[image_at], args[label_at]
            before.append(losses(model, x, y))
            after.append(losses(model, answer.clamp(0, 1), y))
        start, end = torch.cat(before), torch.cat(after)
        right = (end < start) if towards else (end > start)
        if int(right.sum()) >= 0.8 * len(right):
            return ""
        verb, aim = ("did not fall", "fall towards the target") if towards else ("did not rise", "rise")
        return (
            f"the loss {verb} for {part(int((~right).sum()), len(right), 'image')} (mean {start.mean():.2f} before, "
            f"{end.mean():.2f} after); it must {aim}"
        )

    return test


def moves(image_at: int) -> Callable[[Run], str]:
    """Make a test that the answer is not simply the input."""

    def test(run: Run) -> str:
        still = all(agree(answer, args[image_at]) for args, answer, _ in run)
        return "your function returns its input unchanged" if still else ""

    return test


def follows(image_at: int) -> Callable[[Run], str]:
    """Make a test that the change lies along the right answer's (or exactly against it), not across it.

    The mean |cosine| with the reference's change: 1 for a right answer, also with its sign flipped; about 0.2 for noise.
    """

    def test(run: Run) -> str:
        cosines = []
        for args, answer, expected in run:
            got, want = (answer - args[image_at]).flatten(1), (expected - args[image_at]).flatten(1)
            if got.abs().max() < TOLERANCE:
                return "your function returns its input unchanged"
            cosines.append(nn.functional.cosine_similarity(got, want).abs())
        mean = torch.cat(cosines).mean().item()
        if mean >= 0.5:
            return ""
        return f"the change has little to do with the gradient of the loss (mean |cosine| {mean:.2f}, 1 is perfect)"

    return test


def share_is_right(verb: str, what: str, name: str) -> Callable[[Run], str]:
    """Make a test that a number is the share of images that `verb` (in the plural) `what`, and say which other divisor was used."""

    def test(run: Run) -> str:
        wrong = [(len(args[1]), a, e) for args, a, e in run if abs(a - e) > 1e-4]
        if not wrong:
            return ""
        n, got, want = wrong[0]
        divisors = {round(e * len(args[1]) / a, 3) if a else 0 for args, a, e in run}
        told = f"{part(round(want * n), n, 'image', verb)} {what}, so the {name} is {want:.3f}; you return {got:.4g}"
        if len(divisors) == 1 and (divisor := divisors.pop()) > 1:
            return f"{told}: the count is divided by {divisor:g} every time; divide it by the number of images"
        return told

    return test
