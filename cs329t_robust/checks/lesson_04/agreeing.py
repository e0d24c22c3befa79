"""Exercise 04.3: how often does a measure agree with people?"""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import agreeing, count, part
from ..shared_probes import generator


def _agreement(same: Tensor, different: Tensor) -> float:
    return ((same < different).double().mean() + 0.5 * (same == different).double().mean()).item()


def _cases(seed: int) -> list[tuple]:
    draw = generator(seed)
    cases = []
    for nearer, ties, farther in ((6, 0, 2), (5, 2, 3), (1, 4, 4), (0, 1, 6)):
        n = nearer + ties + farther
        different = 5 + 10 * torch.rand(n, generator=draw)
        same = torch.cat(
            [different[:nearer] * 0.8, different[nearer : nearer + ties], different[nearer + ties :] * 1.6]
        )
        order = torch.randperm(n, generator=draw)
        cases.append((same[order], different[order]))
    return cases


def _right_share(run: Run) -> str:
    for (same, different), answer, expected in run:
        if abs(answer - expected) > 1e-4:
            near, ties = int((same < different).sum()), int((same == different).sum())
            return (
                f"for {part(near, len(same), 'digit')} the pair of one meaning is nearer, and there {agreeing(ties, 'are')} {count(ties, 'tie')}: expected "
                f"{expected:.3f}, got {answer:.4g}"
            )
    return ""


AGREEMENT = Exercise(
    "04.3",
    "agreement",
    _agreement,
    _cases,
    [
        Probe(
            "counts where the pair of one meaning is nearer",
            3,
            lambda run: _right_share(_part(run, 0, 1)),
            essential=True,
        ),
        Probe("counts a tie as one half", 2, lambda run: _right_share(_part(run, 1, 4))),
    ],
    [
        Mistake(
            "ties lost",
            lambda s, d: (s < d).double().mean().item(),
            "Ties count as disagreement; a measure that cannot tell has guessed, so a tie is worth one half.",
        ),
        Mistake(
            "ties won",
            lambda s, d: (s <= d).double().mean().item(),
            "Ties count as agreement (≤); a measure that says 'equally far' to everything would be perfect. A tie is worth one half.",
        ),
        Mistake(
            "ties left out",
            lambda s, d: ((s < d).sum() / (s != d).sum().clamp_min(1)).item(),
            "You divide by the pairs that are no ties; count all of them, a tie as one half.",
        ),
        Mistake(
            "wrong way round",
            lambda s, d: _agreement(d, s),
            "The wrong way round: people agree with a measure if the pair of *one* meaning is the nearer one.",
        ),
        Mistake(
            "means compared",
            lambda s, d: float(s.mean() < d.mean()),
            "You compared the two means; compare digit by digit, then take the share.",
        ),
        Mistake(
            "all against all",
            lambda s, d: ((s[:, None] < d).double().mean() + 0.5 * (s[:, None] == d).double().mean()).item(),
            "Every pair of one meaning is compared with those of all digits; compare same[i] with different[i] only.",
        ),
        Mistake(
            "all against all, ties lost",
            lambda s, d: (s[:, None] < d).double().mean().item(),
            "Every pair of one meaning is compared with those of all digits; compare same[i] with different[i] only. And a tie is one half.",
        ),
        Mistake("per cent", lambda s, d: 100 * _agreement(s, d), "You return per cent; a share lies between 0 and 1."),
        Mistake(
            "a count",
            lambda s, d: _agreement(s, d) * len(s),
            "You return how many; divide by the number of digits.",
        ),
        Mistake(
            "half for each tie, forgotten to divide",
            lambda s, d: (s < d).double().mean().item() + 0.5 * (s == d).sum().item(),
            "The ties are not divided by the number of digits.",
        ),
    ],
    "Two masks, same < different and same == different. The share of the first, plus half the share of the second.",
    returns="number",
    like=0,
)


def _part(run: Run, start: int, end: int) -> Run:
    return Run(run.cases[start:end], run.answers[start:end], run.expected[start:end], run.call)
