"""What is said when a student's function raises: the error, the line of their code, and advice on the usual causes."""

import re
import traceback
from collections.abc import Callable
from typing import Any

_ADVICE = [
    (
        r"does not require grad|One of the differentiated Tensors does not require grad",
        "Autograd was not recording: make a leaf of your own first, x_adv = x.clone().detach().requires_grad_(), and feed "
        "that to the model (not inside torch.no_grad()).",
    ),
    (
        r"(unsupported operand|has no attribute).*NoneType|'NoneType' object",
        "Something is None. Most often it is x.grad: it is filled only after loss.backward(), and only on the leaf tensor "
        "for which requires_grad_() was called.",
    ),
    (
        r"grad can be implicitly created only for scalar outputs",
        "backward() and autograd.grad() start from one number: use loss.sum() (each image keeps its own gradient).",
    ),
    (
        r"a leaf Variable that requires grad.*in-place|modified by an inplace operation",
        "A tensor that autograd is watching was changed in place (x += …, clamp_). Compute a new one: x = x + ….",
    ),
    (
        r"backward through the graph a second time",
        "The graph of an earlier step was used again: detach x_adv at the start of each step, and run the model on it anew.",
    ),
    (
        r"Expected more than 1 value per channel when training",
        "The model is in train mode, where BatchNorm needs a whole batch (and dropout is on): leave model.train() out.",
    ),
    (
        r"shape '.*' is invalid for input|[Tt]arget size",
        "A shape is written into your code that these images do not have: take it from x.shape, so that every size works.",
    ),
    (
        r"must match the size of tensor|not broadcastable|must match the existing size",
        "Two shapes do not fit. One value per image (n,) multiplies images (n, c, h, w) after .view(-1, 1, 1, 1); and a size "
        "such as 28 must not be written into the code: take it from x.shape.",
    ),
    (
        r"mat1 and mat2 shapes|expected \d+D .*input|Expected \d+D|batch_size .* to match",
        "The model takes a batch of images (n, c, h, w) and gives logits (n, classes). A single image needs its batch dimension: "
        "x[i : i + 1], not x[i].",
    ),
    (
        r"Boolean value of Tensor with more than one value",
        "`if` decides once, but here each image has a value of its own: use torch.where, torch.minimum or .clamp instead.",
    ),
    (
        r"cannot be converted to Scalar|only one element tensors|only one-element tensors|only length-1 arrays|only 0-dimensional",
        ".item() and float() need a tensor of one element; this one holds several, such as one for each image.",
    ),
    (
        r"input.numel\(\) == 0|out of bounds for dimension \d+ with size 0|empty sequence|argument is empty",
        "Nothing was left to choose from: a selection came out empty. Handle that case before taking its first or its smallest.",
    ),
    (
        r"'(tuple|torch.return_types\.\w+)' object has no attribute|but got tuple|argument.*must be Tensor, not tuple",
        "A tuple is used as a tensor. torch.autograd.grad returns a tuple (take its [0]); .max(dim) returns values and indices.",
    ),
    (
        r"'(builtin_function_or_method|method|function)' object",
        "A function is used as a value: the brackets after its name are missing, as in x.sign().",
    ),
    (
        r"expected scalar type Long|not implemented for 'Float'|Int.* for argument.*target",
        "Class labels must stay integers (int64).",
    ),
    (
        r"Can't call numpy\(\) on Tensor that requires grad",
        "Stay in torch: NumPy cannot follow gradients.",
    ),
    (r"name '.*' is not defined", "A name is used that this cell does not define or import."),
]


def explain_exception(error: BaseException, function: Callable[..., Any]) -> list[str]:
    """Return what was raised, in which line of the student's code, and advice where the cause is a usual one."""
    code = getattr(function, "__code__", None)
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if code is not None and f.filename == code.co_filename
    ]
    line = getattr(error, "student_line", None)  # (number, text) where the function ran in another process
    if frames:
        line = frames[-1].lineno, frames[-1].line or ""
    where = f" (line {line[0]}{f': {line[1].strip()}' if line[1].strip() else ''})" if line else ""
    message = str(error).strip().splitlines()[0] if str(error).strip() else ""
    told = [f"Your function raised {type(error).__name__}{where}{f': {message}' if message else ''}"]
    advice = next((text for pattern, text in _ADVICE if re.search(pattern, str(error))), "")
    return [*told, advice] if advice else told
