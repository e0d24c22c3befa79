"""Lesson 06, as students answer it."""

import math

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
from scipy.stats import beta, binom, binomtest, norm

from . import right, wrong

# 06.1 worst_case(correct) -> number


@wrong("06.1", "smallest of the attacks|image by image|each image")
def worst_min_of_means(correct):
    return min(row.float().mean().item() for row in correct)


@wrong("06.1", "averaged over attacks and images")
def worst_mean(correct):
    return float(correct.float().mean())


@wrong("06.1", "all of them|under any")
def worst_any(correct):
    return correct.any(dim=0).float().mean().item()


@wrong("06.1", "rows are attacks|swapped")
def worst_dim(correct):
    return correct.all(dim=1).float().mean().item()


@wrong("06.1", "some attack broke|stands")
def worst_attack_success(correct):
    return (~correct).any(0).float().mean().item()


@wrong("06.1", "multiplied|independent")
def worst_product(correct):
    p = 1.0
    for row in correct:
        p *= row.float().mean().item()
    return p


@right("06.1")
def worst_running(correct):
    standing = torch.ones(correct.shape[1], dtype=torch.bool)
    for row in correct:
        standing &= row
    return standing.float().mean().item()


@right("06.1")
def worst_prod(correct):
    return correct.float().prod(0).mean()


@right("06.1")
def worst_min(correct):
    return correct.int().min(dim=0).values.float().mean().item()


@right("06.1")
def worst_lists(correct):
    columns = list(zip(*correct.tolist()))
    return sum(all(c) for c in columns) / len(columns)


@right("06.1")
def worst_numpy(correct):
    return np.all(correct.numpy(), axis=0).mean()


# 06.2 margin_loss(logits, y) -> one value per image


@wrong("06.2", "sign is flipped")
def margin_flipped(logits, y):
    own = logits[torch.arange(len(y)), y]
    masked = logits.clone()
    masked[torch.arange(len(y)), y] = -1e9
    return own - masked.max(1).values


@wrong("06.2", "[Ll]eave the label out")
def margin_with_own(logits, y):
    return logits.max(1).values - logits[torch.arange(len(y)), y]


@wrong("06.2", "cross-entropy")
def margin_ce(logits, y):
    return -logits.log_softmax(1)[torch.arange(len(y)), y]


@wrong("06.2", "softmax is what saturates|probabilities")
def margin_softmax(logits, y):
    p = logits.softmax(1)
    own = p.gather(1, y[:, None]).squeeze(1)
    return p.scatter(1, y[:, None], -1.0).max(1).values - own


@wrong("06.2", "−inf|blank")
def margin_zero_mask(logits, y):
    own = (logits * F.one_hot(y, logits.shape[1])).sum(1)
    others = (logits * (1 - F.one_hot(y, logits.shape[1]))).max(1).values
    return others - own


@wrong("06.2", "detach|no gradient|carries no gradient")
def margin_no_grad(logits, y):
    with torch.no_grad():
        own = logits[torch.arange(len(y)), y]
        return logits.scatter(1, y[:, None], -torch.inf).amax(1) - own


@wrong("06.2", "averaged|one value per image")
def margin_mean(logits, y):
    own = logits[torch.arange(len(y)), y]
    return (logits.scatter(1, y[:, None], -torch.inf).amax(1) - own).mean()


@wrong("06.2", "clamp|cut off")
def margin_cw(logits, y):
    own = logits[torch.arange(len(y)), y]
    return torch.relu(logits.scatter(1, y[:, None], -torch.inf).amax(1) - own)


@wrong("06.2", "only where the label is first")
def margin_second_of_all(logits, y):
    return logits.sort(dim=1, descending=True).values[:, 1] - logits[torch.arange(len(y)), y]


@right("06.2")
def margin_scatter(logits, y):
    own = logits.gather(1, y.unsqueeze(1)).squeeze(1)
    return logits.scatter(1, y.unsqueeze(1), float("-inf")).max(dim=1).values - own


@right("06.2")
def margin_masked_fill(logits, y):
    label = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(label, -torch.inf).amax(1) - logits[label]


@right("06.2")
def margin_loop(logits, y):
    values = []
    for z, c in zip(logits, y.tolist()):
        others = torch.cat([z[:c], z[c + 1 :]])
        values.append(others.max() - z[c])
    return torch.stack(values)


@right("06.2")
def margin_topk(logits, y):
    top = logits.topk(2, dim=1)
    own = logits.gather(1, y[:, None])[:, 0]
    best = torch.where(top.indices[:, 0] == y, top.values[:, 1], top.values[:, 0])
    return best - own


@right("06.2")
def margin_leads(logits, y):
    lead = logits - logits.gather(1, y[:, None])
    return lead.masked_fill(F.one_hot(y, logits.shape[1]).bool(), -torch.inf).amax(1)


# 06.3 interval_linear(low, high, weight, bias) -> outputs


@wrong("06.3", "upper end|lower end")
def interval_high(low, high, weight, bias):
    return F.linear(high, weight, bias)


@wrong("06.3", "absolute|\\|W\\|")
def interval_no_abs(low, high, weight, bias):
    middle, half = (low + high) / 2, (high - low) / 2
    return weight @ middle + weight @ half + bias


@wrong("06.3", "half|halve")
def interval_whole(low, high, weight, bias):
    middle, side = (low + high) / 2, high - low
    return weight @ middle + weight.abs() @ side + bias


@wrong("06.3", "two corners|own end")
def interval_two_corners(low, high, weight, bias):
    return torch.max(weight @ low + bias, weight @ high + bias)


@wrong("06.3", "swapped|lower bound")
def interval_swapped(low, high, weight, bias):
    return weight.clamp(max=0) @ high + weight.clamp(min=0) @ low + bias


@wrong("06.3", "bias")
def interval_no_bias(low, high, weight, bias):
    return weight.clamp(min=0) @ high + weight.clamp(max=0) @ low


@wrong("06.3", "ReLU")
def interval_relu(low, high, weight, bias):
    return F.relu(weight.clamp(min=0) @ high + weight.clamp(max=0) @ low + bias)


@right("06.3")
def interval_signs(low, high, weight, bias):
    return F.relu(weight) @ high - F.relu(-weight) @ low + bias


@right("06.3")
def interval_where(low, high, weight, bias):
    return (torch.where(weight > 0, high, low) * weight).sum(1) + bias


@right("06.3")
def interval_max(low, high, weight, bias):
    return torch.maximum(weight * low, weight * high).sum(dim=1) + bias


@right("06.3")
def interval_loop(low, high, weight, bias):
    out = bias.clone()
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            w = weight[i, j]
            out[i] += w * (high[j] if w > 0 else low[j])
    return out


@right("06.3")
def interval_middle(low, high, weight, bias):
    return F.linear((low + high) / 2, weight, bias) + F.linear((high - low) / 2, weight.abs())


# 06.4 certified_radius(selection, estimation, sigma, alpha) -> number or None


def lower(k, n, alpha):
    return binomtest(k, n, alternative="greater").proportion_ci(confidence_level=1 - alpha, method="exact").low


@wrong("06.4", "share of votes|confidence bound")
def radius_plain(selection, estimation, sigma, alpha):
    p = estimation[selection.argmax()].item() / estimation.sum().item()
    return sigma * norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "Wald|normal approximation")
def radius_wald(selection, estimation, sigma, alpha):
    n = estimation.sum().item()
    p = estimation[selection.argmax()].item() / n
    p = p - norm.ppf(1 - alpha) * math.sqrt(p * (1 - p) / n)
    return sigma * norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "very votes|choose by")
def radius_same_votes(selection, estimation, sigma, alpha):
    p = lower(int(estimation.max()), int(estimation.sum()), alpha)
    return sigma * norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "two-sided")
def radius_two_sided(selection, estimation, sigma, alpha):
    k, n = int(estimation[selection.argmax()]), int(estimation.sum())
    p = binomtest(k, n).proportion_ci(1 - alpha, method="exact").low
    return sigma * norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "pooled|together")
def radius_pooled(selection, estimation, sigma, alpha):
    votes = selection + estimation
    k, n = int(votes[selection.argmax()]), int(votes.sum())
    p = lower(k, n, alpha)
    return sigma * norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "σ is missing")
def radius_no_sigma(selection, estimation, sigma, alpha):
    p = lower(int(estimation[selection.argmax()]), int(estimation.sum()), alpha)
    return norm.ppf(p) if p > 0.5 else None


@wrong("06.4", "negative|return None")
def radius_negative(selection, estimation, sigma, alpha):
    return sigma * norm.ppf(lower(int(estimation[selection.argmax()]), int(estimation.sum()), alpha))


@wrong("06.4", "failure probability")
def radius_confidence(selection, estimation, sigma, alpha):
    k, n = int(estimation[selection.argmax()]), int(estimation.sum())
    p = binomtest(k, n, alternative="greater").proportion_ci(confidence_level=alpha, method="exact").low
    return sigma * norm.ppf(p) if p > 0.5 else None


@right("06.4")
def radius_binomtest(selection, estimation, sigma, alpha):
    k, n = int(estimation[selection.argmax()]), int(estimation.sum())
    p = lower(k, n, alpha)
    return None if p <= 0.5 else sigma * norm.ppf(p)


@right("06.4")
def radius_beta(selection, estimation, sigma, alpha):
    winner = torch.argmax(selection).item()
    k, n = estimation[winner].item(), estimation.sum().item()
    p = beta.ppf(alpha, k, n - k + 1) if k > 0 else 0
    if p > 0.5:
        return sigma * norm.ppf(p)


@right("06.4")
def radius_two_terms(selection, estimation, sigma, alpha):
    k, n = int(estimation[int(selection.argmax())]), int(estimation.sum())
    p = float(scipy.stats.beta(k, n - k + 1).ppf(alpha))
    return sigma / 2 * (norm.ppf(p) - norm.ppf(1 - p)) if p > 0.5 else None


@right("06.4")
def radius_bisected(selection, estimation, sigma, alpha):
    k, n = int(estimation[selection.argmax()]), int(estimation.sum())
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        low, high = (p, high) if binom.sf(k - 1, n, p) <= alpha else (low, p)
    normal = torch.distributions.Normal(0.0, 1.0)
    return sigma * normal.icdf(torch.tensor(low, dtype=torch.float64)).item() if low > 0.5 else None


# 06.5 vote(counts, alpha) -> number or None


@wrong("06.5", "always name|near")
def vote_argmax(counts, alpha):
    return counts.argmax().item()


@wrong("06.5", "more than half")
def vote_majority(counts, alpha):
    return counts.argmax().item() if counts.max() > counts.sum() / 2 else None


@wrong("06.5", "all others together")
def vote_total(counts, alpha):
    p = binomtest(int(counts.max()), int(counts.sum()), 0.5).pvalue
    return counts.argmax().item() if p <= alpha else None


@wrong("06.5", "one-sided")
def vote_one_sided(counts, alpha):
    a, b = counts.sort(descending=True).values[:2].tolist()
    return counts.argmax().item() if binomtest(a, a + b, alternative="greater").pvalue <= alpha else None


@wrong("06.5", "turned round")
def vote_turned(counts, alpha):
    a, b = counts.sort(descending=True).values[:2].tolist()
    return None if binomtest(a, a + b).pvalue <= alpha else counts.argmax().item()


@wrong("06.5", "return the class|how many votes")
def vote_count(counts, alpha):
    a, b = counts.topk(2).values.tolist()
    return a if binomtest(a, a + b).pvalue <= alpha else None


@right("06.5")
def vote_topk(counts, alpha):
    top = counts.topk(2)
    a, b = top.values.tolist()
    if binomtest(a, a + b, p=0.5).pvalue > alpha:
        return None
    return top.indices[0].item()


@right("06.5")
def vote_binom(counts, alpha):
    order = counts.argsort(descending=True)
    a, b = int(counts[order[0]]), int(counts[order[1]])
    p = min(1.0, 2 * binom.sf(a - 1, a + b, 0.5))
    return float(order[0]) if p <= alpha else None


@right("06.5")
def vote_numpy(counts, alpha):
    c = counts.numpy()
    b, a = np.sort(c)[-2:]
    return int(np.argmax(c)) if binomtest(int(a), int(a + b), 0.5).pvalue <= alpha else None


@right("06.5")
def vote_lists(counts, alpha):
    c = counts.tolist()
    a, b, *_ = sorted(c, reverse=True)
    tail = sum(math.comb(a + b, i) for i in range(b + 1)) / 2 ** (a + b)
    return c.index(a) if min(1, 2 * tail) <= alpha else None


# 06.6 red_flags(clean, noise, fgsm, pgd, square, unbounded) -> counts


@wrong("06.6", "tie")
def flags_ties(clean, noise, fgsm, pgd, square, unbounded):
    return (
        (pgd >= clean).float()
        + (noise <= pgd).float()
        + (fgsm <= pgd).float()
        + (square <= pgd).float()
        + (unbounded >= 0.1).float()
    )


@wrong("06.6", "turned round|as it should be")
def flags_turned(clean, noise, fgsm, pgd, square, unbounded):
    return (
        (pgd > clean).float()
        + (noise > pgd).float()
        + (fgsm > pgd).float()
        + (square > pgd).float()
        + (unbounded > 0.1).float()
    )


@wrong("06.6", "count them|several")
def flags_any(clean, noise, fgsm, pgd, square, unbounded):
    return ((pgd > clean) | (noise < pgd) | (fgsm < pgd) | (square < pgd) | (unbounded > 0.1)).float()


@wrong("06.6", "True \\+ True is True")
def flags_added_as_truth_values(clean, noise, fgsm, pgd, square, unbounded):
    return (pgd > clean) + (noise < pgd) + (fgsm < pgd) + (square < pgd) + (unbounded > 0.1)


@wrong("06.6", "True \\+ True is True")
def flags_added_then_float(clean, noise, fgsm, pgd, square, unbounded):
    return ((pgd > clean) + (noise < pgd) + (fgsm < pgd) + (square < pgd) + (unbounded > 0.1)).float()


@wrong("06.6", "unbounded")
def flags_no_unbounded(clean, noise, fgsm, pgd, square, unbounded):
    return (pgd > clean).float() + (noise < pgd).float() + (fgsm < pgd).float() + (square < pgd).float()


@wrong("06.6", "torch.int64|float tensor")
def flags_integers(clean, noise, fgsm, pgd, square, unbounded):
    return torch.stack([pgd > clean, noise < pgd, fgsm < pgd, square < pgd, unbounded > 0.1]).sum(0)


@wrong("06.6", "number|passes")
def flags_passed(clean, noise, fgsm, pgd, square, unbounded):
    bad = torch.stack([pgd > clean, noise < pgd, fgsm < pgd, square < pgd, unbounded > 0.1])
    return (~bad).sum(0).float()


@right("06.6")
def flags_sum(clean, noise, fgsm, pgd, square, unbounded):
    signs = [pgd > clean, noise < pgd, fgsm < pgd, square < pgd, unbounded > 0.1]
    return torch.stack(signs).float().sum(0)


@right("06.6")
def flags_added(clean, noise, fgsm, pgd, square, unbounded):
    flags = torch.zeros_like(pgd)
    for weaker in (noise, fgsm, square):
        flags += weaker < pgd
    flags += pgd > clean
    return flags + (unbounded > 0.1)


@right("06.6")
def flags_loop(clean, noise, fgsm, pgd, square, unbounded):
    out = []
    for c, n, f, p, s, u in zip(*(t.tolist() for t in (clean, noise, fgsm, pgd, square, unbounded))):
        out.append(float((p > c) + (n < p) + (f < p) + (s < p) + (u > 0.1)))
    return torch.tensor(out)


@right("06.6")
def flags_where(clean, noise, fgsm, pgd, square, unbounded):
    one, zero = torch.ones_like(pgd), torch.zeros_like(pgd)
    flags = torch.where(pgd > clean, one, zero)
    for weaker in (noise, fgsm, square):
        flags = flags + torch.where(pgd > weaker, one, zero)
    return flags + torch.where(unbounded > 0.1, one, zero)
