"""Lesson 01, as students answer it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import right, wrong

# 01.1 linf_255(x, x_adv) -> (n,)


@wrong("01.1", "abs|darker|negative")
def linf_no_abs(x, x_adv):
    return ((x_adv - x) * 255).flatten(1).max(dim=1).values


@wrong("01.1", "255")
def linf_no_255(x, x_adv):
    return (x_adv - x).abs().flatten(1).amax(1)


@wrong("01.1", "each image|one value per image|batch")
def linf_max_all(x, x_adv):
    return 255 * (x - x_adv).abs().max()


@wrong("01.1", "mean|average")
def linf_mean(x, x_adv):
    return (x - x_adv).abs().mean(dim=(1, 2, 3)) * 255


@wrong("01.1", "L2|Euclid|square|norm")
def linf_l2(x, x_adv):
    return torch.norm((x - x_adv).flatten(1), dim=1) * 255


@wrong("01.1", "multipl|divid|255")
def linf_divided(x, x_adv):
    return (x - x_adv).abs().flatten(1).max(1)[0] / 255


@wrong("01.1", "channel|shape|flatten|dim")
def linf_dim1(x, x_adv):
    return (x - x_adv).abs().max(dim=1)[0] * 255


@wrong("01.1", "256|255")
def linf_256(x, x_adv):
    return (x - x_adv).abs().amax((1, 2, 3)) * 256


@wrong("01.1", "brightest|difference of|subtract|pixel by pixel|maxim")
def linf_difference_of_max(x, x_adv):
    return (x_adv.flatten(1).amax(1) - x.flatten(1).amax(1)).abs() * 255


@wrong("01.1", "values")
def linf_pair(x, x_adv):
    d = (x_adv - x).abs() * 255
    return d.view(len(x), -1).max(1)


@wrong("01.1", "abs|before")
def linf_abs_last(x, x_adv):
    return ((x_adv - x) * 255).flatten(1).amax(1).abs()


@wrong("01.1", "sum|largest|L1")
def linf_sum(x, x_adv):
    return ((x - x_adv).abs() * 255).sum((1, 2, 3))


@wrong("01.1", "round|whole|integer")
def linf_rounded(x, x_adv):
    return ((x - x_adv).abs() * 255).flatten(1).amax(1).round()


@wrong("01.1", "each image|same|batch|every image")
def linf_expanded(x, x_adv):
    return ((x - x_adv).abs().max() * 255).repeat(len(x))


@wrong("01.1", "uint8|wrap|byte|round|whole")
def linf_uint8(x, x_adv):
    a, b = (x * 255).to(torch.uint8), (x_adv * 255).to(torch.uint8)
    return (b - a).flatten(1).amax(1).float()


@right("01.1")
def linf_norm(x, x_adv):
    return torch.linalg.vector_norm(x_adv - x, ord=float("inf"), dim=(1, 2, 3)) * 255


@right("01.1")
def linf_loop(x, x_adv):
    return torch.tensor([(a - b).abs().max().item() * 255 for a, b in zip(x, x_adv)])


@right("01.1")
def linf_scaled_first(x, x_adv):
    d = torch.abs(255 * x_adv - 255 * x)
    while d.dim() > 1:
        d = d.max(-1).values
    return d


@right("01.1")
def linf_numpy(x, x_adv):
    d = np.abs(x.numpy() - x_adv.numpy()).reshape(len(x), -1).max(1)
    return torch.as_tensor(d * 255)


@right("01.1")
def linf_both_sides(x, x_adv):
    d = (x_adv - x).flatten(1)
    return torch.maximum(d.amax(1), -d.amin(1)) / (1 / 255)


# 01.2 fgsm_step(x, grad, eps) -> x_adv


@wrong("01.2", "sign|minus|down|other way|against")
def step_minus(x, grad, eps):
    return (x - eps * grad.sign()).clamp(0, 1)


@wrong("01.2", "clip|clamp")
def step_no_clip(x, grad, eps):
    x_adv = x + eps * torch.sign(grad)
    return x_adv


@wrong("01.2", "sign")
def step_raw_gradient(x, grad, eps):
    return torch.clamp(x + eps * grad, 0, 1)


@wrong("01.2", "sign|normali")
def step_normalised(x, grad, eps):
    return torch.clamp(x + eps * grad / grad.norm(), 0, 1)


@wrong("01.2", "clip|clamp|before|after")
def step_clip_first(x, grad, eps):
    return x.clamp(0, 1) + eps * grad.sign()


@wrong("01.2", r"-1|\[0, 1\]")
def step_clip_minus_one(x, grad, eps):
    return (x + eps * grad.sign()).clamp(-1, 1)


@wrong("01.2", "sign of the image")
def step_sign_of_x(x, grad, eps):
    return (x + eps * torch.sign(x)).clamp(0, 1)


@wrong("01.2", "255")
def step_255(x, grad, eps):
    return (x + eps / 255 * grad.sign()).clamp(0, 1)


@wrong("01.2", "in place|clone")
def step_in_place(x, grad, eps):
    x += eps * grad.sign()
    return x.clamp_(0, 1)


@wrong("01.2", "clip|clamp|valid image")
def step_clip_ball_only(x, grad, eps):
    x_adv = x + eps * grad.sign()
    return torch.max(torch.min(x_adv, x + eps), x - eps)


@wrong("01.2", "grad.*in place|in place")
def step_gradient_in_place(x, grad, eps):
    return torch.clamp(x + grad.sign_() * eps, 0, 1)


@wrong("01.2", "twice|2")
def step_twice(x, grad, eps):
    delta = eps * grad.sign()
    x_adv = x + delta
    return (x_adv + delta).clamp(0, 1)


@wrong("01.2", "perturbation|add|x \\+")
def step_delta_only(x, grad, eps):
    return (eps * grad.sign()).clamp(0, 1)


@wrong("01.2", "below|0|lower|darker|upper|above|both")
def step_clip_top_only(x, grad, eps):
    return (x + eps * grad.sign()).clamp(max=1)


@wrong("01.2", "zero|0")
def step_where(x, grad, eps):
    return torch.where(grad > 0, x + eps, x - eps).clamp(0, 1)


@wrong("01.2", "ε is missing")
def step_no_eps(x, grad, eps):
    return (x + grad.sign()).clamp(0, 1)


@wrong("01.2", "zero|NaN|0")
def step_division(x, grad, eps):
    return (x + eps * grad / grad.abs()).clamp(0, 1)


@wrong("01.2", "max|sign")
def step_max_normalised(x, grad, eps):
    g = grad / grad.abs().amax(dim=(1, 2, 3), keepdim=True)
    return (x + eps * g).clamp(0, 1)


@wrong("01.2", "flipped.*clamp")
def step_minus_no_clip(x, grad, eps):
    return x - eps * grad.sign()


@right("01.2")
def step_min_max(x, grad, eps):
    x_adv = x + eps * torch.sign(grad)
    return torch.max(torch.min(x_adv, torch.ones_like(x)), torch.zeros_like(x))


@right("01.2")
def step_clone(x, grad, eps):
    x_adv = x.detach().clone()
    x_adv += eps * grad.detach().sign()
    x_adv[x_adv > 1] = 1
    x_adv[x_adv < 0] = 0
    return x_adv


@right("01.2")
def step_masks(x, grad, eps):
    return (x + eps * (grad > 0).float() - eps * (grad < 0).float()).clip(0, 1)


@right("01.2")
def step_loop(x, grad, eps):
    return torch.stack([torch.clamp(a + eps * g.sign(), 0, 1) for a, g in zip(x, grad)])


@right("01.2")
def step_numpy(x, grad, eps):
    return torch.from_numpy(np.clip(x.numpy() + eps * np.sign(grad.numpy()), 0, 1)).float()


# 01.3 targeted_step(model, x, target, eps) -> x_adv


@wrong("01.3", "away|minus|sign|down|subtract")
def targeted_plus(model, x, target, eps):
    x = x.clone().detach().requires_grad_(True)
    loss = nn.CrossEntropyLoss()(model(x), target)
    loss.backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach()


@wrong("01.3", "clip|clamp")
def targeted_no_clip(model, x, target, eps):
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(model(x), target), x)
    return (x - eps * g.sign()).detach()


@wrong("01.3", "target|predict")
def targeted_uses_prediction(model, x, target, eps):
    x = x.clone().requires_grad_()
    out = model(x)
    g = torch.autograd.grad(F.cross_entropy(out, out.argmax(1)), x)[0]
    return (x + eps * g.sign()).clamp(0, 1).detach()


@wrong("01.3", "target|predict")
def targeted_towards_prediction(model, x, target, eps):
    x = x.clone().requires_grad_()
    out = model(x)
    g = torch.autograd.grad(F.cross_entropy(out, out.argmax(1)), x)[0]
    return (x - eps * g.sign()).clamp(0, 1).detach()


@wrong("01.3", "away|sign|logit")
def targeted_logit_minus(model, x, target, eps):
    x = x.clone().requires_grad_()
    score = model(x)[torch.arange(len(x)), target].sum()
    score.backward()
    return (x - eps * x.grad.sign()).clamp(0, 1).detach()


@wrong("01.3", "logit|log_softmax|cross-entropy")
def targeted_logit(model, x, target, eps):
    x = x.clone().requires_grad_()
    score = model(x).gather(1, target[:, None]).sum()
    g = torch.autograd.grad(score, x)[0]
    return (x + eps * g.sign()).clamp(0, 1).detach()


@wrong("01.3", "sign")
def targeted_raw(model, x, target, eps):
    x = x.detach().clone().requires_grad_()
    F.cross_entropy(model(x), target).backward()
    return torch.clamp(x - eps * x.grad, 0, 1).detach()


@wrong("01.3", "leaf|requires_grad|retain_grad|detach")
def targeted_grad_none(model, x, target, eps):
    x.requires_grad_()
    x_adv = x.clone()
    F.cross_entropy(model(x_adv), target).backward()
    return (x_adv - eps * x_adv.grad.sign()).clamp(0, 1)


@wrong("01.3", "requires_grad")
def targeted_no_requires_grad(model, x, target, eps):
    loss = F.cross_entropy(model(x), target)
    g = torch.autograd.grad(loss, x)[0]
    return (x - eps * g.sign()).clamp(0, 1)


@wrong("01.3", "softmax")
def targeted_softmax_twice(model, x, target, eps):
    x = x.clone().requires_grad_()
    probs = F.softmax(model(x), dim=1)
    g = torch.autograd.grad(F.cross_entropy(probs, target), x)[0]
    return (x - eps * g.sign()).clamp(0, 1).detach()


@wrong("01.3", "train")
def targeted_train_mode(model, x, target, eps):
    model.train()
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), target), x)[0]
    return (x - eps * g.sign()).clamp(0, 1).detach()


@wrong("01.3", "graph|detach")
def targeted_graph(model, x, target, eps):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), target), x)[0]
    return (x - eps * g.sign()).clamp(0, 1)


@wrong("01.3", "Two steps")
def targeted_two_steps(model, x, target, eps):
    for _ in range(2):
        x = x.clone().detach().requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(x), target), x)[0]
        x = (x - eps * g.sign()).clamp(0, 1)
    return x.detach()


@wrong("01.3", "in place|clone")
def targeted_in_place(model, x, target, eps):
    x.requires_grad = True
    F.cross_entropy(model(x), target).backward()
    x.data = (x.data - eps * x.grad.sign()).clamp(0, 1)
    return x.detach()


@wrong("01.3", "no_grad|requires_grad|recording")
def targeted_no_grad(model, x, target, eps):
    x = x.clone().requires_grad_()
    with torch.no_grad():
        loss = F.cross_entropy(model(x), target)
    loss.backward()
    return (x - eps * x.grad.sign()).clamp(0, 1)


@wrong("01.3", "flees from the target.*clamp")
def targeted_plus_no_clip(model, x, target, eps):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), target), x)[0]
    return (x + eps * g.sign()).detach()


@wrong("01.3", "away|sign|minus")
def targeted_double_minus(model, x, target, eps):
    x = x.clone().requires_grad_()
    loss = -F.cross_entropy(model(x), target)
    g = torch.autograd.grad(loss, x)[0]
    return (x - eps * g.sign()).clamp(0, 1).detach()


@right("01.3")
def targeted_backward(model, x, target, eps):
    x_adv = x.clone().detach()
    x_adv.requires_grad = True
    loss = nn.CrossEntropyLoss()(model(x_adv), target)
    model.zero_grad()
    loss.backward()
    return torch.clamp(x_adv - eps * x_adv.grad.data.sign(), 0, 1).detach()


@right("01.3")
def targeted_log_probability(model, x, target, eps):
    x = x.detach().clone().requires_grad_()
    logp = F.log_softmax(model(x), 1)[range(len(x)), target].sum()
    g = torch.autograd.grad(logp, [x])[0]
    with torch.no_grad():
        return (x + eps * g.sign()).clamp(0, 1)


@right("01.3")
def targeted_loop(model, x, target, eps):
    out = torch.zeros_like(x)
    for i in range(len(x)):
        xi = x[i : i + 1].clone().requires_grad_()
        F.cross_entropy(model(xi), target[i : i + 1]).backward()
        out[i] = (xi - eps * xi.grad.sign()).detach().clamp(0, 1)[0]
    return out


@right("01.3")
def targeted_func(model, x, target, eps):
    g = torch.func.grad(lambda z: F.cross_entropy(model(z), target, reduction="sum"))(x).detach()
    return torch.clamp(x - eps * torch.sign(g), 0, 1)


@right("01.3")
def targeted_caller_leaf(model, x, target, eps):
    x.requires_grad_(True)
    loss = F.nll_loss(F.log_softmax(model(x), dim=-1), target)
    loss.backward()
    x_adv = x.data - eps * x.grad.data.sign()
    return torch.clamp(x_adv, 0, 1)


# 01.4 success_rate(model, x_adv, target) -> float


@wrong("01.4", "NOT predicted as")
def success_not_equal(model, x_adv, target):
    return (model(x_adv).argmax(1) != target).float().mean().item()


@wrong("01.4", "count|divid|share")
def success_count(model, x_adv, target):
    return float((model(x_adv).argmax(1) == target).sum())


@wrong("01.4", "percent|100")
def success_percent(model, x_adv, target):
    return (model(x_adv).argmax(1) == target).float().mean().item() * 100


@wrong("01.4", "dim|classes|image")
def success_dim0(model, x_adv, target):
    pred = torch.argmax(model(x_adv), dim=0)
    return float(sum(int(p == t) for p, t in zip(pred, target)) / len(target))


@wrong("01.4", "probability|confidence")
def success_probability(model, x_adv, target):
    p = F.softmax(model(x_adv), dim=1)
    return p.gather(1, target.unsqueeze(1)).mean().item()


@wrong("01.4", "any|all|share|one image")
def success_any(model, x_adv, target):
    return float((model(x_adv).argmax(1) == target).any())


@wrong("01.4", "only if every image")
def success_all(model, x_adv, target):
    return float((model(x_adv).argmax(1) == target).all().item())


@wrong("01.4", "argmin|least|lowest|smallest")
def success_argmin(model, x_adv, target):
    return (model(x_adv).argmin(1) == target).float().mean().item()


@wrong("01.4", "return")
def success_print(model, x_adv, target):
    rate = (model(x_adv).argmax(1) == target).float().mean()
    print(rate)


@wrong("01.4", "first target")
def success_first_target(model, x_adv, target):
    return (model(x_adv).argmax(1) == target[0]).float().mean().item()


@wrong("01.4", "//|integer division")
def success_integer(model, x_adv, target):
    hit = (model(x_adv).argmax(1) == target).sum().item()
    return hit // len(target)


@wrong("01.4", "values|logit|argmax")
def success_values(model, x_adv, target):
    best, _ = model(x_adv).max(1)
    return (best == target).float().mean().item()


@wrong("01.4", "train")
def success_train(model, x_adv, target):
    model.train()
    return (model(x_adv).argmax(1) == target).float().mean().item()


@wrong("01.4", "number of classes|number of images|divid")
def success_divides_by_classes(model, x_adv, target):
    out = model(x_adv)
    return (out.argmax(1) == target).sum().item() / out.shape[1]


@right("01.4")
def success_loop(model, x_adv, target):
    hits = [model(a[None]).argmax().item() == t.item() for a, t in zip(x_adv, target)]
    return sum(hits) / len(hits)


@right("01.4")
def success_numpy(model, x_adv, target):
    with torch.inference_mode():
        pred = model(x_adv).numpy().argmax(-1)
    return float((pred == target.numpy()).mean())


@right("01.4")
def success_one_minus(model, x_adv, target):
    fails = torch.count_nonzero(model(x_adv).max(1).indices - target)
    return 1.0 - fails.item() / target.numel()


@right("01.4")
def success_tensor(model, x_adv, target):
    return torch.mean((torch.softmax(model(x_adv), -1).argmax(-1) == target) * 1.0)


# 01.5 to_8bit(x) -> x


@wrong("01.5", "trunc|round|down|floor|int")
def bits_trunc(x):
    return (x * 255).int() / 255


@wrong("01.5", "255|256")
def bits_256(x):
    return torch.round(x * 256) / 256


@wrong("01.5", r"divid|\[0, 1\]|255")
def bits_not_divided(x):
    return (x * 255).round()


@wrong("01.5", "uint8|float")
def bits_uint8(x):
    return (x * 255).round().to(torch.uint8)


@wrong("01.5", "255|levels|two")
def bits_round_only(x):
    return x.round()


@wrong("01.5", "decimal|255|levels|100")
def bits_decimals(x):
    return torch.round(x, decimals=2)


@wrong("01.5", "up|ceil|round")
def bits_ceil(x):
    return torch.ceil(x * 255) / 255


@wrong("01.5", "in place|clone")
def bits_in_place(x):
    return x.mul_(255).round_().div_(255)


@wrong("01.5", "trunc|round|down|floor")
def bits_byte(x):
    return (x * 255).byte().float() / 255


@wrong("01.5", "levels|256|8 bit|255|7")
def bits_eight_levels(x):
    return (x * 7).round() / 7


@wrong("01.5", "255|256")
def bits_mixed(x):
    return (x * 255).round() / 256


@wrong("01.5", "256|wrap|floor|levels")
def bits_floor_256(x):
    return torch.floor(x * 256) / 255


@wrong("01.5", "wrap|uint8|256|round|level")
def bits_wrap(x):
    return (x * 256).round().to(torch.uint8).float() / 255


@wrong("01.5", "unchanged|round|float|nothing")
def bits_nothing(x):
    return (x * 255) / 255


@wrong("01.5", "list|shape|numpy|tensor")
def bits_numpy(x):
    return np.round(x.numpy() * 255) / 255


@right("01.5")
def bits_floor_half(x):
    return torch.floor(x * 255 + 0.5) / 255


@right("01.5")
def bits_uint8_and_back(x):
    return (x * 255).round().clamp(0, 255).to(torch.uint8).to(x.dtype) / 255


@right("01.5")
def bits_from_numpy(x):
    return torch.from_numpy(np.rint(x.numpy() * 255) / 255).float()


@right("01.5")
def bits_step(x):
    step = 1 / 255
    return torch.round(x / step) * step


@right("01.5")
def bits_nearest_level(x):
    levels = torch.linspace(0, 1, 256)
    return levels[(x.flatten()[:, None] - levels).abs().argmin(1)].view_as(x)
