"""Lesson 09, as students answer it."""

import torch
import torch.nn.functional as F

from . import right, wrong

# 09.1 saliency(model, x, y) -> images


@wrong("09.1", "cross-entropy")
def saliency_loss(model, x, y):
    x = x.clone().requires_grad_(True)
    F.cross_entropy(model(x), y, reduction="sum").backward()
    return x.grad


@wrong("09.1", "largest logit|whatever y")
def saliency_max(model, x, y):
    x = x.detach().clone().requires_grad_()
    best, _ = model(x).max(dim=1)
    return torch.autograd.grad(best.sum(), x)[0]


@wrong("09.1", "softmax|probability")
def saliency_probability(model, x, y):
    x = x.detach().clone().requires_grad_()
    p = F.softmax(model(x), dim=1)
    return torch.autograd.grad(p[torch.arange(len(y)), y].sum(), x)[0]


@wrong("09.1", "all classes|ALL images|One logit a row")
def saliency_column(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x)[:, y].sum(), x)[0]


@wrong("09.1", "absolute|sign")
def saliency_abs(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x)[range(len(y)), y].sum(), x)[0].abs()


@wrong("09.1", "batch|divided")
def saliency_mean(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x).gather(1, y.unsqueeze(1)).mean(), x)[0]


@right("09.1")
def saliency_index(model, x, y):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x)[torch.arange(len(y)), y].sum(), x)[0]


@right("09.1")
def saliency_backward(model, x, y):
    leaf = x.clone().detach()
    leaf.requires_grad = True
    model(leaf).gather(1, y.view(-1, 1)).sum().backward()
    return leaf.grad.clone()


@right("09.1")
def saliency_one_hot(model, x, y):
    leaf = x.detach().clone().requires_grad_(True)
    z = model(leaf)
    return torch.autograd.grad(z, leaf, grad_outputs=F.one_hot(y, z.shape[1]).to(z.dtype))[0]


@right("09.1")
def saliency_loop(model, x, y):
    grads = []
    for i in range(len(x)):
        one = x[i : i + 1].detach().clone().requires_grad_()
        grads.append(torch.autograd.grad(model(one)[0, y[i]], one)[0])
    return torch.cat(grads)


# 09.2 integrated_gradients(model, x, y, baseline, steps) -> images


@wrong("09.2", "x − baseline")
def integrated_bare(model, x, y, baseline, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        at = (baseline + (k + 0.5) / steps * (x - baseline)).detach().requires_grad_()
        total += torch.autograd.grad(model(at)[range(len(y)), y].sum(), at)[0]
    return total / steps


@wrong("09.2", "mean|add up")
def integrated_sum(model, x, y, baseline, steps):
    total = 0
    for k in range(steps):
        at = (baseline + (k + 0.5) / steps * (x - baseline)).detach().requires_grad_()
        total = total + torch.autograd.grad(model(at)[range(len(y)), y].sum(), at)[0]
    return (x - baseline) * total


@wrong("09.2", "middles|k/steps")
def integrated_linspace_left(model, x, y, baseline, steps):
    total = torch.zeros_like(x)
    for a in torch.arange(steps) / steps:
        at = (baseline + a * (x - baseline)).detach().requires_grad_()
        total += torch.autograd.grad(model(at).gather(1, y[:, None]).sum(), at)[0]
    return (x - baseline) * total / steps


@wrong("09.2", "black")
def integrated_black(model, x, y, baseline, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        at = (x * (k + 0.5) / steps).detach().requires_grad_()
        total += torch.autograd.grad(model(at).gather(1, y[:, None]).sum(), at)[0]
    return (x - baseline) * total / steps


@wrong("09.2", "times|multiply by x|black baseline|not multiplied")
def integrated_times_x(model, x, y, baseline, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        at = (baseline + (k + 0.5) / steps * (x - baseline)).detach().requires_grad_()
        total += torch.autograd.grad(model(at).gather(1, y[:, None]).sum(), at)[0]
    return x * total / steps


@right("09.2")
def integrated_loop(model, x, y, baseline, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        at = (baseline + (k + 0.5) / steps * (x - baseline)).detach().requires_grad_()
        total += torch.autograd.grad(model(at)[range(len(y)), y].sum(), at)[0]
    return (x - baseline) * total / steps


@right("09.2")
def integrated_one_batch(model, x, y, baseline, steps):
    a = ((torch.arange(steps) + 0.5) / steps).view(-1, 1, 1, 1, 1)
    way = (baseline + a * (x - baseline)).detach().flatten(0, 1).requires_grad_()
    z = model(way).gather(1, y.repeat(steps)[:, None]).sum()
    grad = torch.autograd.grad(z, way)[0].view(steps, *x.shape)
    return (x - baseline) * grad.mean(0)


@right("09.2")
def integrated_backward(model, x, y, baseline, steps):
    grads = []
    for k in range(steps):
        t = (2 * k + 1) / (2 * steps)
        at = torch.lerp(baseline, x, t).clone().detach().requires_grad_(True)
        model(at).gather(1, y.unsqueeze(1)).sum().backward()
        grads.append(at.grad)
    return torch.stack(grads).mean(dim=0) * (x - baseline)


@right("09.2")
def integrated_one_by_one(model, x, y, baseline, steps):
    out = []
    for i in range(len(x)):
        d = x[i : i + 1] - baseline[i : i + 1]
        g = torch.zeros_like(d)
        for k in range(steps):
            at = (baseline[i : i + 1] + d * ((k + 0.5) / steps)).detach().requires_grad_()
            g += torch.autograd.grad(model(at)[0, y[i]], at)[0] / steps
        out.append(d * g)
    return torch.cat(out)


# 09.3 share_on_ink(attribution, x) -> one value per image


@wrong("09.3", "absolute|cancel")
def ink_signed(attribution, x):
    mask = F.max_pool2d((x > 0.2).float(), 3, 1, 1)
    return (attribution * mask).sum(dim=(1, 2, 3)) / attribution.sum(dim=(1, 2, 3))


@wrong("09.3", "rim")
def ink_without_rim(attribution, x):
    a = attribution.abs()
    return (a * (x > 0.2)).sum((1, 2, 3)) / a.sum((1, 2, 3))


@wrong("09.3", "PIXELS|does not occur")
def ink_area(attribution, x):
    return F.max_pool2d((x > 0.2).float(), 3, 1, 1).mean((1, 2, 3))


@wrong("09.3", "whole batch")
def ink_batch(attribution, x):
    mask = F.max_pool2d((x > 0.2).float(), 3, 1, 1)
    return (attribution.abs() * mask).sum((1, 2, 3)) / attribution.abs().sum()


@wrong("09.3", "off the ink")
def ink_background(attribution, x):
    mask = F.max_pool2d((x > 0.2).float(), 3, 1, 1)
    return (attribution.abs() * (1 - mask)).sum((1, 2, 3)) / attribution.abs().sum((1, 2, 3))


@right("09.3")
def ink_pool(attribution, x):
    mask = F.max_pool2d((x > 0.2).float(), 3, stride=1, padding=1)
    a = attribution.abs()
    return (a * mask).sum(dim=(1, 2, 3)) / a.sum(dim=(1, 2, 3))


@right("09.3")
def ink_convolution(attribution, x):
    near = F.conv2d((x > 0.2).float(), torch.ones(1, 1, 3, 3), padding=1) > 0
    a = attribution.abs().flatten(1)
    return (a * near.flatten(1)).sum(1) / a.sum(1)


@right("09.3")
def ink_pool_of_x(attribution, x):
    near = F.max_pool2d(x, kernel_size=3, stride=1, padding=1) > 0.2
    a = attribution.abs()
    return torch.where(near, a, 0).flatten(1).sum(1) / a.flatten(1).sum(1)


@right("09.3")
def ink_loop(attribution, x):
    shares = []
    for a, picture in zip(attribution[:, 0], x[:, 0]):
        on = 0.0
        h, w = picture.shape
        for i in range(h):
            for j in range(w):
                if picture[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].max() > 0.2:
                    on = on + a[i, j].abs()
        shares.append(on / a.abs().sum())
    return torch.stack(shares)


# 09.4 share_read(pictures, known, labels, target) -> number


@wrong("09.4", "how many")
def read_count(pictures, known, labels, target):
    d = torch.cdist(pictures.flatten(1), known.flatten(1))
    return (labels[d.argmin(1)] == target).sum()


@wrong("09.4", "PLACE")
def read_place(pictures, known, labels, target):
    d = torch.cdist(pictures.flatten(1), known.flatten(1))
    return (d.argmin(dim=1) == target).float().mean()


@wrong("09.4", "farthest")
def read_farthest(pictures, known, labels, target):
    d = (pictures[:, None] - known[None]).flatten(2).norm(dim=2)
    return (labels[d.argmax(1)] == target).float().mean().item()


@wrong("09.4", "L1")
def read_l1(pictures, known, labels, target):
    d = (pictures[:, None] - known[None]).abs().flatten(2).sum(2)
    return (labels[d.argmin(1)] == target).float().mean().item()


@right("09.4")
def read_cdist(pictures, known, labels, target):
    d = torch.cdist(pictures.flatten(1), known.flatten(1))
    return (labels[d.argmin(1)] == target).float().mean()


@right("09.4")
def read_broadcast(pictures, known, labels, target):
    d = (pictures.unsqueeze(1) - known.unsqueeze(0)).pow(2).sum(dim=(2, 3, 4))
    return (labels[d.min(1).indices] == target).float().mean().item()


@right("09.4")
def read_loop(pictures, known, labels, target):
    hits = 0
    for p, t in zip(pictures, target):
        nearest = min(range(len(known)), key=lambda i: float((known[i] - p).norm()))
        hits += int(labels[nearest] == t)
    return hits / len(pictures)


@right("09.4")
def read_topk(pictures, known, labels, target):
    near = torch.cdist(pictures.flatten(1), known.flatten(1)).topk(1, largest=False).indices.squeeze(1)
    return float((labels[near] == target).sum()) / len(target)


# 09.5 top_overlap(a, b, k) -> one value per image


@wrong("09.5", "ABSOLUTE")
def overlap_signed(a, b, k):
    out = []
    for u, v in zip(a.flatten(1), b.flatten(1)):
        out.append(len(set(u.topk(k).indices.tolist()) & set(v.topk(k).indices.tolist())) / k)
    return torch.tensor(out)


@wrong("09.5", "union|Jaccard")
def overlap_jaccard(a, b, k):
    out = []
    for u, v in zip(a.abs().flatten(1), b.abs().flatten(1)):
        u, v = set(u.topk(k).indices.tolist()), set(v.topk(k).indices.tolist())
        out.append(len(u & v) / len(u | v))
    return torch.tensor(out)


@wrong("09.5", "how many")
def overlap_count(a, b, k):
    out = []
    for u, v in zip(a.abs().flatten(1), b.abs().flatten(1)):
        out.append(float(len(set(u.topk(k).indices.tolist()) & set(v.topk(k).indices.tolist()))))
    return torch.tensor(out)


@wrong("09.5", "RANK")
def overlap_rank(a, b, k):
    u, v = a.abs().flatten(1).topk(k).indices, b.abs().flatten(1).topk(k).indices
    return (u == v).float().mean(1)


@right("09.5")
def overlap_sets(a, b, k):
    out = []
    for u, v in zip(a.abs().flatten(1), b.abs().flatten(1)):
        out.append(len(set(u.topk(k).indices.tolist()) & set(v.topk(k).indices.tolist())) / k)
    return torch.tensor(out)


@right("09.5")
def overlap_broadcast(a, b, k):
    u, v = a.abs().flatten(1).topk(k).indices, b.abs().flatten(1).topk(k).indices
    return (u[:, :, None] == v[:, None, :]).any(2).float().mean(1)


@right("09.5")
def overlap_scatter(a, b, k):
    masks = []
    for t in (a, b):
        flat = t.abs().flatten(1)
        masks.append(torch.zeros_like(flat).scatter_(1, flat.topk(k, dim=1).indices, 1.0))
    return (masks[0] * masks[1]).sum(1) / k


@right("09.5")
def overlap_threshold(a, b, k):
    u, v = a.abs().flatten(1), b.abs().flatten(1)
    least_u = u.sort(1, descending=True).values[:, k - 1 : k]
    least_v = v.sort(1, descending=True).values[:, k - 1 : k]
    return ((u >= least_u) & (v >= least_v)).sum(1) / k
