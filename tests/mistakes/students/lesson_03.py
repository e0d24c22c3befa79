"""Lesson 03, as students answer it."""

import numpy as np
import torch
import torch.nn.functional as F

from cs329t_robust.threat import warp

from . import right, wrong

# 03.1 wear(x, mask, paint) -> images


@wrong("03.1", "wrong way round")
def wear_inverted(x, mask, paint):
    out = x.clone()
    out[:, :, ~mask] = paint.clamp(0, 1)[:, ~mask]
    return out


@wrong("03.1", "added|replaced")
def wear_added(x, mask, paint):
    return torch.clamp(x + paint * mask.float(), min=0.0, max=1.0)


@wrong("03.1", "clamp|valid image|below 0")
def wear_unclipped(x, mask, paint):
    return x * (1 - mask.float()) + paint * mask.float()


@wrong("03.1", "in place|different now")
def wear_in_place(x, mask, paint):
    x[:, :, mask] = paint.clamp(0, 1)[:, mask]
    return x


@wrong("03.1", "paint")
def wear_nothing_but_paint(x, mask, paint):
    return paint.clamp(0, 1).repeat(len(x), 1, 1, 1)


@wrong("03.1", "black|cut")
def wear_hole(x, mask, paint):
    y = x.clone()
    y[..., mask] = 0
    return y


@right("03.1")
def wear_where(x, mask, paint):
    return torch.where(mask[None, None], paint[None], x).clamp(0, 1)


@right("03.1")
def wear_indexed(x, mask, paint):
    out = x.clone()
    out[:, :, mask] = paint[:, mask].clamp(0, 1)
    return out


@right("03.1")
def wear_arithmetic(x, mask, paint):
    m = mask.to(x.dtype)
    return ((1 - m) * x + m * paint).clamp(min=0, max=1)


@right("03.1")
def wear_loop(x, mask, paint):
    out = []
    for face in x:
        face = face.clone()
        for c in range(face.shape[0]):
            face[c][mask] = paint[c][mask].clamp(0, 1)
        out.append(face)
    return torch.stack(out)


@right("03.1")
def wear_masked_fill(x, mask, paint):
    hole = x.masked_fill(mask, 0.0)
    return hole + paint.clip(0, 1).masked_fill(~mask, 0.0)


# 03.2 net_success(before, after, target) -> number


@wrong("03.2", "before the attack|did not win")
def success_plain(before, after, target):
    return (after == target).float().mean().item()


@wrong("03.2", "divide by all|leave them out below")
def success_over_all(before, after, target):
    return ((before != target) & (after == target)).sum().item() / len(before)


@wrong("03.2", "every change|any change")
def success_changed(before, after, target):
    could = before != target
    if not could.any():
        return 0
    return (before[could] != after[could]).float().mean()


@wrong("03.2", "subtract|picture by picture")
def success_difference(before, after, target):
    return float((after == target).double().mean()) - float((before == target).double().mean())


@wrong("03.2", "NaN|zero")
def success_nan(before, after, target):
    return (after[before != target] == target).float().mean().item()


@wrong("03.2", "divid|zero")
def success_zero_division(before, after, target):
    return int(((before != target) & (after == target)).sum()) / int((before != target).sum())


@wrong("03.2", "per cent")
def success_percent(before, after, target):
    could = before != target
    return 100.0 * (could & (after == target)).sum().item() / max(1, could.sum().item())


@right("03.2")
def success_if(before, after, target):
    could = before != target
    if could.sum() == 0:
        return 0.0
    return (after[could] == target).float().mean().item()


@right("03.2")
def success_lists(before, after, target):
    won = [a == target for b, a in zip(before.tolist(), after.tolist()) if b != target]
    return sum(won) / len(won) if won else 0.0


@right("03.2")
def success_tensor(before, after, target):
    could = (before != target).float()
    won = could * (after == target).float()
    return won.sum() / could.sum().clamp(min=1)


@right("03.2")
def success_numpy(before, after, target):
    b, a = before.numpy(), after.numpy()
    n = np.count_nonzero(b != target)
    return np.count_nonzero((a == target) & (b != target)) / n if n else 0


# 03.3 eot_gradient(model, x, y, views) -> gradient


@wrong("03.3", "mean: divide|len")
def eot_sum(model, x, y, views):
    x = x.clone().requires_grad_()
    loss = 0
    for view in views:
        loss = loss + F.cross_entropy(model(view(x)), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@wrong("03.3", "last view")
def eot_last(model, x, y, views):
    x = x.clone().requires_grad_()
    for view in views:
        loss = F.cross_entropy(model(view(x)), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@wrong("03.3", "reduction|averages over the batch")
def eot_batch_mean(model, x, y, views):
    x = x.clone().requires_grad_()
    loss = torch.stack([F.cross_entropy(model(v(x)), y) for v in views]).mean()
    return torch.autograd.grad(loss, x)[0]


@wrong("03.3", "averaged the pictures|nobody sees")
def eot_mean_picture(model, x, y, views):
    x = x.clone().requires_grad_()
    seen = torch.stack([v(x) for v in views]).mean(0)
    return torch.autograd.grad(F.cross_entropy(model(seen), y, reduction="sum"), x)[0]


@wrong("03.3", "logits before the loss")
def eot_mean_logits(model, x, y, views):
    x = x.clone().requires_grad_()
    z = torch.stack([model(v(x)) for v in views]).mean(0)
    return torch.autograd.grad(F.cross_entropy(z, y, reduction="sum"), x)[0]


@wrong("03.3", "through the view")
def eot_seen(model, x, y, views):
    grads = []
    for v in views:
        s = v(x).detach().clone().requires_grad_()
        grads.append(torch.autograd.grad(F.cross_entropy(model(s), y, reduction="sum"), s)[0])
    return sum(grads) / len(grads)


@wrong("03.3", "starts from x|chain")
def eot_chain(model, x, y, views):
    leaf = x.clone().requires_grad_()
    seen = leaf
    for v in views:
        seen = v(seen)
    return torch.autograd.grad(F.cross_entropy(model(seen), y, reduction="sum"), leaf)[0]


@wrong("03.3", "sign is flipped|way down")
def eot_down(model, x, y, views):
    x = x.clone().requires_grad_()
    loss = -sum(F.cross_entropy(model(v(x)), y, reduction="sum") for v in views) / len(views)
    return torch.autograd.grad(loss, x)[0]


@right("03.3")
def eot_loop(model, x, y, views):
    x = x.detach().clone().requires_grad_()
    total = 0
    for view in views:
        total = total + F.cross_entropy(model(view(x)), y, reduction="sum")
    (grad,) = torch.autograd.grad(total / len(views), x)
    return grad


@right("03.3")
def eot_gradients(model, x, y, views):
    total = torch.zeros_like(x)
    for view in views:
        leaf = x.clone().requires_grad_()
        total += torch.autograd.grad(F.cross_entropy(model(view(leaf)), y, reduction="none").sum(), leaf)[0]
    return total / len(views)


@right("03.3")
def eot_one_batch(model, x, y, views):
    leaf = x.clone().requires_grad_()
    seen = torch.cat([view(leaf) for view in views])
    loss = F.cross_entropy(model(seen), y.repeat(len(views)), reduction="sum") / len(views)
    return torch.autograd.grad(loss, leaf)[0]


@right("03.3")
def eot_backward(model, x, y, views):
    leaf = x.clone().requires_grad_()
    for view in views:
        (F.cross_entropy(model(view(leaf)), y, reduction="sum") / len(views)).backward()
    return leaf.grad.detach()


@right("03.3")
def eot_log_softmax(model, x, y, views):
    leaf = x.clone().requires_grad_()
    losses = [-model(view(leaf)).log_softmax(1)[torch.arange(len(x)), y] for view in views]
    return torch.autograd.grad(torch.stack(losses).mean(0).sum(), leaf)[0]


# 03.4 printed(x, palette) -> images


@wrong("03.4", "argmin|farthest")
def printed_farthest(x, palette):
    d = ((x[:, None] - palette[None, :, :, None, None]) ** 2).sum(2)
    return palette[d.argmax(1)].permute(0, 3, 1, 2)


@wrong("03.4", "channels last|permute")
def printed_channels_last(x, palette):
    d = ((x[:, None] - palette[None, :, :, None, None]) ** 2).sum(2)
    return palette[d.argmin(1)]


@wrong("03.4", "scrambles|permute")
def printed_viewed(x, palette):
    d = ((x[:, None] - palette[None, :, :, None, None]) ** 2).sum(2)
    return palette[d.argmin(1)].reshape(*x.shape)


@wrong("03.4", "on their own|whole pixel")
def printed_channelwise(x, palette):
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        gaps = (x[:, c].unsqueeze(-1) - palette[:, c]).abs()
        out[:, c] = palette[:, c][gaps.argmin(-1)]
    return out


@wrong("03.4", "absolute|Euclidean|squares")
def printed_l1(x, palette):
    d = (x.movedim(1, -1).unsqueeze(-2) - palette).abs().sum(-1)
    return palette[d.argmin(-1)].movedim(-1, 1)


@wrong("03.4", "rounded")
def printed_rounded(x, palette):
    return torch.round(x)


@wrong("03.4", "look the colour up|number of the colour")
def printed_index(x, palette):
    d = ((x[:, None] - palette[None, :, :, None, None]) ** 2).sum(2)
    return d.argmin(1, keepdim=True).expand_as(x)


@right("03.4")
def printed_cdist(x, palette):
    pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    nearest = torch.cdist(pixels, palette).argmin(1)
    return palette[nearest].view(x.shape[0], x.shape[2], x.shape[3], x.shape[1]).permute(0, 3, 1, 2)


@right("03.4")
def printed_norm(x, palette):
    gaps = (x.movedim(1, -1).unsqueeze(-2) - palette).norm(dim=-1)
    return palette[gaps.argmin(-1)].movedim(-1, 1)


@right("03.4")
def printed_running_best(x, palette):
    best = torch.full((x.shape[0], 1, *x.shape[2:]), float("inf"))
    out = x.clone()
    for colour in palette:
        colour = colour.view(1, -1, 1, 1)
        d = ((x - colour) ** 2).sum(1, keepdim=True)
        out = torch.where(d < best, colour, out)
        best = torch.minimum(d, best)
    return out


@right("03.4")
def printed_dot_products(x, palette):
    score = 2 * torch.einsum("nchw,mc->nmhw", x, palette) - (palette**2).sum(1).view(1, -1, 1, 1)
    return torch.nn.functional.one_hot(score.argmax(1), len(palette)).float().matmul(palette).permute(0, 3, 1, 2)


# 03.5 paste(x, patch, top, left) -> images


def pad_and_paste(x, patch, top, left):
    side = patch.shape[1]
    big = F.pad(x, (side, side, side, side))
    t, l = top + side, left + side
    big[:, :, t : t + side, l : l + side] = patch
    return big[:, :, side:-side, side:-side].clone()


@wrong("03.5", "swapped")
def paste_swapped(x, patch, top, left):
    return pad_and_paste(x, patch, left, top)


@wrong("03.5", "slices|sticks out")
def paste_slices(x, patch, top, left):
    out = x.clone()
    out[:, :, top : top + patch.shape[-2], left : left + patch.shape[-1]] = patch
    return out


@wrong("03.5", "in place|different now")
def paste_in_place(x, patch, top, left):
    h, w = x.shape[2:]
    for i in range(patch.shape[1]):
        for j in range(patch.shape[2]):
            if 0 <= top + i < h and 0 <= left + j < w:
                x[:, :, top + i, left + j] = patch[:, i, j]
    return x


@wrong("03.5", "wraps|other")
def paste_wraps(x, patch, top, left):
    out = x.clone()
    for i in range(patch.shape[1]):
        for j in range(patch.shape[2]):
            out[:, :, (top + i) % x.shape[2], (left + j) % x.shape[3]] = patch[:, i, j]
    return out


@wrong("03.5", "middle|corner")
def paste_centred(x, patch, top, left):
    return pad_and_paste(x, patch, top - patch.shape[1] // 2, left - patch.shape[2] // 2)


@wrong("03.5", "added|opaque")
def paste_plus(x, patch, top, left):
    return (x + pad_and_paste(torch.zeros_like(x), patch, top, left)).clamp(0, 1)


@wrong("03.5", "pushed back")
def paste_inside(x, patch, top, left):
    top = max(0, min(top, x.shape[2] - patch.shape[1]))
    left = max(0, min(left, x.shape[3] - patch.shape[2]))
    out = x.clone()
    out[..., top : top + patch.shape[1], left : left + patch.shape[2]] = patch
    return out


@right("03.5")
def paste_with_padding(x, patch, top, left):
    return pad_and_paste(x, patch, top, left)


@right("03.5")
def paste_pixel_by_pixel(x, patch, top, left):
    out = x.clone()
    h, w = x.shape[2:]
    for i in range(patch.shape[1]):
        for j in range(patch.shape[2]):
            if 0 <= top + i < h and 0 <= left + j < w:
                out[:, :, top + i, left + j] = patch[:, i, j]
    return out


@right("03.5")
def paste_cut(x, patch, top, left):
    out = x.clone()
    cut = patch[:, max(0, -top) :, max(0, -left) :]
    t, l = max(0, top), max(0, left)
    cut = cut[:, : x.shape[2] - t, : x.shape[3] - l]
    out[:, :, t : t + cut.shape[1], l : l + cut.shape[2]] = cut
    return out


@right("03.5")
def paste_mask(x, patch, top, left):
    rows = torch.arange(x.shape[2]) - top
    columns = torch.arange(x.shape[3]) - left
    side = patch.shape[1]
    inside = ((rows >= 0) & (rows < side))[:, None] & ((columns >= 0) & (columns < side))
    sheet = patch[:, rows.clamp(0, side - 1)][:, :, columns.clamp(0, side - 1)]
    return torch.where(inside, sheet, x)


# 03.6 worst_pose(model, x, y, poses) -> images


def _loss(model, x, y):
    with torch.no_grad():
        return F.cross_entropy(model(x), y, reduction="none")


@wrong("03.6", "lowest")
def pose_best(model, x, y, poses):
    moved = torch.stack([warp(x, p) for p in poses])
    return moved[torch.stack([_loss(model, m, y) for m in moved]).argmin(0), torch.arange(len(x))]


@wrong("03.6", "of its own|same pose")
def pose_shared(model, x, y, poses):
    means = [_loss(model, warp(x, p), y).mean().item() for p in poses]
    return warp(x, poses[int(np.argmax(means))])


@wrong("03.6", "starts from x|picture that the last one left")
def pose_on_pose(model, x, y, poses):
    worst, best = x.clone(), torch.full((len(x),), -float("inf"))
    moved = x
    for p in poses:
        moved = warp(moved, p)
        loss = _loss(model, moved, y)
        better = loss > best
        worst[better], best[better] = moved[better], loss[better]
    return worst


@wrong("03.6", "last pose that was tried")
def pose_last(model, x, y, poses):
    for p in poses:
        worst = warp(x, p)
    return worst


@wrong("03.6", "model's own prediction")
def pose_prediction(model, x, y, poses):
    y = model(x).argmax(1)
    moved = torch.stack([warp(x, p) for p in poses])
    return moved[torch.stack([_loss(model, m, y) for m in moved]).argmax(0), torch.arange(len(x))]


@wrong("03.6", "no pose|averaged")
def pose_mean(model, x, y, poses):
    return torch.stack([warp(x, p) for p in poses]).mean(0)


@wrong("03.6", "return inside|first pose")
def pose_returns_early(model, x, y, poses):
    worst, best = x, torch.full((len(x),), -float("inf"))
    for p in poses:
        moved = warp(x, p)
        loss = _loss(model, moved, y)
        worst = torch.where((loss > best).view(-1, 1, 1, 1), moved, worst)
        return worst
    return worst


@right("03.6")
def pose_gather(model, x, y, poses):
    moved = torch.stack([warp(x, p) for p in poses])
    loss = torch.stack([_loss(model, m, y) for m in moved])
    return moved[loss.argmax(0), torch.arange(len(x))]


@right("03.6")
def pose_running(model, x, y, poses):
    worst, best = x.clone(), torch.full((len(x),), -float("inf"))
    for p in poses:
        moved = warp(x, p)
        loss = _loss(model, moved, y)
        better = loss > best
        worst[better], best[better] = moved[better], loss[better]
    return worst


@right("03.6")
def pose_image_by_image(model, x, y, poses):
    out = []
    for image, label in zip(x, y):
        moved = warp(image.expand(len(poses), -1, -1, -1), poses)
        out.append(moved[_loss(model, moved, label.expand(len(poses))).argmax()])
    return torch.stack(out)


@right("03.6")
def pose_least_likely(model, x, y, poses):
    n, m = len(x), len(poses)
    moved = warp(x.repeat(m, 1, 1, 1), poses.repeat_interleave(n, 0))
    with torch.no_grad():
        p = model(moved).softmax(1)[torch.arange(n * m), y.repeat(m)].view(m, n)
    return moved.view(m, *x.shape)[p.argmin(0), torch.arange(n)]
