"""Exercises 02.4 and 02.5: back into the ball, in L∞ and in L2."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import SHAPES, alone, generator, images, in_ball, in_image, matches, per_image


def project_linf(x: Tensor, x_adv: Tensor, eps: float) -> Tensor:
    """Solve exercise 02.4."""
    return torch.minimum(torch.maximum(x_adv, x - eps), x + eps).clamp(0, 1)


def project_l2(x: Tensor, x_adv: Tensor, eps: float) -> Tensor:
    """Solve exercise 02.5."""
    delta = x_adv - x
    length = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
    return (x + delta * per_image((eps / length).clamp(max=1))).clamp(0, 1)


def _far_and_near(seed: int, eps: tuple[float, float], spread: float) -> list[tuple]:
    """Points of which some lie outside the ball, some outside the image, some in both already."""
    cases = []
    for shape, radius in zip(SHAPES, eps, strict=True):
        x = images(seed, shape)
        delta = torch.randn(shape, generator=generator(seed + 3)) * spread
        if len(x) > 2:
            delta[0] *= 0.01  # already inside: must stay where it is
            delta[1] = 0
        cases.append((x, x + delta, radius))
    return cases


def _keeps_members(run: Run) -> str:
    for (x, _, eps), _, _ in run:
        inside = (x + 0.1 * eps / x[0].numel()).clamp(0, 1)
        moved = (run.call(x, inside, eps).detach() - inside).abs().max().item()
        if moved > 1e-4:
            return (
                f"a point that is already in the ball and in the image moved by {moved:.3g}; it must stay where it is"
            )
    return ""


def _one_row(args: tuple, i: int) -> tuple:
    return args[0][i : i + 1], args[1][i : i + 1], args[2]


PROJECT_LINF = Exercise(
    "02.4",
    "project_linf",
    project_linf,
    lambda seed: _far_and_near(seed, (0.1, 0.25), 0.3),
    [
        Probe("lands in the ε-ball", 1, in_ball("Linf", 0, 2)),
        Probe("lands in the image, [0, 1]", 1, in_image),
        Probe("leaves points alone that are already inside", 1, _keeps_members),
        Probe("is the nearest allowed point", 1, matches("pixel"), essential=True),
    ],
    [
        Mistake(
            "not clipped to the image",
            lambda x, x_adv, eps: x + (x_adv - x).clamp(-eps, eps),
            "The ε-ball is right, but the result is not clipped to [0, 1]: finish with .clamp(0, 1).",
        ),
        Mistake(
            "only clipped to the image",
            lambda x, x_adv, eps: x_adv.clamp(0, 1),
            "You clipped to [0, 1] only; the projection onto the ε-ball around x is missing.",
        ),
        Mistake(
            "image clip before the ball, around nothing",
            lambda x, x_adv, eps: x_adv.clamp(-eps, eps).clamp(0, 1),
            "You clipped x′ itself to [−ε, ε]; clip the change x′ − x, then add x again.",
        ),
        Mistake(
            "change returned",
            lambda x, x_adv, eps: (x_adv - x).clamp(-eps, eps),
            "You returned the clipped change; add x to it.",
        ),
        Mistake(
            "L2 ball",
            project_l2,
            "This is the projection onto the L2 ball; in L∞ each pixel's change is clipped to [−ε, ε] on its own.",
        ),
        Mistake(
            "scaled by the largest change",
            lambda x, x_adv, eps: (
                x + (x_adv - x) * per_image((eps / (x_adv - x).abs().flatten(1).amax(1).clamp_min(1e-12)).clamp(max=1))
            ).clamp(0, 1),
            "You shrank the whole change until its largest pixel fits. That lands in the ball, but not at the nearest point: clip "
            "each pixel's change on its own.",
        ),
        Mistake(
            "always on the surface",
            lambda x, x_adv, eps: (x + eps * (x_adv - x).sign()).clamp(0, 1),
            "You moved every pixel to the surface of the ball; pixels that changed by less than ε must stay where they are.",
        ),
        Mistake(
            "centred on x_adv",
            lambda x, x_adv, eps: torch.minimum(torch.maximum(x, x_adv - eps), x_adv + eps).clamp(0, 1),
            "x and x′ are swapped: you pulled x into the ball around x′.",
        ),
        Mistake(
            "one side only",
            lambda x, x_adv, eps: torch.minimum(x_adv, x + eps).clamp(0, 1),
            "Only the upper side x + ε is enforced; x − ε is missing.",
        ),
        Mistake(
            "lower side only",
            lambda x, x_adv, eps: torch.maximum(x_adv, x - eps).clamp(0, 1),
            "Only the lower side x − ε is enforced; x + ε is missing.",
        ),
        Mistake(
            "half the radius",
            lambda x, x_adv, eps: (x + (x_adv - x).clamp(-eps / 2, eps / 2)).clamp(0, 1),
            "The change is clipped to ±ε/2; the radius is ε to either side.",
        ),
        Mistake(
            "change clipped to [0, eps]",
            lambda x, x_adv, eps: (x + (x_adv - x).clamp(0, eps)).clamp(0, 1),
            "The change is clipped to [0, ε], so no pixel may become darker; it is [−ε, ε].",
        ),
        Mistake(
            "x returned", lambda x, x_adv, eps: x.clone(), "Your function returns x: every attack would be undone."
        ),
        Mistake(
            "maximum before minimum, bounds swapped",
            lambda x, x_adv, eps: torch.minimum(torch.maximum(x_adv, x + eps), x - eps).clamp(0, 1),
            "minimum and maximum are swapped: everything lands on x − ε.",
        ),
        Mistake(
            "twice the radius",
            lambda x, x_adv, eps: (x + (x_adv - x).clamp(-2 * eps, 2 * eps)).clamp(0, 1),
            "The change is clipped to ±2ε; the radius is ε to either side.",
        ),
        Mistake(
            "far images reset",
            lambda x, x_adv, eps: torch.where(per_image((x_adv - x).abs().flatten(1).amax(1)) > eps, x, x_adv).clamp(
                0, 1
            ),
            "Images outside the ball are set back to x; the projection moves them only as far as the ball's surface.",
        ),
        Mistake(
            "far pixels reset",
            lambda x, x_adv, eps: torch.where((x_adv - x).abs() > eps, x, x_adv).clamp(0, 1),
            "Pixels that changed by more than ε are set back to x; the projection leaves them changed by exactly ε.",
        ),
        Mistake(
            "minimum and maximum swapped",
            lambda x, x_adv, eps: torch.maximum(torch.minimum(x_adv, x - eps), x + eps).clamp(0, 1),
            "minimum and maximum are swapped: everything lands on x + ε.",
        ),
    ],
    "Limit each pixel's change x′ − x to [−ε, ε]; then add x again, and clip to the image.",
)


def l2_with(length=None, shrink=None, clip=True, back=True, early=False):  # noqa: ANN001, ANN201
    """Build a wrong L2 projection out of a wrong length, a wrong shrinking factor or a wrong clip; `back` adds x."""
    length = length or (lambda d: per_image(d.flatten(1).norm(dim=1)))
    shrink = shrink or (lambda eps, size: (eps / size).clamp(max=1))

    def project(x: Tensor, x_adv: Tensor, eps: float) -> Tensor:
        delta = (x_adv.clamp(0, 1) if early else x_adv) - x
        moved = (x if back else 0) + delta * shrink(eps, length(delta).clamp_min(1e-12))
        return moved.clamp(0, 1) if clip else moved

    return project


PROJECT_L2 = Exercise(
    "02.5",
    "project_l2",
    project_l2,
    lambda seed: _far_and_near(seed, (0.3, 0.9), 0.5),
    [
        Probe("lands in the ε-ball", 1, in_ball("L2", 0, 2)),
        Probe("lands in the image, [0, 1]", 1, in_image),
        Probe("leaves points alone that are already inside", 1, _keeps_members),
        Probe("keeps the direction of the change", 1, matches("pixel"), essential=True),
        Probe("treats each image on its own", 1, alone(_one_row)),
    ],
    [
        Mistake(
            "norm over the whole batch",
            l2_with(length=lambda d: d.norm()),
            "You took one length for the whole batch, so images shrink one another. Each image has its own: "
            "(x_adv - x).flatten(1).norm(dim=1), then .view(-1, 1, 1, 1).",
        ),
        Mistake(
            "always on the surface",
            l2_with(shrink=lambda eps, size: eps / size),
            "Points inside the ball were pushed out to its surface: shrink by min(1, ε/length), for each image on its own, never stretch.",
        ),
        Mistake(
            "not clipped to the image",
            l2_with(clip=False),
            "The ε-ball is right, but the result is not clipped to [0, 1]: finish with .clamp(0, 1).",
        ),
        Mistake(
            "scaled to length one",
            l2_with(shrink=lambda eps, size: (1 / size).clamp(max=1)),
            "The change is scaled to length 1, not to ε.",
        ),
        Mistake(
            "squared length",
            l2_with(length=lambda d: per_image(d.flatten(1).square().sum(1))),
            "You divided by the squared length: the square root is missing.",
        ),
        Mistake(
            "L-infinity ball",
            project_linf,
            "This is the projection onto the L∞ ball (each pixel clipped); in L2 the whole change is scaled by one factor.",
        ),
        Mistake(
            "norm over single pixels' channels",
            l2_with(length=lambda d: d.norm(dim=1, keepdim=True)),
            "You took a length at each pixel (over the channels) instead of one for each image: flatten(1) first.",
        ),
        Mistake(
            "norm over rows of the image",
            l2_with(length=lambda d: d.norm(dim=-1, keepdim=True)),
            "You took a length for each row of pixels instead of one for each image: flatten(1) first.",
        ),
        Mistake(
            "max instead of norm",
            l2_with(length=lambda d: per_image(d.abs().flatten(1).amax(1))),
            "You measured the change by its largest pixel (L∞); this is the L2 ball, so use the Euclidean length.",
        ),
        Mistake(
            "L1 length",
            l2_with(length=lambda d: per_image(d.abs().flatten(1).sum(1))),
            "You measured the change by the L1 norm (sum of absolute values); use the Euclidean length.",
        ),
        Mistake(
            "min in place of max",
            l2_with(shrink=lambda eps, size: (eps / size).clamp(min=1)),
            "The factor is max(1, ε/length): it stretches points inside and leaves those outside alone. It must be min(1, ε/length).",
        ),
        Mistake(
            "change returned",
            lambda x, x_adv, eps: project_l2(x, x_adv, eps) - x,
            "You returned the change; add x to it.",
        ),
        Mistake(
            "change returned before clipping",
            l2_with(back=False, clip=False),
            "You returned the shrunk change alone; add x to it, then clip.",
        ),
        Mistake(
            "change clipped and returned",
            l2_with(back=False),
            "You returned the shrunk change alone, clipped; add x to it first.",
        ),
        Mistake(
            "not divided by the length",
            l2_with(shrink=lambda eps, size: eps),
            "The change is multiplied by ε but not divided by its own length.",
        ),
        Mistake(
            "length of the image",
            lambda x, x_adv, eps: (x + (x_adv - x) * per_image(eps / x_adv.flatten(1).norm(dim=1)).clamp(max=1)).clamp(
                0, 1
            ),
            "You measured the length of x′ itself; it is the change x′ − x that must be no longer than ε.",
        ),
        Mistake(
            "the largest length for all",
            l2_with(length=lambda d: d.flatten(1).norm(dim=1).max()),
            "Every image is shrunk by the largest length of the batch; each has its own length and factor.",
        ),
        Mistake(
            "zero divided by zero",
            lambda x, x_adv, eps: (
                x
                + (x_adv - x)
                / per_image((x_adv - x).flatten(1).norm(dim=1))
                * per_image((x_adv - x).flatten(1).norm(dim=1).clamp(max=eps))
            ).clamp(0, 1),
            "Where nothing changed the length is 0 and 0/0 = NaN: keep the divisor above zero, .clamp(min=1e-12).",
        ),
        Mistake(
            "one decision for the batch",
            lambda x, x_adv, eps: x if (x_adv - x).flatten(1).norm(dim=1) <= eps else project_l2(x, x_adv, eps),
            "`if` decides once, but each image has its own length: use a factor that is 1 inside, min(1, ε/length), or torch.where.",
        ),
        Mistake(
            "clipped before the ball",
            l2_with(clip=False, early=True),
            "You clipped to the image first and scaled afterwards; scale onto the ball first, then clip.",
        ),
        Mistake(
            "only clipped to the image",
            lambda x, x_adv, eps: x_adv.clamp(0, 1),
            "You clipped to [0, 1] only; the projection onto the ε-ball around x is missing.",
        ),
        Mistake(
            "mean square instead of length",
            l2_with(length=lambda d: per_image(d.flatten(1).square().mean(1).sqrt())),
            "You divided by the root mean square; the Euclidean length is the root of the sum.",
        ),
    ],
    "One length per image, flatten(1).norm(dim=1); one factor per image, min(1, ε/length), shaped (n, 1, 1, 1) before it multiplies.",
)
