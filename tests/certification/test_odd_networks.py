"""300 odd networks: each is refused, or its bounds hold against PGD, APGD, all corners and 1,000 random points."""

import warnings
from collections import Counter

import odd_layers  # noqa: F401  (it registers its families)
import pytest
import torch
from odd_networks import FAMILIES

from cs329t_robust import Linf, apgd, certification, pgd
from cs329t_robust.losses import margin

COUNT = 300
THREAT = Linf(0.25)


def networks():
    """Return (name, seed) of the networks: every family in turn, until there are enough."""
    names = list(FAMILIES)
    return [(names[i % len(names)], i // len(names)) for i in range(COUNT)]


def corners_and_more(x, draw):
    """Return every corner of the threat around each image, and a thousand points within, (n, m, c, h, w)."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * x[0].numel()).view(-1, *x.shape[1:])
    shares = torch.cat([signs, 2 * torch.rand(1000, *x.shape[1:], generator=draw) - 1])
    return (x[:, None] + THREAT.eps * shares).clamp(0, 1)


def worst(model, x, y, seed):
    """Return the largest margin found within the threat, (n,)."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for attack in (pgd, apgd):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                x_adv = attack(model, x, y, threat=THREAT, steps=10, seed=seed)
            except (RuntimeError, ValueError):
                continue  # there is no gradient, or another number of logits each time
        found.append(x_adv[:, None])
    points = torch.cat([x[:, None], *found, corners_and_more(x, draw)], 1)
    with torch.no_grad():
        every = [margin(model(points[i].clone()), y[i].repeat(len(points[i]))).amax() for i in range(len(x))]
        each = margin(model(x.clone()), y)
    return torch.maximum(torch.stack(every), each)


def judged(name, seed):
    """Return what became of a network: refused, or a word for each bound, with by how much it is crossed."""
    draw = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, 1, 3, 3, generator=draw), torch.randint(3, (2,), generator=draw)
    model = FAMILIES[name](seed)
    answers, crossed = {}, {}
    for bound in (certification.interval, certification.linear, certification.exact):
        try:
            if bound is certification.exact:
                answers["exact"] = torch.tensor([bound(model, x[:1], y[:1], threat=THREAT).bound]).double()
            else:
                answers[bound.__name__] = bound(model, x, y, threat=THREAT)
        except ValueError as error:
            answers[bound.__name__] = str(error)
    given = {key: value for key, value in answers.items() if not isinstance(value, str)}
    if given:
        reached = worst(model, x, y, seed).double()
        for key, value in given.items():
            over = (reached[: len(value)] - value).max().item()
            if over > 1e-4:
                crossed[key] = over
    return answers, crossed


@pytest.fixture(scope="module")
def outcomes():
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is deprecated is odd as well
        return {case: judged(*case) for case in networks()}


def test_no_attack_crosses_the_bound_of_any_odd_network(outcomes):
    assert {case: crossed for case, (_, crossed) in outcomes.items() if crossed} == {}


def test_what_is_read_is_bounded_by_all_three_and_the_rest_is_told(outcomes):
    told = {case: answers for case, (answers, _) in outcomes.items()}
    for answers in told.values():
        kinds = {isinstance(answer, str) for answer in answers.values()}
        assert len(kinds) == 1  # all three refuse, or none does
        if kinds == {False}:
            assert (answers["linear"] <= answers["interval"] + 1e-9).all()
            assert answers["exact"][0] <= answers["linear"][0] + 1e-4
        else:
            assert all(answer.startswith(("model", "x:", "y:")) for answer in answers.values())
    read = {name for (name, _), answers in told.items() if not isinstance(answers["interval"], str)}
    assert len(read) > 50


if __name__ == "__main__":  # count what crosses, of another version of the package
    torch.set_num_threads(1)
    counts = Counter()
    for case in networks():
        try:
            answers, crossed = judged(*case)
        except Exception as error:  # a raw error of a version that is not ours
            print(*case, type(error).__name__, str(error)[:100])
            counts["raised"] += 1
            continue
        refused = all(isinstance(answer, str) for answer in answers.values())
        counts["refused" if refused else "crossed" if crossed else "bounded"] += 1
        told = str(answers["interval"]).split("; got one that ")[-1] if refused else crossed or "bounded"
        print(*case, "|", told)
    print(dict(counts))
