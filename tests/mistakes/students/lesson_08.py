"""Lesson 08, as students answer it."""

import numpy as np
import torch
import torch.nn.functional as F

from cs329t_robust import L2, Linf, pgd

from . import right, wrong

# 08.1 usefulness(f, y) -> number


@wrong("08.1", "standardise|unit")
def use_raw(f, y):
    return torch.mean(f * y)


@wrong("08.1", "mean is not subtracted")
def use_uncentred(f, y):
    return float((f * y).mean() / f.std(unbiased=False))


@wrong("08.1", "n − 1|unbiased")
def use_sample(f, y):
    return ((f - f.mean()) / f.std() * y).mean().item()


@wrong("08.1", "variance")
def use_variance(f, y):
    return ((f - f.mean()) / f.var(unbiased=False) * y).mean().item()


@wrong("08.1", "correlation coefficient|label as well")
def use_corrcoef(f, y):
    return np.corrcoef(f.numpy(), y.numpy())[0, 1]


@wrong("08.1", "summed|mean")
def use_sum(f, y):
    z = (f - f.mean()) / f.std(unbiased=False)
    return (z * y).sum()


@wrong("08.1", "absolute")
def use_abs(f, y):
    z = (f - f.mean()) / f.std(unbiased=False)
    return abs((z * y).mean().item())


@wrong("08.1", "expected -?0|got")
def use_squared(f, y):
    z = (f - f.mean()) / f.std(unbiased=False)
    return (z * y).mean().item() ** 2


@right("08.1")
def use_plain(f, y):
    z = (f - f.mean()) / f.std(unbiased=False)
    return (y * z).mean().item()


@right("08.1")
def use_numpy(f, y):
    f, y = f.double().numpy(), y.double().numpy()
    return float(np.mean(y * (f - f.mean()) / f.std()))


@right("08.1")
def use_moments(f, y):
    mean, square = f.double().mean(), f.double().square().mean()
    return ((y.double() * f.double()).mean() - mean * y.double().mean()) / (square - mean**2).sqrt()


@right("08.1")
def use_classes(f, y):
    z = (f - f.mean()) / f.std(correction=0)
    return ((z[y > 0].sum() - z[y < 0].sum()) / len(y)).item()


@right("08.1")
def use_loop(f, y):
    m = sum(f.tolist()) / len(f)
    s = (sum((v - m) ** 2 for v in f.tolist()) / len(f)) ** 0.5
    return sum(b * (a - m) / s for a, b in zip(f.tolist(), y.tolist())) / len(f)


# 08.2 robust_usefulness(w, x, y, eps) -> number


def _parts(w, x):
    f = (x * w).flatten(1).sum(1)
    return f, f.mean(), f.std(unbiased=False)


@wrong("08.2", "does not enter")
def robust_plain(w, x, y, eps):
    f, m, s = _parts(w, x)
    return (y * (f - m) / s).mean().item()


@wrong("08.2", "sign is flipped")
def robust_plus(w, x, y, eps):
    f, m, s = _parts(w, x)
    return ((y * (f - m)).mean() + eps * w.norm()) / s


@wrong("08.2", "divided by its spread")
def robust_unscaled(w, x, y, eps):
    f, m, s = _parts(w, x)
    return (y * (f - m) / s).mean().item() - eps * w.norm().item()


@wrong("08.2", "‖w‖₁")
def robust_l1(w, x, y, eps):
    f, m, s = _parts(w, x)
    return (y * (f - m) / s).mean().item() - eps * w.abs().sum().item() / s.item()


@wrong("08.2", "same way")
def robust_same_way(w, x, y, eps):
    moved = x - eps * w / w.norm()
    _, m, s = _parts(w, x)
    f, _, _ = _parts(w, moved)
    return (y * (f - m) / s).mean()


@wrong("08.2", "again after the attack")
def robust_restandardised(w, x, y, eps):
    moved = x - eps * y[:, None, None, None] * w / w.norm()
    f, m, s = _parts(w, moved)
    return (y * (f - m) / s).mean()


@wrong("08.2", "square root")
def robust_squared(w, x, y, eps):
    f, m, s = _parts(w, x)
    return ((y * (f - m)).mean() - eps * (w * w).sum()) / s


@wrong("08.2", "expected")
def robust_over_batch(w, x, y, eps):
    f, m, s = _parts(w, x)
    return (y * (f - m) / s).mean() - eps * w.norm() / s / len(x)


@right("08.2")
def robust_closed(w, x, y, eps):
    f, m, s = _parts(w, x)
    return ((y * (f - m)).mean() - eps * w.norm()).item() / s.item()


@right("08.2")
def robust_moved(w, x, y, eps):
    _f, m, s = _parts(w, x)
    moved = x - eps * y.view(-1, 1, 1, 1) * w / w.norm()
    g, _, _ = _parts(w, moved)
    return (y * (g - m) / s).mean()


@right("08.2")
def robust_numpy(w, x, y, eps):
    w, x, y = w.double().numpy().ravel(), x.double().flatten(1).numpy(), y.double().numpy()
    f = x @ w
    return np.mean(y * (f - f.mean()) / f.std()) - eps * np.sqrt((w**2).sum()) / f.std()


@right("08.2")
def robust_each(w, x, y, eps):
    f, m, s = _parts(w, x)
    return ((y * (f - m) - eps * w.pow(2).sum().sqrt()) / s).mean()


# 08.3 push(model, x, target, eps, steps) -> images


def _descend(model, x, target, eps, steps, project, normalise, sign=-1.0):
    out = x.clone()
    for _ in range(steps):
        out = out.detach().requires_grad_()
        grad = torch.autograd.grad(F.cross_entropy(model(out), target, reduction="sum"), out)[0]
        out = project(out.detach() + sign * 2.5 * eps / steps * normalise(grad))
    return out.detach()


def _unit(g):
    return g / g.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]


def _into(x, eps):
    def project(z):
        d = z - x
        length = d.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
        return (x + d * (eps / length).clamp(max=1)).clamp(0, 1)

    return project


@wrong("08.3", "two of pgd's defaults|targeted=True")
def push_defaults(model, x, target, eps, steps):
    return pgd(model, x, target, threat=L2(eps), steps=steps)


@wrong("08.3", "targeted=True|minus sign")
def push_untargeted(model, x, target, eps, steps):
    return pgd(model, x, target, threat=L2(eps), steps=steps, random_start=False)


@wrong("08.3", "random_start=False")
def push_random_start(model, x, target, eps, steps):
    return pgd(model, x, target, threat=L2(eps), steps=steps, targeted=True)


@wrong("08.3", "L∞")
def push_linf(model, x, target, eps, steps):
    return pgd(model, x, target, threat=Linf(eps), steps=steps, targeted=True, random_start=False)


@wrong("08.3", "L∞ step|sign")
def push_sign(model, x, target, eps, steps):
    return _descend(model, x, target, eps, steps, _into(x, eps), torch.sign)


@wrong("08.3", "whole batch")
def push_batch(model, x, target, eps, steps):
    return _descend(model, x, target, eps, steps, _into(x, eps), lambda g: g / g.norm())


@wrong("08.3", "projection is missing")
def push_unprojected(model, x, target, eps, steps):
    return _descend(model, x, target, eps, steps, lambda z: z.clamp(0, 1), _unit)


@wrong("08.3", "[Oo]nly one step")
def push_one_step(model, x, target, eps, steps):
    for _ in range(steps):
        z = x.clone().requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(z), target, reduction="sum"), z)[0]
        return _into(x, eps)(x - 2.5 * eps / steps * _unit(g))


@right("08.3")
def push_pgd(model, x, target, eps, steps):
    return pgd(model, x, target, threat=L2(eps), steps=steps, targeted=True, random_start=False)


@right("08.3")
def push_pgd_spelt_out(model, x, target, eps, steps):
    size = 2.5 * eps / steps
    return pgd(model, x, target, threat=L2(eps), steps=steps, step_size=size, random_start=False, targeted=True, seed=5)


def _pushed(model, x, target, eps, steps):
    return _descend(model, x, target, eps, steps, _into(x, eps), _unit)


@right("08.3")
def push_loop(model, x, target, eps, steps):
    return _pushed(model, x, target, eps, steps)


@right("08.3")
def push_threat(model, x, target, eps, steps):
    threat, out = L2(eps), x
    for _ in range(steps):
        out = out.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(out), target, reduction="none").sum()
        (grad,) = torch.autograd.grad(loss, out)
        out = threat.project(x, threat.ascend(x, out.detach(), -grad, 2.5 * eps / steps))
    return out


@right("08.3")
def push_one_by_one(model, x, target, eps, steps):
    return torch.cat([_pushed(model, x[i : i + 1], target[i : i + 1], eps, steps) for i in range(len(x))])


# 08.4 shuffled(x, x_adv, source) -> images


@wrong("08.4", "only the order changes")
def shuffled_pictures(x, x_adv, source):
    return x_adv[source]


@wrong("08.4", "clamp")
def shuffled_unclipped(x, x_adv, source):
    return x + (x_adv - x)[source]


@wrong("08.4", "only the order changes")
def shuffled_mixed(x, x_adv, source):
    return torch.clamp(x + (x_adv[source] - x), 0, 1)


@wrong("08.4", "left the perturbations where they were")
def shuffled_bases(x, x_adv, source):
    return torch.clamp(x[source] + (x_adv - x), 0, 1)


@wrong("08.4", "other way")
def shuffled_inverse(x, x_adv, source):
    out = x.clone()
    out[source] = x[source] + (x_adv - x)
    return out.clamp(0, 1)


@wrong("08.4", "on top")
def shuffled_double(x, x_adv, source):
    return (x_adv + x_adv[source] - x[source]).clamp(0, 1)


@wrong("08.4", "another one's|should carry")
def shuffled_fresh(x, x_adv, source):
    delta = x_adv - x
    return (x + delta[torch.randperm(len(x))]).clamp(0, 1)


@wrong("08.4", "in place|different now")
def shuffled_in_place(x, x_adv, source):
    x_adv -= x
    return (x + x_adv[source]).clamp(0, 1)


@right("08.4")
def shuffled_index(x, x_adv, source):
    return torch.clamp(x + (x_adv - x)[source], min=0, max=1)


@right("08.4")
def shuffled_both(x, x_adv, source):
    return (x + x_adv[source] - x[source]).clip(0, 1)


@right("08.4")
def shuffled_loop(x, x_adv, source):
    rows = [x[i] + x_adv[j] - x[j] for i, j in enumerate(source.tolist())]
    return torch.stack(rows).clamp(0, 1)


@right("08.4")
def shuffled_select(x, x_adv, source):
    delta = torch.index_select(x_adv - x, 0, source)
    return torch.minimum(torch.maximum(x + delta, torch.zeros(())), torch.ones(()))


# 08.5 invert_step(g, x, x_r, step_size) -> images


def _grad(g, x, x_r, distance):
    z = x_r.detach().clone().requires_grad_()
    return torch.autograd.grad(distance(g(z), g(x).detach()), z)[0]


def _square(a, b):
    return ((a - b) ** 2).sum()


@wrong("08.5", "sign is flipped")
def invert_uphill(g, x, x_r, step_size):
    return (x_r + step_size * _unit(_grad(g, x, x_r, _square))).clamp(0, 1)


@wrong("08.5", "not divided by its length")
def invert_raw(g, x, x_r, step_size):
    return (x_r - step_size * _grad(g, x, x_r, _square)).clamp(0, 1)


@wrong("08.5", "whole batch")
def invert_batch(g, x, x_r, step_size):
    grad = _grad(g, x, x_r, _square)
    return (x_r - step_size * grad / grad.norm()).clamp(0, 1)


@wrong("08.5", "sign")
def invert_sign(g, x, x_r, step_size):
    return (x_r - step_size * _grad(g, x, x_r, _square).sign()).clamp(0, 1)


@wrong("08.5", "clamp")
def invert_unclipped(g, x, x_r, step_size):
    return x_r - step_size * _unit(_grad(g, x, x_r, _square))


@wrong("08.5", "pixel by pixel")
def invert_pixels(g, x, x_r, step_size):
    z = x_r.clone().requires_grad_()
    grad = torch.autograd.grad(((z - x) ** 2).sum(), z)[0]
    return (x_r - step_size * _unit(grad)).clamp(0, 1)


@wrong("08.5", "absolute")
def invert_l1(g, x, x_r, step_size):
    return (x_r - step_size * _unit(_grad(g, x, x_r, F.l1_loss))).clamp(0, 1)


@wrong("08.5", "starts from x")
def invert_from_x(g, x, x_r, step_size):
    return (x - step_size * _unit(_grad(g, x, x_r, _square))).clamp(0, 1)


@wrong("08.5", "changed places")
def invert_swapped(g, x, x_r, step_size):
    return (x - step_size * _unit(_grad(g, x_r, x, _square))).clamp(0, 1)


@right("08.5")
def invert_square(g, x, x_r, step_size):
    return (x_r - step_size * _unit(_grad(g, x, x_r, _square))).clamp(0, 1)


@right("08.5")
def invert_norm(g, x, x_r, step_size):
    grad = _grad(g, x, x_r, lambda a, b: (a - b).norm(dim=1).sum())
    return (x_r - step_size * _unit(grad)).clamp(0, 1)


@right("08.5")
def invert_mse(g, x, x_r, step_size):
    return (x_r - step_size * _unit(_grad(g, x, x_r, F.mse_loss))).clamp(min=0, max=1)


@right("08.5")
def invert_threat(g, x, x_r, step_size):
    grad = _grad(g, x, x_r, _square)
    return L2(1.0).ascend(x_r, x_r, -grad, step_size).clamp(0, 1)


@right("08.5")
def invert_backward(g, x, x_r, step_size):
    z = x_r.clone().requires_grad_()
    with torch.no_grad():
        goal = g(x)
    torch.dist(g(z), goal).backward()
    for p in g.parameters():
        p.grad = None
    return (x_r - step_size * _unit(z.grad)).clamp(0, 1)
