"""Lesson 02, PGD in two norms, as students answer it."""

import torch
import torch.nn.functional as F
from torch import nn

from . import right, wrong

# 02.6 pgd(model, x, y, eps, step_size, steps) -> x_adv


def _grad(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), y), x)[0]


@wrong("02.6", "project|ball")
def pgd_no_projection(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = (x_adv + step_size * _grad(model, x_adv, y).sign()).clamp(0, 1)
    return x_adv


@wrong("02.6", "around|previous|original|centre|moving")
def pgd_projects_on_previous(model, x, y, eps, step_size, steps):
    for _ in range(steps):
        x_new = x + step_size * _grad(model, x, y).sign()
        x = torch.max(torch.min(x_new, x + eps), x - eps).clamp(0, 1)
    return x


@wrong("02.6", "one step|steps|only once")
def pgd_one_step(model, x, y, eps, step_size, steps):
    x_adv = x + step_size * _grad(model, x, y).sign()
    return (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)


@wrong("02.6", "return|first step|loop|one step")
def pgd_return_in_loop(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
        return x_adv
    return x_adv


@wrong("02.6", "step_size|step size")
def pgd_eps_as_step(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + eps * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "clip|clamp|valid image")
def pgd_no_clip(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = x + (x_adv - x).clamp(-eps, eps)
    return x_adv


@wrong("02.6", "something random")
def pgd_random_start(model, x, y, eps, step_size, steps):
    x_adv = (x + (torch.rand_like(x) * 2 - 1) * eps).clamp(0, 1)
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "sign|minus|fell|down")
def pgd_minus(model, x, y, eps, step_size, steps):
    delta = torch.zeros_like(x, requires_grad=True)
    opt = torch.optim.SGD([delta], lr=1.0)
    for _ in range(steps):
        loss = F.cross_entropy(model(x + delta), y)
        opt.zero_grad()
        loss.backward()
        delta.grad.sign_().mul_(step_size)
        opt.step()
        delta.data.clamp_(-eps, eps)
        delta.data = (x + delta.data).clamp(0, 1) - x
    return (x + delta).detach()


@wrong("02.6", "gradient.*(once|clean|before|anew|each step|again|outside)|same gradient")
def pgd_gradient_once(model, x, y, eps, step_size, steps):
    g = _grad(model, x, y).sign()
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * g
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "take its sign")
def pgd_raw(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y)
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "divid|step_size|steps")
def pgd_divided_step(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size / steps * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "one step too many")
def pgd_one_more(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps + 1):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "One step is missing")
def pgd_one_fewer(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(1, steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "every step|each step|only (at the end|once)|after the loop|inside the loop")
def pgd_project_at_end(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
    return (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)


@wrong("02.6", "accumul|zero|add up|earlier steps")
def pgd_accumulates(model, x, y, eps, step_size, steps):
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        F.cross_entropy(model(x + delta), y).backward()
        with torch.no_grad():
            delta += step_size * delta.grad.sign()
            delta.clamp_(-eps, eps)
            delta.copy_((x + delta).clamp(0, 1) - x)
    return (x + delta).detach()


@wrong("02.6", "own prediction")
def pgd_prediction(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        y_hat = model(x_adv).argmax(1)
        x_adv = x_adv + step_size * _grad(model, x_adv, y_hat).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "graph|detach")
def pgd_graph(model, x, y, eps, step_size, steps):
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        g = torch.autograd.grad(F.cross_entropy(model(x + delta), y), delta)[0]
        delta.data = (delta.data + step_size * g.sign()).clamp(-eps, eps)
        delta.data = (x + delta.data).clamp(0, 1) - x
    return x + delta


@wrong("02.6", "in place|clone")
def pgd_in_place(model, x, y, eps, step_size, steps):
    x0 = x.clone()
    for _ in range(steps):
        g = _grad(model, x, y)
        x += step_size * g.sign()
        x.copy_((x0 + (x - x0).clamp(-eps, eps)).clamp(0, 1))
    return x


@wrong("02.6", "starts again from x")
def pgd_gradient_at_x(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.6", "flipped.*projection|projection.*flipped")
def pgd_minus_no_projection(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = (x_adv - step_size * _grad(model, x_adv, y).sign()).clamp(0, 1)
    return x_adv


@wrong("02.6", "detach|leaf|non-leaf|new leaf|requires_grad")
def pgd_grad_none_second_step(model, x, y, eps, step_size, steps):
    x_adv = x.clone().requires_grad_()
    for _ in range(steps):
        F.cross_entropy(model(x_adv), y).backward()
        x_adv = x_adv + step_size * x_adv.grad.sign()
        x_adv = torch.clamp(x + torch.clamp(x_adv - x, -eps, eps), 0, 1)
    return x_adv.detach()


@wrong("02.6", "train mode")
def pgd_train_mode(model, x, y, eps, step_size, steps):
    model.train()
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    model.eval()
    return x_adv


@right("02.6")
def pgd_delta_backward(model, x, y, eps, step_size, steps):
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        loss = nn.CrossEntropyLoss()(model(x + delta), y)
        loss.backward()
        delta.data = (delta + step_size * delta.grad.detach().sign()).clamp(-eps, eps)
        delta.data = (x + delta.data).clamp(0, 1) - x
        delta.grad.zero_()
    return (x + delta).detach()


@right("02.6")
def pgd_madry(model, x, y, eps, step_size, steps):
    x_adv = x.detach()
    for _ in range(steps):
        x_adv.requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(model(x_adv), y, reduction="sum")
        grad = torch.autograd.grad(loss, [x_adv])[0]
        x_adv = x_adv.detach() + step_size * torch.sign(grad.detach())
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps)
        x_adv = torch.clamp(x_adv, 0.0, 1.0)
    return x_adv


@right("02.6")
def pgd_per_image(model, x, y, eps, step_size, steps):
    out = []
    for xi, yi in zip(x, y):
        xi, yi = xi[None], yi[None]
        low, high = (xi - eps).clamp(min=0), (xi + eps).clamp(max=1)
        a = xi.clone()
        for _ in range(steps):
            a = (a + step_size * _grad(model, a, yi).sign()).clamp(low, high)
        out.append(a)
    return torch.cat(out)


@right("02.6")
def pgd_while(model, x, y, eps, step_size, steps):
    images, k = x.clone().detach(), 0
    while k < steps:
        images.requires_grad = True
        model.zero_grad()
        F.cross_entropy(model(images), y).backward()
        adv = images + step_size * images.grad.sign()
        eta = torch.clamp(adv - x, min=-eps, max=eps)
        images = torch.clamp(x + eta, min=0, max=1).detach_()
        k += 1
    return images


# 02.7 pgd_l2(model, x, y, eps, step_size, steps) -> x_adv


def _unit(g):
    return g / g.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def _ball(x, x_adv, eps):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
    return x + d * (eps / n).clamp(max=1)


@wrong("02.7", "sign")
def pgd_l2_sign(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y).sign()
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "normali|length|unit|divid")
def pgd_l2_raw(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _grad(model, x_adv, y)
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "batch|each image|own")
def pgd_l2_batch_norm(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        g = _grad(model, x_adv, y)
        x_adv = x_adv + step_size * g / g.norm()
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "Linf|L∞|box|L2 ball|pixel")
def pgd_l2_linf_projection(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _unit(_grad(model, x_adv, y))
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


@wrong("02.7", "project|ball")
def pgd_l2_no_projection(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = (x_adv + step_size * _unit(_grad(model, x_adv, y))).clamp(0, 1)
    return x_adv


@wrong("02.7", "clip|clamp|valid image")
def pgd_l2_no_clip(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = _ball(x, x_adv + step_size * _unit(_grad(model, x_adv, y)), eps)
    return x_adv


@wrong("02.7", "sign|minus|fell|down")
def pgd_l2_minus(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv - step_size * _unit(_grad(model, x_adv, y))
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "square root is missing")
def pgd_l2_squared_norm(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        g = _grad(model, x_adv, y)
        x_adv = x_adv + step_size * g / (g**2).sum(dim=(1, 2, 3), keepdim=True)
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "channels of each pixel")
def pgd_l2_channels(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * F.normalize(_grad(model, x_adv, y))
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "surface|inside|always|only if|shrink")
def pgd_l2_surface(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _unit(_grad(model, x_adv, y))
        x_adv = (x + eps * _unit(x_adv - x)).clamp(0, 1)
    return x_adv


@wrong("02.7", "something random")
def pgd_l2_random_start(model, x, y, eps, step_size, steps):
    x_adv = x + eps * _unit(torch.randn_like(x))
    for _ in range(steps):
        x_adv = x_adv + step_size * _unit(_grad(model, x_adv, y))
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "one step|steps|only once")
def pgd_l2_one_step(model, x, y, eps, step_size, steps):
    x_adv = x + step_size * _unit(_grad(model, x, y))
    return _ball(x, x_adv, eps).clamp(0, 1)


@wrong("02.7", "step_size|step size")
def pgd_l2_eps_step(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + eps * _unit(_grad(model, x_adv, y))
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "batch|each image|own")
def pgd_l2_batch_projection(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        d = x_adv + step_size * _unit(_grad(model, x_adv, y)) - x
        if d.norm() > eps:
            d = d * eps / d.norm()
        x_adv = (x + d).clamp(0, 1)
    return x_adv


@wrong("02.7", "normali|sign.*unit|length|sign")
def pgd_l2_normalised_sign(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _unit(_grad(model, x_adv, y).sign())
        x_adv = _ball(x, x_adv, eps).clamp(0, 1)
    return x_adv


@wrong("02.7", "every step|each step|only (at the end|once)|after the loop|inside the loop")
def pgd_l2_project_at_end(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = x_adv + step_size * _unit(_grad(model, x_adv, y))
    return _ball(x, x_adv, eps).clamp(0, 1)


@wrong("02.7", "flipped.*clip")
def pgd_l2_minus_no_clip(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = _ball(x, x_adv - step_size * _unit(_grad(model, x_adv, y)), eps)
    return x_adv


@wrong("02.7", "before the projection")
def pgd_l2_clip_first(model, x, y, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = (x_adv + step_size * _unit(_grad(model, x_adv, y))).clamp(0, 1)
        x_adv = _ball(x, x_adv, eps)
    return x_adv


@right("02.7")
def pgd_l2_renorm(model, x, y, eps, step_size, steps):
    delta = torch.zeros_like(x)
    for _ in range(steps):
        delta.requires_grad_()
        F.cross_entropy(model(x + delta), y).backward()
        g = F.normalize(delta.grad.flatten(1)).view_as(x)
        delta = (delta.detach() + step_size * g).flatten(1).renorm(2, 0, eps).view_as(x)
        delta = (x + delta).clamp(0, 1) - x
    return x + delta


@right("02.7")
def pgd_l2_per_image(model, x, y, eps, step_size, steps):
    out = []
    for i in range(len(x)):
        xi, a = x[i : i + 1], x[i : i + 1].clone()
        for _ in range(steps):
            g = _grad(model, a, y[i : i + 1])
            d = a + step_size * g / g.norm() - xi
            a = (xi + d * min(1.0, eps / d.norm().item())).clamp(0, 1)
        out.append(a)
    return torch.cat(out)


@right("02.7")
def pgd_l2_torchattacks(model, x, y, eps, step_size, steps):
    adv = x.clone().detach()
    for _ in range(steps):
        adv.requires_grad = True
        cost = nn.CrossEntropyLoss(reduction="sum")(model(adv), y)
        grad = torch.autograd.grad(cost, adv, retain_graph=False, create_graph=False)[0]
        grad_norms = torch.norm(grad.view(x.shape[0], -1), p=2, dim=1) + 1e-10
        grad = grad / grad_norms.view(x.shape[0], 1, 1, 1)
        adv = adv.detach() + step_size * grad
        delta = adv - x
        delta_norms = torch.norm(delta.view(x.shape[0], -1), p=2, dim=1)
        factor = torch.min(eps / delta_norms, torch.ones_like(delta_norms))
        adv = torch.clamp(x + delta * factor.view(-1, 1, 1, 1), min=0, max=1).detach()
    return adv


@right("02.7")
def pgd_l2_linalg(model, x, y, eps, step_size, steps):
    a = x
    for _ in range(steps):
        g = _grad(model, a, y)
        a = a + step_size * g / torch.linalg.vector_norm(g, dim=(1, 2, 3), keepdim=True)
        d = a - x
        n = torch.linalg.vector_norm(d, dim=(1, 2, 3), keepdim=True)
        a = (x + torch.where(n > eps, d * (eps / n), d)).clip(0, 1)
    return a
