"""Lesson 07, as students answer it."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import right, wrong

# 07.1 robust_error(w, theta, sigma, eps) -> number


@wrong("07.1", "dual norm")
def error_l2(w, theta, sigma, eps):
    margin = torch.dot(w, theta) - eps * torch.linalg.norm(w)
    return torch.special.ndtr(-margin / (sigma * torch.linalg.norm(w)))


@wrong("07.1", "dual norm|largest")
def error_max(w, theta, sigma, eps):
    z = (w @ theta - eps * torch.linalg.vector_norm(w, ord=float("inf"))) / (sigma * w.norm())
    return torch.special.ndtr(-z).item()


@wrong("07.1", "accuracy")
def error_accuracy(w, theta, sigma, eps):
    z = (w @ theta - eps * w.abs().sum()) / (sigma * w.norm())
    return torch.distributions.Normal(0, 1).cdf(z).item()


@wrong("07.1", "‖w‖₂")
def error_sigma_only(w, theta, sigma, eps):
    return torch.special.ndtr((eps * w.abs().sum() - w @ theta) / sigma).item()


@wrong("07.1", "helps|taken away")
def error_plus(w, theta, sigma, eps):
    return torch.special.ndtr(-((w * theta).sum() + eps * w.abs().sum()) / (sigma * w.norm())).item()


@wrong("07.1", "signs|chooses")
def error_signed(w, theta, sigma, eps):
    return torch.special.ndtr(-(w @ (theta - eps)) / (sigma * w.norm())).item()


@wrong("07.1", "not used")
def error_standard(w, theta, sigma, eps):
    return torch.special.ndtr(-(w @ theta) / (sigma * w.norm())).item()


@right("07.1")
def error_ndtr(w, theta, sigma, eps):
    margin = w @ theta - eps * w.abs().sum()
    return torch.special.ndtr(-margin / (sigma * w.norm())).item()


@right("07.1")
def error_erf(w, theta, sigma, eps):
    z = float((torch.dot(w, theta) - eps * torch.linalg.vector_norm(w, 1)) / (sigma * torch.linalg.vector_norm(w)))
    return 0.5 * math.erfc(z / math.sqrt(2))


@right("07.1")
def error_distribution(w, theta, sigma, eps):
    law = torch.distributions.Normal(w @ theta - eps * w.abs().sum(), sigma * w.norm())
    return law.cdf(torch.tensor(0.0, dtype=w.dtype))


@right("07.1")
def error_attack(w, theta, sigma, eps):
    shifted = theta - eps * torch.sign(w)
    return float(torch.special.ndtr(-(w @ shifted) / (sigma * torch.sqrt((w**2).sum()))))


@right("07.1")
def error_numpy(w, theta, sigma, eps):
    from scipy.stats import norm

    w, theta = w.numpy(), theta.numpy()
    return norm.cdf(-(w @ theta - eps * np.abs(w).sum()) / (sigma * np.linalg.norm(w)))


# 07.2 fit_exponent(d, n) -> number


@wrong("07.2", "logarithms")
def fit_linear(d, n):
    return np.polyfit(d.numpy(), n.numpy(), 1)[0]


@wrong("07.2", "log d as well|exponential")
def fit_exponential(d, n):
    return np.polyfit(d.numpy(), np.log(n.numpy()), 1)[0]


@wrong("07.2", "swapped")
def fit_swapped(d, n):
    return np.polyfit(np.log(n.numpy()), np.log(d.numpy()), 1)[0]


@wrong("07.2", "intercept")
def fit_intercept(d, n):
    return np.polyfit(np.log(d.numpy()), np.log(n.numpy()), 1)[1]


@wrong("07.2", "first and the last")
def fit_ends(d, n):
    return (math.log(n[-1]) - math.log(n[0])) / (math.log(d[-1]) - math.log(d[0]))


@wrong("07.2", "origin")
def fit_origin(d, n):
    A = d.log()[:, None]
    return torch.linalg.lstsq(A, n.log()[:, None]).solution.item()


@wrong("07.2", "factor a is 1")
def fit_ratio(d, n):
    return (torch.log(n) / torch.log(d)).mean()


@wrong("07.2", "Two kinds")
def fit_mixed(d, n):
    return np.polyfit(np.log10(d.numpy()), np.log(n.numpy()), 1)[0]


@right("07.2")
def fit_polyfit(d, n):
    return np.polyfit(np.log(d.numpy()), np.log(n.numpy()), 1)[0]


@right("07.2")
def fit_log2(d, n):
    x, y = d.log2(), n.log2()
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / (x * x).sum()


@right("07.2")
def fit_lstsq(d, n):
    A = torch.stack([d.log(), torch.ones_like(d)], 1)
    return torch.linalg.lstsq(A, n.log()[:, None]).solution[0].item()


@right("07.2")
def fit_scipy(d, n):
    from scipy.stats import linregress

    return linregress(d.log().numpy(), n.log().numpy()).slope


@right("07.2")
def fit_sums(d, n):
    xs, ys = [math.log10(v) for v in d.tolist()], [math.log10(v) for v in n.tolist()]
    k, sx, sy = len(xs), sum(xs), sum(ys)
    sxy, sxx = sum(a * b for a, b in zip(xs, ys)), sum(a * a for a in xs)
    return (k * sxy - sx * sy) / (k * sxx - sx * sx)


# 07.3 sample(y, draws, p, eta) -> features


@wrong("07.3", "wrong way round")
def sample_flipped(y, draws, p, eta):
    x = draws.clone()
    x[:, 0] = torch.where(draws[:, 0] > p, y, -y)
    x[:, 1:] += eta * y[:, None]
    return x


@wrong("07.3", "1 − p")
def sample_one_minus(y, draws, p, eta):
    strong = y * ((draws[:, 0] < 1 - p) * 2.0 - 1)
    return torch.cat([strong[:, None], draws[:, 1:] + eta * y[:, None]], 1)


@wrong("07.3", "both classes")
def sample_no_label(y, draws, p, eta):
    strong = torch.where(draws[:, 0] < p, y, -y)
    return torch.cat([strong[:, None], draws[:, 1:] + eta], 1)


@wrong("07.3", "noise by η")
def sample_small_noise(y, draws, p, eta):
    strong = torch.where(draws[:, 0] < p, y, -y)
    return torch.cat([strong[:, None], eta * (draws[:, 1:] + y[:, None])], 1)


@wrong("07.3", "in place|different now")
def sample_in_place(y, draws, p, eta):
    draws[:, 1:] += eta * y[:, None]
    draws[:, 0] = torch.where(draws[:, 0] < p, y, -y)
    return draws


@wrong("07.3", "with the strong")
def sample_leans_with_strong(y, draws, p, eta):
    strong = torch.where(draws[:, 0] < p, y, -y)[:, None]
    return torch.cat([strong, draws[:, 1:] + eta * strong], 1)


@wrong("07.3", "whatever y is")
def sample_sign_only(y, draws, p, eta):
    x = draws + eta * y[:, None]
    x[:, 0] = (draws[:, 0] < p).float() * 2 - 1
    return x


@right("07.3")
def sample_where(y, draws, p, eta):
    strong = torch.where(draws[:, 0] < p, y, -y)
    weak = eta * y[:, None] + draws[:, 1:]
    return torch.cat([strong[:, None], weak], 1)


@right("07.3")
def sample_clone(y, draws, p, eta):
    x = draws.clone()
    x[:, 0] = y * (2 * (draws[:, 0] < p).float() - 1)
    x[:, 1:] += eta * y.view(-1, 1)
    return x


@right("07.3")
def sample_rows(y, draws, p, eta):
    rows = []
    for label, u in zip(y, draws):
        first = label if u[0] < p else -label
        rows.append(torch.cat([first.view(1), u[1:] + eta * label]))
    return torch.stack(rows)


@right("07.3")
def sample_columns(y, draws, p, eta):
    right = draws[:, :1].lt(p)
    label = y.unsqueeze(1)
    return torch.hstack([torch.where(right, label, -label), torch.addcmul(draws[:, 1:], label, torch.tensor(eta))])


# 07.4 worst_case_features(x, y, eta) -> features


@wrong("07.4", "takes 2η|by η only")
def worst_eta(x, y, eta):
    out = x.clone()
    out[:, 1:] -= eta * y[:, None]
    return out


@wrong("07.4", "helps")
def worst_helps(x, y, eta):
    out = x.clone()
    out[:, 1:] += 2 * eta * y[:, None]
    return out


@wrong("07.4", "strong feature as well")
def worst_all(x, y, eta):
    return x - 2 * eta * y.unsqueeze(1)


@wrong("07.4", "same way")
def worst_no_label(x, y, eta):
    return torch.cat([x[:, :1], x[:, 1:] - 2 * eta], dim=1)


@wrong("07.4", "mirrored")
def worst_mirror(x, y, eta):
    out = -x
    out[:, 0] = x[:, 0]
    return out


@wrong("07.4", "own sign")
def worst_signs(x, y, eta):
    out = x.clone()
    out[:, 1:] = x[:, 1:] - 2 * eta * torch.sign(x[:, 1:])
    return out


@wrong("07.4", "in place|different now")
def worst_in_place(x, y, eta):
    x[:, 1:] -= 2 * eta * y[:, None]
    return x


@right("07.4")
def worst_clone(x, y, eta):
    out = x.clone()
    out[:, 1:] -= 2 * eta * y[:, None]
    return out


@right("07.4")
def worst_mask(x, y, eta):
    weak = torch.ones(x.shape[1])
    weak[0] = 0
    return x - 2 * eta * torch.outer(y, weak)


@right("07.4")
def worst_cat(x, y, eta):
    return torch.cat([x[:, :1], x[:, 1:] - 2 * eta * y.reshape(-1, 1)], dim=-1)


@right("07.4")
def worst_pad(x, y, eta):
    delta = (-2 * eta * y)[:, None].expand(-1, x.shape[1] - 1)
    return x + F.pad(delta, (1, 0))


# 07.5 bound(p, delta) -> number


@wrong("07.5", "upside down")
def bound_inverse(p, delta):
    return min(1, (1 - p) / p * delta)


@wrong("07.5", "at most 1")
def bound_uncapped(p, delta):
    return p * delta / (1 - p)


@wrong("07.5", "one step of the proof")
def bound_step(p, delta):
    return min(delta / (1 - p), 1.0)


@wrong("07.5", "accuracy 1 − δ itself")
def bound_accuracy(p, delta):
    return min(1.0, p * (1 - delta) / (1 - p))


@wrong("07.5", "error")
def bound_error(p, delta):
    return max(0.0, 1 - p / (1 - p) * delta)


@right("07.5")
def bound_min(p, delta):
    return min(1.0, p / (1 - p) * delta)


@right("07.5")
def bound_if(p, delta):
    value = p * delta / (1 - p)
    return value if value < 1 else 1


@right("07.5")
def bound_numpy(p, delta):
    return np.clip(p / (1 - p) * delta, 0, 1)


@right("07.5")
def bound_odds(p, delta):
    odds = p / (1 - p)
    return torch.tensor(odds * delta).clamp(max=1)


# 07.6 robust_loss(w, x, y, eps) -> one value per example


@wrong("07.6", "‖w‖₁")
def loss_l2(w, x, y, eps):
    return F.softplus(-(y * (x @ w) - eps * w.norm()))


@wrong("07.6", "lasso|inside")
def loss_lasso(w, x, y, eps):
    return torch.log(1 + torch.exp(-y * (x @ w))) + eps * w.abs().sum()


@wrong("07.6", "helps")
def loss_plus(w, x, y, eps):
    return torch.log1p(torch.exp(-y * (x @ w) - eps * w.abs().sum()))


@wrong("07.6", "one loss for each|averaged")
def loss_mean(w, x, y, eps):
    return F.softplus(-(y * (x @ w) - eps * w.abs().sum())).mean()


@wrong("07.6", "y is missing")
def loss_no_label(w, x, y, eps):
    return F.softplus(eps * w.abs().sum() - x @ w)


@wrong("07.6", "both classes|helps the class")
def loss_delta_no_label(w, x, y, eps):
    return F.softplus(-y * ((x + eps * torch.sign(w)) @ w))


@wrong("07.6", "hinge")
def loss_hinge(w, x, y, eps):
    return torch.relu(1 - (y * (x @ w) - eps * w.abs().sum()))


@wrong("07.6", "no gradient back")
def loss_detached(w, x, y, eps):
    w = w.detach()
    return F.softplus(-(y * (x @ w) - eps * w.abs().sum()))


@right("07.6")
def loss_softplus(w, x, y, eps):
    return F.softplus(eps * w.abs().sum() - y * (x @ w))


@right("07.6")
def loss_attack(w, x, y, eps):
    delta = -eps * y[:, None] * torch.sign(w)
    return F.softplus(-y * ((x + delta) @ w))


@right("07.6")
def loss_logsigmoid(w, x, y, eps):
    margin = y * (x * w).sum(1) - eps * torch.linalg.vector_norm(w, 1)
    return -F.logsigmoid(margin)


@right("07.6")
def loss_bce(w, x, y, eps):
    z = x @ w - eps * y * w.abs().sum()
    return F.binary_cross_entropy_with_logits(z, (y > 0).float(), reduction="none")


@right("07.6")
def loss_log1p(w, x, y, eps):
    return torch.log1p(torch.exp(eps * w.abs().sum() - y * torch.mv(x, w)))
