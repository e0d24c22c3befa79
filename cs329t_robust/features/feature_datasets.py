"""Features, robust and not: how useful one is, data sets made of non-robust ones alone, and of robust ones alone.

Everything here builds data, or measures; training on what was built is `training.fit`, as for any other data.

References
----------
Ilyas et al. 2019, "Adversarial examples are not bugs, they are features", arXiv:1905.02175.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.engine.batches import images_at_once
from ..contract.input_validation import Model, check_count, check_finite, check_images, check_inputs, check_model
from ..contract.model_state import borrowed
from ..evaluation.accuracy import predict
from ..threat import Threat, rowwise

TARGETS = ("random", "next")


@dataclass(frozen=True)
class Relabelled:
    """Pictures of one class with the label of another, and what was done to each so that a model agrees.

    Attributes
    ----------
    x : Tensor (n, c, h, w) in [0, 1]
        The pictures to train on.
    y : Tensor (n,)
        The labels to train on: the targets.
    clean : Tensor (n, c, h, w) in [0, 1]
        The pictures as they were.
    true : Tensor (n,)
        What a person sees in them.
    reached : Tensor (n,), bool
        Which of `x` the model calls `y`.
    """

    x: Tensor
    y: Tensor
    clean: Tensor
    true: Tensor
    reached: Tensor

    def unperturbed(self) -> "Relabelled":
        """Return the first control: the same labels on the pictures as they were."""
        return replace(self, x=self.clean)

    def shuffled(self, seed: int = 0, *, with_label: bool = False) -> "Relabelled":
        """Return the second control: each perturbation x − clean on another picture, clipped to the image box.

        The label stays with its picture; `with_label` takes it along with the perturbation instead.
        """
        source = _others(len(self.x), seed).to(self.x.device)
        x = (self.clean + (self.x - self.clean)[source]).clamp(0, 1)
        return replace(self, x=x, y=self.y[source] if with_label else self.y)


def targets_for(y: Tensor, classes: int, rule: str = "random", seed: int = 0) -> Tensor:
    """Choose a new label for each picture.

    Parameters
    ----------
    y : Tensor (n,)
        The labels as they are, below `classes`.
    classes : int >= 2
    rule : "random" or "next"
        "random": each class alike, the picture's own included, so that the picture says nothing about its label.
        "next": y + 1, and 0 after the last.
    seed : int
        Of the draw, which is made on the CPU: the same on every device.

    Returns
    -------
    Tensor (n,), integer
        Below `classes`.

    Raises
    ------
    ValueError
        If `rule` is unknown, `classes` is below 2, or a label is not below it.
    """
    if rule not in TARGETS:
        raise ValueError(f"targets: expected {' or '.join(map(repr, TARGETS))}, got {rule!r}")
    check_count("classes", classes, 2)
    if int(y.max()) >= classes:
        raise ValueError(f"y: expected labels below {classes} classes, got {int(y.max())}")
    if rule == "next":
        return (y + 1) % classes
    return torch.randint(classes, y.shape, generator=torch.Generator().manual_seed(seed)).to(y.device)


def non_robust_dataset(
    model: Model,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    targets: str = "random",
    steps: int = 100,
    step_size: float | None = None,
    seed: int = 0,
) -> Relabelled:
    """Push each picture towards another class and label it so: what then predicts the label is non-robust features.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k), trained the standard way. Left as found.
    x, y : Tensor (n, c, h, w) in [0, 1], Tensor (n,)
        Training pictures and their labels.
    threat : L2 or Linf
        How far a picture may move; 0.5 in L2 in the paper, on CIFAR-10.
    targets : "random" or "next"
        The paper's D_rand and D_det; see `targets_for`.
    steps : int >= 0
        Of targeted PGD from the picture itself.
    step_size : float > 0, optional
        2.5·eps/steps when not given; 0.1 in the paper.
    seed : int
        Of the targets.

    Returns
    -------
    Relabelled
        On the device of `x`; its pictures lie within `threat` of `clean`, which is `x`.

    Raises
    ------
    ValueError
        As in `pgd` and `targets_for`.

    References
    ----------
    Ilyas et al. 2019, arXiv:1905.02175, section 3.2.
    """
    x, y = check_inputs(model, x, y, threat)
    classes = predict(model, x[:2]).shape[1]
    wanted = targets_for(y, classes, targets, seed)
    moved = pgd(
        model, x, wanted, threat=threat, steps=steps, step_size=step_size, random_start=False, targeted=True
    )  # fmt: skip
    return Relabelled(moved, wanted, x, y, predict(model, moved).argmax(1) == wanted)


class Penultimate:
    """The function from images to what a network's last linear layer reads: the representation, (n, d).

    Parameters
    ----------
    model : Module
        With at least one `torch.nn.Linear`; the last one counts.

    Raises
    ------
    ValueError
        If there is none, or (when called) the model does not use it.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [m for m in model.modules() if isinstance(m, nn.Linear)] if isinstance(model, nn.Module) else []
        if not layers:
            raise ValueError(
                f"model: expected a network whose last layer is a torch.nn.Linear, got {type(model).__name__}"
            )
        self.model, self.last = model, layers[-1]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the representation (n, d) in the dtype of `x`, differentiable."""
        seen: list[Tensor] = []
        hook = self.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.model(x)
        finally:
            hook.remove()
        if not seen:
            raise ValueError("model: expected its last torch.nn.Linear to be used when it is called, it was not")
        return seen[-1].to(x.dtype)


def robustify(
    model: nn.Module,
    x: Tensor,
    *,
    start: Tensor | None = None,
    steps: int = 100,
    step_size: float = 0.5,
    seed: int = 0,
) -> Tensor:
    """Rebuild each picture from a network's representation of it alone: what the network does not see is not in it.

    Starting from another picture, drawn by lot, x_r descends ‖g(x_r) − g(x)‖₂ with g the last hidden layer. From a
    robust network this gives the paper's robustified set; from a standard one its non-robust set D_NR.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits, its last layer a `torch.nn.Linear`. Left as found.
    x : Tensor (n, c, h, w) in [0, 1]
        The pictures to rebuild; each keeps its label.
    start : Tensor (n, c, h, w) in [0, 1], optional
        Where the descent begins; another picture of `x` for each when not given, whatever its class (needs n >= 2).
    steps : int >= 0
        1000 in the paper.
    step_size : float > 0
        L2 length of the first step, in pixel units; it falls to zero in a straight line. (The paper's 0.1 is constant.)
    seed : int
        Which picture each descent begins from.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1].

    Raises
    ------
    ValueError
        If an input is unusable.

    References
    ----------
    Ilyas et al. 2019, arXiv:1905.02175, section 3.1 and its appendix on the construction.
    """
    check_images(x)
    check_model(model, x)
    check_count("steps", steps, 0)
    if isinstance(step_size, bool) or not isinstance(step_size, int | float) or not step_size > 0:
        raise ValueError(f"step_size: expected a length > 0 in pixel units, got {step_size!r}")
    if start is None:
        if len(x) < 2:
            raise ValueError("x: expected at least two pictures, so that each can begin from another; or give start=")
        start = x[_others(len(x), seed).to(x.device)]
    check_images(start)
    if start.shape != x.shape:
        raise ValueError(f"start: expected the shape of x, {tuple(x.shape)}, got {tuple(start.shape)}")
    size = images_at_once(x)
    with borrowed(model):
        g = Penultimate(model)
        parts = zip(x.detach().split(size), start.detach().split(size), strict=True)
        return torch.cat([_invert(g, part.clone(), begun.clone(), steps, step_size) for part, begun in parts])


def _invert(g: Penultimate, x: Tensor, x_r: Tensor, steps: int, step_size: float) -> Tensor:
    """Descend ‖g(x_r) − g(x)‖₂ by normalised steps of falling length."""
    with torch.no_grad():
        wanted = g(x)
    for step in range(steps):
        x_r.requires_grad_()
        distance = (g(x_r) - wanted).square().flatten(1).sum(1)  # its gradient has the direction of the norm's
        (grad,) = torch.autograd.grad(distance.sum(), x_r)
        length = grad.flatten(1).norm(dim=1).clamp_min(torch.finfo(grad.dtype).tiny)
        x_r = (x_r.detach() - step_size * (1 - step / steps) * grad / rowwise(length, grad)).clamp(0, 1)
    return check_finite(x_r)


def _others(n: int, seed: int) -> Tensor:
    """Return for each of n images the index of another one; all are taken once (one cycle through a random order)."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    source = torch.empty_like(order)
    source[order] = order.roll(1)
    return source
