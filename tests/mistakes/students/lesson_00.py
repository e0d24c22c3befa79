"""Lesson 00, as students answer it."""

import numpy as np
import torch
import torch.nn.functional as F

from . import right, wrong

# 00.1 accuracy(model, x, y) -> float


@wrong("00.1", "values|highest logit|scores|argmax")
def accuracy_max_values(model, x, y):
    preds = model(x).max(1)[0]
    return (preds == y).float().mean().item()


@wrong("00.1", "divide by the number of images")
def accuracy_count(model, x, y):
    correct = 0
    for xi, yi in zip(x, y):
        if model(xi.unsqueeze(0)).argmax() == yi:
            correct += 1
    return float(correct)


@wrong("00.1", "percent|100")
def accuracy_percent(model, x, y):
    with torch.no_grad():
        pred = model(x).argmax(dim=1)
    return 100.0 * (pred == y).sum().item() / y.size(0)


@wrong("00.1", "error rate|wrong predictions|share of mistakes")
def accuracy_error_rate(model, x, y):
    out = model(x)
    return (out.argmax(-1) != y).float().mean().item()


@wrong("00.1", "//|integer division")
def accuracy_integer_division(model, x, y):
    out = model(x)
    return float((out.argmax(1) == y).sum().item() // len(y))


@wrong("00.1", "for each class, which image|along the classes")
def accuracy_argmax_dim0(model, x, y):
    pred = model(x).argmax(dim=0)
    n = min(len(pred), len(y))
    return (pred[:n] == y[:n]).float().mean().item()


@wrong("00.1", "without a dim")
def accuracy_argmax_all(model, x, y):
    return (torch.argmax(model(x)) == y).float().mean().item()


@wrong("00.1", "argmin|least|lowest|smallest")
def accuracy_argmin(model, x, y):
    return (model(x).argmin(1) == y).float().mean().item()


@wrong("00.1", "probability|confidence")
def accuracy_mean_probability(model, x, y):
    probs = F.softmax(model(x), dim=1)
    return probs[torch.arange(len(y)), y].mean().item()


@wrong("00.1", "shape|one number|mean")
def accuracy_not_averaged(model, x, y):
    return (model(x).argmax(1) == y).float()


@wrong("00.1", "return")
def accuracy_prints(model, x, y):
    acc = (model(x).argmax(1) == y).float().mean().item()
    print(f"accuracy {acc:.1%}")


@wrong("00.1", "train")
def accuracy_train_mode(model, x, y):
    model.eval()
    acc = (model(x).argmax(1) == y).float().mean().item()
    model.train()
    return acc


@wrong("00.1", "first image|loop|return")
def accuracy_returns_in_loop(model, x, y):
    correct = 0
    for i in range(len(x)):
        pred = model(x[i : i + 1]).argmax(1)
        correct += (pred == y[i]).item()
        return correct / len(x)


@wrong("00.1", "number of images|len|hard-coded|fixed number|divid")
def accuracy_hard_coded_n(model, x, y):
    return (model(x).argmax(1) == y).sum().item() / 100


@right("00.1")
def accuracy_loop(model, x, y):
    hits = 0
    for i in range(x.shape[0]):
        with torch.no_grad():
            hits += int(model(x[i : i + 1]).argmax().item() == y[i].item())
    return hits / x.shape[0]


@right("00.1")
def accuracy_numpy(model, x, y):
    pred = model(x).detach().cpu().numpy().argmax(axis=1)
    return np.mean(pred == y.cpu().numpy())


@right("00.1")
def accuracy_tensor(model, x, y):
    _, pred = torch.max(F.softmax(model(x), dim=1), 1)
    return torch.eq(pred, y).double().mean()


@right("00.1")
@torch.no_grad()
def accuracy_one_minus_error(model, x, y):
    model.eval()
    return 1 - (model(x).topk(1).indices.squeeze(1) != y).sum().item() / len(y)


# 00.2 confidence(logits) -> (n,)


@wrong("00.2", "dim|over the batch|across the images|down the")
def confidence_dim0(logits):
    return F.softmax(logits, dim=0).max(dim=1).values


@wrong("00.2", "softmax")
def confidence_max_logit(logits):
    return logits.max(dim=-1)[0]


@wrong("00.2", "argmax|index|class number|which class")
def confidence_argmax(logits):
    return torch.softmax(logits, 1).argmax(1)


@wrong("00.2", r"shape|all (the )?classes|\.max|amax")
def confidence_all(logits):
    return torch.softmax(logits, 1)


@wrong("00.2", "values")
def confidence_pair(logits):
    return torch.softmax(logits, 1).max(1)


@wrong("00.2", "log|exp")
def confidence_log(logits):
    return F.log_softmax(logits, dim=1).max(1)[0]


@wrong("00.2", "sigmoid|softmax")
def confidence_sigmoid(logits):
    return torch.sigmoid(logits).amax(1)


@wrong("00.2", "batch|each image|one value per image")
def confidence_max_all(logits):
    return torch.softmax(logits, 1).max()


@wrong("00.2", "least|smallest|lowest|min")
def confidence_min(logits):
    return torch.softmax(logits, 1).min(1).values


@wrong("00.2", "exp|softmax")
def confidence_no_exp(logits):
    return (logits / logits.sum(1, keepdim=True)).amax(1)


@wrong("00.2", "batch|dim|each (row|image)|whole")
def confidence_batch_sum(logits):
    e = torch.exp(logits)
    return (e / e.sum()).amax(1)


@wrong("00.2", "mean|average|largest|predicted")
def confidence_mean(logits):
    return torch.softmax(logits, 1).mean(1)


@wrong("00.2", "divid|sum|normalis")
def confidence_unnormalised(logits):
    return logits.exp().amax(1)


@wrong("00.2", "twice")
def confidence_softmax_twice(logits):
    p = F.softmax(logits, dim=1)
    return F.softmax(p, dim=1).amax(1)


@wrong("00.2", "list|torch.stack|tensor")
def confidence_list(logits):
    return [max(F.softmax(row, dim=0)).item() for row in logits]


@right("00.2")
def confidence_stable(logits):
    e = torch.exp(logits - logits.max(dim=1, keepdim=True)[0])
    return e.max(1).values / e.sum(1)


@right("00.2")
def confidence_loop(logits):
    return torch.stack([F.softmax(row, dim=0).max() for row in logits])


@right("00.2")
def confidence_gather(logits):
    p = logits.log_softmax(-1).exp()
    return p.gather(1, logits.argmax(1, keepdim=True)).squeeze(1)


@right("00.2")
def confidence_numpy(logits):
    z = logits.detach().cpu().numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    return torch.from_numpy((e / e.sum(1, keepdims=True)).max(1)).to(logits)


@right("00.2")
def confidence_logsumexp(logits):
    return (logits.amax(1) - logits.logsumexp(1)).exp()


@right("00.2")
def confidence_topk(logits):
    probs, _ = torch.topk(torch.softmax(logits, 1), 1)
    return probs[:, 0]


# 00.3 add_noise(x, eps, generator) -> x_noisy


@wrong("00.3", "clip|clamp")
def noise_no_clip(x, eps, generator):
    return x + (torch.rand(x.shape, generator=generator) * 2 - 1) * eps


@wrong("00.3", r"only get brighter")
def noise_positive(x, eps, generator):
    noise = torch.rand(x.size(), generator=generator) * eps
    return torch.clamp(x + noise, 0, 1)


@wrong("00.3", "normal|Gaussian|randn")
def noise_gaussian(x, eps, generator):
    return (x + eps * torch.randn(x.shape, generator=generator)).clamp(0, 1)


@wrong("00.3", "±|sign|extremes|between")
def noise_signs(x, eps, generator):
    d = torch.rand(x.shape, generator=generator) - 0.5
    return (x + eps * d.sign()).clamp(0, 1)


@wrong("00.3", "generator")
def noise_global(x, eps, generator):
    return torch.clamp(x + torch.empty_like(x).uniform_(-eps, eps), 0, 1)


@wrong("00.3", "generator|seed")
def noise_own_generator(x, eps, generator):
    g = torch.Generator().manual_seed(0)
    return torch.clamp(x + (2 * torch.rand(x.shape, generator=g) - 1) * eps, 0, 1)


@wrong("00.3", "same|each pixel|one number|every pixel")
def noise_one_number(x, eps, generator):
    u = torch.rand(1, generator=generator) * 2 - 1
    return (x + eps * u).clamp(0, 1)


@wrong("00.3", "in place|clone")
def noise_in_place(x, eps, generator):
    x += torch.empty(x.shape).uniform_(-eps, eps, generator=generator)
    return x.clamp(0, 1)


@wrong("00.3", "half|2")
def noise_half(x, eps, generator):
    return (x + (torch.rand(x.shape, generator=generator) - 0.5) * eps).clamp(0, 1)


@wrong("00.3", "ε is not used")
def noise_no_eps(x, eps, generator):
    return (x + torch.rand(x.shape, generator=generator) * 2 - 1).clamp(0, 1)


@wrong("00.3", r"-1|\[0, 1\]")
def noise_clip_minus_one(x, eps, generator):
    return (x + torch.empty(x.shape).uniform_(-eps, eps, generator=generator)).clamp(-1, 1)


@wrong("00.3", "same noise|each image|every image")
def noise_shared(x, eps, generator):
    d = (torch.rand(x.shape[1:], generator=generator) * 2 - 1) * eps
    return (x + d).clamp(0, 1)


@wrong("00.3", "noise (itself|alone|was clipped)|before|sum|result")
def noise_clip_noise(x, eps, generator):
    d = (torch.rand(x.shape, generator=generator) * 2 - 1) * eps
    return x + d.clamp(0, 1)


@wrong("00.3", "take it from x.shape")
def noise_hard_coded(x, eps, generator):
    d = (torch.rand(len(x), 1, 28, 28, generator=generator) * 2 - 1) * eps
    return (x + d).clamp(0, 1)


@wrong("00.3", "only the noise|x \\+|add|noise alone")
def noise_alone(x, eps, generator):
    return ((torch.rand(x.shape, generator=generator) * 2 - 1) * eps).clamp(0, 1)


@wrong("00.3", "uniform|triang|two|between|each value")
def noise_triangular(x, eps, generator):
    d = torch.rand(x.shape, generator=generator) - torch.rand(x.shape, generator=generator)
    return (x + d * eps).clamp(0, 1)


@right("00.3")
def noise_uniform_(x, eps, generator):
    return (x + torch.empty_like(x).uniform_(-eps, eps, generator=generator)).clamp(0, 1)


@right("00.3")
def noise_rand(x, eps, generator):
    d = -eps + 2 * eps * torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return torch.clamp(x + d, min=0.0, max=1.0)


@right("00.3")
def noise_mirrored(x, eps, generator):
    d = eps - 2 * eps * torch.rand(*x.shape, generator=generator)
    return torch.min(torch.max(x + d, torch.zeros_like(x)), torch.ones_like(x))


@right("00.3")
def noise_per_image(x, eps, generator):
    out = []
    for image in x:
        u = torch.rand(image.shape, generator=generator)
        out.append(torch.clip(image + eps * (2 * u - 1), 0, 1))
    return torch.stack(out)


# 00.4 smallest_flip(eps, labels, y) -> float | None


@wrong("00.4", "order|ascending|sorted|first")
def flip_first(eps, labels, y):
    for e, label in zip(eps, labels):
        if label != y:
            return float(e)
    return None


@wrong("00.4", "largest|smallest")
def flip_largest(eps, labels, y):
    flips = eps[labels != y]
    return flips.max().item() if len(flips) else None


@wrong("00.4", "index|position")
def flip_index(eps, labels, y):
    order = eps.argsort()
    hits = (labels[order] != y).nonzero()
    return int(hits[0]) if len(hits) else None


@wrong("00.4", "None")
def flip_inf(eps, labels, y):
    best = float("inf")
    for e, label in zip(eps.tolist(), labels.tolist()):
        if label != y and e < best:
            best = e
    return best


@wrong("00.4", "Nothing flips in this ladder")
def flip_min_of_empty(eps, labels, y):
    return eps[labels != y].min().item()


@wrong("00.4", "Nothing flips in this ladder")
def flip_index_error(eps, labels, y):
    s, order = torch.sort(eps)
    return s[labels[order] != y][0].item()


@wrong("00.4", "still|right|!=|correct")
def flip_equal(eps, labels, y):
    same = eps[labels == y]
    return same.min().item() if same.numel() else None


@wrong("00.4", "still (right|correct)|last|before the flip")
def flip_last_correct(eps, labels, y):
    order = torch.argsort(eps)
    last = None
    for i in order:
        if labels[i] != y:
            return last
        last = eps[i].item()
    return None


@wrong("00.4", "sort|order|labels")
def flip_sorted_eps_only(eps, labels, y):
    eps = eps.sort().values
    for e, label in zip(eps, labels):
        if label != y:
            return e.item()
    return None


@wrong("00.4", "first|later|stay|flips back|every")
def flip_stays(eps, labels, y):
    s, order = eps.sort()
    bad = labels[order] != y
    for i in range(len(s)):
        if bad[i:].all():
            return s[i].item()
    return None


@wrong("00.4", "order|ascending|sorted|first")
def flip_argmax(eps, labels, y):
    flipped = labels != y
    if not flipped.any():
        return None
    return eps[flipped.int().argmax()].item()


@wrong("00.4", "counts as false")
def flip_falsy_zero(eps, labels, y):
    best = None
    for e, label in zip(eps.tolist(), labels.tolist()):
        if label != y and (not best or e < best):
            best = e
    return best if best else None


@wrong("00.4", "None")
def flip_minus_one(eps, labels, y):
    flips = [e for e, label in zip(eps.tolist(), labels.tolist()) if label != y]
    return min(flips) if flips else -1


@wrong("00.4", "by the largest ε alone")
def flip_only_last(eps, labels, y):
    if labels[eps.argmax()] == y:
        return None
    return eps[labels != y].min().item()


@wrong("00.4", "labels|predict|y")
def flip_smallest_eps(eps, labels, y):
    return eps.min().item()


@right("00.4")
def flip_mask(eps, labels, y):
    flips = eps[labels != y]
    return float(flips.min()) if flips.numel() > 0 else None


@right("00.4")
def flip_loop(eps, labels, y):
    best = None
    for i in range(len(eps)):
        if int(labels[i]) != int(y) and (best is None or eps[i].item() < best):
            best = eps[i].item()
    return best


@right("00.4")
def flip_sorted_zip(eps, labels, y):
    for e, label in sorted(zip(eps.tolist(), labels.tolist())):
        if label != y:
            return e
    return None


@right("00.4")
def flip_default(eps, labels, y):
    return min((e.item() for e, label in zip(eps, labels) if label != y), default=None)


@right("00.4")
def flip_numpy(eps, labels, y):
    e, flipped = eps.numpy(), labels.numpy() != y
    return e[flipped].min() if flipped.any() else None


@right("00.4")
def flip_where(eps, labels, y):
    e = torch.where(labels == y, torch.inf, eps).min()
    return None if torch.isinf(e) else e
