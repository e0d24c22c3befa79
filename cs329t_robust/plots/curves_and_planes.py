"""Draw values along a line, decision regions over a plane, how far attacks went.

Results, or a model and a plane, go in; a matplotlib Figure comes out, for `plots.show`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ..contract.input_validation import Model
from ..contract.model_state import borrowed
from ..losses import margin
from ..threat import Ball
from .figures import COLOURS, WIDTH

GRID = 81  # points along each side of a plane
BATCH = 2187  # images of a plane classified at a time
RIGHT, WRONG = "#D6E8F4", ("#FBE3D3", "#F4C6A5", "#FDF1E8", "#EBB088", "#F8D5BC")  # tints of clean, of adversarial
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Slice:
    """The plane of images x + a·u + b·v.

    Attributes
    ----------
    u, v : Tensor (c, h, w)
        Its directions; for true distances, of length 1 and at right angles.
    threat : Linf or L2
        Its ball around x is outlined.
    path : Tensor (m, c, h, w), optional
        Images whose shadows on the plane are joined, first to last.
    """

    u: Tensor
    v: Tensor
    threat: Ball
    path: Tensor | None = None


def lines(
    x: Tensor,
    panels: Mapping[str, Mapping[str, Tensor]],
    *,
    xlabel: str,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
    levels: Mapping[str, float] | None = None,
    ylim: Mapping[str, tuple[float, float]] | None = None,
    bands: Mapping[str, Tensor] | None = None,
) -> Figure:
    """Draw labelled values against x, a panel for each quantity, side by side.

    Parameters
    ----------
    x : Tensor (m,)
    panels : mapping of a quantity's name to a mapping of a line's label to its values, Tensor (m,)
        NaN leaves a gap. A label that starts with a name of `plots.COLOURS` has that colour, others are black or grey.
    xlabel : str
    log : bool
        Whether x is logarithmic.
    marks : mapping of label to position, optional
        Dotted upright lines, in every panel.
    levels : mapping of a quantity's name to a height, optional
        A dotted level line in that panel.
    ylim : mapping of a quantity's name to (low, high), optional
    bands : mapping of a line's label to its 95% intervals, Tensor (m, 2), optional

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a line has not one value for each x.
    """
    fig = Figure(figsize=(WIDTH, 3.1 if len(panels) < 3 else 2.7), layout="constrained")
    for ax, (quantity, drawn) in zip(fig.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        for i, (label, values) in enumerate(drawn.items()):
            if values.shape != x.shape:
                raise ValueError(
                    f"{quantity}, {label}: expected one value for each of the {len(x)} x, got {tuple(values.shape)}"
                )
            colour = COLOURS.get(label.split()[0].lower(), ("0", "0.45")[i % 2])
            marker = "o" if len(x) < 20 else ""
            ax.plot(_array(x), _array(values), DASHES[i % 4], color=colour, marker=marker, markersize=4, label=label)
            if label in (bands or {}):
                ax.fill_between(_array(x), *_array(bands[label]).T, color=colour, alpha=0.15, linewidth=0)
        for label, place in (marks or {}).items():
            ax.axvline(place, color="0.6", linestyle=":", linewidth=1)
            ax.annotate(label, (place, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)
        if quantity in (levels or {}):
            ax.axhline(levels[quantity], color="0.6", linestyle=":", linewidth=1)
        ax.set(xlabel=xlabel, xscale="log" if log else "linear", ylim=(ylim or {}).get(quantity))
        ax.set_title(quantity, fontsize=10, pad=14 if marks else 6)
        ax.spines[["top", "right"]].set_visible(False)
        if len(drawn) > 1:
            ax.legend(frameon=False, fontsize=9)
    return fig


def plane(model: Model, x: Tensor, y: int, slices: Mapping[str, Slice], *, reach: float, box: bool = False) -> Figure:
    """Draw which class a model predicts over planes through one image, a panel for each slice.

    The true class has a blue tint, the others orange; each region holds its class. Thin lines join images of equal
    margin (how far another class leads), the thick one is the decision boundary; the threat's ball is dashed.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) to logits (n, k); images off [0, 1] are shown to it as well.
    x : Tensor (c, h, w)
    y : int
        Its true class.
    slices : mapping of a panel's title to its Slice
    reach : float > 0
        How far a and b go, both ways.
    box : bool
        Shade the part of the plane where a pixel has left [0, 1].

    Returns
    -------
    Figure
    """
    fig = Figure(figsize=(WIDTH, WIDTH / max(2, len(slices)) + 0.2), layout="constrained")
    steps = torch.linspace(-reach, reach, GRID, dtype=x.dtype, device=x.device)
    side = _array(steps)
    b, a = (c.reshape(-1, 1, 1, 1) for c in torch.meshgrid(steps, steps, indexing="ij"))
    for ax, (title, cut) in zip(fig.subplots(1, len(slices), squeeze=False).flat, slices.items(), strict=True):
        points = x + a * cut.u + b * cut.v
        with borrowed(model), torch.no_grad():
            logits = torch.cat([model(part) for part in points.split(BATCH)])
        ahead = margin(logits, torch.full_like(logits[:, 0], y, dtype=torch.long))
        height, distance, outside = (
            _array(values).reshape(GRID, GRID)
            for values in (
                ahead,
                cut.threat.distance(x.expand_as(points), points),
                ((points - 0.5).abs() > 0.5).flatten(1).any(1),
            )
        )
        radius, classes = float(cut.threat.eps), logits.argmax(1).view(GRID, GRID).cpu().numpy()
        taken = (np.hypot(*np.meshgrid(side, side)) < reach / 4) | (np.abs(distance - radius) < reach / 12)
        _regions(ax, side, classes, y, taken | ((outside > 0) & box))
        ax.contour(side, side, height, levels=8, colors="0.55", linewidths=0.5)
        if height.min() < 0 < height.max():
            ax.contour(side, side, height, levels=[0], colors="0.15", linewidths=2)
        if 0 < radius < distance.max():
            ax.contour(side, side, distance, levels=[radius], colors="0", linestyles="dashed")
        if box:
            ax.contourf(side, side, outside, levels=[0.5, 1.5], colors=["0.35"], alpha=0.45)
        if cut.path is not None:
            shadow = [_array(((cut.path - x) * w).flatten(1).sum(1) / w.square().sum()) for w in (cut.u, cut.v)]
            ax.plot(*shadow, color=COLOURS["adversarial"], marker="s", markersize=4, linewidth=1.5)
        ax.plot(0, 0, "o", color=COLOURS["clean"], markersize=7)
        ax.set(aspect="equal", xlabel="a", ylabel="b")
        ax.set_title(title, fontsize=10)
    return fig


def distances(found: Mapping[str, Tensor], *, ylabel: str, log: bool = False) -> Figure:
    """Draw how far each attack went: a column for each, a dot for each image, a bar at the median; NaN is a failure.

    Parameters
    ----------
    found : mapping of an attack's name to Tensor (n,)
    ylabel : str
    log : bool

    Returns
    -------
    Figure
    """
    fig = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    ax = fig.subplots()
    for i, values in enumerate(found.values()):
        reached = values[~values.isnan()].cpu()
        spread = torch.linspace(-0.18, 0.18, len(values))[~values.isnan().cpu()]
        ax.plot(_array(i + spread), _array(reached), "s", color=COLOURS["adversarial"], markersize=4, alpha=0.7)
        ax.text(i, 1.0, f"{len(reached)} of {len(values)}", transform=ax.get_xaxis_transform(), ha="center", fontsize=9)
        if len(reached):
            ax.hlines(_array(reached.median()), i - 0.3, i + 0.3, color="0", linewidth=2)
    ax.set(ylabel=ylabel, xticks=range(len(found)), xlim=(-0.5, len(found) - 0.5))
    ax.set(yscale="log" if log else "linear", ylim=None if log else (0, None))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xticklabels(found, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def shares(
    rows: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, tuple[float, float]]]]],
    *,
    xlabel: str,
    chance: float | None = None,
) -> Figure:
    """Draw shares with their intervals as dots with bars: a panel for each question, a line for each row.

    Parameters
    ----------
    rows : sequence of str
        Names of the lines, drawn from top to bottom.
    panels : mapping of a panel's title to a mapping of a label to one (share, (low, high)) for each row
        Labels are told apart by marker and colour; the first two are black and grey.
    xlabel : str
    chance : float, optional
        Where a dotted upright line is drawn.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a label has not one share for each row.
    """
    fig = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(rows)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, drawn) in zip(axes, panels.items(), strict=True):
        for i, (label, values) in enumerate(drawn.items()):
            if len(values) != len(rows):
                raise ValueError(
                    f"{title}, {label}: expected one share for each of the {len(rows)} rows, got {len(values)}"
                )
            y = np.arange(len(rows)) + (i - (len(drawn) - 1) / 2) * 0.3
            middle, (low, high) = np.array([v for v, _ in values]), np.array([ends for _, ends in values]).T
            reach = np.clip([middle - low, high - middle], 0, None)  # rounding may put an end past a share of 0 or 1
            ax.errorbar(middle, y, xerr=reach, fmt="os^D"[i % 4], color=("0", "0.55")[i % 2], markersize=5, label=label)
        if chance is not None:
            ax.axvline(chance, color="0.6", linestyle=":", linewidth=1)
        ax.set(xlim=(-0.03, 1.03), xlabel=xlabel, yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5))
        ax.set_yticklabels(rows)
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    if len(next(iter(panels.values()))) > 1:
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return fig


def _regions(ax: Axes, side: np.ndarray, classes: np.ndarray, y: int, taken: np.ndarray) -> None:
    """Tint each class's part of the plane and write the class where there is most room that is not taken."""
    wrong = 0
    for c in np.unique(classes):
        mine = classes == c
        tint = RIGHT if c == y else WRONG[wrong % len(WRONG)]
        wrong += c != y
        ax.contourf(side, side, mine, levels=[0.5, 1.5], colors=[tint])
        room = distance_transform_edt(np.pad(mine & ~taken, 1))[1:-1, 1:-1]
        if room.max() > 4:
            row, column = np.unravel_index(room.argmax(), room.shape)
            text = f"{c}\n{'right' if c == y else 'wrong'}"
            words = ax.text(side[column], side[row], text, ha="center", va="center", weight="bold", zorder=5)
            words.set_path_effects([withStroke(linewidth=4, foreground=tint)])


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
