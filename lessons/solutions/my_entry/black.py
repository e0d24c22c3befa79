import torch
import cs329t_robust
from cs329t_robust import *
from torch.nn import functional as F


def black_attack(query, x, y, eps):
    """Return adversarial images within eps of x, found by asking alone."""
    best, lead = x.clone(), torch.full((len(x),), torch.inf)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        signs = torch.randn(len(x), 1, 7, 7, generator=generator).sign()
        tried = (x + eps * torch.kron(signs, torch.ones(4, 4))).clamp(0, 1)
        logits = query(tried)
        others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        margin = logits.gather(1, y[:, None])[:, 0] - others
        best[margin < lead] = tried[margin < lead]
        lead = torch.minimum(lead, margin)
    return best


attack = black_attack
