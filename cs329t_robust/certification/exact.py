"""The exact inner maximum of a small ReLU network: a mixed-integer program, solved by HiGHS."""

import math
import time
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from ..contract.input_validation import Model
from ..losses import margin
from ..threat import Threat
from .attack_bound import strongest
from .crosscheck import check_bound
from .integer_program import Program
from .linear import relaxed
from .network import Network, stage
from .read_network import ready

TOLERANCE = 1e-5  # HiGHS meets constraints to 1e-7 and integrality to 1e-6
LARGEST = 10**8


@dataclass(frozen=True)
class Exact:
    """What is known of the largest margin within a threat of one image.

    Attributes
    ----------
    margin : float
        The largest `losses.margin` found: the network's own, at `x_adv`.
    bound : float
        No image within the threat has a larger one (up to the solver's tolerance, 1e-5). Equal to `margin` if solved.
    x_adv : Tensor (1, c, h, w)
        Where `margin` is reached.
    solved : bool
        Whether the two agree. If not, the time limit came first.
    nodes : int
        Branches that the solver looked into.
    unsure : int
        ReLUs whose sign is open within the threat: at most 2 to this power cases.
    """

    margin: float
    bound: float
    x_adv: Tensor
    solved: bool
    nodes: int
    unsure: int

    def __str__(self) -> str:
        if self.solved:
            return f"largest margin {self.margin:.4f} (solved; {self.unsure} open ReLUs)"
        return f"largest margin between {self.margin:.4f} and {self.bound:.4f} (stopped; {self.unsure} open ReLUs)"


def exact(model: Model, x: Tensor, y: Tensor, *, threat: Threat, time_limit: float | None = None) -> Exact:
    """Find the largest margin within the threat of one image, and prove that none is larger.

    The search begins from PGD's answer. Each ReLU whose sign is open becomes a variable that is 0 or 1; all else is
    linear. There is one program for each other class, the most promising first; a class that linear bounds rule out is
    skipped.

    Parameters
    ----------
    model : callable
        As in `interval`. A few dozen open ReLUs are the limit.
    x : Tensor (1, c, h, w), float in [0, 1]
    y : Tensor (1,)
    threat : Linf
    time_limit : float > 0, optional
        Seconds for all programs together.

    Returns
    -------
    Exact

    Raises
    ------
    ValueError
        If an input is unusable, there is more than one image, the model does something that is not read, or it is too
        large to be written down as one program.
    RuntimeError
        As in `interval`.

    References
    ----------
    Tjeng, Xiao & Tedrake 2019, "Evaluating robustness of neural networks with mixed integer programming",
    arXiv:1711.07356.
    """
    if isinstance(x, Tensor) and x.ndim == 4 and len(x) > 1:
        raise ValueError(f"x: expected one image (1, c, h, w), got {len(x)}; call exact for each, x[i : i + 1]")
    limited = time_limit is not None
    if limited and (isinstance(time_limit, bool) or not isinstance(time_limit, Real) or not time_limit > 0):
        raise ValueError(f"time_limit: expected seconds > 0 or None, got {time_limit!r}")
    network, y, box = ready(model, x, y, threat)
    check_size(network)
    with torch.no_grad():
        (highest,), inputs = relaxed(network, box, y)
        stages = {i: stage(network, node.relu_of, box.low) for i, node in enumerate(network.nodes) if inputs[i]}
        last = stage(network, len(network.nodes) - 1, box.low)
    program = Program(stages, box, inputs)
    best = strongest(network, x.detach().double(), y, threat, steps=40, restarts=3)
    value, nodes = margin(network(best), y).item(), 0
    ends = time.monotonic() + time_limit if limited else math.inf
    for target in highest.argsort(descending=True).tolist():
        if target == int(y) or highest[target] <= value:
            continue
        objective = {i: rows[target] - rows[y.item()] for i, rows in last.weights.items()}
        offset = (last.bias[target] - last.bias[y.item()]).item()
        found = program.highest(objective, ends - time.monotonic(), at_least=value - offset)
        highest[target] = min(highest[target].item(), found.bound + offset)
        nodes += found.nodes
        if found.pixels is not None:
            there = torch.from_numpy(found.pixels).to(box.low).view(x.shape).clamp(box.low, box.high)
            reached = margin(network(there), y).item()
            if reached > value:
                best, value = there, reached
    bound = max(highest.max().item(), value)
    check_bound(model, network, box, y, highest.new_tensor([bound + TOLERANCE]), "exact", x.dtype)
    unsure = sum(int(((seen.low < 0) & (seen.high > 0)).sum()) for seen in inputs if seen is not None)
    return Exact(value, bound, best.to(x.dtype), bound - value <= TOLERANCE, nodes, unsure)


def check_size(network: Network) -> None:
    """Refuse a network whose ReLUs, each written as a function of all values before it, would not fit into memory.

    Raises
    ------
    ValueError
        If they have more than 100 million coefficients.
    """
    sizes = [torch.Size(node.shape).numel() for node in network.nodes if node.relu_of is not None]
    pixels = torch.Size(network.nodes[0].shape).numel()
    coefficients = sum(size * before for size, before in zip(sizes, [pixels, *sizes], strict=False))
    if coefficients > LARGEST:
        raise ValueError(
            f"model: expected a small network, got one with {sum(sizes)} ReLUs and about {coefficients:.2g} "
            f"coefficients between them, more than {LARGEST:.0e}; use linear or interval"
        )
