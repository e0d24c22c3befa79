"""The outer minimum: one training loop; what the examples are perturbed by, and what is descended, are arguments."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn

from ..contract.input_validation import check_count, check_images, check_labels, check_logits, check_model, check_number
from ..contract.model_state import borrowed
from ..losses import cross_entropy
from ..runtime.randomness import ImageRandom
from ..threat import Ball, Masked, Threat
from .distributed import my_share, sum_over_processes
from .state import Epoch, Run

Inner = Callable[..., Tensor]
Outer = Callable[[nn.Module, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
LOOK = 20  # steps between two measurements for the progress bar and for `watch`


@dataclass(frozen=True)
class Moment:
    """How far training has come: steps done and in all; this batch's mean loss, clean and perturbed accuracy.

    Attributes
    ----------
    step, steps : int
        Done, and in all.
    loss : float
        The mean over this batch.
    clean, robust : float in [0, 1]
        This batch's accuracy at x, and at what the inner maximum returned.
    """

    step: int
    steps: int
    loss: float
    clean: float
    robust: float


@dataclass(frozen=True)
class Problem:
    """The min–max that is solved: `inner` maximises within `threat`, `outer` is what the weights descend."""

    inner: Inner | None
    outer: Outer
    threat: Threat | None
    warm_up: float
    replays: int
    seed: int


def ordinary(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return each example's cross-entropy at `x_adv`: the outer minimum of the lecture.

    Parameters
    ----------
    model : Module
        Images to logits (n, k).
    x : Tensor (n, c, h, w)
        Not used.
    x_adv : Tensor (n, c, h, w)
    y : Tensor (n,), integer
        True labels.

    Returns
    -------
    loss : Tensor (n,)
    logits : Tensor (n, k)
        At `x_adv`.
    """
    logits = model(x_adv)
    return cross_entropy(logits, y), logits


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    inner: Inner | None = None,
    threat: Threat | None = None,
    outer: Outer = ordinary,
    warm_up: float = 0.0,
    replays: int = 1,
    epochs: int = 2,
    batch_size: int = 128,
    max_lr: float = 5e-3,
    seed: int = 0,
    validate: Callable[[nn.Module], float] | None = None,
    patience: int | None = None,
    resume: str | Path | None = None,
    watch: Callable[[Moment], None] | None = None,
    progress: bool = False,
) -> list[Epoch]:
    """Train `model` in place: min over θ of E[max over δ of loss(θ, x + δ, y)], with Adam and a one-cycle schedule.

    ``fit(model, x, y, inner=partial(pgd, steps=7), threat=Linf(0.3))`` is adversarial training; every attack of the
    package is an inner maximum as it stands, and `recipes` has those that only training needs.

    Parameters
    ----------
    model : Module
        Images (n, c, h, w) in [0, 1] to logits (n, k), on the device of `x`. Its modes are given back as found; one
        that comes in train mode trains as it is, so that a frozen BatchNorm stays frozen.
    x, y : Tensor (n, c, h, w), Tensor (n,)
    inner : callable, optional
        ``inner(model, x, y, threat=…, seed=…) -> x_adv``; of `threat` and `seed` it is given what it takes. None trains
        on `x` itself.
    threat : Threat, optional
        What `inner` may change.
    outer : callable
        ``outer(model, x, x_adv, y) -> (losses (n,), logits (n, k))``; the mean of the losses is descended.
    warm_up : float in [0, 1)
        Share of the training over which the threat's radius grows from 0 to its size. Without it adversarial training
        at a large radius can collapse to a constant.
    replays : int >= 1
        Above 1: "free" adversarial training. Each batch is used so often, and the backward pass that trains the weights
        also moves the images, by steps of the threat's radius; `inner` must be None.
    epochs, batch_size : int >= 1
    max_lr : float > 0
        Peak learning rate of the cycle.
    seed : int
        Order of the examples and the inner maximum's randomness; the global random state is not read.
    validate : callable, optional
        ``validate(model) -> float``, asked after every epoch; larger is better. The best epoch's weights are kept.
    patience : int >= 1, optional
        Stop after so many epochs without a better score.
    resume : path, optional
        A .safetensors file for the state of the training, written every 30 seconds and after each epoch. If it is
        there already, training goes on from it, to the same result as unbroken. Delete it to begin anew.
    watch : callable, optional
        ``watch(moment)``, called every 20 steps.
    progress : bool
        Show one progress bar with clean and perturbed accuracy.

    Returns
    -------
    list of Epoch

    Raises
    ------
    ValueError
        If the data or a setting is unusable, if the file of `resume` belongs to another training, or if the loss
        becomes NaN.

    Notes
    -----
    Under ``torchrun`` every process works on its share of each batch, and the gradients are summed: the result is that
    of one process at the same batch size (up to rounding; BatchNorm sees its own process's share only).

    References
    ----------
    Madry et al. 2018, arXiv:1706.06083 (adversarial training); Shafahi et al. 2019, arXiv:1904.12843 (free); Rice, Wong
    & Kolter 2020, arXiv:2002.11569 (why to keep the best epoch); Smith & Topin 2017, arXiv:1708.07120 (the schedule).
    """
    problem = Problem(inner, outer, threat, warm_up, replays, seed)
    y = _checked(model, x, y, problem, epochs, batch_size, max_lr, validate, patience)
    per_epoch = -(-len(x) // batch_size) * replays
    settings = {
        "images": list(x.shape), "inner": _name(inner), "outer": _name(outer), "threat": repr(threat), "seed": seed,
        "warm_up": warm_up, "replays": replays, "epochs": epochs, "batch_size": batch_size, "max_lr": max_lr,
    }  # fmt: skip
    run = Run(model, max_lr, epochs * per_epoch, settings, x.device, resume)
    generator = torch.Generator().manual_seed(seed)
    with _modes_kept(model), _bar(run, progress, inner is not None or replays > 1) as show:
        if not model.training:
            model.train()
        for number in range(1, epochs + 1):
            order = torch.randperm(len(x), generator=generator).to(x.device).split(batch_size)
            if number <= len(run.history):
                continue
            if patience is not None and _stale(run.history) >= patience:
                break
            for rows in order[run.in_epoch // replays :]:
                for moment in _train_on(run, problem, x[rows], y[rows], bool(watch or progress)):
                    show(moment)
                    if watch:
                        watch(moment)
                run.save_if_due()
            run.end_epoch(len(x) * replays, validate)
        run.restore_best()
    return run.history


def _train_on(run: Run, problem: Problem, x: Tensor, y: Tensor, looking: bool) -> Iterator[Moment]:
    """Take one step on a batch, or as many as it is replayed."""
    model, n = run.model, len(x)
    x, y = my_share(x), my_share(y)
    x_adv = None
    for _ in range(problem.replays):
        threat = _grown(problem.threat, problem.warm_up, run.step / run.steps)
        if x_adv is None:
            x_adv = _perturbed(model, problem, threat, x, y, problem.seed * 1_000_003 + run.step)
        losses, logits = problem.outer(model, x, x_adv, y)
        run.optimiser.zero_grad(set_to_none=True)
        (losses.mean() if len(x) == n else losses.sum() / n).backward()
        sum_over_processes(*(parameter.grad for parameter in model.parameters()))
        run.optimiser.step()
        run.schedule.step()
        if problem.replays > 1:
            moved = threat.ascend(x, x_adv.detach(), x_adv.grad, threat.eps)
            x_adv = threat.project(x, moved).requires_grad_()
        run.count(losses.detach().sum(), (logits.argmax(1) == y).sum())
        if looking and run.step % LOOK == 0:
            with borrowed(model), torch.no_grad():
                clean = (model(x).argmax(1) == y).float().mean().item()
            robust = (logits.argmax(1) == y).float().mean().item()
            yield Moment(run.step, run.steps, losses.detach().mean().item(), clean, robust)


def _perturbed(model: nn.Module, problem: Problem, threat: Threat | None, x: Tensor, y: Tensor, seed: int) -> Tensor:
    if problem.replays > 1:
        return threat.sample(x, ImageRandom(seed, x)).requires_grad_()
    if problem.inner is None:
        return x
    taken = inspect.signature(problem.inner).parameters
    given = {"threat": threat, "seed": seed}
    return problem.inner(model, x, y, **{name: value for name, value in given.items() if name in taken})


def _grown(threat: Threat | None, warm_up: float, done: float) -> Threat | None:
    """Return the threat at its size after this share of the training."""
    if threat is None or done >= warm_up:
        return threat
    return threat.with_eps(threat.eps * done / warm_up)


def _stale(history: list[Epoch]) -> int:
    """Return how many epochs have gone by since the best score."""
    scores = [epoch.score for epoch in history]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def _name(function: object) -> str:
    """Name a function or partial with its settings, so that a resumed training can tell whether it is the same."""
    if hasattr(function, "func"):
        return f"{_name(function.func)}({', '.join(f'{k}={v!r}' for k, v in function.keywords.items())})"
    return getattr(function, "__qualname__", type(function).__name__)


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _bar(run: Run, progress: bool, perturbed: bool) -> Iterator[Callable[[Moment], None]]:
    from tqdm.auto import tqdm

    with tqdm(total=run.steps, initial=run.step, disable=not progress, unit="step", desc="training") as bar:

        def show(moment: Moment) -> None:
            bar.update(moment.step - bar.n)
            words = f"clean {moment.clean:.2f}"
            bar.set_postfix_str(f"{words}, perturbed {moment.robust:.2f}" if perturbed else words)

        yield show
        bar.update(run.step - bar.n)


def _checked(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    problem: Problem,
    epochs: int,
    batch_size: int,
    max_lr: float,
    validate: object,
    patience: int | None,
) -> Tensor:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a torch Module to train, got {type(model).__name__}")
    check_images(x)
    check_labels(x, y)
    check_model(model, x)
    check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    check_count("replays", problem.replays, 1)
    check_number("max_lr", max_lr, 0, above=True, unit=" (a learning rate)")
    warm_up, threat = problem.warm_up, problem.threat
    if isinstance(warm_up, bool) or not isinstance(warm_up, Real) or not 0 <= warm_up < 1:
        raise ValueError(f"warm_up: expected a share of the training in [0, 1), got {warm_up!r}")
    if threat is not None and not isinstance(threat, Threat):
        raise ValueError(f"threat: expected a threat such as Linf(0.3), got {threat!r}")
    if (warm_up or problem.replays > 1) and not isinstance(threat, Ball | Masked):
        raise ValueError(f"threat: warm_up and replays need a ball such as Linf(0.3), got {threat!r}")
    if problem.inner is not None and not callable(problem.inner):
        raise ValueError(f"inner: expected a function such as partial(pgd, steps=7), got {problem.inner!r}")
    if problem.replays > 1 and problem.inner is not None:
        raise ValueError("inner: expected None with replays, which move the images themselves; got both")
    needs = inspect.signature(problem.inner).parameters.get("threat") if problem.inner is not None else None
    if needs is not None and needs.default is needs.empty and threat is None:
        raise ValueError(f"threat: expected what {_name(problem.inner)} may change, such as Linf(0.3), got None")
    if patience is not None:
        check_count("patience", patience, 1)
        if validate is None:
            raise ValueError("validate: expected a function model -> score to stop early by, got None")
    with borrowed(model), torch.no_grad():
        check_logits(model(x[:batch_size]), x[:batch_size], y)
    return y.long()
