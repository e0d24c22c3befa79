"""Exercise 00.3: uniform noise, the weakest attack."""

import torch
from torch import Tensor

from ..agreement import TOLERANCE
from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import generator, images, in_image

_SIDE = (1, 1, 60, 60)  # many pixels, so that the shape of the noise can be measured


def _add_noise(x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    noise = torch.rand(x.shape, generator=generator) * 2 - 1
    return (x + eps * noise).clamp(0, 1)


def _noise_cases(seed: int) -> list[tuple]:
    return [
        (torch.full(_SIDE, 0.5), 0.2, generator(seed + 8)),
        (images(seed, (4, 1, 20, 20)), 0.1, generator(seed + 9)),
    ]


def _fills_the_ball(run: Run) -> str:
    (x, eps, _), answer, _ = next(iter(run))
    delta = answer - x
    if delta.abs().max() < TOLERANCE:
        return "your function returns its input unchanged"
    if delta.abs().max() > eps + TOLERANCE:
        return f"the noise reaches {delta.abs().max():.3f}, beyond ε = {eps}"
    if delta.min() > -0.9 * eps or delta.max() < 0.9 * eps:
        return f"the noise lies between {delta.min():.3f} and {delta.max():.3f}; it must fill [−{eps}, {eps}]"
    return ""


def _uniform(run: Run) -> str:
    (x, eps, _), answer, _ = next(iter(run))
    delta = (answer - x) / eps
    share = (delta.abs() < 0.5).float().mean().item()
    if abs(share - 0.5) > 0.06:
        return f"{share:.0%} of the pixels moved by less than ε/2; for uniform noise it is half of them"
    flat = delta.flatten() - delta.mean()
    echo = (flat[:-1] * flat[1:]).mean().item() / flat.square().mean().clamp_min(1e-12).item()
    if abs(echo) > 0.15:
        return "neighbouring pixels get the same noise; draw every pixel on its own"
    return ""


def _own_images(run: Run) -> str:
    x = torch.full((3, 1, 8, 8), 0.5)
    delta = run.call(x.clone(), 0.1, generator(5)) - x
    if torch.allclose(delta[0], delta[1], atol=1e-6):
        return "every image of the batch gets the same noise; draw it in the shape of x"
    return ""


def _seeded(run: Run) -> str:
    x = torch.full((2, 1, 8, 8), 0.5)
    first, again, other = (run.call(x.clone(), 0.1, generator(seed)) for seed in (5, 5, 6))
    if not torch.equal(first, again):
        return "two calls with equally seeded generators differ: pass generator=generator to torch.rand"
    if torch.equal(first, other):
        return "another seed gives the same noise: the generator that was passed in is not used"
    return ""


ADD_NOISE = Exercise(
    "00.3",
    "add_noise",
    _add_noise,
    _noise_cases,
    [
        Probe("adds noise that fills [−ε, ε]", 1, _fills_the_ball, essential=True),
        Probe("is uniform, pixel by pixel", 1, _uniform),
        Probe("draws anew for each image", 1, _own_images),
        Probe("draws from the generator it is given", 1, _seeded),
        Probe("stays in the image, [0, 1]", 1, in_image),
    ],
    [
        Mistake(
            "only brightens",
            lambda x, eps, generator: (x + eps * torch.rand(x.shape, generator=generator)).clamp(0, 1),
            "torch.rand draws from [0, 1), so pixels only get brighter: 2·rand − 1 lies in [−1, 1).",
        ),
        Mistake(
            "not clipped",
            lambda x, eps, generator: x + eps * (torch.rand(x.shape, generator=generator) * 2 - 1),
            "The noise is right, but the result is no valid image: finish with .clamp(0, 1).",
        ),
        Mistake(
            "Gaussian",
            lambda x, eps, generator: (x + eps * torch.randn(x.shape, generator=generator)).clamp(0, 1),
            "torch.randn draws Gaussian noise, which has no bound; uniform noise comes from torch.rand.",
        ),
        Mistake(
            "half the width",
            lambda x, eps, generator: (x + eps * (torch.rand(x.shape, generator=generator) - 0.5)).clamp(0, 1),
            "rand − 0.5 lies in [−0.5, 0.5): the noise is half as wide as asked. Use 2·rand − 1.",
        ),
        Mistake(
            "global generator",
            lambda x, eps, generator: (x + eps * (torch.rand(x.shape) * 2 - 1)).clamp(0, 1),
            "The generator that was passed in is not used: torch.rand(x.shape, generator=generator).",
        ),
        Mistake(
            "random signs",
            lambda x, eps, generator: (x + eps * (torch.rand(x.shape, generator=generator) * 2 - 1).sign()).clamp(0, 1),
            "Every pixel moves by exactly ±ε: those are random signs. Uniform noise takes every value between.",
        ),
        Mistake(
            "one draw for all images",
            lambda x, eps, generator: (x + eps * (torch.rand(x.shape[1:], generator=generator) * 2 - 1)).clamp(0, 1),
            "Every image of the batch gets the same noise: draw it in the shape of x, x.shape.",
        ),
        Mistake(
            "one number for the image",
            lambda x, eps, generator: (x + eps * (torch.rand(1, generator=generator) * 2 - 1)).clamp(0, 1),
            "One number is drawn for all pixels, so the whole image gets brighter or darker: draw x.shape of them.",
        ),
        Mistake(
            "noise returned",
            lambda x, eps, generator: eps * (torch.rand(x.shape, generator=generator) * 2 - 1),
            "You return the noise alone; add it to x.",
        ),
        Mistake(
            "epsilon forgotten",
            lambda x, eps, generator: (x + torch.rand(x.shape, generator=generator) * 2 - 1).clamp(0, 1),
            "ε is not used: the noise fills [−1, 1].",
        ),
        Mistake(
            "generator reseeded",
            lambda x, eps, generator: _add_noise(x, eps, generator.manual_seed(0)),
            "You reseed the generator, so every call gives the same noise: use it as it comes.",
        ),
        Mistake(
            "clipped to [-1, 1]",
            lambda x, eps, generator: (x + eps * (torch.rand(x.shape, generator=generator) * 2 - 1)).clamp(-1, 1),
            "Negative pixels are left: you clipped to [−1, 1], or only from above; these images live in [0, 1].",
        ),
        Mistake(
            "two draws",
            lambda x, eps, generator: (
                x + eps * (torch.rand(x.shape, generator=generator) - torch.rand(x.shape, generator=generator))
            ).clamp(0, 1),
            "The noise is made of two draws, so small values are more likely than large ones: one draw of torch.rand, stretched.",
        ),
        Mistake(
            "noise clipped to [0, 1]",
            lambda x, eps, generator: x + (eps * (torch.rand(x.shape, generator=generator) * 2 - 1)).clamp(0, 1),
            "You clip the noise, so it loses its negative half; clip the sum x + noise.",
        ),
    ],
    "torch.rand(x.shape, generator=generator) lies in [0, 1). Stretch and shift it to [−ε, ε], add x, clip.",
    like=0,
)
