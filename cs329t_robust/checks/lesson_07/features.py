"""Exercises 07.3 to 07.5: strong and weak features, the adversary that turns the weak ones, and the theorem's bound."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import count, part
from ..shared_probes import alone, generator, matches


def _labels(seed: int, n: int) -> Tensor:
    """Return n labels of ±1, both of them present."""
    y = torch.ones(n)
    y[n // 2 :] = -1
    return y[torch.randperm(n, generator=generator(seed))]


# ---- 07.3 sample(y, draws, p, eta)


def _sample(y: Tensor, draws: Tensor, p: float, eta: float) -> Tensor:
    strong = torch.where(draws[:, 0] < p, y, -y)
    return torch.cat([strong[:, None], eta * y[:, None] + draws[:, 1:]], 1)


def _sample_cases(seed: int) -> list[tuple]:
    cases = []
    for n, d, p, eta in ((12, 4, 0.6, 0.5), (8, 3, 0.9, 0.2)):
        draw = generator(seed + n)
        draws = torch.cat([torch.rand(n, 1, generator=draw), torch.randn(n, d, generator=draw)], 1)
        draws[0, 0], draws[1, 0], draws[2, 0] = (p + 1) / 2, p / 2, 1 - p / 2  # one wrong, one right, one telling
        cases.append((_labels(seed, n), draws, p, eta))
    return cases


def _strong_is_right(run: Run) -> str:
    for (y, draws, p, _), answer, expected in run:
        if not bool((answer[:, 0].abs() == 1).all()):
            return "the strong feature, column 0, must be +1 or −1"
        wrong = int((answer[:, 0] != expected[:, 0]).sum())
        if wrong:
            agree = int((answer[:, 0] == y).sum())
            want = int((draws[:, 0] < p).sum())
            return f"{part(wrong, len(y), 'strong feature', 'differ')}: {want} should equal y (those whose draw is below p = {p}), yours equal it {count(agree, 'time')}"
    return ""


def _weak_lean(run: Run) -> str:
    for (_, _, _, eta), answer, expected in run:
        gap = (answer[:, 1:] - expected[:, 1:]).abs()
        if gap.max() > 1e-4:
            return f"{part(int((gap > 1e-4).sum()), gap.numel(), 'weak feature', 'differ')}, by up to {gap.max():.3f} (η = {eta}): each is η·y plus its draw"
    return ""


def _with(strong: Tensor, weak: Tensor) -> Tensor:
    return torch.cat([strong[:, None], weak], 1)


SAMPLE = Exercise(
    "07.3",
    "sample",
    _sample,
    _sample_cases,
    [
        Probe("makes the weak features lean by η towards y", 2, _weak_lean, essential=True),
        Probe("makes the strong feature right with probability p", 2, _strong_is_right),
        Probe("treats each example on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], *a[2:]))),
    ],
    [
        Mistake(
            "strong feature flipped",
            lambda y, u, p, eta: _with(torch.where(u[:, 0] < p, -y, y), _sample(y, u, p, eta)[:, 1:]),
            "The strong feature is the wrong way round: it equals y where the draw is *below* p.",
        ),
        Mistake(
            "one minus p",
            lambda y, u, p, eta: _with(torch.where(u[:, 0] < 1 - p, y, -y), _sample(y, u, p, eta)[:, 1:]),
            "Your strong feature is right with probability 1 − p; it should be with probability p.",
        ),
        Mistake(
            "always right",
            lambda y, u, p, eta: _with(y, _sample(y, u, p, eta)[:, 1:]),
            "Your strong feature always equals y, as if p were 1.",
        ),
        Mistake(
            "not in terms of y",
            lambda y, u, p, eta: _with(torch.where(u[:, 0] < p, 1.0, -1.0), _sample(y, u, p, eta)[:, 1:]),
            "Your strong feature is +1 or −1 whatever y is; it must be y or −y.",
        ),
        Mistake(
            "weak features forget y",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], eta + u[:, 1:]),
            "Your weak features are around +η for both classes, so they tell nothing about y; they lean towards η·y.",
        ),
        Mistake(
            "noise scaled by eta",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], eta * (y[:, None] + u[:, 1:])),
            "You multiplied the noise by η as well. Its spread is 1: that is what makes the features weak.",
        ),
        Mistake(
            "noise scaled by y",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], y[:, None] * (eta + u[:, 1:])),
            "You multiplied the noise by y too. The features have the same law so, but not the value that these draws ask for: η·y plus the draw.",
        ),
        Mistake(
            "eta forgotten",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], y[:, None] + u[:, 1:]),
            "η is not used: your weak features lean by 1, which is not weak at all.",
        ),
        Mistake(
            "lean forgotten",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], u[:, 1:]),
            "Your weak features are noise alone; each leans by η·y.",
        ),
        Mistake(
            "leans with the strong feature",
            lambda y, u, p, eta: _with(_sample(y, u, p, eta)[:, 0], eta * _sample(y, u, p, eta)[:, :1] + u[:, 1:]),
            "Your weak features lean with the strong feature, so they are wrong whenever it is. They lean with y.",
        ),
    ],
    "torch.where(draws[:, 0] < p, y, -y) for column 0; eta * y[:, None] + draws[:, 1:] for the others; torch.cat along dimension 1.",
    returns="features",
    like=1,
)


# ---- 07.4 worst_case_features(x, y, eta)


def _worst(x: Tensor, y: Tensor, eta: float) -> Tensor:
    return torch.cat([x[:, :1], x[:, 1:] - 2 * eta * y[:, None]], 1)


def _worst_cases(seed: int) -> list[tuple]:
    cases = []
    for n, d, eta in ((6, 4, 0.5), (4, 3, 0.15)):
        y = _labels(seed, n)
        draws = torch.cat(
            [torch.rand(n, 1, generator=generator(seed)), torch.randn(n, d, generator=generator(seed))], 1
        )
        cases.append((_sample(y, draws, 0.5, eta), y, eta))
    return cases


def _turned(run: Run) -> str:
    for (x, y, eta), answer, _ in run:
        moved = ((answer - x)[:, 1:] * y[:, None]).mean().item()
        if abs(moved + 2 * eta) > 1e-3:
            return f"the weak features lean by +η = {eta} towards y and should lean by −η after the attack; yours move by {moved:+.3f} on average"
    return ""


def _strong_stays(run: Run) -> str:
    for (x, _, _), answer, _ in run:
        changed = int(((answer - x)[:, 0].abs() > 1e-5).sum())
        if changed:
            return f"{part(changed, len(x), 'strong feature')} changed; this adversary leaves them alone"
    return ""


WORST = Exercise(
    "07.4",
    "worst_case_features",
    _worst,
    _worst_cases,
    [
        Probe("turns the lean of the weak features around", 2, _turned, essential=True),
        Probe("leaves the strong feature alone", 1, _strong_stays),
        Probe("is right for every example", 1, matches("feature")),
        Probe("treats each example on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], a[2]))),
    ],
    [
        Mistake(
            "only eta",
            lambda x, y, eta: torch.cat([x[:, :1], x[:, 1:] - eta * y[:, None]], 1),
            "A shift by η only takes the lean away, to zero. To turn it around, from +η to −η, takes 2η.",
        ),
        Mistake(
            "towards the label",
            lambda x, y, eta: torch.cat([x[:, :1], x[:, 1:] + 2 * eta * y[:, None]], 1),
            "Your adversary helps: the features now lean by 3η towards y. Subtract 2η·y.",
        ),
        Mistake(
            "label forgotten",
            lambda x, y, eta: torch.cat([x[:, :1], x[:, 1:] - 2 * eta], 1),
            "You shift both classes the same way, so one of them is helped: the shift depends on the label, −2η·y.",
        ),
        Mistake(
            "sign of each feature",
            lambda x, y, eta: torch.cat([x[:, :1], x[:, 1:] - 2 * eta * x[:, 1:].sign()], 1),
            "You shift against each feature's own sign, which pulls them towards zero. What matters is the label: against y.",
        ),
        Mistake(
            "all features",
            lambda x, y, eta: x - 2 * eta * y[:, None],
            "You shifted the strong feature as well; the proof's adversary does not need it, so leave column 0 as it is.",
        ),
        Mistake(
            "weak features mirrored",
            lambda x, y, eta: torch.cat([x[:, :1], -x[:, 1:]], 1),
            "You mirrored the weak features. That has the right law, but it moves a feature by twice its own size, beyond 2η: not in Δ.",
        ),
        Mistake(
            "weak features replaced",
            lambda x, y, eta: torch.cat([x[:, :1], (-eta * y[:, None]).expand_as(x[:, 1:])], 1),
            "You replaced the weak features by −η·y: that takes the noise away too, and moves many of them by more than 2η. Shift them.",
        ),
        Mistake(
            "strong feature flipped too",
            lambda x, y, eta: torch.cat([-x[:, :1], x[:, 1:] - 2 * eta * y[:, None]], 1),
            "You flipped the strong feature, which would take a change of 2, far more than 2η. Leave column 0 as it is.",
        ),
        Mistake(
            "against the strong feature",
            lambda x, y, eta: torch.cat([x[:, :1], x[:, 1:] - 2 * eta * x[:, :1]], 1),
            "You shift against the strong feature; where that is wrong, you help. The shift is against the label y.",
        ),
    ],
    "The weak columns are x[:, 1:]. Subtract 2 * eta * y[:, None] from them, and put column 0 back in front with torch.cat.",
    returns="features",
    like=0,
)


# ---- 07.5 bound(p, delta)


def _bound(p: float, delta: float) -> float:
    return min(1.0, p / (1 - p) * delta)


def _bound_cases(seed: int) -> list[tuple]:
    jitter = 0.02 * torch.rand(1, generator=generator(seed)).item()
    return [
        (0.95 - jitter, 0.01 + jitter / 4),
        (0.7 + jitter, 0.2),
        (0.5 + jitter, 0.03),
        (0.9, 0.4 + jitter),
        (0.8, 0.0),
    ]


def _below_one(run: Run) -> str:
    for (p, delta), answer, expected in list(run)[3:]:
        if abs(answer - expected) > 1e-4:
            return f"p = {p:.2f}, δ = {delta:.2f}: expected {expected:.3f}, got {answer:.3f}; a bound on an accuracy lies between 0 and 1"
    return ""


BOUND = Exercise(
    "07.5",
    "bound",
    _bound,
    _bound_cases,
    [
        Probe(
            "is p/(1 − p)·δ",
            3,
            lambda run: matches("value")(Run(run.cases[:3], run.answers[:3], run.expected[:3], run.call)),
            essential=True,
        ),
        Probe("stays between 0 and 1", 1, _below_one),
    ],
    [
        Mistake(
            "upside down",
            lambda p, delta: min(1.0, (1 - p) / p * delta),
            "The fraction is upside down: the bound is p/(1 − p)·δ. It is loose when the strong feature is good (p near 1) and tight when p is near ½.",
        ),
        Mistake(
            "not capped",
            lambda p, delta: p / (1 - p) * delta,
            "An accuracy is at most 1, but your bound grows beyond: min(1, …).",
        ),
        Mistake(
            "only the first step of the proof",
            lambda p, delta: min(1.0, delta / (1 - p)),
            "δ/(1 − p) is the bound where the strong feature is wrong, one step of the proof. Over all examples it is p/(1 − p)·δ.",
        ),
        Mistake(
            "delta alone",
            lambda p, delta: delta,
            "You return δ, which is right only for p = ½.",
        ),
        Mistake(
            "one minus delta",
            lambda p, delta: min(1.0, p / (1 - p) * (1 - delta)),
            "δ is what the standard accuracy misses to 1; you put the accuracy 1 − δ itself into the formula.",
        ),
        Mistake(
            "error returned",
            lambda p, delta: 1 - _bound(p, delta),
            "This is a lower bound on the robust *error*; the theorem bounds the robust accuracy.",
        ),
        Mistake(
            "precedence",
            lambda p, delta: min(1.0, p / ((1 - p) * delta)) if delta else 1.0,
            "You divide by δ too: p/(1 − p)·δ is (p/(1 − p)) times δ. Mind the brackets.",
        ),
    ],
    "p/(1 − p) times δ, and no accuracy is above 1.",
    returns="number",
    like=0,
)
