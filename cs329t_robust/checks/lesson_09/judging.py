"""Exercises 09.3 to 09.5: numbers for what pictures of gradients only suggest."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, generator, matches


def _ink(x: Tensor, side: int = 3) -> Tensor:
    return F.max_pool2d((x > 0.2).float(), side, stride=1, padding=side // 2) > 0


def _on_ink(attribution: Tensor, x: Tensor) -> Tensor:
    mass = attribution.abs()
    return (mass * _ink(x)).flatten(1).sum(1) / mass.flatten(1).sum(1)


def _ink_cases(seed: int) -> list[tuple]:
    cases = []
    for n in (4, 1):
        draw = generator(seed + n)
        x = torch.zeros(n, 1, 9, 9)
        for i in range(n):
            row, column = torch.randint(1, 6, (2,), generator=draw).tolist()
            x[i, 0, row : row + 3, column] = 0.3 + 0.7 * torch.rand(3, generator=draw)
            x[i, 0, 8 - row, 8 - column] = 0.1  # too faint to be ink
        cases.append((torch.randn(x.shape, generator=draw) * (1 + 2 * x), x))
    return cases


def _plausible(run: Run) -> str:
    """Ask for shares that at least follow the mass: moving all of it onto the ink gives 1, off the ink 0."""
    for (attribution, x), _, _ in run:
        for inside, want in ((True, 1.0), (False, 0.0)):
            moved = torch.where(_ink(x) == inside, attribution, 0.0)
            got = run.call(moved, x)
            if not isinstance(got, Tensor) or got.shape != (len(x),) or not bool(((got - want).abs() < 1e-3).all()):
                where = "on the ink and its rim" if inside else "off the ink"
                return f"with all of the mass {where} the share must be {want:g}; yours is not"
    return ""


ON_INK = Exercise(
    "09.3",
    "share_on_ink",
    _on_ink,
    _ink_cases,
    [
        Probe("is the share of the absolute mass", 3, matches("image"), essential=True),
        Probe("is 1 with all of it on the ink, 0 with none", 1, _plausible),
        Probe("treats each image on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1]))),
    ],
    [
        Mistake(
            "signs cancel",
            lambda a, x: (a * _ink(x)).flatten(1).sum(1) / a.flatten(1).sum(1),
            "Positive and negative values cancel in your sums; take absolute values first.",
        ),
        Mistake(
            "signs cancel above the line",
            lambda a, x: (a * _ink(x)).flatten(1).sum(1) / a.abs().flatten(1).sum(1),
            "The sum over the ink lets positive and negative values cancel; take absolute values there, too.",
        ),
        Mistake(
            "squares",
            lambda a, x: (a.square() * _ink(x)).flatten(1).sum(1) / a.square().flatten(1).sum(1),
            "You used squares, which let the largest values decide; the exercise asks for absolute values.",
        ),
        Mistake(
            "ink not grown",
            lambda a, x: (a.abs() * (x > 0.2)).flatten(1).sum(1) / a.abs().flatten(1).sum(1),
            "The rim is missing: a pixel beside the ink counts as well. F.max_pool2d(mask.float(), 3, stride=1, padding=1) grows a mask by one pixel.",
        ),
        Mistake(
            "grown by two",
            lambda a, x: (a.abs() * _ink(x, 5)).flatten(1).sum(1) / a.abs().flatten(1).sum(1),
            "You grew the ink by two pixels (a window of 5); one pixel is a window of 3.",
        ),
        Mistake(
            "any grey is ink",
            lambda a, x: (
                (a.abs() * (F.max_pool2d((x > 0).float(), 3, 1, 1) > 0)).flatten(1).sum(1) / a.abs().flatten(1).sum(1)
            ),
            "You count every pixel above 0 as ink; the exercise says above 0.2.",
        ),
        Mistake(
            "area",
            lambda a, x: _ink(x).float().flatten(1).mean(1),
            "This is the share of the PIXELS that are ink; the gradient does not occur in it. Weigh each pixel with |attribution|.",
        ),
        Mistake(
            "off the ink",
            lambda a, x: 1 - _on_ink(a, x),
            "This is the share that lies off the ink: 1 minus what is asked for.",
        ),
        Mistake(
            "weighed with x",
            lambda a, x: (a.abs() * x).flatten(1).sum(1) / a.abs().flatten(1).sum(1),
            "You weigh with the grey values of x; ink is a yes or no: x > 0.2, grown by one pixel.",
        ),
        Mistake(
            "whole batch below",
            lambda a, x: (a.abs() * _ink(x)).flatten(1).sum(1) / a.abs().sum(),
            "You divide by the mass of the whole batch; each image has its own.",
        ),
        Mistake(
            "mean on the ink",
            lambda a, x: (a.abs() * _ink(x)).flatten(1).sum(1) / _ink(x).flatten(1).sum(1),
            "You divide by the number of ink pixels: that is the mean on the ink. A share divides by the whole mass.",
        ),
    ],
    "mask = F.max_pool2d((x > 0.2).float(), 3, stride=1, padding=1); then the sum of |attribution|·mask over the sum of |attribution|, per image.",
    returns="vector",
)


def _share_read(pictures: Tensor, known: Tensor, labels: Tensor, target: Tensor) -> float:
    nearest = torch.cdist(pictures.flatten(1), known.flatten(1)).argmin(1)
    return (labels[nearest] == target).double().mean().item()


def _read_cases(seed: int) -> list[tuple]:
    """Random pictures, for most of which the target is the label of the nearest in L2: other norms find other ones."""
    cases = []
    for n, hits in ((20, 17), (15, 9), (10, 10)):
        draw = generator(seed + n)
        bright = 0.4 + 0.6 * torch.rand(14, 1, 1, 1, generator=draw)
        known = bright * torch.rand(14, 1, 4, 4, generator=draw)
        labels = torch.arange(14) % 5
        pictures = 0.8 * torch.rand(n, 1, 4, 4, generator=draw)
        target = labels[torch.cdist(pictures.flatten(1), known.flatten(1)).argmin(1)].clone()
        target[hits:] = (target[hits:] + 1) % 5
        cases.append((pictures, known, labels, target))
    return cases


def _by(order: float) -> object:
    def answer(pictures: Tensor, known: Tensor, labels: Tensor, target: Tensor) -> float:
        nearest = torch.cdist(pictures.flatten(1), known.flatten(1), p=order).argmin(1)
        return (labels[nearest] == target).double().mean().item()

    return answer


def _right_share(run: Run) -> str:
    for (pictures, known, labels, target), answer, expected in run:
        if abs(answer - expected) > 1e-4:
            read = labels[torch.cdist(pictures.flatten(1), known.flatten(1)).argmin(1)]
            return (
                f"{part(int((read == target).sum()), len(target), 'picture', 'have')} a nearest known picture with the target's label: "
                f"expected {expected:.3f}, got {answer:.4g}"
            )
    return ""


SHARE_READ = Exercise(
    "09.4",
    "share_read",
    _share_read,
    _read_cases,
    [Probe("is the share whose nearest known picture has the target's label", 4, _right_share, essential=True)],
    [
        Mistake(
            "a count",
            lambda p, k, l, t: float(len(p)) * _share_read(p, k, l, t),
            "You return how many; divide by the number of pictures.",
        ),
        Mistake(
            "complement",
            lambda p, k, l, t: 1 - _share_read(p, k, l, t),
            "This is the share that is NOT read as the target.",
        ),
        Mistake(
            "farthest",
            lambda p, k, l, t: (l[torch.cdist(p.flatten(1), k.flatten(1)).argmax(1)] == t).double().mean().item(),
            "You took the known picture that is farthest away (argmax); the nearest has the smallest distance.",
        ),
        Mistake(
            "in L1",
            _by(1.0),
            "You measured in L1 (a sum of absolute differences); the exercise asks for L2.",
        ),
        Mistake(
            "in Linf",
            _by(float("inf")),
            "You measured the largest difference (L∞); the exercise asks for L2.",
        ),
        Mistake(
            "place instead of label",
            lambda p, k, l, t: (torch.cdist(p.flatten(1), k.flatten(1)).argmin(1) == t).double().mean().item(),
            "You compare the PLACE of the nearest picture with the target; look up its label: labels[nearest].",
        ),
        Mistake(
            "nearest the other way",
            lambda p, k, l, t: (t[torch.cdist(p.flatten(1), k.flatten(1)).argmin(0)] == l).double().mean().item(),
            "You ask, for each known picture, which of the pictures is nearest. It is the other way round: argmin over the known ones.",
        ),
        Mistake(
            "largest product",
            lambda p, k, l, t: (l[(p.flatten(1) @ k.flatten(1).T).argmax(1)] == t).double().mean().item(),
            "You took the largest inner product, which favours bright pictures; the exercise asks for the smallest distance.",
        ),
        Mistake(
            "per cent",
            lambda p, k, l, t: 100 * _share_read(p, k, l, t),
            "You return per cent; a share lies between 0 and 1.",
        ),
    ],
    "torch.cdist(pictures.flatten(1), known.flatten(1)) has a row for each picture; argmin(1) is the place of the nearest.",
    returns="number",
    like=0,
)


def _top(values: Tensor, k: int, largest: bool = True) -> Tensor:
    """Mark the k largest of each row."""
    rows = values.flatten(1)
    return torch.zeros_like(rows, dtype=torch.bool).scatter(1, rows.topk(k, largest=largest).indices, True)


def _overlap(a: Tensor, b: Tensor, k: int) -> Tensor:
    return (_top(a.abs(), k) & _top(b.abs(), k)).sum(1) / k


def _overlap_cases(seed: int) -> list[tuple]:
    cases = []
    for n, k in ((5, 6), (1, 4)):
        draw = generator(seed + n)
        a = torch.randn(n, 1, 5, 5, generator=draw)
        cases.append(
            (a, a.abs() * torch.randn(a.shape, generator=draw).sign() + 0.8 * torch.randn(a.shape, generator=draw), k)
        )
    return cases


OVERLAP = Exercise(
    "09.5",
    "top_overlap",
    _overlap,
    _overlap_cases,
    [
        Probe("is the share of the k strongest pixels in common", 3, matches("image"), essential=True),
        Probe("treats each image on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1][i : i + 1], a[2]))),
    ],
    [
        Mistake(
            "with signs",
            lambda a, b, k: (_top(a, k) & _top(b, k)).sum(1) / k,
            "You took the largest values with their signs; strong means a large ABSOLUTE value.",
        ),
        Mistake(
            "divided by all pixels",
            lambda a, b, k: (_top(a.abs(), k) & _top(b.abs(), k)).sum(1) / a[0].numel(),
            "You divide by the number of pixels; at most k can be in common, so divide by k.",
        ),
        Mistake(
            "union",
            lambda a, b, k: (_top(a.abs(), k) & _top(b.abs(), k)).sum(1) / (_top(a.abs(), k) | _top(b.abs(), k)).sum(1),
            "You divide by the size of the union (that is the Jaccard index); the exercise divides by k.",
        ),
        Mistake(
            "a count",
            lambda a, b, k: (_top(a.abs(), k) & _top(b.abs(), k)).sum(1).float(),
            "You return how many are in common; divide by k.",
        ),
        Mistake(
            "weakest pixels",
            lambda a, b, k: (_top(a.abs(), k, False) & _top(b.abs(), k, False)).sum(1) / k,
            "You compare the k weakest pixels; topk takes the largest unless told otherwise.",
        ),
        Mistake(
            "same place in the ranking",
            lambda a, b, k: (a.abs().flatten(1).topk(k).indices == b.abs().flatten(1).topk(k).indices).sum(1) / k,
            "You ask for the same pixel at the same RANK; a pixel is in common wherever it stands among the k of the other.",
        ),
        Mistake(
            "over the batch",
            lambda a, b, k: (
                (_top(a.abs().reshape(1, -1), k) & _top(b.abs().reshape(1, -1), k)).view(len(a), -1).sum(1) / k
            ),
            "You took the k strongest of the whole batch; each image has k of its own.",
        ),
        Mistake(
            "not in common",
            lambda a, b, k: 1 - _overlap(a, b, k),
            "This is the share that is NOT in common.",
        ),
    ],
    "a.abs().flatten(1).topk(k).indices are the k strongest pixels of each image; mark them in a mask (scatter), and count where both masks are True.",
    returns="vector",
    like=0,
)
