"""Exercise 05.1: Gaussian noise, the average perturbation."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import generator, images

_GREY = (2, 1, 60, 60)  # many pixels, so that the noise's shape can be measured


def _noisy(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return x + sigma * torch.randn(x.shape, generator=generator)


def _noisy_cases(seed: int) -> list[tuple]:
    return [
        (torch.full(_GREY, 0.5), 0.2, generator(seed + 8)),
        (images(seed, (4, 1, 12, 12)), 0.1, generator(seed + 9)),
    ]


def _width(run: Run) -> str:
    (x, sigma, _), answer, _ = next(iter(run))
    delta = answer - x
    if delta.abs().max() < 1e-6:
        return "your function returns its input unchanged"
    if abs(delta.mean()) > 0.1 * sigma:
        return f"the noise has mean {delta.mean():.3f}; it must be 0"
    if abs(delta.std() / sigma - 1) > 0.1:
        return f"the noise has standard deviation {delta.std():.3f}; it must be σ = {sigma}"
    return ""


def _normal(run: Run) -> str:
    (x, sigma, _), answer, _ = next(iter(run))
    within = ((answer - x).abs() < sigma).float().mean().item()
    if abs(within - 0.683) > 0.04:
        return f"{within:.0%} of the pixels moved by less than σ; for a Gaussian it is 68%"
    return ""


def _fresh(run: Run) -> str:
    x = torch.full((3, 1, 8, 8), 0.5)
    delta = run.call(x.clone(), 0.1, generator(5)) - x
    if torch.allclose(delta[0], delta[1], atol=1e-6):
        return "every image of the batch gets the same noise; draw it in the shape of x"
    if torch.allclose(delta[..., :1], delta[..., 1:2], atol=1e-6):
        return "neighbouring pixels get the same noise; Σ = σ²I means that every pixel is drawn on its own"
    return ""


def _seeded(run: Run) -> str:
    x = torch.full((2, 1, 8, 8), 0.5)
    first, again, other = (run.call(x.clone(), 0.1, generator(seed)) for seed in (5, 5, 6))
    if not torch.equal(first, again):
        return "two calls with equally seeded generators differ: pass generator=generator to torch.randn"
    if torch.equal(first, other):
        return "another seed gives the same noise: the generator that was passed in is not used"
    return ""


def _unclipped(run: Run) -> str:
    x = torch.zeros(1, 1, 20, 20)
    low = run.call(x.clone(), 0.3, generator(7)).min().item()
    return "" if low < -0.3 else f"on a black image no pixel falls below {low:.2f}: the noise must not be clipped here"


NOISY = Exercise(
    "05.1",
    "noisy",
    _noisy,
    _noisy_cases,
    [
        Probe("adds noise of mean 0 and standard deviation σ", 1, _width, essential=True),
        Probe("is Gaussian", 1, _normal),
        Probe("draws anew for each image and pixel", 1, _fresh),
        Probe("draws from the generator it is given", 1, _seeded),
        Probe("leaves the noise whole: nothing is clipped", 1, _unclipped),
    ],
    [
        Mistake(
            "scaled by the variance",
            lambda x, sigma, generator: x + sigma**2 * torch.randn(x.shape, generator=generator),
            "The noise is scaled by σ², its variance. N(0, σ²I) has standard deviation σ: multiply torch.randn by σ.",
        ),
        Mistake(
            "scaled by the root",
            lambda x, sigma, generator: x + sigma**0.5 * torch.randn(x.shape, generator=generator),
            "The noise is scaled by √σ; σ is a standard deviation already: multiply torch.randn by σ itself.",
        ),
        Mistake(
            "sigma forgotten",
            lambda x, sigma, generator: x + torch.randn(x.shape, generator=generator),
            "σ is not used: the noise has standard deviation 1.",
        ),
        Mistake(
            "divided by sigma",
            lambda x, sigma, generator: x + torch.randn(x.shape, generator=generator) / sigma,
            "You divide by σ; multiply.",
        ),
        Mistake(
            "clipped",
            lambda x, sigma, generator: _noisy(x, sigma, generator).clamp(0, 1),
            "You clip to [0, 1]. The lecture's δ is Gaussian, and a clipped Gaussian is none: half of the noise on black pixels is lost.",
        ),
        Mistake(
            "uniform",
            lambda x, sigma, generator: x + sigma * (2 * torch.rand(x.shape, generator=generator) - 1),
            "torch.rand is uniform noise, which is bounded; N(0, σ²I) comes from torch.randn.",
        ),
        Mistake(
            "uniform, one-sided",
            lambda x, sigma, generator: x + sigma * torch.rand(x.shape, generator=generator),
            "torch.rand draws from [0, 1), so pixels only get brighter, and it is not Gaussian: use torch.randn.",
        ),
        Mistake(
            "one draw for all images",
            lambda x, sigma, generator: x + sigma * torch.randn(x.shape[1:], generator=generator),
            "Every image of the batch gets the same noise: draw it in the shape of x, x.shape.",
        ),
        Mistake(
            "one number for the image",
            lambda x, sigma, generator: x + sigma * torch.randn((len(x), 1, 1, 1), generator=generator),
            "One number is drawn for each image, so it gets brighter or darker as a whole: draw x.shape of them.",
        ),
        Mistake(
            "one number for all",
            lambda x, sigma, generator: x + sigma * torch.randn(1, generator=generator),
            "One number is drawn for all pixels of all images: draw x.shape of them.",
        ),
        Mistake(
            "global generator",
            lambda x, sigma, generator: x + sigma * torch.randn(x.shape),
            "The generator that was passed in is not used: torch.randn(x.shape, generator=generator).",
        ),
        Mistake(
            "generator reseeded",
            lambda x, sigma, generator: _noisy(x, sigma, generator.manual_seed(0)),
            "You reseed the generator, so every batch of the training gets the same noise: use it as it comes.",
        ),
        Mistake(
            "noise returned",
            lambda x, sigma, generator: sigma * torch.randn(x.shape, generator=generator),
            "You return the noise alone; add it to x.",
        ),
        Mistake(
            "multiplied",
            lambda x, sigma, generator: x * (1 + sigma * torch.randn(x.shape, generator=generator)),
            "You multiply x by the noise, so black pixels never change: add it.",
        ),
        Mistake(
            "signs only",
            lambda x, sigma, generator: x + sigma * torch.randn(x.shape, generator=generator).sign(),
            "Every pixel moves by exactly ±σ: leave the sign out.",
        ),
        Mistake(
            "absolute value",
            lambda x, sigma, generator: x + sigma * torch.randn(x.shape, generator=generator).abs(),
            "The absolute value makes every pixel brighter; the noise has mean 0.",
        ),
        Mistake(
            "noise limited to sigma",
            lambda x, sigma, generator: x + (sigma * torch.randn(x.shape, generator=generator)).clamp(-sigma, sigma),
            "You limit the noise to [−σ, σ]. σ is no ε: a Gaussian has no bound, and a third of the pixels move by more than σ.",
        ),
    ],
    "torch.randn(x.shape, generator=generator) is N(0, I). Stretch it to standard deviation σ and add it; do not clip.",
    like=0,
)
