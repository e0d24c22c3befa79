"""Exercise 06.6: a checklist, applied to what strangers claim."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import count
from ..shared_probes import generator

ANSWERED = ("clean", "noise", "fgsm", "pgd", "square", "unbounded")
Rule = Callable[..., Tensor]
RULES: dict[str, Rule] = {
    "clean": lambda clean, noise, fgsm, pgd, square, unbounded: pgd > clean,
    "noise": lambda clean, noise, fgsm, pgd, square, unbounded: noise < pgd,
    "fgsm": lambda clean, noise, fgsm, pgd, square, unbounded: fgsm < pgd,
    "square": lambda clean, noise, fgsm, pgd, square, unbounded: square < pgd,
    "unbounded": lambda clean, noise, fgsm, pgd, square, unbounded: unbounded > 0.1,
}
ANY = (
    "You say whether a claim has a flag; a claim may have several: count them. Adding comparisons does not: in torch True + True is True. Turn "
    "each comparison into a number first."
)


def _flags(**changed: Rule | None) -> Callable[..., Tensor]:
    """Make a checklist in which some rules are replaced, or left out (None)."""
    rules = [rule for rule in (RULES | changed).values() if rule]
    return lambda *claims: torch.stack([rule(*claims) for rule in rules]).sum(0).float()


_red_flags = _flags()
HONEST = (0.98, 0.97, 0.60, 0.45, 0.50, 0.0)
SPOILT = {
    "pgd above clean": {"clean": 0.40, "noise": 0.46},
    "noise below": {"noise": 0.30},
    "fgsm below": {"fgsm": 0.20},
    "square below": {"square": 0.10},
    "unbounded stands": {"unbounded": 0.45},
    "all ties": {"noise": 0.45, "fgsm": 0.45, "square": 0.45, "unbounded": 0.05, "clean": 0.45},
    "chance": {"unbounded": 0.09},
}


def _claims(*spoilt: str, seed: int) -> tuple:
    """Make claims that are honest but for what is named; the numbers move a little with the seed."""
    rows = []
    for name in spoilt:
        row = dict(zip(ANSWERED, HONEST, strict=True))
        for part in name.split(" + "):
            row |= SPOILT.get(part, {})
        rows.append([row[column] for column in ANSWERED])
    table = torch.tensor(rows)
    move = 0.02 * torch.rand(len(rows), 1, generator=generator(seed)) if seed else 0.0
    table[:, :5] += move
    return tuple(table.T.clone())


def _cases(seed: int) -> list[tuple]:
    everything = "pgd above clean + noise below + fgsm below + square below + unbounded stands"
    return [
        _claims("honest", "square below", "fgsm below + unbounded stands", everything, seed=seed),
        _claims("pgd above clean", "noise below", "unbounded stands", "noise below + square below", seed=seed),
        _claims("all ties", "chance", seed=0),
    ]


def _counts(*indices: int) -> Callable[[Run], str]:
    def test(run: Run) -> str:
        for args, answer, expected in (list(run)[i] for i in indices):
            for i in range(len(expected)):
                if abs(answer[i] - expected[i]) > 1e-4:
                    claim = ", ".join(f"{name} {arg[i]:.2f}" for name, arg in zip(ANSWERED, args, strict=True))
                    return f"the claim ({claim}) has {count(round(expected[i].item()), 'red flag')}, you count {answer[i]:g}"
        return ""

    return test


RED_FLAGS = Exercise(
    "06.6",
    "red_flags",
    _red_flags,
    _cases,
    [
        Probe("counts what is wrong with each claim", 3, _counts(0), essential=True),
        Probe("knows all five signs", 2, _counts(1)),
        Probe("does not take a tie, or accuracy at chance, for a sign", 1, _counts(2)),
    ],
    [
        Mistake(
            "ties count",
            lambda clean, noise, fgsm, pgd, square, unbounded: sum(
                [
                    (pgd >= clean).float(),
                    (noise <= pgd).float(),
                    (fgsm <= pgd).float(),
                    (square <= pgd).float(),
                    (unbounded >= 0.1).float(),
                ]
            ),
            "A tie is no sign of anything: two attacks may leave the same images standing. Use < and >, not <= and >=.",
        ),
        Mistake(
            "zero instead of chance",
            _flags(unbounded=lambda clean, noise, fgsm, pgd, square, unbounded: unbounded > 0),
            "You flag whatever an unbounded attack leaves above 0; a model that always gives one answer keeps a tenth. Flag what is above 0.1.",
        ),
        Mistake(
            "clean forgotten",
            _flags(clean=None),
            "A claim with more accuracy under PGD than without any attack gets no flag from you, though it cannot be.",
        ),
        Mistake(
            "noise forgotten",
            _flags(noise=None),
            "You do not look at noise: if it breaks more images than PGD, PGD is no attack.",
        ),
        Mistake(
            "fgsm forgotten",
            _flags(fgsm=None),
            "You do not look at FGSM: if one step breaks more images than many, the many went astray.",
        ),
        Mistake(
            "square forgotten",
            _flags(square=None),
            "You do not look at Square: if an attack that sees only answers breaks more images than one that sees gradients, the gradients mislead.",
        ),
        Mistake(
            "unbounded forgotten",
            _flags(unbounded=None),
            "You do not look at the unbounded attack: where everything is allowed, nothing should stand above chance.",
        ),
        Mistake(
            "comparisons turned round",
            lambda clean, noise, fgsm, pgd, square, unbounded: sum(
                [
                    (pgd < clean).float(),
                    (noise > pgd).float(),
                    (fgsm > pgd).float(),
                    (square > pgd).float(),
                    (unbounded < 0.1).float(),
                ]
            ),
            "Your comparisons are turned round. These are accuracies that are left: a weak attack leaves more, so FGSM above PGD is as it should be.",
        ),
        Mistake(
            "weaker attacks turned round",
            _flags(
                noise=lambda clean, noise, fgsm, pgd, square, unbounded: noise > pgd,
                fgsm=lambda clean, noise, fgsm, pgd, square, unbounded: fgsm > pgd,
                square=lambda clean, noise, fgsm, pgd, square, unbounded: square > pgd,
            ),
            "You flag claims in which the weaker attacks leave more standing than PGD. That is as it should be: these are accuracies, not success rates.",
        ),
        Mistake("any flag", lambda *claims: (_red_flags(*claims) > 0).float(), ANY),
        Mistake("any flag, as a truth value", lambda *claims: _red_flags(*claims) > 0, ANY),
        Mistake(
            "share of the flags",
            lambda *claims: _red_flags(*claims) / len(RULES),
            "You return the share of the five signs; return their number.",
        ),
        Mistake(
            "passed checks",
            lambda *claims: len(RULES) - _red_flags(*claims),
            "You count the checks that a claim passes; count those that it fails.",
        ),
        Mistake(
            "compared with clean",
            _flags(
                noise=lambda clean, noise, fgsm, pgd, square, unbounded: noise < clean,
                fgsm=lambda clean, noise, fgsm, pgd, square, unbounded: fgsm < clean,
                square=lambda clean, noise, fgsm, pgd, square, unbounded: square < clean,
            ),
            "You compare the weaker attacks with clean accuracy; every attack lowers that. Compare them with PGD.",
        ),
        Mistake(
            "all claims added up",
            lambda *claims: _red_flags(*claims).sum().expand_as(claims[0]).clone(),
            "You added the flags of all claims; each claim has its own count.",
        ),
    ],
    "Each sign is a comparison of two tensors, such as (square < pgd). Turn each into 0 and 1 with .float(), and add the five.",
    returns="counts",
    like=0,
)
