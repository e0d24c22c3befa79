"""What lesson 01 claims: an ImageNet classifier can be made to say anything about a photograph."""

from functools import cache

import torch
from torch import Tensor, nn

from ..attacks import fgsm, pgd
from ..data.datasets import photos
from ..models.networks import imagenet_classes, imagenet_classifier
from ..threat import Linf
from .ledger import Claim, Finding, median, share

NET = "EfficientNet-Lite0 on six photographs, its own clean answers as the truth"
LOTS = 8  # targets by lot for each photograph
PGD = f"{NET}; {LOTS} targets each, drawn by lot from the other 999 classes; targeted PGD, 16 steps, L∞ 2/255"


@cache
def network() -> nn.Module:
    """Return the classifier, loaded once."""
    return imagenet_classifier().requires_grad_(False)


def probabilities(x: Tensor) -> Tensor:
    """Return the classifier's probabilities (n, 1000)."""
    with torch.no_grad():
        return torch.cat([network()(part).softmax(1) for part in x.split(16)])


@cache
def clean() -> tuple[Tensor, Tensor]:
    """Return the six photographs and what the network says of them."""
    x, _ = photos()
    return x, probabilities(x).argmax(1)


@cache
def one_step() -> Tensor:
    """Return the probabilities after one FGSM step of 1/255."""
    x, y = clean()
    return probabilities(fgsm(network(), x, y, threat=Linf(1 / 255)))


@cache
def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Return photographs (48, 3, 224, 224), a target by lot for each (48,), and the attacked photographs."""
    x, y = clean()
    generator = torch.Generator().manual_seed(0)
    lots = [[int(t) for t in torch.randperm(1000, generator=generator) if t != label][:LOTS] for label in y]
    targets = torch.tensor(lots).flatten()
    x = x.repeat_interleave(LOTS, 0)
    parts = zip(x.split(LOTS), targets.split(LOTS), strict=True)
    attacked = [pgd(network(), one, t, threat=Linf(2 / 255), steps=16, targeted=True) for one, t in parts]
    return x, targets, torch.cat(attacked)


def one_step_flips() -> Finding:
    """Count the photographs that one smallest step flips."""
    _, y = clean()
    flipped = int((one_step().argmax(1) != y).sum())
    return share(
        flipped, len(y), "photographs whose answer changes", setting=f"{NET}; one FGSM step, L∞ 1/255",
        holds=flipped > len(y) / 2,
    )  # fmt: skip


def one_step_is_sure() -> Finding:
    """Find the highest confidence in a wrong answer after that step."""
    _, y = clean()
    p = one_step()
    sure, guess = p.max(1)
    wrong = torch.where(guess != y, sure, 0.0)
    best = int(wrong.argmax())
    return Finding(
        f"{wrong.max():.0%} at most", len(y), "photographs", f"{NET}; one FGSM step, L∞ 1/255",
        holds=bool(wrong.max() >= 0.99), number=wrong.max().item(), unit="%",
        note=f"The surest wrong answer is {imagenet_classes()[guess[best]]} for {imagenet_classes()[y[best]]}. One step away "
        "from the truth is not enough for the lecture's certainty; many steps towards a target are (01.sure).",
    )  # fmt: skip


def any_target() -> Finding:
    """Count the pairs whose target is reached."""
    _, targets, attacked = pairs()
    hits = int((probabilities(attacked).argmax(1) == targets).sum())
    return share(hits, len(targets), "photograph × target pairs", setting=PGD, holds=hits >= 0.9 * len(targets))


def sure() -> Finding:
    """Measure how sure the network is of the targets."""
    _, targets, attacked = pairs()
    p = probabilities(attacked).gather(1, targets[:, None]).squeeze(1)
    return median(p, "photograph × target pairs", unit="%", setting=PGD, holds=bool(p.median() >= 0.9))


def eight_bits() -> Finding:
    """Count the pairs again after rounding to a picture file's levels."""
    x, targets, attacked = pairs()
    rounded = (255 * attacked).round() / 255
    hits = int((probabilities(rounded).argmax(1) == targets).sum())
    far = 255 * Linf(0).distance(x, rounded).max()
    return share(
        hits, len(targets), "photograph × target pairs",
        setting=f"{PGD}; then every pixel rounded to a whole 255th (largest change {far:.0f}/255)",
        holds=hits >= 0.9 * len(targets),
    )  # fmt: skip


def egyptian_cat() -> Finding:
    """Make Egyptian cats of the five photographs that are none."""
    x, y = clean()
    cat = imagenet_classes().index("Egyptian cat")
    others = x[y != cat]
    aim = torch.full((len(others),), cat)
    attacked = pgd(network(), others, aim, threat=Linf(2 / 255), steps=16, targeted=True)
    hits = int((probabilities(attacked).argmax(1) == cat).sum())
    return share(
        hits, len(others), "photographs of other things",
        setting="EfficientNet-Lite0, targeted PGD, 16 steps, L∞ 2/255", holds=hits > len(others) / 2,
    )  # fmt: skip


def coin_tosses() -> Finding:
    """Move every pixel by the same amount, up or down by a coin."""
    x, y = clean()
    generator, flips, draws = torch.Generator().manual_seed(0), 0, 16
    for _ in range(draws):
        coin = (torch.rand(x.shape, generator=generator) - 0.5).sign()
        flips += int((probabilities((x + 2 / 255 * coin).clamp(0, 1)).argmax(1) != y).sum())
    return share(
        flips, draws * len(y), "photograph × draw pairs whose answer changes",
        setting=f"{NET}; random signs, L∞ 2/255, 16 draws each", holds=flips < 0.05 * draws * len(y),
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="01.fgsm",
        says="One step along the sign of the gradient, too small to see, changes a network's answer.",
        source="lecture, slide “FGSM attack”; Goodfellow et al. 2015, arXiv:1412.6572, figure 1",
        theirs="a panda becomes a gibbon at ε = .007 (one picture, GoogLeNet)",
        holds_if="more than half of the photographs change",
        run=one_step_flips,
    ),
    Claim(
        id="01.panda",
        says="That one step makes the network surer of the wrong answer than it was of the right one: panda 57.7%, gibbon 99.3%.",
        source="lecture, slide “FGSM attack”; Goodfellow et al. 2015, arXiv:1412.6572, figure 1",
        theirs="99.3% (one picture, GoogLeNet)",
        holds_if="some photograph gets a wrong answer with at least 99%",
        run=one_step_is_sure,
    ),
    Claim(
        id="01.any",
        says="“For any X and any T, find X′ with predicted class T.”",
        source="lecture, slide “Adversarial attack”",
        theirs="no number given",
        holds_if="at least 90% of the pairs are reached",
        run=any_target,
    ),
    Claim(
        id="01.sure",
        says="The wrong answer is given with great confidence.",
        source="lecture, slides “FGSM attack” and “PGD attack”",
        theirs="99.3% for the gibbon (one picture, GoogLeNet)",
        holds_if="the median probability of the target is at least 90%",
        run=sure,
    ),
    Claim(
        id="01.file",
        says="An adversarial photograph survives being saved as an ordinary picture of 256 levels.",
        source="Kurakin et al. 2017, arXiv:1607.02533, who go on to print them",
        theirs="no number given",
        holds_if="at least 90% of the pairs are still reached",
        run=eight_bits,
    ),
    Claim(
        id="01.egyptian-cat",
        says="PGD turns a baboon into an Egyptian cat.",
        source="lecture, slide “PGD attack”",
        theirs="one picture",
        holds_if="more than half of the photographs become one",
        run=egyptian_cat,
    ),
    Claim(
        id="01.signs",
        says="Random signs of the same size do nothing to a photograph's answer.",
        source="the control of 01.any; Fawzi et al. 2016, arXiv:1608.08967",
        theirs="no number given",
        holds_if="fewer than 5% of the answers change",
        run=coin_tosses,
    ),
)
