"""The epsilon slider: drag the size of a perturbation and watch the prediction flip, without a kernel."""

import html
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ..contract.input_validation import Model, check_count, check_images, check_labels
from ..evaluation.accuracy import predict
from .eps_ladder import ATTACKS, NORMS, Ladder, compute_ladders
from .epsilon_explorer_data import EpsilonData, still_picture
from .page import Page, build_page, data_address, picture_tag

_EPS_MAX = {1: {"Linf": 0.24, "L2": 3.6}, 3: {"Linf": 8 / 255, "L2": 3.0}}  # by channels
_NORM_LABELS = {"Linf": "L∞: no pixel changes by more than ε", "L2": "L2: the change has length at most ε"}
_ANY = "any wrong class"
T = TypeVar("T")


class EpsilonExplorer(Page):
    """An epsilon slider for a notebook: image, perturbation, attacked image and predicted probabilities.

    Everything is computed here, once: for each image, attack, norm and target the whole ladder of radii is
    one batched attack. What is shown is one piece of HTML that holds its data, so it also works while the
    kernel is busy, in a notebook reopened without a kernel, and in exported HTML, offline. Predictions are
    those of the exact float images; the pictures are drawn from 8-bit images and perturbations rounded to
    31 levels (15 for photographs).

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x : Tensor (n, c, h, w), float in [0, 1]
        Grey (c = 1) or colour (c = 3) images.
    y : Tensor (n,), integer
        True labels.
    class_names : sequence of str, optional
        One for each of the k classes; numbers when not given.
    attacks : sequence of {"fgsm", "pgd", "noise"}
        "noise" is random noise of the same size, the control.
    norms : sequence of {"Linf", "L2"}
    targets : sequence of int
        Classes offered as targets, besides "any wrong class". An image of that class does not offer it.
    eps_max : mapping of norm to float, optional
        Top of each ladder; by default Linf 0.24 and L2 3.6 for grey images, Linf 8/255 and L2 3.0 for colour.
    levels : int
        Steps of the ladder above 0.
    steps : int
        Gradient steps of PGD.
    top : int
        Classes with a bar of their own; the rest share one. All have one when the model knows at most `top`.
    image_names : sequence of str, optional
    denominator : int, optional
        Write Linf radii as k/denominator, such as 255 for photographs; decimals when not given.
    seed : int
        Random starts and noise follow from it.
    title : str
    start : mapping, optional
        What is shown first: any of ``image`` (index), ``attack``, ``norm``, ``target`` (class or None),
        ``eps``.

    Raises
    ------
    ValueError
        If an argument is unusable; the message says what was expected, what came and the likely fix.

    Examples
    --------
    >>> EpsilonExplorer(model, x[:4], y[:4], targets=(3, 8))           # doctest: +SKIP
    >>> EpsilonExplorer(model, x[:1], y[:1]).flip_eps(attack="pgd")    # doctest: +SKIP
    0.1
    """

    def __init__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        class_names: Sequence[str] | None = None,
        attacks: Sequence[str] = ATTACKS,
        norms: Sequence[str] = tuple(NORMS),
        targets: Sequence[int] = (),
        eps_max: Mapping[str, float] | None = None,
        levels: int = 24,
        steps: int = 20,
        top: int = 10,
        image_names: Sequence[str] | None = None,
        denominator: int | None = None,
        seed: int = 0,
        title: str = "Drag ε and watch the prediction",
        start: Mapping[str, object] | None = None,
    ) -> None:
        check_images(x)
        check_labels(x, y)
        if x.shape[1] not in (1, 3):
            raise ValueError(f"x: expected grey (c = 1) or colour (c = 3) images to draw, got shape {tuple(x.shape)}")
        for name, value in (("levels", levels), ("steps", steps), ("top", top)):
            check_count(name, value, 1)
        if denominator is not None:
            check_count("denominator", denominator, 1)
        self.attacks = _chosen("attacks", attacks, ATTACKS)
        self.norms = _chosen("norms", norms, tuple(NORMS))
        k = predict(model, x[:1]).shape[1]
        if int(y.max()) >= k:
            raise ValueError(f"y: expected labels below the model's {k} classes, got {int(y.max())}")
        self.targets = (None, *_chosen("targets", [int(t) for t in targets], range(k), empty=True))
        self.class_names = _names("class_names", class_names, k, [str(c) for c in range(k)])
        default = [f"{i + 1}: {self.class_names[label]}" for i, label in enumerate(y.tolist())]
        self.image_names = _names("image_names", image_names, len(x), default)
        self.title, self.top, self._steps, self._denominator = title, top, steps, denominator
        tops = {**_EPS_MAX[x.shape[1]], **(eps_max or {})}
        self._eps = {norm: _radii(norm, tops, levels) for norm in self.norms}
        self._x, self._y = x.detach().cpu(), y.tolist()
        self._ladders: dict[tuple[int, str, str, int | None], Ladder] = {}
        for attack in self.attacks:
            for norm in self.norms:
                for target in self.targets[:1] if attack == "noise" else self.targets:
                    rows = [i for i, label in enumerate(self._y) if label != target]
                    if not rows:
                        continue
                    found = compute_ladders(
                        model,
                        x[rows],
                        y[rows],
                        attack=attack,
                        norm=norm,
                        eps=self._eps[norm],
                        aim=target,
                        steps=steps,
                        seed=seed,
                    )
                    self._ladders |= {(i, attack, norm, target): one for i, one in zip(rows, found, strict=True)}
        self._start = self._resolve_start(dict(start or {}))

    def ladder(self, norm: str = "Linf") -> Tensor:
        """Return the radii of the slider's positions in `norm`, shape (levels + 1,), ascending from 0."""
        if norm not in self._eps:
            raise ValueError(f"norm: expected one of {', '.join(self.norms)}, got {norm!r}")
        return self._eps[norm].clone()

    def prediction(
        self, eps: float, image: int = 0, attack: str = "pgd", norm: str = "Linf", target: int | None = None
    ) -> tuple[int, float]:
        """Return the predicted class and its probability at the ladder's radius nearest to `eps`."""
        ladder = self._ladder(image, attack, norm, target)
        p = ladder.probabilities[_nearest(self._eps[norm], eps)]
        return int(p.argmax()), float(p.max())

    def flip_eps(
        self, image: int = 0, attack: str = "pgd", norm: str = "Linf", target: int | None = None
    ) -> float | None:
        """Return the smallest radius of the ladder at which the prediction flips, or None if it never does.

        Without a target: differs from the clean prediction. With one: equals the target. A larger radius may
        undo it, because FGSM and PGD are searches and not monotone in eps.
        """
        level = self._ladder(image, attack, norm, target).flip
        return None if level is None else round(self._eps[norm][level].item(), 6)

    def _ladder(self, image: int, attack: str, norm: str, target: int | None) -> Ladder:
        try:
            return self._ladders[image, attack, norm, target]
        except KeyError:
            why = "noise aims at no class" if attack == "noise" and target is not None else "it was not computed"
            raise ValueError(
                f"expected image 0 to {len(self._y) - 1}, attack in {self.attacks}, norm in {self.norms}, "
                f"target in {self.targets} (never the image's own class), got {(image, attack, norm, target)}: {why}"
            ) from None

    def _resolve_start(self, start: dict[str, object]) -> dict[str, int]:
        """Turn what the author asked for into menu positions and a slider position."""
        attack = "pgd" if "pgd" in self.attacks else self.attacks[0]
        full = {"image": 0, "attack": attack, "norm": self.norms[0], "target": None, "eps": 0.0, **start}
        if len(full) > 5:
            raise ValueError(f"start: expected some of image, attack, norm, target, eps, got {sorted(start)}")
        eps = full.pop("eps")
        self._ladder(**full)
        return {
            "image": full["image"],
            "attack": self.attacks.index(full["attack"]),
            "norm": self.norms.index(full["norm"]),
            "target": self.targets.index(full["target"]),
            "position": _nearest(self._eps[full["norm"]], eps),
        }

    def _say_eps(self, norm: str, level: int) -> str:
        """Write a radius as the slider does: k/255, or with just the decimals that the ladder needs."""
        eps = self._eps[norm]
        if norm == "Linf" and self._denominator:
            k = round(eps[level].item() * self._denominator, 2)
            return f"{k:g}/{self._denominator}" if k else "0"
        step = eps[1].item()
        digits = next((d for d in range(4) if abs(round(step, d) - step) < 1e-4 * step), 4)
        return f"{eps[level].item():.{digits}f}"

    def _summary(self, norm: str, ladder: Ladder) -> str:
        """Say in words where the prediction flips, and whether a larger radius undoes it."""
        names, predictions, flip = self.class_names, ladder.predictions, ladder.flip
        highest = self._say_eps(norm, len(predictions) - 1)
        what = "No flip" if ladder.aim is None else f"{names[ladder.aim]} is not reached"
        if flip is None:
            return f"{what} up to ε = {highest}: the model predicts {names[predictions[-1]]} there."
        deed = "flips the prediction" if ladder.aim is None else "reaches the target"
        change = f"({names[predictions[0]]} → {names[predictions[flip]]})"
        text = f"Smallest ε on this ladder that {deed}: {self._say_eps(norm, flip)} {change}."
        undone = next((i for i in range(flip, len(predictions)) if not ladder.flipped[i]), None)
        if undone is not None:
            there = names[predictions[undone]]
            text += f" Not for good: at ε = {self._say_eps(norm, undone)} the prediction is {there} again."
        return text

    def __repr__(self) -> str:
        tops = " and ".join(f"{self._say_eps(n, len(self._eps[n]) - 1)} ({n})" for n in self.norms)
        aims = ", ".join([_ANY, *(self.class_names[t] for t in self.targets[1:])])
        n = len(self._y)
        images = f"{n} image{'s' if n > 1 else ''}"
        return f"EpsilonExplorer: {images}; {', '.join(self.attacks)}; target: {aims}; eps up to {tops}"

    def to_html(self) -> str:
        """Return the slider as one self-contained piece of HTML, for any page."""
        block = EpsilonData(self._x)
        views = []
        for (image, attack, norm, target), ladder in self._ladders.items():
            entry = block.add(ladder, self._y[image], self.top)
            entry |= {"image": image, "attack": self.attacks.index(attack), "norm": self.norms.index(norm)}
            entry |= {"target": self.targets.index(target), "summary": self._summary(norm, ladder)}
            views.append(entry | {"scaleText": self._say_scale(norm, entry["scale"])})
        labels = {"fgsm": "FGSM: one step", "pgd": f"PGD: {self._steps} steps", "noise": "random noise"}
        seen = {c for view in views for c in (*view["rows"], *view["pred"])} | {*self._y} | {*self.targets[1:]}
        header = {
            "title": self.title,
            "channels": self._x.shape[1],
            "height": self._x.shape[2],
            "width": self._x.shape[3],
            "classes": {c: self.class_names[c] for c in sorted(seen)},
            "images": [
                {"name": name, "y": label, "offset": offset}
                for name, label, offset in zip(self.image_names, self._y, block.images, strict=True)
            ],
            "attacks": [{"label": labels[a], "aims": a != "noise"} for a in self.attacks],
            "norms": [
                {"label": _NORM_LABELS[n], "eps": [self._say_eps(n, i) for i in range(len(self._eps[n]))]}
                for n in self.norms
            ],
            "targets": [_ANY, *(self.class_names[t] for t in self.targets[1:])],
            "views": views,
            "start": self._start,
        }
        hint = "Run this cell to make the slider live."
        still, data = self._still(), block.pack(header)
        return build_page("explorer", ["epsilon_explorer"], data, title=self.title, still=still, hint=hint, themed=True)

    def _still(self) -> str:
        """Return the picture for readers without scripts, with its caption: the first view."""
        at = self._start
        norm = self.norms[at["norm"]]
        ladder = self._ladder(at["image"], self.attacks[at["attack"]], norm, self.targets[at["target"]])
        picture, levels = still_picture(self._x[at["image"]], ladder)
        said = (f"ε = {self._say_eps(norm, i)}: {self.class_names[ladder.predictions[i]]}" for i in levels)
        caption = "Predicted at " + "; ".join(said) + f". True: {self.class_names[self._y[at['image']]]}."
        return f"{picture_tag(data_address(picture), caption)}<p>{html.escape(caption)}</p>"

    def _say_scale(self, norm: str, scale: float) -> str:
        unit = self._denominator if norm == "Linf" and self._denominator else 1
        return f"{scale:.2g}" if unit == 1 else f"{scale * unit:.3g}/{unit}"


def _chosen(name: str, given: Sequence[T], allowed: Sequence[T], empty: bool = False) -> tuple[T, ...]:
    """Return `given` as a tuple, or raise a ValueError unless it lists distinct members of `allowed`."""
    chosen = (given,) if isinstance(given, str) else tuple(given)
    wrong = [one for one in chosen if one not in allowed]
    if wrong or len(set(chosen)) < len(chosen) or not (chosen or empty):
        known = f"0 to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(repr, allowed))
        raise ValueError(f"{name}: expected different members of {known}, got {chosen!r}")
    return chosen


def _names(name: str, given: Sequence[str] | None, n: int, default: list[str]) -> tuple[str, ...]:
    if given is not None and len(given) != n:
        raise ValueError(f"{name}: expected {n} names, got {len(given)}")
    return tuple(str(one) for one in (default if given is None else given))


def _radii(norm: str, tops: Mapping[str, float], levels: int) -> Tensor:
    """Return levels + 1 evenly spaced radii from 0 to the norm's largest."""
    if set(tops) - set(NORMS):
        raise ValueError(f"eps_max: expected keys among {', '.join(NORMS)}, got {sorted(tops)}")
    top = tops[norm]
    if isinstance(top, bool) or not isinstance(top, int | float) or not 0 < top < float("inf"):
        raise ValueError(
            f"eps_max: expected a number > 0 for {norm}, in pixel units of [0, 1] such as 8/255, got {top!r}"
        )
    return torch.arange(levels + 1, dtype=torch.float64).mul(top / levels).float()


def _nearest(radii: Tensor, eps: float) -> int:
    """Return the position on the ladder nearest to `eps`."""
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps <= radii[-1].item() * 1.0001:
        raise ValueError(f"eps: expected a number from 0 to {radii[-1].item():.4g}, the top of the ladder, got {eps!r}")
    return int((radii - eps).abs().argmin())
