"""Exercise 03.6: the worst pose."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...threat import warp
from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, classifier, generator, images, labels, losses


def _all_losses(model: nn.Module, x: Tensor, y: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
    """Return every pose of every image (m, n, c, h, w), and its loss (m, n)."""
    moved = torch.stack([warp(x, pose) for pose in poses])
    return moved, torch.stack([losses(model, one, y) for one in moved])


def _chosen(moved: Tensor, which: Tensor) -> Tensor:
    return moved[which, torch.arange(moved.shape[1])]


def _worst(model: nn.Module, x: Tensor, y: Tensor, poses: Tensor) -> Tensor:
    moved, loss = _all_losses(model, x, y, poses)
    return _chosen(moved, loss.argmax(0))


def _pose_cases(seed: int) -> list[tuple]:
    cases = []
    for shape, count in zip(((8, 1, 7, 7), (2, 3, 6, 6)), (6, 5), strict=True):
        limits = torch.tensor([40.0, 2.0, 2.0])
        poses = (2 * torch.rand(count, 3, generator=generator(seed + 6)) - 1) * limits
        poses[0] = 0
        cases.append((classifier(seed, shape), images(seed, shape), labels(seed, shape[0]), poses))
    return cases


def _is_a_pose(run: Run) -> str:
    for (_, x, _, poses), answer, _ in run:
        gaps = torch.stack([(warp(x, pose) - answer).abs().flatten(1).amax(1) for pose in poses]).amin(0)
        if bool((gaps > 1e-4).any()):
            return (
                f"{part(int((gaps > 1e-4).sum()), len(x), 'answer', 'are')} none of the {len(poses)} poses of the image"
            )
    return ""


def _is_worst(run: Run) -> str:
    for (model, x, y, poses), answer, _ in run:
        best = _all_losses(model, x, y, poses)[1].amax(0)
        mine = losses(model, answer, y)
        short = mine < best - 1e-3
        if short.any():
            at = int((best - mine).argmax())
            return (
                f"for {part(int(short.sum()), len(x), 'image')} another pose has a higher loss; image {at}: "
                f"{mine[at]:.3f} against {best[at]:.3f}"
            )
    return ""


WORST = Exercise(
    "03.6",
    "worst_pose",
    _worst,
    _pose_cases,
    [
        Probe("returns one of the poses of each image", 1, _is_a_pose, essential=True),
        Probe("returns the pose with the highest loss", 3, _is_worst, essential=True),
        Probe(
            "chooses for each image on its own",
            1,
            alone(lambda a, i: (a[0], a[1][i : i + 1], a[2][i : i + 1], a[3])),
        ),
    ],
    [
        Mistake(
            "best pose",
            lambda m, x, y, poses: _of(m, x, y, poses, lambda loss: loss.argmin(0)),
            "You chose the pose with the lowest loss; the adversary wants the highest.",
        ),
        Mistake(
            "one pose for all",
            lambda m, x, y, poses: _of(m, x, y, poses, lambda loss: loss.mean(1).argmax().expand(loss.shape[1])),
            "All images get the same pose, the worst on average; each image has a worst pose of its own.",
        ),
        Mistake(
            "last pose",
            lambda m, x, y, poses: warp(x, poses[-1]),
            "You returned the last pose that was tried; keep the worst so far, image by image.",
        ),
        Mistake(
            "first pose",
            lambda m, x, y, poses: warp(x, poses[0]),
            "You returned the first pose; try them all (is the return inside the loop?).",
        ),
        Mistake(
            "loss of the prediction",
            lambda m, x, y, poses: _worst(m, x, m(x).argmax(1), poses),
            "You climb the loss of the model's own prediction; the label y that was passed in is not used.",
        ),
        Mistake(
            "poses on top of each other",
            lambda m, x, y, poses: _stacked(m, x, y, poses),
            "Each pose is applied to the picture that the last one left; every pose starts from x itself.",
        ),
        Mistake(
            "last pose never tried",
            lambda m, x, y, poses: _worst(m, x, y, poses[:-1]),
            "The last pose is never tried: look at the end of your loop's range.",
        ),
        Mistake(
            "first pose never tried",
            lambda m, x, y, poses: _worst(m, x, y, poses[1:]),
            "The first pose is never tried: look at the start of your loop's range.",
        ),
        Mistake(
            "mean of the poses",
            lambda m, x, y, poses: _all_losses(m, x, y, poses)[0].mean(0),
            "You averaged the posed pictures into one that is no pose at all; choose one of them.",
        ),
    ],
    "For each pose: moved = warp(x, pose), and its loss for each image, cross_entropy(…, reduction='none'). Where it beats the highest so "
    "far, keep it (torch.where).",
)


def _of(model: nn.Module, x: Tensor, y: Tensor, poses: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    moved, loss = _all_losses(model, x, y, poses)
    return _chosen(moved, choose(loss))


def _stacked(model: nn.Module, x: Tensor, y: Tensor, poses: Tensor) -> Tensor:
    best, high = x, torch.full((len(x),), -torch.inf)
    for pose in poses:
        x = warp(x, pose)
        loss = losses(model, x, y)
        best = torch.where((loss > high).view(-1, 1, 1, 1), x, best)
        high = torch.maximum(high, loss)
    return best
