"""What the adversary may change: the set Δ of the lecture, one frozen dataclass for each norm.

A threat answers four questions and nothing else: how far (`distance`), back into Δ (`project`), the steepest step
(`ascend`), a random member (`sample`). Every norm-dependent branch of the package is in this file.
"""

import math
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from .randomness import ImageRandom, normal_like, uniform_like

Generator = torch.Generator | ImageRandom


def per_image(value: float | Tensor, x: Tensor) -> float | Tensor:
    """Shape a number or a tensor (n,) so that it multiplies images (n, c, h, w)."""
    if isinstance(value, Tensor):
        value = value.to(x.dtype)
        return value.view(-1, 1, 1, 1) if value.ndim == 1 else value
    return value


def rowwise(norms: Tensor, x: Tensor) -> Tensor:
    """Shape one value per image (n,) so that it multiplies images (n, c, h, w)."""
    return norms.view(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True, eq=False)
class Ball:
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
        elif not (math.isfinite(eps) and eps >= 0):
            raise ValueError(
                f"{name}: expected eps finite and >= 0, got {eps}. Radii are in pixel units of [0, 1], e.g. 8/255"
            )
        else:
            object.__setattr__(self, "eps", float(eps))

    def __repr__(self) -> str:
        if isinstance(self.eps, Tensor) and self.eps.ndim:
            return f"{type(self).__name__}(eps={len(self.eps)} radii)"
        return f"{type(self).__name__}(eps={float(self.eps):.4g})"

    def with_eps(self, eps: float | Tensor) -> "Ball":
        """Return the same kind of threat at another radius."""
        return type(self)(eps)

    def select(self, rows: Tensor) -> "Ball":
        """Return the threat of some images of the batch; `rows` is an index or a mask over n."""
        if isinstance(self.eps, Tensor) and self.eps.ndim:
            return type(self)(self.eps[rows])
        return self


class Linf(Ball):
    """Every pixel may change by at most `eps`: max |x' − x| <= eps, and 0 <= x' <= 1."""

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return max |x' − x| of each image, shape (n,)."""
        return (x_adv - x).abs().flatten(1).amax(1)

    def project(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the nearest image in Δ and in [0, 1]: exact, since both are boxes."""
        eps = per_image(self.eps, x)
        return torch.minimum(torch.maximum(x_adv, x - eps), x + eps).clamp_(0, 1)

    def ascend(self, x: Tensor, x_adv: Tensor, grad: Tensor, step_size: float | Tensor) -> Tensor:
        """Step along sign(grad), the steepest direction when every pixel may move equally far; no projection."""
        sign = grad.sign().where(grad == grad, grad)  # torch's sign(NaN) is 0, which would hide a broken gradient
        return x_adv + per_image(step_size, x) * sign

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Return x plus uniform noise in [−eps, eps], clipped to [0, 1]."""
        noise = uniform_like(x, generator).mul_(2).sub_(1)
        return self.project(x, x + per_image(self.eps, x) * noise)


class L2(Ball):
    """The Euclidean length of the change is at most `eps`: ‖x' − x‖₂ <= eps, and 0 <= x' <= 1."""

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


def unit(v: Tensor) -> Tensor:
    """Scale each image of `v` to Euclidean length 1; zeros stay zeros, and tiny gradients do not underflow."""
    biggest = v.flatten(1).abs().amax(1)
    v = v / rowwise(torch.where(biggest > 0, biggest, 1), v)
    length = v.flatten(1).norm(dim=1)
    return v / rowwise(length.clamp_min(torch.finfo(v.dtype).tiny), v)
