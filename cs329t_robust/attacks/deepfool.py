"""DeepFool: walk to the nearest boundary of the linearised model, again and again, until it is crossed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import Model, borrowed, check_count, check_finite, check_inputs, check_logits, full_precision
from ..threat import Linf, rowwise
from .gradient import NO_GRADIENT, ask
from .rows import batched, looking, select, worth_leaving


@dataclass
class State:
    """The images still on the right side; every tensor has n rows."""

    row: Tensor
    x: Tensor
    y: Tensor
    now: Tensor
    rivals: Tensor


@batched
def deepfool(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    norm: str = "L2",
    steps: int = 50,
    candidates: int = 10,
    keep: int = 3,
    overshoot: float = 0.02,
) -> Tensor:
    """Find a near adversarial example of each image by linearising the model at every step.

    Parameters
    ----------
    model, x, y
        As in `pgd`. An image that is not classified as `y` comes back unchanged.
    norm : "L2" or "Linf"
        What is to be small.
    steps : int >= 1
    candidates : int >= 2
        Classes considered, by descending logit; the paper's 10.
    keep : int >= 1
        Of the other classes, how many are still considered after the first step: those with the nearest boundaries. 9
        for the paper's algorithm, which finds no nearer images and takes more than twice the time.
    overshoot : float >= 0
        The step goes this share beyond the linear boundary.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1]. Images that could not be moved across come back at the last point tried, still
        classified as `y`: count successes by classifying the result.

    Raises
    ------
    ValueError
        If an input is unusable.

    Notes
    -----
    Unlike the paper's code each step is clipped to [0, 1], so the result is an image. One forward pass and one
    backward pass per candidate class serve the whole batch; images leave it once they have crossed.

    References
    ----------
    Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool", arXiv:1511.04599, algorithm 2 (and section 3.3 for p = inf).
    """
    x, y = check_inputs(model, x, y, Linf(0.0))
    check_count("steps", steps, 1)
    check_count("candidates", candidates, 2)
    check_count("keep", keep, 1)
    if norm not in ("L2", "Linf"):
        raise ValueError(f"norm: expected 'L2' or 'Linf', got {norm!r}")
    if not 0 <= overshoot < float("inf"):
        raise ValueError(f"overshoot: expected a number >= 0, got {overshoot}")
    with borrowed(model), full_precision(x.device):  # a nearest point is no matter of rounding
        done, s = x.clone(), State(torch.arange(len(x), device=x.device), x, y, x, y[:, None])
        for step in range(steps + 1):
            now = s.now.detach().requires_grad_()
            logits = ask(model, now)
            if step == 0:
                check_logits(logits, now, y)
                if not logits.requires_grad:
                    raise ValueError(NO_GRADIENT)
            standing = logits.argmax(1) == s.y
            done[s.row] = s.now
            if step == steps or (looking(x.device, step) and not bool(standing.any())):
                break
            if step == 0:
                s.rivals = logits.detach().scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)
                s.rivals = s.rivals[:, : min(candidates, logits.shape[1]) - 1]
            gaps, slopes = _boundaries(logits, now, s.y, s.rivals)
            away = _distances(gaps, slopes, norm)
            moved = _cross(s.now, gaps, slopes, away.argmin(1), norm, overshoot)
            s.now = torch.where(rowwise(standing, x), moved, s.now)
            s.rivals = s.rivals.gather(1, away.argsort(stable=True, dim=1)[:, :keep])
            if worth_leaving(standing, step, steps - step):
                s = select(s, standing)
    return check_finite(done)


def _boundaries(logits: Tensor, now: Tensor, y: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for each image's rivals (n, m), how far each is behind y, (n, m), and that gap's slope, (n, m, …)."""
    gaps, m = logits.gather(1, y[:, None]) - logits.gather(1, rivals), rivals.shape[1]
    slopes = [torch.autograd.grad(gaps[:, j].sum(), now, retain_graph=j < m - 1)[0] for j in range(m)]
    return gaps.detach(), torch.stack(slopes, 1)


def _distances(gaps: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """Return how far each linear boundary is away in the norm, (n, m)."""
    flat = slopes.flatten(2)
    size = flat.norm(dim=2) if norm == "L2" else flat.abs().sum(2)
    return gaps / size.clamp_min(torch.finfo(gaps.dtype).tiny)


def _cross(now: Tensor, gaps: Tensor, slopes: Tensor, which: Tensor, norm: str, overshoot: float) -> Tensor:
    """Step to one of the linear boundaries, and a little beyond, inside the image box."""
    rows = torch.arange(len(now), device=now.device)
    gap, slope = gaps[rows, which] + 1e-4, slopes[rows, which]
    size = slope.flatten(1).norm(dim=1).square() if norm == "L2" else slope.flatten(1).abs().sum(1)
    way = slope if norm == "L2" else slope.sign()
    return (now - (1 + overshoot) * rowwise(gap / size.clamp_min(torch.finfo(now.dtype).tiny), now) * way).clamp(0, 1)
