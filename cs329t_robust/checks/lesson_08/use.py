"""Exercises 08.1 and 08.2: how far a feature goes with the label, on average and against an adversary."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..shared_probes import generator, images


def _standard(f: Tensor) -> Tensor:
    return (f - f.mean()) / f.std(unbiased=False)


def _use(f: Tensor, y: Tensor) -> float:
    return (y * _standard(f)).mean().item()


def _use_cases(seed: int) -> list[tuple]:
    draw, cases = generator(seed), []
    for n, shift, scale, bond in ((12, 5.0, 3.0, 0.8), (9, -2.0, 0.3, -0.7), (20, 0.4, 8.0, 0.3)):
        y = torch.where(torch.rand(n, generator=draw) < 0.65, 1.0, -1.0)
        y[0], y[1] = 1.0, -1.0
        f = bond * y + (1 - abs(bond)) * torch.randn(n, generator=draw)
        cases.append((scale * f + shift, y))
    return cases


def _as_expected(run: Run) -> str:
    for args, answer, expected in run:
        if abs(answer - expected) > 1e-4 + 1e-3 * abs(expected):
            return f"for {len(args[1])} pictures expected {expected:.4f}, got {answer:.4g}"
    return ""


def _same_in_any_unit(run: Run) -> str:
    for (f, y), answer, expected in run:
        if abs(answer - expected) > 0.02 * abs(expected) + 1e-3:
            continue
        other = run.call(2.5 * f + 7, y)
        if abs(float(other) - answer) > 1e-3:
            return f"the same feature in another unit, 2.5·f + 7, gets {float(other):.4f} where f gets {answer:.4f}; it must not matter"
        return ""
    return "the value does not rest on the feature's mean and spread as it should"


USE = Exercise(
    "08.1",
    "usefulness",
    _use,
    _use_cases,
    [
        Probe("is the mean of y times the standardised feature", 3, _as_expected, essential=True),
        Probe("does not depend on the feature's unit", 1, _same_in_any_unit),
    ],
    [
        Mistake(
            "not standardised",
            lambda f, y: (y * f).mean().item(),
            "You did not standardise the feature: subtract its mean and divide by its spread first, or its unit decides.",
        ),
        Mistake(
            "mean not subtracted",
            lambda f, y: (y * f / f.std(unbiased=False)).mean().item(),
            "The feature's mean is not subtracted: a feature that is the same for all would then look useful.",
        ),
        Mistake(
            "spread not divided",
            lambda f, y: (y * (f - f.mean())).mean().item(),
            "You subtracted the mean but did not divide by the spread: a feature in millimetres would be more useful than in metres.",
        ),
        Mistake(
            "variance in place of the spread",
            lambda f, y: (y * (f - f.mean())).mean().item() / f.var(unbiased=False).item(),
            "You divided by the variance; the spread is its square root.",
        ),
        Mistake(
            "sample spread",
            lambda f, y: (y * (f - f.mean()) / f.std()).mean().item(),
            "Your spread divides by n − 1, as torch's .std() does unless told otherwise; variance 1 over these pictures asks for n: "
            "use .std(unbiased=False).",
        ),
        Mistake(
            "sum",
            lambda f, y: (y * _standard(f)).sum().item(),
            "You summed over the pictures; an expectation is the mean.",
        ),
        Mistake(
            "absolute value",
            lambda f, y: abs(_use(f, y)) if (y * _standard(f)).mean() < 0 else (y * _standard(f)).abs().mean().item(),
            "You take absolute values: whether the feature agrees with the label or goes against it is then lost.",
        ),
        Mistake(
            "sign lost at the end",
            lambda f, y: abs(_use(f, y)),
            "You return the absolute value; a feature that goes against the label has a negative usefulness.",
        ),
        Mistake(
            "share of agreeing signs",
            lambda f, y: (_standard(f).sign() == y).double().mean().item(),
            "This is the share of pictures where the signs agree; the exercise asks for the mean of y·f.",
        ),
        Mistake(
            "correlation coefficient",
            lambda f, y: (_standard(y) * _standard(f)).mean().item(),
            "You standardised the label as well: that is the correlation coefficient. Here y stays −1 or +1.",
        ),
    ],
    "z = (f − f.mean()) / f.std(unbiased=False), then the mean of y·z.",
    returns="number",
    like=0,
)


# ---- 08.2 robust_usefulness(w, x, y, eps)


def _values(w: Tensor, x: Tensor) -> Tensor:
    return x.flatten(1) @ w.flatten()


def _robust_with(norm=lambda w: w.norm(), side: int = -1, scaled: bool = True, power: float = 1):  # noqa: ANN001
    def usefulness(w: Tensor, x: Tensor, y: Tensor, eps: float) -> float:
        f = _values(w, x)
        cost = eps * norm(w.flatten()).item() ** power / (f.std(unbiased=False).item() if scaled else 1)
        return _use(f, y) + side * cost

    return usefulness


def _robust_cases(seed: int) -> list[tuple]:
    draw, cases = generator(seed), []
    for (n, c, h, w), eps in (((10, 1, 4, 4), 0.3), ((14, 3, 2, 3), 0.05), ((12, 1, 3, 5), 0.15)):
        x, weight = images(seed + n, (n, c, h, w)), torch.randn(c, h, w, generator=draw)
        f = _values(weight, x)
        y = torch.where(f + 0.3 * torch.randn(n, generator=draw) > f.median(), 1.0, -1.0)
        cases.append((weight, x, y, eps))
    return cases


def _without_an_adversary(run: Run) -> str:
    for (w, x, y, _), _, _ in run:
        mine, plain = float(run.call(w, x, y, 0.0)), _use(_values(w, x), y)
        if abs(mine - plain) > 1e-3:
            return f"with ε = 0 nobody moves anything, so it must be the usefulness, {plain:.3f}; yours is {mine:.3f}"
    return ""


ROBUST_USE = Exercise(
    "08.2",
    "robust_usefulness",
    _robust_with(),
    _robust_cases,
    [
        Probe("is what is left under the worst change of length ε", 3, _as_expected, essential=True),
        Probe("is the plain usefulness at ε = 0", 1, _without_an_adversary),
    ],
    [
        Mistake(
            "adversary forgotten",
            lambda w, x, y, eps: _use(_values(w, x), y),
            "This is the usefulness without an adversary; ε does not enter.",
        ),
        Mistake(
            "adversary helps",
            _robust_with(side=1),
            "The sign is flipped: the adversary takes away ε·‖w‖/σ, you give it to the feature.",
        ),
        Mistake(
            "not divided by the spread",
            _robust_with(scaled=False),
            "The loss ε·‖w‖ is in the feature's own unit; the standardised feature has been divided by its spread σ, so the loss is as well.",
        ),
        Mistake(
            "the length squared",
            _robust_with(power=2),
            "You use ‖w‖², the square root is missing: ε·‖w‖₂.",
        ),
        Mistake(
            "L1 length",
            _robust_with(norm=lambda w: w.abs().sum()),
            "You took ‖w‖₁: that is what an L∞ adversary takes. Against an L2 ball it is ‖w‖₂.",
        ),
        Mistake(
            "largest weight",
            _robust_with(norm=lambda w: w.abs().max()),
            "You took the largest weight: that is what an L1 adversary takes. Against an L2 ball it is ‖w‖₂.",
        ),
        Mistake(
            "eps alone",
            _robust_with(norm=lambda w: torch.ones(())),
            "You subtract ε/σ: the weights do not enter. The worst change of length ε moves w·x by ε·‖w‖₂.",
        ),
        Mistake(
            "all pictures moved the same way",
            lambda w, x, y, eps: (
                _use(_values(w, x), y) - (y.mean() * eps * w.norm() / _values(w, x).std(unbiased=False)).item()
            ),
            "You move every picture the same way, against w. The adversary looks at y: a picture with y = +1 is pushed down, one with "
            "y = −1 up.",
        ),
        Mistake(
            "standardised after the attack",
            lambda w, x, y, eps: _use(_values(w, x) - eps * y * w.norm(), y),
            "You standardise the feature again after the attack. Mean and spread belong to the clean pictures; the adversary does not "
            "get to change them.",
        ),
        Mistake(
            "not standardised",
            lambda w, x, y, eps: (y * _values(w, x)).mean().item() - eps * w.norm().item(),
            "You did not standardise the feature: use (f − mean)/σ, and divide the adversary's share by σ too.",
        ),
    ],
    "Usefulness of f = w·x, less ε·‖w‖₂/σ with σ = f.std(unbiased=False).",
    returns="number",
    like=1,
)
