"""Every figure of the lessons: functions that take finished results and return a matplotlib Figure.

Image rows are always clean | perturbation | adversarial. Colours are Okabe & Ito's and keep one meaning through the
course; grey is for controls such as random noise.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..evaluation.accuracy import Curve
from ..runtime.extras import needed_by

COLOURS = {
    "clean": "#0072B2",
    "adversarial": "#D55E00",
    "certified": "#009E73",
    "second": "#CC79A7",
    "noise": "#666666",
}
"""The colours of the course, one meaning each, told apart by the colour-blind too (Okabe & Ito)."""
MARKERS = dict(zip(COLOURS, "os^Dx", strict=True))
# how a network was trained, where several are compared
METHODS = {"standard": "#0072B2", "gaussian": "#666666", "fgsm": "#D55E00", "fast": "#E69F00"}
METHODS |= {"pgd": "#000000", "trades": "#CC79A7"}
MARKERS |= dict(zip(METHODS, "osX^Dv", strict=True))
WIDTH = 9.0  # inches: the width of a notebook's output
SMALL = 64  # images up to this side are drawn with hard pixel edges


def show(fig: Figure, alt: str) -> None:
    """Display `fig` in a notebook, with a folded description below it for readers who cannot see it.

    The picture is a PNG (which nbval does not compare) whose plain text and metadata carry `alt`. JupyterLab gives
    a picture no alternative text of its own, so `alt` is also written under it, folded.

    Parameters
    ----------
    fig : Figure
    alt : str
        What the figure shows, in a sentence.

    Raises
    ------
    ValueError
        If `alt` is empty.
    """
    with needed_by("plots.show"):
        from IPython.display import display

    if not alt.strip():
        raise ValueError(f"alt: expected a sentence that says what the figure shows, got {alt!r}")
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=110, bbox_inches="tight", facecolor="white")
    data = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": f"Figure: {alt}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})
    words = (
        f"<details><summary><small>The picture in words</small></summary><small>{html.escape(alt)}</small></details>"
    )
    display({"text/html": words, "text/plain": ""}, raw=True)


def verdict(logits: Tensor, y: int, names: Sequence[str] | None = None, target: int | None = None) -> str:
    """Return "true → predicted (p)" and, on a second line, right or wrong in words.

    Parameters
    ----------
    logits : Tensor (k,)
    y : int
        The true class.
    names : sequence of k str, optional
    target : int, optional
        The class aimed at: the second line then says whether it was reached.

    Returns
    -------
    str
    """
    p = logits.detach().softmax(0)
    guess = int(p.argmax())
    true, seen = (names[i] if names else str(i) for i in (int(y), guess))
    words = "right" if guess == int(y) else "wrong"
    if target is not None:
        words += ", target reached" if guess == int(target) else ", target missed"
    return f"{true} → {seen} ({percent(p[guess].item())})\n{words}"


def percent(p: float) -> str:
    """Write a probability in whole percent, ">99%" and "<1%" at the ends: a model is never certain.

    Parameters
    ----------
    p : float in [0, 1]

    Returns
    -------
    str
    """
    return ">99%" if p >= 0.995 else "<1%" if p < 0.005 else f"{p:.0%}"


def images(x: Tensor, titles: Sequence[str] | None = None, columns: int = 6) -> Figure:
    """Draw images, each under its title.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    titles : sequence of str, optional
    columns : int >= 1
        Images to a row.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is not one title for each image.
    """
    _check_images("x", x)
    if titles is not None and len(titles) != len(x):
        raise ValueError(f"titles: expected one for each of the {len(x)} images, got {len(titles)}")
    columns = min(columns, len(x))
    rows = -(-len(x) // columns)
    lines = max((title.count("\n") + 1 for title in titles or [""]), default=1)
    fig, axes = _axes(rows, columns, WIDTH / columns + 0.22 * lines)
    for i, ax in enumerate(axes.flat):
        if i < len(x):
            _picture(ax, x[i], titles[i] if titles else "")
        ax.axis("off")
    return fig


def triptych(
    x: Tensor,
    x_adv: Tensor,
    y: Tensor,
    logits: Tensor,
    logits_adv: Tensor,
    *,
    names: Sequence[str] | None = None,
    target: Tensor | None = None,
    denominator: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Figure:
    """Draw a row clean | perturbation | adversarial for each image.

    Parameters
    ----------
    x, x_adv : Tensor (n, c, h, w)
    y : Tensor (n,)
        True labels.
    logits, logits_adv : Tensor (n, k)
        The model's answers to `x` and to `x_adv`, for the titles.
    names : sequence of str, optional
        One for each class.
    target : Tensor (n,), optional
        The classes aimed at: titles then say whether they were reached.
    denominator : int, optional
        Write the perturbation's scale as k/denominator, 255 for photographs.
    kinds : sequence of str, optional
        What to call the right-hand image of each row, "adversarial" when not given.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If shapes do not agree.
    """
    _check_images("x", x)
    if x_adv.shape != x.shape:
        raise ValueError(f"x_adv: expected the shape of x, {tuple(x.shape)}, got {tuple(x_adv.shape)}")
    for name, given in (("y", y), ("logits", logits), ("logits_adv", logits_adv), ("target", target), ("kinds", kinds)):
        if given is not None and len(given) != len(x):
            raise ValueError(f"{name}: expected one row for each of the {len(x)} images, got {len(given)}")
    large = x.shape[-1] > SMALL
    fig, axes = _axes(len(x), 3, 3.2 if large else 2.6, 7.8 if large else 7.2)
    for i, row in enumerate(axes):
        aim = None if target is None else int(target[i])
        _picture(row[0], x[i], "clean\n" + verdict(logits[i], y[i], names))
        _perturbation(row[1], (x_adv[i] - x[i]).detach(), denominator)
        kind = kinds[i] if kinds else "adversarial"
        _picture(row[2], x_adv[i], f"{kind}\n{verdict(logits_adv[i], y[i], names, aim)}")
    return fig


def predictions(
    x: Tensor, logits: Tensor, names: Sequence[str], titles: Sequence[str] | None = None, top: int = 3
) -> Figure:
    """Draw images with their most probable classes as bars below each, three to a row.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    logits : Tensor (n, k)
    names : sequence of k str
    titles : sequence of n str, optional
    top : int
        How many classes.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If `x` is no batch of images.
    """
    _check_images("x", x)
    columns = min(3, len(x))
    rows = -(-len(x) // columns)
    fig = Figure(figsize=(2.6 * columns, rows * (2.7 + 0.24 * top)), layout="constrained")
    axes = fig.subplots(2 * rows, columns, squeeze=False, height_ratios=[2.6, 0.3 * top] * rows)
    for ax in axes.flat:
        ax.axis("off")
    for i in range(len(x)):
        r, c = divmod(i, columns)
        _picture(axes[2 * r, c], x[i], titles[i] if titles else "")
        p, guess = logits[i].detach().softmax(0).cpu().topk(top)
        _bars(axes[2 * r + 1, c], [names[k] for k in guess], p.tolist(), COLOURS["clean"])
    return fig


def attributions(x: Tensor, values: Mapping[str, Tensor], changed: Tensor | None = None) -> Figure:
    """Draw a row for each image: the image, the `changed` one if there is one, and its attributions.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    values : mapping of a column's title to Tensor (n, c, h, w)
        Orange is positive, purple negative, white zero; each picture has its own scale. Channels are added up.
    changed : Tensor (n, c, h, w), optional

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If shapes do not agree.
    """
    _check_images("x", x)
    given = {"image x": x} | ({} if changed is None else {"image x′": changed})
    for name, tensor in (*given.items(), *values.items()):
        if tensor.shape != x.shape:
            raise ValueError(f"{name}: expected the shape of x, {tuple(x.shape)}, got {tuple(tensor.shape)}")
    columns = len(given) + len(values)
    fig, axes = _axes(len(x), columns, WIDTH / max(columns, 5) + (0.3 if len(x) == 1 else 0.05))
    for i, row in enumerate(axes):
        for ax, (name, tensor) in zip(row, given.items(), strict=False):
            _picture(ax, tensor[i], name if i == 0 else "")
        for ax, (name, tensor) in zip(row[len(given) :], values.items(), strict=True):
            pixels = tensor[i].detach().cpu().float().sum(0)
            scale = pixels.abs().max().item() or 1
            ax.imshow(pixels.numpy(), cmap="PuOr_r", vmin=-scale, vmax=scale, interpolation="nearest")
            ax.set_title(name if i == 0 else "", fontsize=10)
            ax.axis("off")
    return fig


def probabilities(p: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Draw the probabilities of k classes as groups of bars.

    Parameters
    ----------
    p : mapping of str to Tensor (k,)
        The keys are "clean", "adversarial", … of `COLOURS`.
    names : sequence of k str

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is not one probability for each name.
    """
    fig, ((ax,),) = _axes(1, 1, 2.8)
    width = 0.8 / len(p)
    for i, (key, values) in enumerate(p.items()):
        if len(values) != len(names):
            raise ValueError(f"p[{key!r}]: expected one value for each of {len(names)} classes, got {len(values)}")
        places = np.arange(len(names)) + (i - (len(p) - 1) / 2) * width
        ax.bar(places, values.detach().cpu().numpy(), width, color=_colour(key), label=key)
    ax.set(ylim=(0, 1), ylabel="probability", xlabel="class")
    ax.set_xticks(range(len(names)), names)
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def curves(lines: Mapping[str, Curve], *, chance: float, denominator: int | None = None) -> Figure:
    """Draw accuracy against eps with 95% intervals and chance line; a key's first word picks its colour.

    Parameters
    ----------
    lines : mapping of a label to a Curve
    chance : float in [0, 1]
    denominator : int, optional
        Write ε as k/denominator, 255 for photographs.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a label begins with none of the colours' names.
    """
    fig, ((ax,),) = _axes(1, 1, 3.4)
    unit = denominator or 1
    for label, curve in lines.items():
        key = keyword(label)
        eps, acc = np.array(curve.eps) * unit, np.array([float(a) for a in curve.accuracy])
        low, high = np.array([a.interval for a in curve.accuracy]).T
        name = f"{label} (n = {curve.accuracy[0].n})"
        ax.plot(eps, acc, color=_colour(key), marker=MARKERS[key], markersize=5, label=name)
        ax.fill_between(eps, low, high, color=_colour(key), alpha=0.2, linewidth=0)
    ax.axhline(chance, color="0.4", linestyle=":", label=f"chance ({chance:.0%})")
    ax.set(ylim=(0, 1.02), ylabel="accuracy", xlabel=f"ε (/{denominator})" if denominator else "ε (pixels are 0 to 1)")
    fig.legend(frameon=False, title="bands: 95% interval", loc="outside right upper")  # inside, it would cross a curve
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def grid(
    values: Tensor, words: Sequence[Sequence[str]], rows: Sequence[str], columns: Sequence[str], title: str = ""
) -> Figure:
    """Draw a table of values as shades, words in its cells; NaN is grey: "does not apply".

    Parameters
    ----------
    values : Tensor (r, c), in [0, 1]
    words : r sequences of c str
    rows, columns : sequence of str
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    shape = (len(rows), len(columns))
    if tuple(values.shape) != shape or [len(line) for line in words] != [shape[1]] * shape[0]:
        raise ValueError(f"values, words: expected {shape} cells for the rows and columns, got {tuple(values.shape)}")
    fig, ((ax,),) = _axes(1, 1, 0.9 + 0.5 * len(rows))
    shade = values.detach().cpu().double().numpy()
    ax.imshow(shade, cmap="Oranges", vmin=0, vmax=1.6, aspect="auto")  # 1.6: the darkest still carries black text
    for (r, c), value in np.ndenumerate(shade):
        if np.isnan(value):
            ax.fill_between([c - 0.5, c + 0.5], r - 0.5, r + 0.5, color="0.93", linewidth=0)
        ax.text(c, r, words[r][c], ha="center", va="center", fontsize=9)
    ax.set_title(title)
    ax.set_xticks(range(shape[1]), columns, fontsize=10)
    ax.set_yticks(range(shape[0]), rows, fontsize=10)
    ax.set_xticks([c + 0.5 for c in range(shape[1] - 1)], minor=True)
    ax.set_yticks([r + 0.5 for r in range(shape[0] - 1)], minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)  # so that neighbours of one shade can be counted
    ax.tick_params(which="both", length=0)
    return fig


def _axes(rows: int, columns: int, height: float, width: float = WIDTH) -> tuple[Figure, np.ndarray]:
    """Return a figure with rows of the given height in inches, and its axes (rows, columns)."""
    fig = Figure(figsize=(width, rows * height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False)


def _picture(ax: Axes, image: Tensor, title: str) -> None:
    pixels = image.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(2).numpy()
    edges = "nearest" if image.shape[-1] <= SMALL else "antialiased"
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation=edges)
    ax.set_title(title, fontsize=10)
    ax.axis("off")


def _perturbation(ax: Axes, delta: Tensor, denominator: int | None) -> None:
    """Draw x' − x, zero in the middle of its scale, with the scale written above it."""
    scale = delta.abs().max().item()
    size = f"{scale * denominator:.3g}/{denominator}" if denominator else f"{scale:.2g}"
    pixels = delta.cpu().float().permute(1, 2, 0).squeeze(2).numpy()
    if delta.shape[0] == 1:
        ax.imshow(pixels, cmap="PuOr_r", vmin=-(scale or 1), vmax=scale or 1, interpolation="nearest")
        ax.set_title(f"change x′ − x\npurple −{size}\norange +{size}", fontsize=10)
    else:
        ax.imshow((0.5 + pixels / (2 * (scale or 1))).clip(0, 1), interpolation="nearest")
        ax.set_title(f"change x′ − x\namplified\ngrey 0, full colour ±{size}", fontsize=10)
    ax.axis("off")


def _bars(ax: Axes, labels: Sequence[str], p: Sequence[float], colour: str) -> None:
    ax.axis("on")
    ax.barh(range(len(p)), p, color=colour, alpha=0.35)
    for i, (label, value) in enumerate(zip(labels, p, strict=True)):
        ax.text(0.02, i, f"{label} {percent(value)}", va="center", fontsize=10)
    ax.set(xlim=(0, 1), ylim=(len(p) - 0.5, -0.5), xticks=[], yticks=[])


def keyword(label: str) -> str:
    """Return the first word of a label, which picks its colour.

    Parameters
    ----------
    label : str

    Returns
    -------
    str
    """
    return label.split()[0].strip(",:").lower()


def _colour(key: str) -> str:
    known = COLOURS | METHODS
    if key not in known:
        raise ValueError(f"colours: expected a name that starts with one of {', '.join(known)}, got {key!r}")
    return known[key]


def _check_images(name: str, x: Tensor) -> None:
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise ValueError(f"{name}: expected images (n, 1 or 3, h, w), got shape {tuple(x.shape)}")
