"""Lesson 02, the penalty, the gradient and FGSM, as students answer them."""

import torch
import torch.nn.functional as F
from torch import nn

from . import right, wrong

# 02.1 penalty(model, x, x_adv, target, lam) -> (n,)


@wrong("02.1", "square")
def penalty_not_squared(model, x, x_adv, target, lam):
    dist = (x_adv - x).flatten(1).norm(dim=1)
    return dist + lam * F.cross_entropy(model(x_adv), target, reduction="none")


@wrong("02.1", "mean|sum")
def penalty_mean_pixels(model, x, x_adv, target, lam):
    dist = ((x_adv - x) ** 2).mean(dim=(1, 2, 3))
    return dist + lam * F.cross_entropy(model(x_adv), target, reduction="none")


@wrong("02.1", "reduction|mean|average|each image")
def penalty_ce_mean(model, x, x_adv, target, lam):
    dist = ((x_adv - x) ** 2).flatten(1).sum(1)
    return dist + lam * F.cross_entropy(model(x_adv), target)


@wrong("02.1", "one value per image|whole batch|single")
def penalty_scalar(model, x, x_adv, target, lam):
    return ((x_adv - x) ** 2).sum() + lam * F.cross_entropy(model(x_adv), target)


@wrong("02.1", "batch|each image|per image|own")
def penalty_distance_of_batch(model, x, x_adv, target, lam):
    dist = torch.norm(x_adv - x) ** 2
    return dist + lam * F.cross_entropy(model(x_adv), target, reduction="none")


@wrong("02.1", "λ multiplies the wrong term")
def penalty_lam_on_distance(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return lam * (x_adv - x).pow(2).sum((1, 2, 3)) + ce


@wrong("02.1", "minus|sign|subtract|plus")
def penalty_minus(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return (x_adv - x).pow(2).sum((1, 2, 3)) - lam * ce


@wrong("02.1", "softmax")
def penalty_softmax_twice(model, x, x_adv, target, lam):
    p = model(x_adv).softmax(1)
    ce = nn.CrossEntropyLoss(reduction="none")(p, target)
    return ((x_adv - x) ** 2).sum(dim=[1, 2, 3]) + lam * ce


@wrong("02.1", "clean|x_adv|original")
def penalty_clean(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x), target, reduction="none")
    return ((x_adv - x) ** 2).sum(dim=[1, 2, 3]) + lam * ce


@wrong("02.1", "square|absolute|L1")
def penalty_l1(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return (x_adv - x).abs().flatten(1).sum(1) + lam * ce


@wrong("02.1", "λ is not used")
def penalty_no_lam(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return (x_adv - x).square().flatten(1).sum(1) + ce


@wrong("02.1", "log|softmax|nll|minus")
def penalty_nll_of_logits(model, x, x_adv, target, lam):
    ce = F.nll_loss(model(x_adv), target, reduction="none")
    return (x_adv - x).square().flatten(1).sum(1) + lam * ce


@wrong("02.1", "log")
def penalty_probability(model, x, x_adv, target, lam):
    p = F.softmax(model(x_adv), dim=1)[torch.arange(len(x)), target]
    return (x_adv - x).square().flatten(1).sum(1) + lam * (1 - p)


@wrong("02.1", "target|predict")
def penalty_prediction(model, x, x_adv, target, lam):
    out = model(x_adv)
    ce = F.cross_entropy(out, out.argmax(1), reduction="none")
    return (x_adv - x).square().flatten(1).sum(1) + lam * ce


@wrong("02.1", "sum|square")
def penalty_square_of_sum(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return (x_adv - x).flatten(1).sum(1) ** 2 + lam * ce


@wrong("02.1", "λ multiplies both")
def penalty_lam_times_both(model, x, x_adv, target, lam):
    ce = F.cross_entropy(model(x_adv), target, reduction="none")
    return lam * ((x_adv - x).square().flatten(1).sum(1) + ce)


@right("02.1")
def penalty_norm_squared(model, x, x_adv, target, lam):
    d = torch.linalg.vector_norm((x_adv - x).flatten(1), dim=1).pow(2)
    return d + lam * nn.CrossEntropyLoss(reduction="none")(model(x_adv), target)


@right("02.1")
def penalty_mse(model, x, x_adv, target, lam):
    d = F.mse_loss(x_adv, x, reduction="none").sum(dim=(1, 2, 3))
    return d + F.nll_loss(model(x_adv).log_softmax(1), target, reduction="none") * lam


@right("02.1")
def penalty_loop(model, x, x_adv, target, lam):
    rows = []
    for i in range(len(x)):
        ce = F.cross_entropy(model(x_adv[i : i + 1]), target[i : i + 1])
        rows.append(((x_adv[i] - x[i]) ** 2).sum() + lam * ce)
    return torch.stack(rows)


@right("02.1")
def penalty_einsum(model, x, x_adv, target, lam):
    delta = x_adv - x
    logits = model(x_adv)
    ce = logits.logsumexp(1) - logits.gather(1, target.view(-1, 1)).squeeze(1)
    return torch.einsum("nchw,nchw->n", delta, delta) + lam * ce


@right("02.1")
def penalty_mean_times_pixels(model, x, x_adv, target, lam):
    d = ((x - x_adv) ** 2).flatten(1)
    return d.mean(1) * d.shape[1] + lam * F.cross_entropy(model(x_adv), target, reduction="none")


# 02.2 input_gradient(model, x, y) -> like x


@wrong("02.2", "mean|1/n|batch|sum")
def gradient_of_mean(model, x, y):
    x = x.clone().detach().requires_grad_()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    return x.grad


@wrong("02.2", "sign")
def gradient_sign(model, x, y):
    x = x.clone().detach().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0].sign()


@wrong("02.2", "sign|minus|negative|flipped|opposite")
def gradient_negative(model, x, y):
    x = x.clone().requires_grad_()
    logp = F.log_softmax(model(x), 1)[torch.arange(len(y)), y].sum()
    return torch.autograd.grad(logp, x)[0]


@wrong("02.2", "logit|score|softmax")
def gradient_logit(model, x, y):
    x = x.clone().requires_grad_()
    model(x)[torch.arange(len(y)), y].sum().backward()
    return x.grad


@wrong("02.2", "softmax")
def gradient_softmax_twice(model, x, y):
    x = x.clone().requires_grad_()
    p = F.softmax(model(x), dim=1)
    return torch.autograd.grad(F.cross_entropy(p, y, reduction="sum"), x)[0]


@wrong("02.2", "predict|label|y")
def gradient_prediction(model, x, y):
    x = x.clone().requires_grad_()
    out = model(x)
    return torch.autograd.grad(F.cross_entropy(out, out.argmax(1), reduction="sum"), x)[0]


@wrong("02.2", "normali|length|norm")
def gradient_normalised(model, x, y):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)[0]
    return g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


@wrong("02.2", "abs")
def gradient_abs(model, x, y):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)[0]
    return g.abs()


@wrong("02.2", "graph|detach|create_graph")
def gradient_create_graph(model, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x, create_graph=True)[0]


@wrong("02.2", "requires_grad_\\(\\) was not called")
def gradient_no_leaf(model, x, y):
    x = x.clone()
    loss = F.cross_entropy(model(x), y, reduction="sum")
    loss.backward()
    return x.grad


@wrong("02.2", "scalar|sum|one number")
def gradient_reduction_none(model, x, y):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="none")
    loss.backward()
    return x.grad


@wrong("02.2", r"pair|tuple|\[0\]")
def gradient_tuple(model, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)


@wrong("02.2", "loss|x.grad|gradient")
def gradient_returns_loss(model, x, y):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="none")
    loss.sum().backward()
    return loss


@wrong("02.2", "backward")
def gradient_backward_result(model, x, y):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="sum")
    return loss.backward()


@wrong("02.2", "return")
def gradient_no_return(model, x, y):
    x = x.clone().requires_grad_()
    F.cross_entropy(model(x), y, reduction="sum").backward()


@wrong("02.2", "add up in x.grad")
def gradient_accumulated(model, x, y):
    x = x.clone().requires_grad_()
    out = torch.zeros_like(x)
    for i in range(len(x)):
        F.cross_entropy(model(x), y, reduction="none")[i].backward()
        out = out + x.grad
    return out


@wrong("02.2", "each (image|other)|whole batch|shape|averag|mean over")
def gradient_averaged_over_images(model, x, y):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)[0]
    return g.mean(0, keepdim=True).expand_as(x)


@wrong("02.2", "train mode")
def gradient_train_mode(model, x, y):
    model.train()
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)[0]
    model.eval()
    return g


@right("02.2")
def gradient_backward(model, x, y):
    x = x.clone().detach().requires_grad_(True)
    loss = F.cross_entropy(model(x), y, reduction="sum")
    loss.backward()
    return x.grad


@right("02.2")
def gradient_mean_times_n(model, x, y):
    xx = x.detach().clone()
    xx.requires_grad = True
    loss = nn.CrossEntropyLoss()(model(xx), y)
    return torch.autograd.grad(loss, xx)[0] * len(x)


@right("02.2")
def gradient_loop(model, x, y):
    grads = []
    for xi, yi in zip(x, y):
        xi = xi.unsqueeze(0).clone().requires_grad_()
        F.cross_entropy(model(xi), yi.unsqueeze(0)).backward()
        grads.append(xi.grad[0])
    return torch.stack(grads)


@right("02.2")
def gradient_grad_outputs(model, x, y):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="none")
    return torch.autograd.grad(loss, x, grad_outputs=torch.ones_like(loss))[0]


@right("02.2")
def gradient_backward_ones(model, x, y):
    x = x.clone().requires_grad_()
    F.cross_entropy(model(x), y, reduction="none").backward(torch.ones(len(x)))
    return x.grad.clone()


@right("02.2")
def gradient_vmap(model, x, y):
    def loss(xi, yi):
        return F.cross_entropy(model(xi[None]), yi[None])

    return torch.stack([torch.func.grad(loss)(xi, yi) for xi, yi in zip(x, y)]).detach()


@right("02.2")
def gradient_on_caller(model, x, y):
    x.requires_grad_()
    F.cross_entropy(model(x), y, reduction="sum").backward()
    return x.grad.detach()


# 02.3 fgsm(model, x, y, eps) -> x_adv


def _grad(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), y), x)[0]


@wrong("02.3", "sign of the step is flipped")
def fgsm_minus(model, x, y, eps):
    x_adv = x.clone().detach().requires_grad_(True)
    loss = F.cross_entropy(model(x_adv), y)
    loss.backward()
    return (x_adv - eps * x_adv.grad.sign()).clamp(0, 1).detach()


@wrong("02.3", "clip|clamp")
def fgsm_no_clip(model, x, y, eps):
    return x + eps * _grad(model, x, y).sign()


@wrong("02.3", "take its sign")
def fgsm_raw(model, x, y, eps):
    return (x + eps * _grad(model, x, y)).clamp(0, 1)


@wrong("02.3", "clip|clamp|perturbation")
def fgsm_clip_delta(model, x, y, eps):
    delta = (eps * _grad(model, x, y).sign()).clamp(0, 1)
    return x + delta


@wrong("02.3", "perturbation|delta|(clip|clamp)|negative")
def fgsm_clip_delta_and_image(model, x, y, eps):
    delta = (eps * _grad(model, x, y).sign()).clamp(0, 1)
    return (x + delta).clamp(0, 1)


@wrong("02.3", "predict|label")
def fgsm_prediction(model, x, y, eps):
    pred = model(x).argmax(1)
    return (x + eps * _grad(model, x, pred).sign()).clamp(0, 1)


@wrong("02.3", "twice|2")
def fgsm_twice(model, x, y, eps):
    g = eps * _grad(model, x, y).sign()
    x_adv = torch.clamp(x + g, 0, 1)
    x_adv = torch.clamp(x_adv + g, 0, 1)
    return x_adv


@wrong("02.3", "eps|ε")
def fgsm_eps_squared(model, x, y, eps):
    delta = eps * _grad(model, x, y).sign()
    return (x + eps * delta).clamp(0, 1)


@wrong("02.3", "normali|sign|L2")
def fgsm_l2(model, x, y, eps):
    g = _grad(model, x, y)
    g = g / g.flatten(1).norm(dim=1)[:, None, None, None]
    return (x + eps * g).clamp(0, 1)


@wrong("02.3", "normali|sign")
def fgsm_divided_by_max(model, x, y, eps):
    g = _grad(model, x, y)
    return (x + eps * g / g.abs().max()).clamp(0, 1)


@wrong("02.3", "train")
def fgsm_train_mode(model, x, y, eps):
    model.train()
    return (x + eps * _grad(model, x, y).sign()).clamp(0, 1)


@wrong("02.3", "in place|clone")
def fgsm_in_place(model, x, y, eps):
    g = _grad(model, x, y)
    x.add_(eps * g.sign()).clamp_(0, 1)
    return x


@wrong("02.3", "graph|detach")
def fgsm_graph(model, x, y, eps):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y)
    loss.backward(retain_graph=True)
    return torch.clamp(x + eps * x.grad.sign(), 0, 1)


@wrong("02.3", "something random")
def fgsm_random_start(model, x, y, eps):
    x0 = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    return (x0 + eps * _grad(model, x0, y).sign()).clamp(0, 1)


@wrong("02.3", "logit|cross-entropy|loss")
def fgsm_logit(model, x, y, eps):
    x = x.clone().requires_grad_()
    model(x).gather(1, y[:, None]).sum().backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach()


@wrong("02.3", "largest logit of the whole batch")
def fgsm_max_logit(model, x, y, eps):
    x = x.clone().requires_grad_()
    model(x).max().backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach()


@wrong("02.3", "softmax")
def fgsm_softmax_twice(model, x, y, eps):
    x = x.clone().requires_grad_()
    F.cross_entropy(F.softmax(model(x), 1), y).backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach()


@wrong("02.3", "flipped.*clamp")
def fgsm_minus_no_clip(model, x, y, eps):
    return x - eps * _grad(model, x, y).sign()


@wrong("02.3", "take its sign.*clamp|clamp.*take its sign")
def fgsm_raw_no_clip(model, x, y, eps):
    return x + eps * _grad(model, x, y)


@wrong("02.3", "take it from x.shape")
def fgsm_hard_coded(model, x, y, eps):
    g = _grad(model, x.view(-1, 1, 28, 28), y)
    return (x + eps * g.sign()).clamp(0, 1)


@wrong("02.3", "perturbation|x \\+|added")
def fgsm_delta_only(model, x, y, eps):
    return eps * _grad(model, x, y).sign()


@wrong("02.3", "255")
def fgsm_255(model, x, y, eps):
    return (x + eps / 255 * _grad(model, x, y).sign()).clamp(0, 1)


@right("02.3")
def fgsm_tutorial(model, x, y, eps):
    data = x.clone().detach()
    data.requires_grad = True
    output = model(data)
    loss = F.nll_loss(F.log_softmax(output, dim=1), y)
    model.zero_grad()
    loss.backward()
    data_grad = data.grad.data
    perturbed_image = data + eps * data_grad.sign()
    return torch.clamp(perturbed_image, 0, 1).detach()


@right("02.3")
def fgsm_delta(model, x, y, eps):
    delta = torch.zeros_like(x, requires_grad=True)
    F.cross_entropy(model(x + delta), y).backward()
    return (x + eps * delta.grad.sign()).clamp(0, 1)


@right("02.3")
def fgsm_loop(model, x, y, eps):
    out = []
    for i in range(len(x)):
        g = _grad(model, x[i : i + 1], y[i : i + 1])
        out.append((x[i : i + 1] + eps * g.sign()).clamp(0, 1))
    return torch.cat(out)


@right("02.3")
def fgsm_descends_log_probability(model, x, y, eps):
    x = x.detach().requires_grad_(False).clone().requires_grad_()
    p = F.softmax(model(x), 1)[torch.arange(len(y)), y]
    g = torch.autograd.grad(p.log().sum(), x)[0]
    return torch.clip(x - eps * torch.sign(g), 0, 1).detach()


@right("02.3")
def fgsm_data(model, x, y, eps):
    x.requires_grad_(True)
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    adv = x.data + eps * x.grad.data.sign()
    adv = torch.where(adv > 1, torch.ones_like(adv), adv)
    return torch.where(adv < 0, torch.zeros_like(adv), adv)
