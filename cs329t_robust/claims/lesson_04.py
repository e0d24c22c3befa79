"""What lesson 04 claims: norms and other measures against what people read, equal success, few pixels, size and meaning."""

from functools import cache

import torch
from torch import Tensor

from ..attacks import sparse_rs
from ..contract.input_validation import Model
from ..evaluation.accuracy import predict
from ..models.networks import mnist_classifier
from ..perception.distances import l0, l2
from ..perception.norm_table import (
    NEAREST,
    NORMS,
    SAME,
    Pairs,
    Table,
    measure,
    measures,
    nearest_in_each_norm,
    pairs,
    radius_of_half,
)
from ..perception.semantics import meaningless, neighbours_say, redrawn
from ..perception.staircase import Observer, Staircase
from ..threat import L0
from ..widgets.seeing_game_presets import DIGIT_EPS
from .ledger import Claim, Finding, median, share

PAIRS = (
    "the first 500 test digits; PGD, 40 steps, on the shipped MNIST classifier; strangers from 60,000 training digits"
)
PIXELS = 12


@cache
def robust() -> Model:
    """Return the network that was trained against PGD."""
    return mnist_classifier("pgd")


@cache
def found() -> tuple[Pairs, Table]:
    """Return 500 digits with their partners, and the table of all their distances."""
    both = pairs(mnist_classifier(), n=500)
    return both, measure(both, measures(robust()))


def shift_farther(measure_name: str, than: str, least: float) -> Finding:
    """Count the digits for which moving by one pixel is farther than another partner."""
    table = found()[1]
    shift, other = table.of(SAME[0], measure_name), table.of(than, measure_name)
    hits, n = int((shift > other).sum()), len(shift)
    return share(
        hits, n, f"digits whose one-pixel shift is farther than {than}", setting=f"{measure_name}; {PAIRS}",
        holds=hits >= least * n,
        note=f"Mean distances: {table.mean(SAME[0], measure_name)[0]:.3g} and {table.mean(than, measure_name)[0]:.3g}.",
    )  # fmt: skip


def transport_nearer() -> Finding:
    """Count the digits for which transport puts the shift nearer than the attack."""
    table = found()[1]
    shift, attack = table.of(SAME[0], "transport"), table.of(SAME[1], "transport")
    hits, n = int((shift < attack).sum()), len(shift)
    worst = float(table.agreement("transport", SAME[1]))
    return share(
        hits, n, "digits whose one-pixel shift is nearer than PGD at 0.1",
        setting=f"1-Wasserstein distance of pictures of mass 1, in pixels; {PAIRS}", holds=hits >= 0.9 * n,
        note=f"It pays for that with haze: PGD at 0.1 is nearer than the nearest digit of another class in only {worst:.0%}.",
    )  # fmt: skip


def _mean_agreement() -> dict[str, float]:
    table = found()[1]
    return dict(zip(table.measures, table.shares().mean(1).tolist(), strict=True))


def ssim_against_l2() -> Finding:
    """Compare SSIM's agreement with the labels to that of L2, pair by pair."""
    table = found()[1]
    won, lost, agreed, asked = 0, 0, 0, 0
    for kind in SAME:
        ssim, ruler = (table.of(kind, m) < table.of(NEAREST, m) for m in ("1 − SSIM", "L2"))
        won, lost = won + int((ssim & ~ruler).sum()), lost + int((ruler & ~ssim).sum())
        agreed, asked = agreed + int(ssim.sum()), asked + len(ssim)
    return share(
        agreed, asked, "questions (same meaning or nearest stranger?) answered as the labels do by SSIM",
        setting=f"four kinds of pairs of one meaning; windows of 11 × 11 pixels; {PAIRS}",
        holds=won > lost + 1.96 * (won + lost) ** 0.5,
        note=f"{won} questions only SSIM answers rightly, {lost} only L2. Four questions a digit, so the interval is "
        "a little narrow. Labels are a proxy for people.",
    )  # fmt: skip


def no_clear_metric() -> Finding:
    """Count the measures that answer better than a guesser on every kind of pair."""
    table = found()[1]
    shares = table.shares()
    good = int((shares > 0.5).all(1).sum())
    worst = ", ".join(f"{m} {row.min():.0%}" for m, row in zip(table.measures, shares, strict=True))
    return Finding(
        f"{good} of {len(table.measures)} measures", len(table.measures),
        "measures that rank each kind of same-meaning pair before the nearest stranger in more than half of the digits",
        f"four kinds of pairs, 500 digits each; {PAIRS}", good == 0, float(good),
        note=f"Lowest agreement of each: {worst}.",
    )  # fmt: skip


def deep_features() -> Finding:
    """Compare the features of the robust network with the six other measures by their mean agreement."""
    mean = _mean_agreement()
    best = max(mean, key=mean.__getitem__)
    own = measure(found()[0], {"own": measures(mnist_classifier())["features"]})
    fooled = float(own.agreement("own", SAME[1]))
    return Finding(
        f"{mean['features']:.0%}", 500, "digits, mean agreement over four kinds of pairs",
        f"unweighted features of the network trained against PGD; {PAIRS}", best == "features", mean["features"],
        note=f"The best is {best}, {mean[best]:.0%}. In the attacked network's own features PGD at 0.1 is nearer than the nearest "
        f"stranger in only {fooled:.0%}. The paper's claim is about photographs and people's judgements, ours about digits and labels.",
    )  # fmt: skip


@cache
def nearest() -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return 200 digits, their labels, and their nearest mistakes in four norms."""
    both = found()[0]
    x, y = both.x[:200], both.y[:200]
    return x, y, nearest_in_each_norm(mnist_classifier(), x, y)


def equal_success() -> Finding:
    """Measure the nearest mistake in each norm by each norm."""
    x, y, mistakes = nearest()
    rulers = {norm: measures()[norm] for norm in NORMS}
    size = torch.tensor([[float(ruler(x, x_adv).median()) for ruler in rulers.values()] for x_adv in mistakes.values()])
    radius = radius_of_half(mnist_classifier(), x, y, mistakes)
    smallest = sum(int(size[i, i] <= size[:, i].min() + 1e-6) for i in range(len(NORMS)))
    return Finding(
        f"{smallest} of {len(NORMS)} norms", len(x), "test digits, each attacked in each norm",
        "fmn, 100 steps, the shipped MNIST classifier; median size of the four attacks, by each ruler", smallest == len(NORMS),
        float(smallest), note="Half of the digits are fooled within: " + ", ".join(f"{n} {r:.2g}" for n, r in radius.items()) + ".",
    )  # fmt: skip


def few_pixels() -> Finding:
    """Count the pixels that the sparsest mistakes need."""
    x, y, mistakes = nearest()
    kept = predict(mnist_classifier(), x).argmax(1) == y
    fooled = kept & (predict(mnist_classifier(), mistakes["L0"]).argmax(1) != y)
    count = l0(x, mistakes["L0"])[fooled]
    one = int((count <= 1).sum())
    return median(
        count, "test digits", setting="fmn in L0, 100 steps, the shipped MNIST classifier; those that were fooled",
        holds=float(count.median()) <= 0.02 * x[0].numel() and int(fooled.sum()) >= 0.9 * int(kept.sum()), unit=" pixels",
        note=f"Of 784. {int(fooled.sum())} of {int(kept.sum())} correctly read digits were fooled; a single pixel fools {one}.",
    )  # fmt: skip


def other_norm() -> Finding:
    """Attack both networks in L0 with two attacks, and keep the stronger for each."""
    x, y, mistakes = nearest()
    x, y = x[:100], y[:100]
    right = {}
    for name, model, sparse in (
        ("standard", mnist_classifier(), mistakes["L0"][:100]),
        ("robust", robust(), nearest_in_each_norm(robust(), x, y)["L0"]),
    ):
        by_fmn = (predict(model, sparse).argmax(1) == y) | (l0(x, sparse) > PIXELS)
        by_search = predict(model, sparse_rs(model, x, y, threat=L0(PIXELS), queries=1000)).argmax(1) == y
        right[name] = (by_fmn & by_search, by_fmn)
    both, alone = right["robust"]
    plain = right["standard"][0]
    return share(
        both.sum(), len(x), f"test digits right under {PIXELS} pixels, network trained against PGD in L∞",
        setting="worst of fmn (100 steps) and sparse_rs (1,000 queries)", holds=bool(both.sum() <= plain.sum()),
        note=f"Standard network: {int(plain.sum())}. By fmn alone the trained network keeps {int(alone.sum())}. More queries break more.",
    )  # fmt: skip


def meaning() -> Finding:
    """Compare the largest harmless change with the smallest change of meaning, digit by digit."""
    both = found()[0]
    x, y, judges = both.x[:50], both.y[:50], [mnist_classifier(), robust()]
    harmless, new = meaningless(x, y, judges), redrawn(x, y, judges)
    larger = (l2(x, harmless) > l2(x, new.x_adv)) & new.found
    turned = int((neighbours_say(new.x_adv) != y).sum())
    return share(
        larger.sum(), len(x), "digits whose harmless change is larger (L2) than a change of meaning",
        setting="harmless: turned, moved, regreyed, both networks still right; meaning: strokes of a near digit, both networks convinced",
        holds=int(larger.sum()) >= 0.9 * len(x),
        note=f"Means {l2(x, harmless).mean():.1f} and {l2(x, new.x_adv).mean():.1f}. Five nearest neighbours, which took no part, "
        f"leave the old label in {turned} of {len(x)}. No person was asked.",
    )  # fmt: skip


def eighteen_answers() -> Finding:
    """Let simulated players of known threshold play the game's staircase."""
    within, n = 0, 0
    for true in (0.03, 0.06, 0.12):
        for seed in range(100):
            stairs = Staircase(DIGIT_EPS["Linf"])
            Observer(true, seed=seed).climb(stairs)
            size = stairs.threshold.size
            within, n = within + int(size is not None and 0.5 < size / true < 2), n + 1
    return share(
        within, n, "simulated games whose threshold is within a factor of 2",
        setting="18 answers at most, thresholds 0.03, 0.06 and 0.12 in L∞, slope 3, 2% lapses", holds=within >= 0.9 * n,
    )  # fmt: skip


LECTURE = "lecture, slide “Human Alignment: Metrics used for robustness”, shifted MNIST"
CLAIMS = (
    Claim(
        id="04.shift-l2",
        says="A shift by one pixel, which nobody notices, is farther in L2 than an attack that fools the network.",
        source=LECTURE,
        theirs="“?”",
        holds_if="it is in at least 90% of the digits",
        run=lambda: shift_farther("L2", SAME[1], 0.9),
    ),
    Claim(
        id="04.shift-linf",
        says="A shift by one pixel is farther in L∞ than an attack that fools the network.",
        source=LECTURE,
        theirs="“?”",
        holds_if="it is in at least 99% of the digits",
        run=lambda: shift_farther("Linf", SAME[1], 0.99),
    ),
    Claim(
        id="04.shift-l0",
        says="A shift by one pixel is farther in L0 than an attack that fools the network.",
        source=LECTURE,
        theirs="“?”",
        holds_if="it is in at least half of the digits",
        run=lambda: shift_farther("L0", SAME[1], 0.5),
    ),
    Claim(
        id="04.shift-stranger",
        says="A shift by one pixel can be farther in L2 than the nearest digit that says something else.",
        source=LECTURE,
        theirs="“?”",
        holds_if="it is in at least 5% of the digits",
        run=lambda: shift_farther("L2", NEAREST, 0.05),
    ),
    Claim(
        id="04.transport",
        says="A distance that knows which pixels are neighbours puts the shift nearer than the attack.",
        source="lecture, “d_z?”; Rubner, Tomasi & Guibas 2000",
        theirs="no number given",
        holds_if="it does in at least 90% of the digits",
        run=transport_nearer,
    ),
    Claim(
        id="04.ssim",
        says="Structural similarity agrees with people better than pixel-wise error does.",
        source="Wang, Bovik, Sheikh & Simoncelli 2004, abstract",
        theirs="no number comparable with ours (photographs, ratings)",
        holds_if="SSIM alone is right more often than L2 alone, by more than 1.96 standard deviations of a coin",
        run=ssim_against_l2,
    ),
    Claim(
        id="04.no-metric",
        says="Intuitive measures of “small change in input” are tricky: no clear metric for human perception.",
        source="lecture, slide “Robustness”, limitations",
        theirs="no number given",
        holds_if="none of seven measures beats a guesser on all four kinds of pairs",
        run=no_clear_metric,
    ),
    Claim(
        id="04.features",
        says="Deep features are an unreasonably effective perceptual metric.",
        source="Zhang et al. 2018, arXiv:1801.03924",
        theirs="no number comparable with ours (photographs, two-choice judgements)",
        holds_if="features of the robust network have the highest mean agreement of seven measures",
        run=deep_features,
    ),
    Claim(
        id="04.equal-success",
        says="At equal success each attack is the smallest in its own norm: which is the smallest change depends on the ruler.",
        source="lesson 04, section 4",
        theirs="no number given",
        holds_if="it is in all four norms",
        run=equal_success,
    ),
    Claim(
        id="04.few-pixels",
        says="A handful of pixels is enough to fool a network.",
        source="Su, Vargas & Sakurai 2019, arXiv:1710.08864",
        theirs="one pixel fools 68% of CIFAR-10 pictures",
        holds_if="half of the digits fall to at most 2% of their pixels",
        run=few_pixels,
    ),
    Claim(
        id="04.other-norm",
        says="Training against one kind of perturbation leaves a network open to others.",
        source="Tramèr & Boneh 2019, arXiv:1904.13000",
        theirs="no number comparable with ours",
        holds_if="the network trained in L∞ keeps no more digits under 12 pixels than the standard one",
        run=other_norm,
    ),
    Claim(
        id="04.meaning",
        says="If “different” includes semantics, size is no measure: a harmless change can be larger than one that changes the meaning.",
        source="lecture, slide “Human Alignment: Metrics used for robustness”; Tramèr et al. 2020, arXiv:2002.04599",
        theirs="no number comparable with ours",
        holds_if="it is in at least 90% of the digits",
        run=meaning,
    ),
    Claim(
        id="04.threshold",
        says="Eighteen answers of the seeing game find a player's threshold to within a factor of two.",
        source="lesson 04, section 7",
        theirs="no number given",
        holds_if="in at least 90% of simulated games",
        run=eighteen_answers,
    ),
)
