"""Balls around an image: how far its pixels may move in the L∞, L2, L1 or L0 norm, inside the image box [0, 1]."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Self

import torch
from torch import Tensor

from ..runtime.randomness import normal_like, uniform_like
from .base import Generator, Threat, is_number, per_image, radii, rowwise, unit
from .projections import greedy, onto_l1


@dataclass(frozen=True, eq=False)
class Ball(Threat):
    """All x' in the image box [0, 1] within `eps` of x in one norm.

    Parameters
    ----------
    eps : float or Tensor (n,)
        Radius, >= 0, in units of the [0, 1] pixel range. A tensor gives each image of the batch its own radius,
        so a whole ladder of radii is one batched attack.

    Raises
    ------
    ValueError
        If `eps` is negative, NaN, infinite, not a number, or a tensor of more than one dimension.
    """

    eps: float | Tensor

    def __post_init__(self) -> None:
        eps, name = self.eps, type(self).__name__
        if isinstance(eps, Tensor):
            if eps.ndim > 1 or not eps.is_floating_point():
                raise ValueError(
                    f"{name}: expected eps as a float or a float tensor of shape (n,), "
                    f"got {eps.dtype} of shape {tuple(eps.shape)}"
                )
            if eps.device.type == "meta":
                return
            bad = eps.reshape(-1)[~(eps.isfinite() & (eps >= 0)).reshape(-1)]
            if bad.numel():
                raise ValueError(f"{name}: expected every eps finite and >= 0, got {bad[0].item()}")
            object.__setattr__(self, "eps", eps.detach())
        elif isinstance(eps, bool) or not isinstance(eps, Real):
            raise ValueError(f"{name}: expected eps as a number or a tensor of shape (n,), got {eps!r}")
        elif not is_number(eps) or eps < 0:
            raise ValueError(
                f"{name}: expected eps finite and >= 0, got {eps}. Radii are in pixel units of [0, 1], e.g. 8/255"
            )
        else:
            object.__setattr__(self, "eps", float(eps))

    def __repr__(self) -> str:
        if isinstance(self.eps, Tensor) and self.eps.ndim:
            return f"{type(self).__name__}(eps={len(self.eps)} radii)"
        return f"{type(self).__name__}(eps={float(self.eps):.4g})"

    def with_eps(self, eps: float | Tensor) -> Self:
        """Return the same kind of threat at another radius."""
        return type(self)(eps)

    def at(self, eps: Tensor) -> Self:
        """Return the same kind of threat with radii `eps` (n,) that an attack computed: nothing is checked."""
        same = copy.copy(self)
        object.__setattr__(same, "eps", eps)
        return same

    def select(self, rows: Tensor) -> Self:
        """Return the threat of some images of the batch; `rows` is an index or a mask over n."""
        if isinstance(self.eps, Tensor) and self.eps.ndim:
            return self.at(self.eps[rows])
        return self


class Linf(Ball):
    """Every pixel may change by at most `eps`: max |x' − x| <= eps, and 0 <= x' <= 1.

    Parameters
    ----------
    eps : float or Tensor (n,), >= 0
        The largest change of a pixel, in units of the image, such as 8/255. A tensor holds a radius for each image.

    Raises
    ------
    ValueError
        If `eps` is no finite number >= 0, or no tensor of them.
    """

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return max |x' − x| of each image, shape (n,)."""
        return (x_adv - x).abs().flatten(1).amax(1)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the nearest image in Δ and in [0, 1]: exact, since both are boxes."""
        return self.onto(x)(x_adv)

    def onto(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return `project` for these images: between two bounds for each pixel, found once."""
        eps = per_image(self.eps, x)
        low, high = (x - eps).clamp_(min=0), (x + eps).clamp_(max=1)
        return lambda x_adv: torch.clamp(x_adv, low, high)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Step along sign(grad), the steepest direction when every pixel may move equally far; no projection."""
        step = per_image(step_size, x)
        if isinstance(step, Tensor):
            ahead = torch.addcmul(x_adv, grad.sign(), step)
        else:
            ahead = torch.add(x_adv, grad.sign(), alpha=step)
        return ahead.add_(grad.clamp(-1, 1), alpha=0)  # NaN where grad is: torch's sign(NaN) is 0, which would hide it

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return x plus uniform noise in [−eps, eps], clipped to [0, 1]."""
        noise = uniform_like(x, generator).mul_(2).sub_(1)
        return self.project(x, x + per_image(self.eps, x) * noise)


class L2(Ball):
    """The Euclidean length of the change is at most `eps`: ‖x' − x‖₂ <= eps, and 0 <= x' <= 1.

    Parameters
    ----------
    eps : float or Tensor (n,), >= 0
        The largest Euclidean length of the change. A tensor holds a radius for each image.

    Raises
    ------
    ValueError
        If `eps` is no finite number >= 0, or no tensor of them.
    """

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return ‖x' − x‖₂ of each image, shape (n,)."""
        return (x_adv - x).flatten(1).norm(dim=1)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Shrink the change to length `eps`, then clip to [0, 1].

        The result is in both sets (clipping moves each pixel towards x, which lies in the box). It is the nearest
        point of the ball, then of the box, as in every published L2 PGD; not always the nearest of their intersection.
        """
        delta = x_adv - x
        eps = self.eps if not isinstance(self.eps, Tensor) else self.eps.to(x.dtype)
        length = delta.flatten(1).norm(dim=1)
        shrink = (eps / length.clamp_min(torch.finfo(x.dtype).tiny)).clamp(max=1)
        return (x + rowwise(shrink, x) * delta).clamp_(0, 1)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Step along grad/‖grad‖₂ of each image (a zero gradient stays put); no projection."""
        return x_adv + per_image(step_size, x) * unit(grad)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return x plus a point drawn uniformly from the ball of radius `eps`, clipped to [0, 1]."""
        direction = unit(normal_like(x, generator))
        dimensions = x[0].numel()
        radius = uniform_like(x, generator).flatten(1)[:, 0] ** (1 / dimensions)
        return self.project(x, x + per_image(self.eps, x) * rowwise(radius, x) * direction)


class L1(Ball):
    """The absolute changes of all pixels add up to at most `eps`: ‖x' − x‖₁ <= eps, and 0 <= x' <= 1.

    Parameters
    ----------
    eps : float or Tensor (n,), >= 0
        The largest sum of absolute changes. A tensor holds a radius for each image.

    Raises
    ------
    ValueError
        If `eps` is no finite number >= 0, or no tensor of them.
    """

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return Σ |x' − x| of each image, shape (n,)."""
        return (x_adv - x).abs().flatten(1).sum(1)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the nearest image in Δ and in [0, 1]: exact for both limits together."""
        return onto_l1(x.flatten(1), x_adv.flatten(1), radii(self.eps, x)).view_as(x)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Move the steepest pixel to the edge of the box, then the next, until `step_size` is spent."""
        ahead = greedy(x_adv.flatten(1), grad.flatten(1), radii(step_size, x))
        return ahead.view_as(x).where(grad == grad, grad)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return x plus a point drawn uniformly from the ball of radius `eps`, put back into [0, 1]."""
        share = uniform_like(x, generator).clamp_min_(torch.finfo(x.dtype).tiny).log_().neg_()
        share /= rowwise(share.flatten(1).sum(1), x)
        sign = (uniform_like(x, generator) - 0.5).sign_()
        radius = uniform_like(x, generator).flatten(1)[:, 0] ** (1 / x[0].numel())
        return self.project(x, x + per_image(self.eps, x) * rowwise(radius, x) * share * sign)


class L0(Ball):
    """At most `eps` pixels may change, each as much as it likes within [0, 1]; a pixel is all channels of a place.

    Parameters
    ----------
    eps : int or Tensor (n,), >= 0
        How many pixels may change, a whole number. A tensor holds one for each image.

    Raises
    ------
    ValueError
        If `eps` is no finite whole number >= 0, or no tensor of them.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        eps = torch.as_tensor(self.eps)
        if eps.device.type != "meta" and bool((eps != eps.floor()).any()):
            raise ValueError(f"L0: expected a whole number of pixels, got {self.eps}")

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return how many pixels of each image differ, shape (n,)."""
        return (x_adv != x).any(1).flatten(1).sum(1).to(x.dtype)

    def rounding(self, x: Tensor) -> float:
        """Return 0: a pixel that is left alone has nothing to round."""
        return 0.0

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the nearest image in Δ and in [0, 1]: the pixels that gain most by their change keep it."""
        boxed = x_adv.clamp(0, 1)
        gain = ((x_adv - x).square() - (x_adv - boxed).square()).sum(1, keepdim=True)
        return torch.where(_top_places(gain, self.eps) & (gain > 0), boxed, x).where(x_adv == x_adv, x_adv)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Move the `step_size` steepest pixels (rounded up) to the edge of the box, and make room for them.

        How much a pixel is worth is what a linear model would gain by moving it from where it is to the edge. If more
        than `eps` pixels differ from x afterwards, those that gain least by their change go back.
        """
        edge = (grad > 0).to(x.dtype).where(grad != 0, x_adv)
        worth = (grad * (edge - x_adv)).sum(1, keepdim=True)
        step = (step_size.to(x.dtype) if isinstance(step_size, Tensor) else x.new_full((), step_size)).ceil()
        ahead = torch.where(_top_places(worth, step) & (worth > 0), edge, x_adv)
        gain = (grad * (ahead - x)).sum(1, keepdim=True).where((ahead != x).any(1, keepdim=True), -torch.inf)
        return torch.where(_top_places(gain, self.eps), ahead, x).where(grad == grad, grad)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return x with `eps` random pixels set to random values."""
        values = uniform_like(x, generator)
        return torch.where(_top_places(uniform_like(x, generator)[:, :1], self.eps), values, x)


def _top_places(worth: Tensor, k: float | Tensor) -> Tensor:
    """Return a mask of the `k` (a number or (n,)) most valuable places of each image; `worth` is (n, 1, h, w)."""
    order = worth.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.arange(order.shape[1], device=worth.device).expand_as(order)
    chosen = rank < (k.view(-1, 1) if isinstance(k, Tensor) else k)
    return torch.zeros_like(chosen).scatter(1, order, chosen).view_as(worth)
