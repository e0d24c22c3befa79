"""Lesson 02, projections and the nearest point on a boundary, as students answer them."""

import numpy as np
import torch
import torch.nn.functional as F

from . import right, wrong

# 02.4 project_linf(x, x_adv, eps) -> x_adv


@wrong("02.4", r"\[0, 1\]|valid image|image")
def linf_no_image(x, x_adv, eps):
    return torch.max(torch.min(x_adv, x + eps), x - eps)


@wrong("02.4", "ball|ε")
def linf_no_ball(x, x_adv, eps):
    return x_adv.clamp(0, 1)


@wrong("02.4", "swap|around x_adv|centre|center|x, not")
def linf_swapped(x, x_adv, eps):
    return (x_adv + (x - x_adv).clamp(-eps, eps)).clamp(0, 1)


@wrong("02.4", "scal|shrink|each pixel|pixel by pixel|whole")
def linf_scaled(x, x_adv, eps):
    delta = x_adv - x
    biggest = delta.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
    delta = delta * torch.clamp(eps / biggest, max=1)
    return (x + delta).clamp(0, 1)


@wrong("02.4", "surface|inside|already|sign|untouched|unchanged")
def linf_sign(x, x_adv, eps):
    return (x + eps * (x_adv - x).sign()).clamp(0, 1)


@wrong("02.4", "negative|-eps|lower|one side|below|darker")
def linf_one_side(x, x_adv, eps):
    return (x + (x_adv - x).clamp(0, eps)).clamp(0, 1)


@wrong("02.4", "Only the upper side")
def linf_upper_only(x, x_adv, eps):
    return torch.min(x_adv, x + eps).clamp(0, 1)


@wrong("02.4", "delta|perturbation|add")
def linf_delta_only(x, x_adv, eps):
    return (x_adv - x).clamp(-eps, eps)


@wrong("02.4", "in place|clone")
def linf_in_place(x, x_adv, eps):
    x_adv.sub_(x).clamp_(-eps, eps).add_(x).clamp_(0, 1)
    return x_adv


@wrong("02.4", "±2ε")
def linf_double(x, x_adv, eps):
    return (x + (x_adv - x).clamp(-2 * eps, 2 * eps)).clamp(0, 1)


@wrong("02.4", "L2|norm|Euclid")
def linf_l2_ball(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x + d * (eps / n).clamp(max=1)).clamp(0, 1)


@wrong("02.4", "x_adv|centre|around x|0|origin")
def linf_clamps_image_itself(x, x_adv, eps):
    return x_adv.clamp(-eps, eps).clamp(0, 1)


@wrong("02.4", "half|2")
def linf_half(x, x_adv, eps):
    return (x + (x_adv - x).clamp(-eps / 2, eps / 2)).clamp(0, 1)


@wrong("02.4", "set back to x")
def linf_resets(x, x_adv, eps):
    far = (x_adv - x).abs().flatten(1).amax(1) > eps
    return torch.where(far.view(-1, 1, 1, 1), x, x_adv).clamp(0, 1)


@wrong("02.4", "are swapped")
def linf_min_max_swapped(x, x_adv, eps):
    return torch.min(torch.max(x_adv, x + eps), x - eps).clamp(0, 1)


@right("02.4")
def linf_clamp_tensors(x, x_adv, eps):
    return x_adv.clamp(min=(x - eps).clamp(min=0), max=(x + eps).clamp(max=1))


@right("02.4")
def linf_image_first(x, x_adv, eps):
    x_adv = torch.clamp(x_adv, 0, 1)
    return torch.max(torch.min(x_adv, x + eps), x - eps)


@right("02.4")
def linf_delta(x, x_adv, eps):
    delta = torch.clamp(x_adv - x, min=-eps, max=eps)
    return torch.clamp(x + delta, min=0, max=1).detach()


@right("02.4")
def linf_clone_masks(x, x_adv, eps):
    out = x_adv.clone()
    low, high = x - eps, x + eps
    out[out < low] = low[out < low]
    out[out > high] = high[out > high]
    return out.clip(0, 1)


@right("02.4")
def linf_numpy_clip(x, x_adv, eps):
    a, b = x.numpy(), x_adv.numpy()
    return torch.from_numpy(np.clip(np.clip(b, a - eps, a + eps), 0, 1)).float()


# 02.5 project_l2(x, x_adv, eps) -> x_adv


@wrong("02.5", "inside|surface|already|always|unchanged|untouched")
def l2_always(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
    return (x + eps * d / n).clamp(0, 1)


@wrong("02.5", "batch")
def l2_batch(x, x_adv, eps):
    d = x_adv - x
    n = d.norm()
    if n > eps:
        d = d * eps / n
    return (x + d).clamp(0, 1)


@wrong("02.5", "channel|dim|each pixel|whole image|flatten")
def l2_channels(x, x_adv, eps):
    d = x_adv - x
    n = d.norm(dim=1, keepdim=True)
    return (x + d * (eps / n.clamp(min=1e-12)).clamp(max=1)).clamp(0, 1)


@wrong("02.5", "order|clip.*(first|before)|before|after|last")
def l2_clip_first(x, x_adv, eps):
    d = x_adv.clamp(0, 1) - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return x + d * (eps / n.clamp(min=1e-12)).clamp(max=1)


@wrong("02.5", "clip|clamp")
def l2_no_clip(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return x + d * (eps / n.clamp(min=1e-12)).clamp(max=1)


@wrong("02.5", "0/0")
def l2_zero_division(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x + d / n * torch.clamp(n, max=eps)).clamp(0, 1)


@wrong("02.5", "Linf|box|L∞|L_inf|max|pixel")
def l2_linf(x, x_adv, eps):
    return (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)


@wrong("02.5", "square|root")
def l2_squared(x, x_adv, eps):
    d = x_adv - x
    n = (d**2).flatten(1).sum(1).view(-1, 1, 1, 1)
    return (x + d * (eps / n.clamp(min=1e-12)).clamp(max=1)).clamp(0, 1)


@wrong("02.5", "not divided by its own length")
def l2_not_divided(x, x_adv, eps):
    d = x_adv - x
    return (x + d * eps).clamp(0, 1)


@wrong("02.5", "length of x′ itself")
def l2_norm_of_image(x, x_adv, eps):
    n = x_adv.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x + (x_adv - x) * (eps / n).clamp(max=1)).clamp(0, 1)


@wrong("02.5", "min|max|grow|inside|larger|outside|stretch")
def l2_max_factor(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
    return (x + d * (eps / n).clamp(min=1)).clamp(0, 1)


@wrong("02.5", "in place|clone")
def l2_in_place(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
    x_adv.copy_((x + d * (eps / n).clamp(max=1)).clamp(0, 1))
    return x_adv


@wrong("02.5", "per image|each image|torch.where|ambiguous|several values|one by one|batch")
def l2_if_on_tensor(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1)
    if n > eps:
        d = d / n.view(-1, 1, 1, 1) * eps
    return (x + d).clamp(0, 1)


@wrong("02.5", r"view|\(n, 1, 1, 1\)|shape")
def l2_broadcast(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1)
    return (x + d * (eps / n.clamp(min=1e-12)).clamp(max=1)).clamp(0, 1)


@wrong("02.5", "any|each image|own|every image|all images|batch")
def l2_if_any(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
    if (n > eps).any():
        d = d / n * eps
    return (x + d).clamp(0, 1)


@wrong("02.5", "batch|largest|each image|own")
def l2_largest_norm(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).max()
    return (x + d * min(1.0, eps / max(n.item(), 1e-12))).clamp(0, 1)


@wrong("02.5", "perturbation|add|x \\+")
def l2_delta_only(x, x_adv, eps):
    d = (x_adv - x).flatten(1)
    return torch.renorm(d, 2, 0, eps).view_as(x)


@right("02.5")
def l2_renorm(x, x_adv, eps):
    d = (x_adv - x).flatten(1).renorm(p=2, dim=0, maxnorm=eps).view_as(x)
    return (x + d).clamp(0, 1)


@right("02.5")
def l2_loop(x, x_adv, eps):
    out = []
    for a, b in zip(x, x_adv):
        d = b - a
        n = d.norm().item()
        if n > eps:
            d = d * (eps / n)
        out.append((a + d).clamp(0, 1))
    return torch.stack(out)


@right("02.5")
def l2_normalize(x, x_adv, eps):
    flat = (x_adv - x).flatten(1)
    size = flat.norm(dim=1, keepdim=True).clamp(max=eps)
    return (x + (F.normalize(flat, dim=1) * size).view_as(x)).clamp(0, 1)


@right("02.5")
def l2_where(x, x_adv, eps):
    d = x_adv - x
    n = d.pow(2).sum(dim=(1, 2, 3), keepdim=True).sqrt()
    d = torch.where(n > eps, d * eps / (n + 1e-12), d)
    return torch.clamp(x + d, 0, 1)


@right("02.5")
def l2_mask(x, x_adv, eps):
    out = x_adv.clone()
    n = torch.linalg.vector_norm(x_adv - x, dim=(1, 2, 3))
    far = n > eps
    out[far] = x[far] + (x_adv - x)[far] * (eps / n[far])[:, None, None, None]
    return out.clip(0, 1)


# 02.8 nearest_on_boundary(x, w, b) -> x_adv


def _f(x, w, b):
    return (x * w).flatten(1).sum(1) + b


@wrong("02.8", "sign|plus|away|minus|wrong way|doubl")
def nearest_plus(x, w, b):
    return x + (_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", "You divided by ‖w‖; the step is f")
def nearest_norm_not_squared(x, w, b):
    return x - (_f(x, w, b) / w.norm()).view(-1, 1, 1, 1) * w


@wrong("02.8", "mirror|twice|2|other side|reflect|beyond|too far")
def nearest_reflection(x, w, b):
    return x - 2 * (_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", "b|bias")
def nearest_no_bias(x, w, b):
    f = (x * w).sum((1, 2, 3))
    return x - (f / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", "clip|clamp")
def nearest_clipped(x, w, b):
    return (x - (_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w).clamp(0, 1)


@wrong("02.8", "abs|side|sign")
def nearest_abs(x, w, b):
    return x - (_f(x, w, b).abs() / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", "batch|each image|own")
def nearest_batch(x, w, b):
    f = (x * w).sum() + b
    return x - f / w.pow(2).sum() * w


@wrong("02.8", "overshoot|1.02|beyond|past|exactly")
def nearest_overshoot(x, w, b):
    r = -(_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w
    return x + 1.02 * r


@wrong("02.8", "returned the distances")
def nearest_distance(x, w, b):
    return _f(x, w, b).abs() / w.norm()


@wrong("02.8", "f\\(x\\)|how far|distance|unit")
def nearest_unit_step(x, w, b):
    return x - _f(x, w, b).sign().view(-1, 1, 1, 1) * w / w.norm()


@wrong("02.8", "divid|‖w‖|norm")
def nearest_not_divided(x, w, b):
    return x - _f(x, w, b).view(-1, 1, 1, 1) * w


@wrong("02.8", "in place|clone")
def nearest_in_place(x, w, b):
    x -= (_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w
    return x


@wrong("02.8", "step|perturbation|x \\+|add")
def nearest_step_only(x, w, b):
    return -(_f(x, w, b) / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", "sign(ed)? of w|Linf|sign|w itself|direction|every pixel")
def nearest_linf(x, w, b):
    f = _f(x, w, b).view(-1, 1, 1, 1)
    return x - f / w.abs().sum() * w.sign()


@wrong("02.8", "minus b|subtract|sign of b|\\+ b|bias")
def nearest_minus_bias(x, w, b):
    f = (x * w).flatten(1).sum(1) - b
    return x - (f / w.pow(2).sum()).view(-1, 1, 1, 1) * w


@wrong("02.8", r"view|\(n, 1, 1, 1\)|shape")
def nearest_broadcast(x, w, b):
    return x - _f(x, w, b) / w.pow(2).sum() * w


@right("02.8")
def nearest_einsum(x, w, b):
    f = torch.einsum("nchw,chw->n", x, w) + b
    return x - torch.einsum("n,chw->nchw", f / (w * w).sum(), w)


@right("02.8")
def nearest_loop(x, w, b):
    return torch.stack([xi - (torch.sum(xi * w) + b) / torch.norm(w) ** 2 * w for xi in x])


@right("02.8")
def nearest_unit(x, w, b):
    unit = w / w.norm()
    distance = (torch.tensordot(x, w, dims=3) + b) / w.norm()
    return x - distance[:, None, None, None] * unit


@right("02.8")
def nearest_matmul(x, w, b):
    flat, v = x.reshape(len(x), -1), w.reshape(-1)
    f = flat @ v + b
    return (flat - torch.outer(f, v) / (v @ v)).reshape(x.shape)


@right("02.8")
def nearest_autograd(x, w, b):
    z = x.clone().requires_grad_()
    f = (z * w).flatten(1).sum(1) + b
    g = torch.autograd.grad(f.sum(), z)[0]
    r = -f / g.pow(2).flatten(1).sum(1)
    return (x + r.view(-1, 1, 1, 1) * g).detach()
