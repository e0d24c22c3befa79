"""Exercise 06.1: what several attacks together leave standing."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import generator


def _worst_case(correct: Tensor) -> float:
    return correct.all(0).double().mean().item()


def _tables(seed: int) -> list[tuple]:
    draw = generator(seed)

    def table(attacks: int, n: int, share: float, weak: int = 0) -> tuple:
        correct = torch.rand(attacks, n, generator=draw) < share
        for row in range(attacks):
            correct[row, 3 + row : 5 + row] = False
        correct[weak, 3:] = True  # this attack breaks little, so that it alone is not the smallest
        correct[0, 0], correct[-1, 0] = True, attacks == 1  # at least one image that only the last attack breaks
        correct[0, 1], correct[-1, 1] = attacks == 1, True  # and one that only the first does
        correct[:, 2] = True
        return (correct,)

    return [
        table(3, 12, 0.8, -1),
        table(2, 10, 0.7),
        table(5, 9, 0.85, 2),
        (torch.arange(8)[None] % 3 > 0,),
        (torch.eye(4, 4) < 1,),
    ]


def _right(*indices: int) -> Callable[[Run], str]:
    def test(run: Run) -> str:
        for (correct,), answer, expected in (list(run)[i] for i in indices):
            if abs(answer - expected) > 1e-4:
                attacks, n = correct.shape
                told = "no image stands" if not expected else part(round(expected * n), n, "image", "stand")
                under = f"under all {attacks} attacks" if attacks > 1 else "under the only attack"
                return f"{told} {under}: expected {expected:.3f}, got {answer:.4g}"
        return ""

    return test


WORST_CASE = Exercise(
    "06.1",
    "worst_case",
    _worst_case,
    _tables,
    [
        Probe("counts the images that stand under every attack", 3, _right(0, 1, 2), essential=True),
        Probe("is that attack's accuracy if there is only one", 1, _right(3)),
        Probe("is 0 if every image falls to some attack", 1, _right(4)),
    ],
    [
        Mistake(
            "smallest of the accuracies",
            lambda correct: correct.double().mean(1).min().item(),
            "You took the smallest of the attacks' accuracies. The attacks break different images: first ask of each image whether "
            "any attack broke it, then average.",
        ),
        Mistake(
            "mean over everything",
            lambda correct: correct.double().mean().item(),
            "You averaged over attacks and images alike, so a weak attack makes the model look better. An adversary picks the attack that works.",
        ),
        Mistake(
            "stands under any attack",
            lambda correct: correct.any(0).double().mean().item(),
            "You count an image if it stands under any of the attacks; it has to stand under all of them.",
        ),
        Mistake(
            "product of the accuracies",
            lambda correct: correct.double().mean(1).prod().item(),
            "You multiplied the accuracies, as if the attacks failed independently of each other. You have the table: look image by image.",
        ),
        Mistake(
            "largest of the accuracies",
            lambda correct: correct.double().mean(1).max().item(),
            "You took the largest of the attacks' accuracies: that is the weakest attack's. Look image by image.",
        ),
        Mistake(
            "first attack only",
            lambda correct: correct[0].double().mean().item(),
            "Only the first attack counts in your answer; use every row of the table.",
        ),
        Mistake(
            "last attack only",
            lambda correct: correct[-1].double().mean().item(),
            "Only the last attack counts in your answer; use every row of the table.",
        ),
        Mistake(
            "wrong dimension",
            lambda correct: correct.all(1).double().mean().item(),
            "The dimensions are swapped: rows are attacks, columns are images. You count attacks that broke nothing; reduce dimension 0 first.",
        ),
        Mistake(
            "worst image",
            lambda correct: correct.double().mean(0).min().item(),
            "You took the worst image's share of attacks withstood. Ask of each image whether it stands under all, then average over images.",
        ),
        Mistake(
            "broken share",
            lambda correct: 1 - _worst_case(correct),
            "This is the share that some attack broke; robust accuracy is the share that stands.",
        ),
        Mistake(
            "a count",
            lambda correct: float(correct.all(0).sum()),
            "You return how many stand; divide by the number of images.",
        ),
        Mistake(
            "per cent",
            lambda correct: 100 * _worst_case(correct),
            "You return per cent; an accuracy lies between 0 and 1.",
        ),
        Mistake(
            "majority of the attacks",
            lambda correct: (correct.double().mean(0) > 0.5).double().mean().item(),
            "You let the attacks vote; one that succeeds is enough to break an image.",
        ),
        Mistake(
            "divided by the table",
            lambda correct: correct.all(0).sum().item() / correct.numel(),
            "You divide by all cells of the table; divide by the number of images, correct.shape[1].",
        ),
    ],
    "For each image (column): did it stand under every attack? correct.all(0) says so. The answer is the share of those.",
    returns="number",
    like=0,
)
