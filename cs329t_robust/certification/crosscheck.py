"""A safeguard: what was read is compared with the model itself at a few points of the threat, and so are the bounds."""

import copy

import torch
from torch import Tensor, nn

from ..contract.input_validation import Model, fitting
from ..contract.model_state import borrowed, full_precision
from ..losses import margin
from .network import Box, Network

IMAGES = 4
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-3}
"""How far rounding may take logits, as a share of the largest; 0.1 for the shorter types."""


def check_bound(
    model: Model, network: Network, box: Box, y: Tensor, bound: Tensor, name: str, dtype: torch.dtype
) -> None:
    """Raise if the model crosses its bound, or is not the network that was read, at a few points of the threat.

    At most 4 images, spread over the batch, are looked at: a random point and a random corner of each, and where one
    signed step of an attack leads from there.

    Parameters
    ----------
    model : callable
    network : Network
        As it was read.
    box : Box
        The threat around the images, (n, c, h, w).
    y : Tensor (n,)
    bound : Tensor (n,)
        No margin within the threat may be larger.
    name : str
        Of the bound, for the message.
    dtype : torch.dtype
        In which the model computes.

    Raises
    ------
    RuntimeError
        If that is so: the fault is this package's.
    ValueError
        If the bound is no number, as with infinite weights, or the model rounds too much for a bound to mean anything.
    """
    if bool(bound.isnan().any()):
        raise ValueError("model: expected finite weights and logits, got a bound that is NaN")
    rows = torch.linspace(0, len(y) - 1, min(IMAGES, len(y))).round().long().to(y.device)
    box, y, bound = Box(box.low[rows], box.high[rows]), y[rows], bound[rows]
    draw = torch.Generator().manual_seed(0)
    share = torch.rand((2, *box.low.shape), generator=draw, dtype=torch.float64).to(box.low)
    share[1] = share[1].round()
    points = [(box.low + part * 2 * box.reach).to(dtype) for part in share]
    with borrowed(model), full_precision(y.device), fitting(points[0]):
        points[0].requires_grad_()
        logits = [model(points[0])]
        points.append(one_step(points[0], logits[0], box, y))
        with torch.no_grad():
            logits.append(model(torch.cat(points[1:])))
    everywhere, logits = torch.cat(points).detach(), torch.cat(logits).detach().double()
    compare(model, network, everywhere, logits)
    over = (margin(logits, y.repeat(3)) - bound.repeat(3)).view(3, -1).amax(0)
    if bool((over > allowed(logits, dtype)).any()):
        at = int(over.argmax())
        raise RuntimeError(
            f"certification: the {name} bound {bound[at]:.6g} is crossed by {over[at]:.3g} at a point within the "
            "threat; the network was misread. Please report this, with the model"
        )


def one_step(x: Tensor, logits: Tensor, box: Box, y: Tensor) -> Tensor:
    """Return where one signed step of half a side of the box leads from x."""
    lead = margin(logits, y).sum()
    grad = torch.autograd.grad(lead, x, allow_unused=True)[0] if lead.requires_grad else None
    if grad is None:
        return x.detach()
    return (x.detach() + grad.sign() * box.reach).clamp(box.low, box.high).to(x.dtype)


def compare(model: Model, network: Network, x: Tensor, logits: Tensor) -> None:
    """Raise if the model's logits at `x` are not those of the network that was read, but for rounding.

    Raises
    ------
    RuntimeError
        If that is so.
    ValueError
        If it is because of the model: its logits are others when it is asked again, or agree once it computes in
        float64.
    """
    read = network(x.double())
    away = (read - logits).abs().max()
    if bool(away <= allowed(logits, x.dtype)):
        return
    with borrowed(model), torch.no_grad():
        again = [model(x.clone()), torch.cat([model(one[None].clone()) for one in x])]
    with borrowed(model):
        again.append(model(x.clone().requires_grad_()).detach())
    if any(bool((one.double() - logits).abs().max() > allowed(logits, x.dtype)) for one in again):
        raise ValueError(
            "model: expected one function of each image, got one whose logits are others when it runs again, on "
            "another number of images, or with gradients"
        )
    if isinstance(model, nn.Module) and x.dtype != torch.float64:
        with torch.no_grad():
            longer = copy.deepcopy(model).eval().double()(x.double())
        if bool((read - longer).abs().max() <= allowed(longer, torch.float64)):
            raise ValueError(
                f"model: expected one that computes to within {TOLERANCE.get(x.dtype, 0.1):g} of its largest logit, "
                f"got one that rounds by {away:.3g} in {x.dtype}; use model.double() and x.double()"
            )
    raise RuntimeError(
        f"certification: at a point within the threat the model's logits are {away:.3g} away from those of the network "
        "that was read; it was misread. Please report this, with the model"
    )


def allowed(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return how far rounding may take logits."""
    return TOLERANCE.get(dtype, 0.1) * logits.abs().max().clamp_min(1)
