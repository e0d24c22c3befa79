"""Is what a student's function returned of the right kind, and do two answers agree?"""

import math
from typing import Any

import torch
from torch import Tensor

from .message_wording import agreeing, count

TOLERANCE = 2e-5


class WrongType(Exception):
    """An answer of a kind that no probe can measure; the message says what was expected and what came."""


def checked(answer: Any, like: Any, returns: str) -> Any:
    """Return `answer` in the form asked for, or raise WrongType.

    Parameters
    ----------
    answer : anything
    like : Tensor
        The argument whose shape (images) or length (vector) the answer must have.
    returns : str
        "images", "features" (shaped like `like`, too), "vector", "number" or "number or None".
    """
    if returns.startswith("number"):
        return _number(answer, optional=returns.endswith("None"))
    shape = (len(like),) if returns == "vector" else tuple(like.shape)
    what = f"{'one value per image' if returns == 'vector' else returns}, a float tensor of shape {shape}"
    if answer is None:
        raise WrongType(
            f"your function returned None; expected {what}. Is a `return` missing? Two other things are None: what "
            ".backward() returns, and the .grad of a tensor for which requires_grad_() was not called."
        )
    if isinstance(answer, tuple) and hasattr(answer, "indices"):
        raise WrongType(
            f"your function returned a pair, values and indices, as torch's .max(dim) does; expected {what}. "
            "Use .amax(dim), or .max(dim).values."
        )
    if not isinstance(answer, Tensor):
        raise WrongType(f"your function returned {_kind(answer)}; expected {what}.{_remedy(answer)}")
    if answer.device != like.device:
        raise WrongType(
            f"your function returned a tensor on {answer.device}; its arguments are on {like.device}: stay with x.device."
        )
    if tuple(answer.shape) != shape:
        lost = " A mean, sum or max over the whole batch loses the single images." if answer.ndim == 0 else ""
        raise WrongType(f"your function returned shape {tuple(answer.shape)}; expected {what}.{lost}")
    if not answer.is_floating_point():
        raise WrongType(f"your function returned {answer.dtype}; expected {what}.")
    if odd := int((~answer.isfinite()).sum()):
        raise WrongType(
            f"your function returned {count(odd, 'value')} that {agreeing(odd, 'are')} NaN or infinite. The usual cause is a "
            "division by zero, such as 0/0 where nothing changed: put .clamp(min=1e-12) around the divisor."
        )
    return answer


def _number(answer: Any, optional: bool) -> float | None:
    what = "a number or None" if optional else "a number"
    if answer is None:
        if optional:
            return None
        raise WrongType(f"your function returned None; expected {what}. Is a `return` missing?")
    if isinstance(answer, Tensor) and answer.numel() == 1:
        answer = answer.item()
    if isinstance(answer, Tensor | list | tuple):
        raise WrongType(
            f"your function returned {_kind(answer)}; expected {what}, a single one: reduce them (mean, min, …)."
        )
    if isinstance(answer, str | bytes | bool) or not hasattr(answer, "__float__"):
        raise WrongType(f"your function returned {_kind(answer)}; expected {what}.")
    try:
        number = float(answer)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongType(f"your function returned {_kind(answer)}; expected {what}.") from error
    if math.isnan(number):
        raise WrongType(f"your function returned NaN; expected {what}.")
    return number


def _kind(answer: Any) -> str:
    if isinstance(answer, Tensor):
        return f"a tensor of shape {tuple(answer.shape)}"
    if isinstance(answer, tuple | list):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"a {type(answer).__name__}"


def _remedy(answer: Any) -> str:
    if isinstance(answer, tuple) and len(answer) == 1:
        return " torch.autograd.grad returns a tuple, one gradient for each input: take its [0]."
    if isinstance(answer, list):
        return " torch.stack makes one tensor of a list of tensors, torch.tensor one of a list of numbers."
    return " torch.from_numpy turns it into a tensor." if hasattr(answer, "__array__") else ""


def frozen(answer: Any) -> Any:
    """Return a copy that later calls of the student's function cannot change; a subclass of Tensor becomes a plain one."""
    if not isinstance(answer, Tensor):
        return answer
    with torch._C.DisableTorchFunctionSubclass():
        return Tensor.as_subclass(answer, Tensor).detach().clone()


def agree(a: Any, b: Any) -> bool:
    """Say whether two answers (or lists of answers) are equal within float32 rounding."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(agree(left, right) for left, right in zip(a, b, strict=True))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        kinds = [(t.shape, t.is_floating_point(), t.dtype == torch.bool) for t in (a, b)]
        return kinds[0] == kinds[1] and torch.allclose(
            a.double(), b.double(), rtol=1e-4, atol=TOLERANCE, equal_nan=True
        )
    if isinstance(a, int | float) and isinstance(b, int | float):
        try:
            return math.isclose(a, b, rel_tol=1e-4, abs_tol=TOLERANCE) or (math.isnan(a) and math.isnan(b))
        except OverflowError:  # an integer that no float holds
            return False
    return type(a) is type(b) and a is None


def constant_factor(got: Tensor, want: Tensor) -> float | None:
    """Return the one number by which `got` differs from `want` everywhere, or None, as where their shapes differ."""
    if got.shape != want.shape:
        return None
    counts = want.abs() > 1e-6
    if int(counts.sum()) < 2:
        return None
    factors = got[counts] / want[counts]
    middle = factors.median()
    return middle.item() if bool(((factors - middle).abs() <= 1e-2 * middle.abs() + 1e-4).all()) else None


def clipped(answers: list) -> list:
    """Return the answers clipped to [0, 1], so that one mistake is recognised beside a forgotten clip."""
    return [a.clamp(0, 1) if isinstance(a, Tensor) and a.is_floating_point() else a for a in answers]
