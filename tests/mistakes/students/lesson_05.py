"""Lesson 05, as students answer it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import right, wrong

# 05.1 noisy(x, sigma, generator) -> images


@wrong("05.1", "variance")
def noisy_variance(x, sigma, generator):
    var = sigma * sigma
    return x + torch.randn(x.size(), generator=generator) * var


@wrong("05.1", "clip")
def noisy_clamped(x, sigma, generator):
    return torch.clamp(x + torch.randn(x.shape, generator=generator) * sigma, 0.0, 1.0)


@wrong("05.1", "generator")
def noisy_like(x, sigma, generator):
    return x + sigma * torch.randn_like(x)


@wrong("05.1", "same noise")
def noisy_broadcast(x, sigma, generator):
    eta = torch.randn(1, *x.shape[1:], generator=generator)
    return x + eta * sigma


@wrong("05.1", "uniform|68%")
def noisy_uniform(x, sigma, generator):
    return x + sigma * math.sqrt(12) * (torch.rand(x.shape, generator=generator) - 0.5)


@wrong("05.1", "in place|different now")
def noisy_in_place(x, sigma, generator):
    x += sigma * torch.randn(x.shape, generator=generator)
    return x


@wrong("05.1", "add it to x|alone")
def noisy_only(x, sigma, generator):
    return torch.normal(0.0, sigma, x.shape, generator=generator)


@right("05.1")
def noisy_normal(x, sigma, generator):
    return x + torch.normal(0.0, sigma, x.shape, generator=generator)


@right("05.1")
def noisy_empty(x, sigma, generator):
    delta = torch.empty(x.shape)
    delta.normal_(0, sigma, generator=generator)
    return delta.add_(x)


@right("05.1")
def noisy_out_of_place(x, sigma, generator):
    out = x.clone()
    out += torch.randn(x.shape, generator=generator).mul(sigma)
    return out


@right("05.1")
def noisy_alpha(x, sigma, generator):
    return torch.add(x, torch.randn(*x.size(), generator=generator, dtype=x.dtype), alpha=sigma)


# 05.2 inner_max(model, x, y, delta, eps, step_size, steps) -> images


def climb(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    z = (x + delta).clamp(0, 1)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)
        z = z.detach() + step_size * g.sign()
        z = torch.min(torch.max(z, x - eps), x + eps).clamp(0, 1)
    model.train(was)
    return z.detach()


@wrong("05.2", "train mode")
def inner_in_train_mode(model, x, y, delta, eps, step_size, steps):
    z = (x + delta).clamp(0, 1)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        z = z + step_size * g.sign()
        z = torch.min(torch.max(z, x - eps), x + eps).clamp(0, 1)
    return z.detach()


@wrong("05.2", "left in eval mode")
def inner_left_in_eval(model, x, y, delta, eps, step_size, steps):
    model.eval()
    z = (x + delta).clamp(0, 1)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        z = x + (z + step_size * g.sign() - x).clamp(-eps, eps)
        z = z.clamp(0, 1)
    return z.detach()


@wrong("05.2", "starts at x")
def inner_without_start(model, x, y, delta, eps, step_size, steps):
    return climb(model, x, y, torch.zeros_like(delta), eps, step_size, steps)


@wrong("05.2", "minimum|made easy")
def inner_descends(model, x, y, delta, eps, step_size, steps):
    return climb(model, x, y, delta, eps, -step_size, steps)


@wrong("05.2", "beyond ε|ball")
def inner_no_ball(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    z = (x + delta).clamp(0, 1)
    for _ in range(steps):
        z.requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)[0]
        z = (z.detach() + step_size * g.sign()).clamp(0, 1)
    model.train(was)
    return z


@wrong("05.2", "autograd graph|detach")
def inner_keeps_the_graph(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    z = (x + delta).clamp(0, 1).requires_grad_()
    for _ in range(steps):
        g = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)[0]
        z = x + (z + step_size * g.sign() - x).clamp(-eps, eps)
        z = z.clamp(0, 1)
    model.train(was)
    return z


@wrong("05.2", "δ alone|perturbation")
def inner_delta(model, x, y, delta, eps, step_size, steps):
    return climb(model, x, y, delta, eps, step_size, steps) - x


@wrong("05.2", "Only one step")
def inner_returns_early(model, x, y, delta, eps, step_size, steps):
    return climb(model, x, y, delta, eps, step_size, 1)


@wrong("05.2", "Only the model sees")
def inner_clipped_for_the_model(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    d = delta.clone()
    for _ in range(steps):
        d.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy((model((x + d).clamp(0, 1))), y), d)
        d = (d + step_size * g.sign()).clamp(-eps, eps).detach()
    model.train(was)
    return x + d


@wrong("05.2", "Only the model sees")
def inner_clipped_before_the_leaf(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    d = delta
    for _ in range(steps):
        z = torch.clamp(x + d, 0, 1).requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)[0]
        d = torch.clamp(d + step_size * torch.sign(g), -eps, eps)
    model.train(was)
    return x + d


@wrong("05.2", "once at the end")
def inner_clipped_for_the_model_and_last(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    d = delta.clone()
    for _ in range(steps):
        d.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy((model((x + d).clamp(0, 1))), y), d)
        d = (d + step_size * g.sign()).clamp(-eps, eps).detach()
    model.train(was)
    return (x + d).clamp(0, 1)


@wrong("05.2", r"left in train mode.*model\.train\(was\)")
def inner_always_trains_after(model, x, y, delta, eps, step_size, steps):
    model.eval()
    z = (x + delta).clamp(0, 1)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)
        z = z.detach() + step_size * g.sign()
        z = torch.min(torch.max(z, x - eps), x + eps).clamp(0, 1)
    model.train()
    return z.detach()


@right("05.2")
def inner_right_detached(model, x, y, delta, eps, step_size, steps):
    return climb(model, x, y, delta, eps, step_size, steps)


@right("05.2")
def inner_on_delta(model, x, y, delta, eps, step_size, steps):
    mode = model.training
    model.train(False)
    d = (x + delta).clamp(0, 1) - x
    for _ in range(steps):
        d = d.detach().requires_grad_()
        loss = nn.CrossEntropyLoss()(model(x + d), y)
        grad = torch.autograd.grad(loss, d)[0]
        d = torch.clamp(d + step_size * torch.sign(grad), -eps, eps)
        d = torch.clamp(x + d, 0, 1) - x
    model.train(mode)
    return (x + d).detach()


@right("05.2")
def inner_backward(model, x, y, delta, eps, step_size, steps):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    z = torch.clamp(x + delta, min=0, max=1).detach()
    for _ in range(steps):
        z.requires_grad_(True)
        z.grad = None
        F.cross_entropy(model(z), y, reduction="sum").backward()
        with torch.no_grad():
            z = (x + (z + z.grad.sign() * step_size - x).clamp(min=-eps, max=eps)).clamp(0, 1)
    for m, training in modes.items():
        m.training = training
    return z.detach()


@right("05.2")
def inner_try_finally(model, x, y, delta, eps, step_size, steps):
    was = model.training
    model.eval()
    try:
        low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
        z = (x + delta).clamp(0, 1)
        for _ in range(steps):
            leaf = z.clone().requires_grad_()
            nll = -model(leaf).log_softmax(1)[torch.arange(len(y)), y].sum()
            z = z + step_size * torch.autograd.grad(nll, leaf)[0].sign()
            z = torch.minimum(torch.maximum(z, low), high)
    finally:
        model.train(was)
    return z


# 05.3 outer_min(model, optimiser, x, y, inner, batch_size) -> nothing: the model's weights count


@wrong("05.3", "add up|zero_grad")
def outer_no_zero(model, optimiser, x, y, inner, batch_size):
    for i in range(0, len(x), batch_size):
        x_adv = inner(model, x[i : i + batch_size], y[i : i + batch_size])
        loss = F.cross_entropy(model(x_adv), y[i : i + batch_size])
        loss.backward()
        optimiser.step()


@wrong("05.3", "standard training|x itself")
def outer_standard(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        inner(model, xb, yb)
        optimiser.zero_grad()
        F.cross_entropy(model(xb), yb).backward()
        optimiser.step()


@wrong("05.3", "beforehand|old weights|once")
def outer_attacks_first(model, optimiser, x, y, inner, batch_size):
    x_adv = inner(model, x, y)
    for i in range(0, len(x), batch_size):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x_adv[i : i + batch_size]), y[i : i + batch_size]).backward()
        optimiser.step()


@wrong("05.3", "empty gradient")
def outer_erased(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        loss = F.cross_entropy(model(inner(model, xb, yb)), yb)
        loss.backward()
        optimiser.zero_grad()
        optimiser.step()


@wrong("05.3", "first batch")
def outer_returns_early(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        loss = F.cross_entropy(model(inner(model, xb, yb)), yb)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()


@wrong("05.3", "mean|summed")
def outer_sum(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        optimiser.zero_grad()
        F.cross_entropy(model(inner(model, xb, yb)), yb, reduction="sum").backward()
        optimiser.step()


@wrong("05.3", "climb|minimum")
def outer_maximises(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        optimiser.zero_grad()
        (-F.cross_entropy(model(inner(model, xb, yb)), yb)).backward()
        optimiser.step()


@wrong("05.3", "nothing was learned")
def outer_no_step(model, optimiser, x, y, inner, batch_size):
    losses = []
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(inner(model, xb, yb)), yb)
        loss.backward()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@wrong("05.3", "smaller|left out")
def outer_floor(model, optimiser, x, y, inner, batch_size):
    for k in range(len(x) // batch_size):
        s = slice(k * batch_size, (k + 1) * batch_size)
        optimiser.zero_grad()
        F.cross_entropy(model(inner(model, x[s], y[s])), y[s]).backward()
        optimiser.step()


@wrong("05.3", "returns x \\+ δ, not δ")
def outer_adds_delta(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        optimiser.zero_grad()
        F.cross_entropy(model(xb + inner(model, xb, yb)), yb).backward()
        optimiser.step()


@wrong("05.3", "returns x \\+ δ, not δ")
def outer_adds_delta_and_clips(model, optimiser, x, y, inner, batch_size):
    for i in range(0, len(x), batch_size):
        xb, yb = x[i : i + batch_size], y[i : i + batch_size]
        delta = inner(model, xb, yb)
        optimiser.zero_grad()
        F.cross_entropy(model(torch.clamp(xb + delta, 0, 1)), yb).backward()
        optimiser.step()


@wrong("05.3", "also learn from x itself")
def outer_adds_clean(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        x_adv = inner(model, xb, yb)
        optimiser.zero_grad()
        loss = F.cross_entropy(model(xb), yb) + F.cross_entropy(model(x_adv), yb)
        loss.backward()
        optimiser.step()


@wrong("05.3", "moved .* times as far|the weights are not")
def outer_unforeseen(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        optimiser.zero_grad()
        (0.7 * F.cross_entropy(model(0.5 * (xb + inner(model, xb, yb))), yb)).backward()
        optimiser.step()


@right("05.3")
def outer_split(model, optimiser, x, y, inner, batch_size):
    for xb, yb in zip(x.split(batch_size), y.split(batch_size), strict=True):
        x_adv = inner(model, xb, yb)
        optimiser.zero_grad()
        F.cross_entropy(model(x_adv), yb).backward()
        optimiser.step()


@right("05.3")
def outer_sliced(model, optimiser, x, y, inner, batch_size):
    model.train()
    total = 0.0
    for i in range(0, len(x), batch_size):
        xb, yb = x[i : i + batch_size], y[i : i + batch_size]
        loss = nn.CrossEntropyLoss()(model(inner(model, xb, yb)), yb)
        for group in optimiser.param_groups:
            for p in group["params"]:
                p.grad = None
        loss.backward()
        optimiser.step()
        total += loss.item() * len(xb)
    return total / len(x)


@right("05.3")
def outer_loader(model, optimiser, x, y, inner, batch_size):
    from torch.utils.data import DataLoader, TensorDataset

    for xb, yb in DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=False):
        optimiser.zero_grad(set_to_none=True)
        x_adv = inner(model, xb, yb).detach()
        logits = model(x_adv)
        loss = -logits.log_softmax(1).gather(1, yb[:, None]).mean()
        loss.backward()
        optimiser.step()
    return model


@right("05.3")
def outer_zero_after(model, optimiser, x, y, inner, batch_size):
    optimiser.zero_grad()
    for xb, yb in zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True):
        F.cross_entropy(model(inner(model, xb, yb)), yb, reduction="none").mean().backward()
        optimiser.step()
        optimiser.zero_grad()


@right("05.3")
def outer_model_zero_grad(model, optimiser, x, y, inner, batch_size):
    starts = list(range(0, x.shape[0], batch_size))
    for a in starts:
        xb, yb = x[a : a + batch_size], y[a : a + batch_size]
        x_adv = inner(model, xb, yb)
        model.zero_grad()
        loss = F.cross_entropy(model(x_adv), yb)
        loss.backward()
        optimiser.step()


# 05.4 first_collapse(one_step, many_steps) -> number or None


@wrong("05.4", "from 0")
def collapse_zero_based(one_step, many_steps):
    for i, (a, b) in enumerate(zip(one_step, many_steps, strict=True)):
        if a >= 0.5 and b < 0.5 * a:
            return i
    return None


@wrong("05.4", "last")
def collapse_last(one_step, many_steps):
    found = None
    for i, (a, b) in enumerate(zip(one_step.tolist(), many_steps.tolist(), strict=True), start=1):
        if a >= 0.5 and b < a / 2:
            found = i
    return found


@wrong("05.4", "many-step accuracy alone|untrained|weak")
def collapse_only_pgd(one_step, many_steps):
    low = (many_steps < 0.5).nonzero()
    return low[0].item() + 1 if len(low) else None


@wrong("05.4", "untrained|at least 50%")
def collapse_ratio_only(one_step, many_steps):
    bad = many_steps / one_step < 0.5
    return int(bad.float().argmax()) + 1 if bad.any() else None


@wrong("05.4", "whether there is")
def collapse_bool(one_step, many_steps):
    return 1.0 if ((one_step >= 0.5) & (many_steps < one_step / 2)).any() else 0.0


@wrong("05.4", "selection came out empty|size 0|out of bounds|empty|Expected None")
def collapse_never_none(one_step, many_steps):
    return int(((one_step >= 0.5) & (many_steps < one_step / 2)).nonzero()[0]) + 1


@wrong("05.4", "difference")
def collapse_difference(one_step, many_steps):
    for i in range(len(one_step)):
        if one_step[i] >= 0.5 and one_step[i] - many_steps[i] > 0.5:
            return i + 1
    return None


@wrong("05.4", "return None|Expected None")
def collapse_minus_one(one_step, many_steps):
    for i in range(len(one_step)):
        if one_step[i] >= 0.5 and many_steps[i] < one_step[i] / 2:
            return i + 1
    return -1


@wrong("05.4", "includes exactly 50%")
def collapse_above_half(one_step, many_steps):
    for i, (a, b) in enumerate(zip(one_step.tolist(), many_steps.tolist(), strict=True)):
        if a > 0.5 and b < a / 2:
            return i + 1


@wrong("05.4", "leaves out exactly half")
def collapse_at_most_half(one_step, many_steps):
    for i, (a, b) in enumerate(zip(one_step, many_steps, strict=True)):
        if a >= 0.5 and b / a <= 0.5:
            return i + 1
    return None


@wrong("05.4", "includes exactly 50%.*leaves out exactly half")
def collapse_both_lines(one_step, many_steps):
    bad = (one_step > 0.5) & (2 * many_steps <= one_step)
    return bad.int().argmax().item() + 1 if bad.any() else None


@right("05.4")
def collapse_loop(one_step, many_steps):
    for i, (a, b) in enumerate(zip(one_step.tolist(), many_steps.tolist(), strict=True)):
        if a >= 0.5 and b < a / 2:
            return i + 1


@right("05.4")
def collapse_argmax(one_step, many_steps):
    bad = (one_step >= 0.5) & (2 * many_steps < one_step)
    return bad.int().argmax().item() + 1 if bool(bad.any()) else None


@right("05.4")
def collapse_list(one_step, many_steps):
    epochs = [i + 1 for i in range(len(one_step)) if one_step[i] >= 0.5 and many_steps[i] < 0.5 * one_step[i]]
    return epochs[0] if epochs else None


@right("05.4")
def collapse_next(one_step, many_steps):
    pairs = enumerate(zip(one_step, many_steps, strict=True), 1)
    return next((n for n, (a, b) in pairs if a >= 0.5 and b / a < 0.5), None)


# 05.5 fast(model, x, y, eps, start) -> images


@wrong("05.5", "starts at x|FGSM")
def fast_fgsm(model, x, y, eps, start):
    z = x.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(z), y), z)[0]
    return (x + (1.25 * eps * g.sign()).clamp(-eps, eps)).clamp(0, 1)


@wrong("05.5", "start is clipped")
def fast_clipped_start(model, x, y, eps, start):
    z = (x + eps * start).clamp(0, 1).requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(z), y), z)[0]
    delta = (z.detach() + 1.25 * eps * g.sign() - x).clamp(-eps, eps)
    return (x + delta).clamp(0, 1)


@wrong("05.5", "length ε|1.25")
def fast_step_eps(model, x, y, eps, start):
    d = (eps * start).requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y), d)[0]
    return (x + (d + eps * g.sign()).clamp(-eps, eps)).clamp(0, 1).detach()


@wrong("05.5", "stretch it|ε·start")
def fast_unscaled(model, x, y, eps, start):
    d = start.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y, reduction="sum"), d)[0]
    return (x + (d.detach() + 1.25 * eps * g.sign()).clamp(-eps, eps)).clamp(0, 1)


@wrong("05.5", "ball|beyond ε")
def fast_unprojected(model, x, y, eps, start):
    d = (eps * start).requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y, reduction="sum"), d)[0]
    return (x + d.detach() + 1.25 * eps * g.sign()).clamp(0, 1)


@wrong("05.5", "lowers|flipped")
def fast_descends(model, x, y, eps, start):
    d = (eps * start).requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y, reduction="sum"), d)[0]
    return (x + (d.detach() - 1.25 * eps * g.sign()).clamp(-eps, eps)).clamp(0, 1)


@wrong("05.5", "surface|step from x")
def fast_steps_from_x(model, x, y, eps, start):
    d = (eps * start).requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y, reduction="sum"), d)[0]
    return (x + (1.25 * eps * g.sign()).clamp(-eps, eps)).clamp(0, 1)


@right("05.5")
def fast_on_delta(model, x, y, eps, start):
    d = (eps * start).detach().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x + d), y, reduction="sum"), d)[0]
    d = torch.clamp(d.detach() + 1.25 * eps * torch.sign(g), -eps, eps)
    return torch.clamp(x + d, 0, 1)


@right("05.5")
def fast_on_images(model, x, y, eps, start):
    begun = (x + eps * start).detach().requires_grad_()
    loss = nn.CrossEntropyLoss(reduction="sum")(model(begun), y)
    (g,) = torch.autograd.grad(loss, begun)
    moved = begun.detach() + 5 / 4 * eps * g.sign()
    return torch.max(torch.min(moved, x + eps), x - eps).clamp(0, 1)


@right("05.5")
def fast_backward(model, x, y, eps, start):
    delta = start.clone().mul_(eps).requires_grad_(True)
    F.cross_entropy(model(x + delta), y).backward()
    with torch.no_grad():
        step = delta + 1.25 * eps * delta.grad.sign()
        return (x + step.clamp(-eps, eps)).clamp(0.0, 1.0)


@right("05.5")
def fast_bounds(model, x, y, eps, start):
    low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
    begun = torch.lerp(x - eps, x + eps, (start + 1) / 2).requires_grad_()
    z = model(begun).log_softmax(1)
    g = torch.autograd.grad(-z.gather(1, y.unsqueeze(1)).sum(), begun)[0]
    return torch.minimum(torch.maximum(begun.detach() + g.sign() * eps * 1.25, low), high)


# 05.6 trades_loss(clean, adv, y, beta) -> vector


@wrong("05.6", "other way|symmetric|first")
def trades_reversed(clean, adv, y, beta):
    kl = F.kl_div(clean.log_softmax(1), adv.softmax(1), reduction="none").sum(1)
    return F.cross_entropy(clean, y, reduction="none") + beta * kl


@wrong("05.6", "x \\+ δ|clean logits")
def trades_ce_at_adv(clean, adv, y, beta):
    kl = F.kl_div(adv.log_softmax(1), clean.softmax(1), reduction="none").sum(1)
    return F.cross_entropy(adv, y, reduction="none") + beta * kl


@wrong("05.6", "logarithms")
def trades_no_log(clean, adv, y, beta):
    kl = F.kl_div(F.softmax(adv, dim=1), F.softmax(clean, dim=1), reduction="none").sum(1)
    return F.cross_entropy(clean, y, reduction="none") + beta * kl


@wrong("05.6", "batch|every image")
def trades_batchmean(clean, adv, y, beta):
    kl = F.kl_div(adv.log_softmax(1), clean.softmax(1), reduction="batchmean")
    return F.cross_entropy(clean, y, reduction="none") + beta * kl


@wrong("05.6", "single images|shape")
def trades_scalar(clean, adv, y, beta):
    return F.cross_entropy(clean, y) + beta * F.kl_div(adv.log_softmax(1), clean.softmax(1), reduction="batchmean")


@wrong("05.6", "β is not used|β")
def trades_no_beta(clean, adv, y, beta):
    return F.cross_entropy(clean, y, reduction="none") + (
        clean.softmax(1) * (clean.log_softmax(1) - adv.log_softmax(1))
    ).sum(1)


@wrong("05.6", "divergence|adversarial training")
def trades_is_madry(clean, adv, y, beta):
    return F.cross_entropy(adv, y, reduction="none")


@wrong("05.6", "NaN|probabilities")
def trades_log_target(clean, adv, y, beta):
    kl = F.kl_div(adv.log_softmax(1), clean.log_softmax(1), reduction="none").sum(1)
    return F.cross_entropy(clean, y, reduction="none") + beta * kl


@right("05.6")
def trades_kl_div(clean, adv, y, beta):
    kl = F.kl_div(F.log_softmax(adv, 1), F.softmax(clean, 1), reduction="none").sum(dim=1)
    return F.cross_entropy(clean, y, reduction="none") + beta * kl


@right("05.6")
def trades_by_hand(clean, adv, y, beta):
    p, q = clean.softmax(-1), adv.softmax(-1)
    return -p[torch.arange(len(y)), y].log() + beta * (p * (p / q).log()).sum(-1)


@right("05.6")
def trades_log_targets(clean, adv, y, beta):
    logp, logq = clean.log_softmax(1), adv.log_softmax(1)
    kl = F.kl_div(logq, logp, reduction="none", log_target=True).sum(1)
    return F.nll_loss(logp, y, reduction="none") + beta * kl


@right("05.6")
def trades_distributions(clean, adv, y, beta):
    from torch.distributions import Categorical, kl_divergence

    apart = kl_divergence(Categorical(logits=clean), Categorical(logits=adv))
    return nn.CrossEntropyLoss(reduction="none")(clean, y) + apart * beta


@right("05.6")
def trades_entropies(clean, adv, y, beta):
    p = clean.softmax(1)
    crossed = F.cross_entropy(adv, p, reduction="none")
    own = F.cross_entropy(clean, p, reduction="none")
    return F.cross_entropy(clean, y, reduction="none") + beta * (crossed - own)
