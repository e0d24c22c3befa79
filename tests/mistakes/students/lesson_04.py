"""Lesson 04, as students answer it."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import right, wrong

# 04.1 move_down(x, rows) -> images


@wrong("04.1", "wraps around|roll")
def move_roll(x, rows):
    return torch.roll(x, shifts=rows, dims=-2)


@wrong("04.1", "move up")
def move_up(x, rows):
    xp = torch.zeros_like(x)
    xp[:, :, : x.shape[2] - rows] = x[:, :, rows:]
    return xp


@wrong("04.1", "to the right")
def move_right(x, rows):
    xp = torch.zeros_like(x)
    xp[..., rows:] = x[..., : x.shape[3] - rows]
    return xp


@wrong("04.1", "old picture")
def move_copy(x, rows):
    xp = x.clone()
    xp[:, :, rows:, :] = x[:, :, : x.shape[2] - rows, :]
    return xp


@wrong("04.1", r"−0 is 0|empty")
def move_minus_zero(x, rows):
    xp = torch.zeros_like(x)
    if rows > 0:
        xp[:, :, rows:] = x[:, :, :-rows]
    return xp


@wrong("04.1", "always move by one row|argument")
def move_lecture(x, rows):
    xp = torch.zeros_like(x)
    xp[:, :, 1:, :] = x[:, :, :-1, :]
    return xp


@wrong("04.1", "first dimension|neighbour")
def move_wrong_dimension(x, rows):
    xp = torch.zeros_like(x)
    xp[rows:] = x[: max(len(x) - rows, 0)]
    return xp


@wrong("04.1", "different now|in place|changed")
def move_in_place(x, rows):
    if rows:
        x[:, :, rows:] = x[:, :, : x.shape[2] - rows].clone()
        x[:, :, :rows] = 0
    return x


@right("04.1")
def move_pad(x, rows):
    return F.pad(x, (0, 0, rows, 0))[:, :, : x.shape[2]]


@right("04.1")
def move_cat(x, rows):
    h = x.shape[2]
    return torch.cat([torch.zeros_like(x[:, :, :rows]), x[:, :, : h - rows]], dim=2)


@right("04.1")
def move_roll_then_black(x, rows):
    out = torch.roll(x, rows, dims=2)
    out[:, :, :rows] = 0
    return out.clone()


@right("04.1")
def move_row_by_row(x, rows):
    out = torch.zeros_like(x)
    for row in range(rows, x.shape[2]):
        out[:, :, row] = x[:, :, row - rows]
    return out


@right("04.1")
def move_index(x, rows):
    source = torch.arange(x.shape[2]) - rows
    return x[:, :, source.clamp(min=0)] * (source >= 0).view(1, 1, -1, 1)


# 04.2 distance(x, x_adv, norm) -> vector


def _distance(x, x_adv, norm, **other):
    d = x_adv - x
    table = {
        "L0": lambda: (d.abs().amax(1) > 0).sum((1, 2)).float(),
        "L1": lambda: d.abs().sum((1, 2, 3)),
        "L2": lambda: d.pow(2).sum((1, 2, 3)).sqrt(),
        "Linf": lambda: d.abs().amax((1, 2, 3)),
    }
    return {**table, **other}[norm]()


@wrong("04.2", "place counts once|counts pixels")
def distance_values(x, x_adv, norm):
    return _distance(x, x_adv, norm, L0=lambda: (x != x_adv).sum((1, 2, 3)).float())


@wrong("04.2", "square root")
def distance_squared(x, x_adv, norm):
    return _distance(x, x_adv, norm, L2=lambda: ((x - x_adv) ** 2).sum((1, 2, 3)))


@wrong("04.2", "absolute value")
def distance_signed(x, x_adv, norm):
    d = x_adv - x
    return _distance(x, x_adv, norm, L1=lambda: d.sum((1, 2, 3)), Linf=lambda: d.amax((1, 2, 3)))


@wrong("04.2", "whole batch|single images")
def distance_batch(x, x_adv, norm):
    d = x_adv - x
    if norm == "L0":
        return d.any(1).sum().float()
    return d.flatten().norm(p={"L1": 1, "L2": 2, "Linf": math.inf}[norm])


@wrong("04.2", "does not average|adds up")
def distance_mean(x, x_adv, norm):
    d = x_adv - x
    return _distance(x, x_adv, norm, L1=lambda: d.abs().mean((1, 2, 3)), L2=lambda: d.pow(2).mean((1, 2, 3)).sqrt())


@wrong("04.2", "measure the change|x′ itself")
def distance_of_x_adv(x, x_adv, norm):
    return _distance(torch.zeros_like(x), x_adv, norm)


@wrong("04.2", "torch.int64|float")
def distance_integers(x, x_adv, norm):
    return _distance(x, x_adv, norm, L0=lambda: (x != x_adv).any(1).sum((1, 2)))


@right("04.2")
def distance_sums(x, x_adv, norm):
    return _distance(x, x_adv, norm)


@right("04.2")
def distance_torch_norm(x, x_adv, norm):
    delta = x_adv - x
    if norm == "L0":
        return (delta != 0).any(dim=1).flatten(1).sum(1).to(x.dtype)
    return torch.linalg.vector_norm(delta.flatten(1), ord={"L1": 1, "L2": 2, "Linf": float("inf")}[norm], dim=1)


@right("04.2")
def distance_loop(x, x_adv, norm):
    out = []
    for a, b in zip(x, x_adv):
        d = (b - a).abs()
        if norm == "L0":
            out.append((d.sum(0) != 0).sum().float())
        elif norm == "L1":
            out.append(d.sum())
        elif norm == "L2":
            out.append((d * d).sum() ** 0.5)
        else:
            out.append(d.max())
    return torch.stack(out)


@right("04.2")
def distance_numpy(x, x_adv, norm):
    d = np.abs(x_adv.numpy() - x.numpy()).reshape(len(x), x.shape[1], -1)
    found = {
        "L0": (d.max(1) > 0).sum(1),
        "L1": d.sum((1, 2)),
        "L2": np.sqrt((d**2).sum((1, 2))),
        "Linf": d.max((1, 2)),
    }[norm]
    return torch.from_numpy(np.asarray(found, dtype=np.float32))


# 04.3 agreement(same, different) -> number


@wrong("04.3", "tie is worth one half")
def agreement_strict(same, different):
    return (same < different).float().mean()


@wrong("04.3", "worth one half|≤")
def agreement_loose(same, different):
    return float((same <= different).float().mean())


@wrong("04.3", "wrong way round")
def agreement_reversed(same, different):
    return (same > different).float().mean() + 0.5 * (same == different).float().mean()


@wrong("04.3", "two means|digit by digit")
def agreement_means(same, different):
    return 1.0 if same.mean() < different.mean() else 0.0


@wrong("04.3", "how many|divide by the number")
def agreement_count(same, different):
    return (same < different).sum().item() + 0.5 * (same == different).sum().item()


@wrong("04.3", "those of all digits|only")
def agreement_all(same, different):
    wins = (same.unsqueeze(1) < different.unsqueeze(0)).float()
    ties = (same.unsqueeze(1) == different.unsqueeze(0)).float()
    return (wins + ties / 2).mean()


@right("04.3")
def agreement_masks(same, different):
    return (same < different).float().mean() + (same == different).float().mean() / 2


@right("04.3")
def agreement_heaviside(same, different):
    return torch.heaviside(different - same, torch.tensor(0.5)).mean().item()


@right("04.3")
def agreement_sign(same, different):
    return ((1 + torch.sign(different - same)) / 2).mean()


@right("04.3")
def agreement_loop(same, different):
    total = 0.0
    for s, d in zip(same.tolist(), different.tolist()):
        total += 1.0 if s < d else 0.5 if s == d else 0.0
    return total / len(same)


# 04.4 rescaled(x, x_adv, size) -> images


@wrong("04.4", "whole batch")
def rescaled_batch(x, x_adv, size):
    d = x_adv - x
    return x + size * d / torch.norm(d)


@wrong("04.4", "NaN|0 by 0|division by zero")
def rescaled_nan(x, x_adv, size):
    d = x_adv - x
    return x + size * d / d.flatten(1).norm(dim=1)[:, None, None, None]


@wrong("04.4", "do not grow|projection")
def rescaled_project(x, x_adv, size):
    d = x_adv - x
    n = d.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)
    return x + d * torch.minimum(torch.ones_like(n), size / n)


@wrong("04.4", "add it to x")
def rescaled_change(x, x_adv, size):
    d = x_adv - x
    return size * F.normalize(d.flatten(1)).view_as(x)


@wrong("04.4", "shorter again|no clipping")
def rescaled_clipped(x, x_adv, size):
    d = F.normalize((x_adv - x).flatten(1)).view_as(x)
    return torch.clamp(x + size * d, 0, 1)


@wrong("04.4", "multiply by")
def rescaled_unit(x, x_adv, size):
    return x + F.normalize((x_adv - x).flatten(1)).view_as(x)


@wrong("04.4", "L∞|largest pixel")
def rescaled_linf(x, x_adv, size):
    d = x_adv - x
    return x + size * d / d.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


@right("04.4")
def rescaled_normalize(x, x_adv, size):
    return x + size * F.normalize((x_adv - x).flatten(1), dim=1).view_as(x)


@right("04.4")
def rescaled_view(x, x_adv, size):
    delta = x_adv - x
    length = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
    return x + delta * (size / length).view(-1, 1, 1, 1)


@right("04.4")
def rescaled_loop(x, x_adv, size):
    out = x.clone()
    for i in range(len(x)):
        d = x_adv[i] - x[i]
        if d.norm() > 0:
            out[i] = x[i] + d * size / d.norm()
    return out


@right("04.4")
def rescaled_where(x, x_adv, size):
    d = x_adv - x
    n = (d**2).sum((1, 2, 3), keepdim=True).sqrt()
    return x + torch.where(n > 0, size * d / n, torch.zeros_like(d))


# 04.5 sparse_step(x, grad, k) -> images


def _pick(x, target, worth, k):
    best = worth.flatten(1).argsort(dim=1, descending=True)[:, :k]
    mask = torch.zeros_like(worth.flatten(1)).scatter_(1, best, 1.0).view(len(x), 1, *x.shape[2:])
    return x * (1 - mask) + target * mask


@wrong("04.5", "cannot get whiter|room")
def sparse_steepest(x, grad, k):
    target = torch.where(grad > 0, 1.0, 0.0)
    return _pick(x, target, grad.abs().sum(1), k)


@wrong("04.5", "wrong end")
def sparse_wrong_end(x, grad, k):
    gain = torch.where(grad > 0, grad * (1 - x), -grad * x).sum(1)
    return _pick(x, (grad < 0).float(), gain, k)


@wrong("04.5", "whole batch")
def sparse_batch(x, grad, k):
    gain = torch.where(grad > 0, grad * (1 - x), -grad * x).sum(1)
    best = gain.flatten().topk(k).indices
    mask = torch.zeros(gain.numel(), dtype=torch.bool)
    mask[best] = True
    return torch.where(mask.view(len(x), 1, *x.shape[2:]), (grad > 0).float(), x)


@wrong("04.5", "k values|place")
def sparse_values(x, grad, k):
    gain = torch.where(grad > 0, grad * (1 - x), -grad * x).flatten(1)
    mask = torch.zeros_like(gain).scatter_(1, gain.topk(k, dim=1).indices, 1.0).view_as(x).bool()
    return torch.where(mask, (grad > 0).float(), x)


@wrong("04.5", "every pixel|only the best")
def sparse_all(x, grad, k):
    return (grad > 0).float()


@wrong("04.5", "inverted|1 − x")
def sparse_flip(x, grad, k):
    gain = torch.where(grad > 0, grad * (1 - x), -grad * x).sum(1)
    return _pick(x, 1 - x, gain, k)


@wrong("04.5", "loss falls|brighter")
def sparse_down(x, grad, k):
    gain = torch.where(grad < 0, -grad * (1 - x), grad * x).sum(1)
    return _pick(x, (grad < 0).float(), gain, k)


@right("04.5")
def sparse_where(x, grad, k):
    target = (grad > 0).to(x.dtype)
    gain = (grad * (target - x)).sum(1)
    return _pick(x, target, gain, k)


@right("04.5")
def sparse_topk(x, grad, k):
    gain = torch.where(grad > 0, grad * (1 - x), -grad * x).sum(1).flatten(1)
    mask = torch.zeros_like(gain, dtype=torch.bool).scatter(1, gain.topk(k, dim=1).indices, True)
    return torch.where(mask.view(len(x), 1, *x.shape[2:]), torch.where(grad > 0, 1.0, 0.0), x)


@right("04.5")
def sparse_loop(x, grad, k):
    out = x.clone()
    for i in range(len(x)):
        gain = torch.maximum(grad[i] * (1 - x[i]), grad[i] * (0 - x[i])).sum(0)
        for at in gain.flatten().topk(k).indices.tolist():
            row, column = divmod(at, x.shape[3])
            out[i, :, row, column] = (grad[i, :, row, column] > 0).float()
    return out


@right("04.5")
def sparse_threshold(x, grad, k):
    target = torch.heaviside(grad, torch.zeros(1))
    gain = (grad * (target - x)).sum(1, keepdim=True)
    least = gain.flatten(1).kthvalue(gain[0].numel() - k + 1, dim=1).values.view(-1, 1, 1, 1)
    return torch.where(gain >= least, target, x)


# 04.6 next_level(index, answers, count) -> number


def _level(index, count):
    return max(0, min(count - 1, index))


@wrong("04.6", "[Uu]pside down")
def level_upside_down(index, answers, count):
    if answers[-1]:
        return _level(index + (2 if all(answers) else 1), count)
    return _level(index - 3, count)


@wrong("04.6", "leaves the ladder|between 0")
def level_off(index, answers, count):
    if not answers[-1]:
        return index + 3
    return index - 2 if all(answers) else index - 1


@wrong("04.6", "three up|guessing")
def level_one_up(index, answers, count):
    if not answers[-1]:
        return _level(index + 1, count)
    return _level(index - 2 if all(answers) else index - 1, count)


@wrong("04.6", "down by two|always go by one")
def level_slow(index, answers, count):
    return _level(index - 1 if answers[-1] else index + 3, count)


@wrong("04.6", "newest answer decides|any mistake|whenever there was a mistake")
def level_any(index, answers, count):
    return _level(index - 2 if all(answers) else index + 3, count)


@wrong("04.6", "count − 1|levels 0 to 13")
def level_past_the_end(index, answers, count):
    step = 3 if not answers[-1] else -2 if all(answers) else -1
    return min(max(index + step, 0), count)


@right("04.6")
def level_plain(index, answers, count):
    if answers[-1]:
        index -= 2 if False not in answers else 1
    else:
        index += 3
    return min(max(index, 0), count - 1)


@right("04.6")
def level_numpy(index, answers, count):
    step = np.where(answers[-1], -1 - int(np.all(answers)), 3)
    return np.clip(index + step, 0, count - 1)


@right("04.6")
def level_range(index, answers, count):
    step = {True: -2 if sum(answers) == len(answers) else -1, False: 3}[answers[-1]]
    ladder = range(count)
    target = index + step
    return target if target in ladder else (0 if target < 0 else count - 1)


@right("04.6")
def level_tensor(index, answers, count):
    newest, mistake = answers[-1], not all(answers)
    step = 3 if not newest else (-1 if mistake else -2)
    return torch.tensor(float(index + step)).clamp(0, count - 1)
