"""How bad input is refused: by a ValueError that says what was expected, what came, and the fix."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from numbers import Integral

import torch
from torch import Tensor, nn

from ..threat import Linf, Threat, is_number

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
NO_THREAT = Linf(0.0)
"""A threat that fits any images: what to hand to `check_inputs` where none binds."""
MISFIT = re.compile(  # what PyTorch's layers say of images that do not fit
    r"to have \d+ channels, but got|shapes cannot be multiplied|is invalid for input of size|than actual input size"
    r"|must match the size of tensor|should contain \d+ elements|Output size is too small|[Ee]xpected input with shape"
    r"|must match except in dimension"
)


@contextmanager
def fitting(x: Tensor) -> Iterator[None]:
    """Say in a ValueError that images are of another size than the model takes: PyTorch does not name them.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
        The images that the block shows to a model.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If PyTorch says that the images' channels or size do not fit, or that the weights were made under
        `torch.inference_mode`. Other errors pass.
    """
    try:
        yield
    except RuntimeError as error:
        if "Inference tensors cannot be saved for backward" in str(error):
            raise ValueError(
                "model: expected weights that autograd can follow, got some that were made under "
                "torch.inference_mode(); make or load the model outside of it"
            ) from error
        if not MISFIT.search(str(error)):
            raise
        raise ValueError(
            f"model and x: expected images (n, c, h, w) of the channels and size that the model takes, got shape "
            f"{tuple(x.shape)}; resize or convert them. PyTorch says: {error}"
        ) from error


def module_of(model: Model) -> nn.Module | None:
    """Return the module behind a model: itself, or that of a bound method or a partial.

    Parameters
    ----------
    model : callable

    Returns
    -------
    Module or None
        None for any other function.
    """
    while not isinstance(model, nn.Module):
        model = model.func if isinstance(model, partial) else getattr(model, "__self__", None)
        if model is None:
            return None
    return model


def check_inputs(model: Model, x: Tensor, y: Tensor, threat: Threat = NO_THREAT) -> tuple[Tensor, Tensor]:
    """Return (x, y) detached and ready to attack.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
    threat : Threat

    Returns
    -------
    x : Tensor (n, c, h, w)
    y : Tensor (n,), int64

    Raises
    ------
    ValueError
        If `model` is not callable; `x` is not a float tensor (n, c, h, w) with n >= 1 and values in [0, 1]; `y` is not
        an integer tensor (n,) of labels >= 0; devices or dtypes of `x`, `y`, the threat and the model differ;
        or a tensor `eps` has not one radius per image.
    """
    check_images(x)
    check_labels(x, y)
    check_model(model, x)
    if not isinstance(threat, Threat):
        raise ValueError(f"threat: expected a threat such as Linf(8/255) or L2(0.5), got {threat!r}")
    threat.check(x)
    with torch.inference_mode(False):
        return (
            x.clone() if x.is_inference() else x.detach(),
            y.long().clone() if y.is_inference() else y.detach().long(),
        )


def check_model(model: Model, x: Tensor) -> None:
    """Raise a ValueError unless `model` is callable and, if a module, has the device and dtype of `x`.

    Parameters
    ----------
    model : callable
    x : Tensor (n, c, h, w)

    Raises
    ------
    ValueError
        Otherwise; a class that nobody has made an instance of is no model.
    """
    if not callable(model) or isinstance(model, type):
        got = f"the class {model.__name__}; make one" if isinstance(model, type) else type(model).__name__
        raise ValueError(f"model: expected a function or module from images to logits, got {got}")
    module = module_of(model)
    weight = next(module.parameters(), None) if module is not None else None
    if weight is not None and (weight.device != x.device or weight.dtype != x.dtype):
        raise ValueError(
            f"model and x: expected one device and dtype, got a model in {weight.dtype} on {weight.device} and "
            f"images in {x.dtype} on {x.device}; use model.to(x.device, x.dtype)"
        )


def check_images(x: Tensor) -> None:
    """Raise a ValueError unless `x` is a batch of float images (n, c, h, w) in [0, 1].

    Parameters
    ----------
    x : Tensor (n, c, h, w), float in [0, 1]
        With n >= 1, in float16, bfloat16, float32 or float64.

    Raises
    ------
    ValueError
        Otherwise; the message names the repair, such as ``x.float() / 255``.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"x: expected a tensor of images (n, c, h, w), got {type(x).__name__}; use torch.as_tensor")
    shape = tuple(x.shape)
    if x.layout != torch.strided:
        raise ValueError(f"x: expected ordinary (strided) images, got layout {x.layout}; use x.to_dense()")
    if x.ndim != 4:
        hint = "; add the missing dimension with x[None]" if x.ndim == 3 else ""
        raise ValueError(f"x: expected images of shape (n, c, h, w), got shape {shape}{hint}")
    if not x.is_floating_point():
        raise ValueError(f"x: expected floating-point images in [0, 1], got {x.dtype}; use x.float() / 255")
    if x.dtype.itemsize < 2:
        raise ValueError(f"x: expected images in float32, float64, float16 or bfloat16, got {x.dtype}; use x.float()")
    if x.numel() == 0:
        raise ValueError(f"x: expected at least one image, got an empty batch of shape {shape}")
    if x.device.type == "meta":
        raise ValueError("x: expected images that hold data, got a tensor on the device 'meta'")
    low, high = (value.item() for value in torch.aminmax(x))
    if low != low or high != high:
        raise ValueError(f"x: expected images without NaN, got {int(x.isnan().sum())} NaN values (shape {shape})")
    if low < 0 or high > 1:
        hint = (
            "divide by 255"
            if high > 5
            else "if they were normalised, make that the model's first layer; for rounding errors use x.clamp(0, 1)"
        )
        raise ValueError(f"x: expected pixel values in [0, 1], got [{low:.4g}, {high:.4g}] (shape {shape}); {hint}")


def check_labels(x: Tensor, y: Tensor) -> None:
    """Raise a ValueError unless `y` holds one integer label >= 0 for each image of `x`.

    Parameters
    ----------
    x : Tensor (n, c, h, w)
    y : Tensor (n,), integer >= 0

    Raises
    ------
    ValueError
        If `y` has another type, shape or device, or a label below 0.
    """
    if not isinstance(y, Tensor):
        raise ValueError(f"y: expected a tensor of integer labels (n,), got {type(y).__name__}; use torch.tensor(...)")
    if y.dtype in (torch.uint16, torch.uint32, torch.uint64):
        raise ValueError(f"y: expected integer labels that PyTorch can compute with, got {y.dtype}; use y.long()")
    if y.dtype == torch.bool or y.is_floating_point() or y.is_complex():
        raise ValueError(f"y: expected integer labels, got {y.dtype}; use y.long() (not one-hot vectors)")
    if y.ndim != 1 or len(y) != len(x):
        raise ValueError(f"y: expected one label for each image, shape ({len(x)},), got {tuple(y.shape)}")
    if y.device != x.device:
        raise ValueError(f"x and y: expected one device, got x on {x.device} and y on {y.device}; use y.to(x.device)")
    if int(y.min()) < 0:
        raise ValueError(f"y: expected class labels >= 0, got {int(y.min())}")


def check_count(name: str, value: int, least: int) -> None:
    """Raise a ValueError unless `value` is a whole number of at least `least`.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    value : object
    least : int

    Raises
    ------
    ValueError
        Otherwise; True and 2.0 are no whole numbers.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: expected a whole number >= {least}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is True or False.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    value : object

    Raises
    ------
    ValueError
        Otherwise; 1 is not True.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected True or False, got {value!r}")


def check_number(
    name: str, value: object, least: float, most: float = inf, *, above: bool = False, unit: str = ""
) -> None:
    """Raise a ValueError unless `value` is a finite number from `least`, or `above` it, to `most`; name its `unit`.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    value : object
    least, most : float
    above : bool
        Refuse `least` itself.
    unit : str
        For the message.

    Raises
    ------
    ValueError
        Otherwise; True is no number.
    """
    if is_number(value) and least <= value <= most and not (above and value == least):
        return
    if most == inf:
        limits = f"{'>' if above else '>='} {least:g}"
    else:
        limits = f"above {least:g} and up to {most:g}" if above else f"from {least:g} to {most:g}"
    raise ValueError(f"{name}: expected a number {limits}{unit}, got {value!r}")


def check_function(name: str, value: object, example: str) -> None:
    """Raise a ValueError unless `value` can be called, as `example` can.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    value : object
    example : str
        A function that would do, for the message.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not callable(value):
        raise ValueError(f"{name}: expected a function such as {example}, got {value!r}")


def check_losses(losses: Tensor, y: Tensor) -> None:
    """Raise a ValueError unless there is one loss for each label, shape (n,).

    Parameters
    ----------
    losses : Tensor (n,)
    y : Tensor (n,), integer

    Raises
    ------
    ValueError
        Otherwise; a mean over the batch is refused.
    """
    if not isinstance(losses, Tensor):
        raise ValueError(f"loss: expected a tensor of one value per image, got {type(losses).__name__}")
    if losses.shape != y.shape:
        raise ValueError(
            f"loss: expected one value per image, shape {tuple(y.shape)}, got {tuple(losses.shape)}; "
            "use reduction='none'"
        )


def check_logits(logits: Tensor, x: Tensor, y: Tensor) -> None:
    """Raise a ValueError unless the model answered images `x` with usable logits (n, k) that cover labels `y`.

    Parameters
    ----------
    logits : Tensor (n, k), k >= 2
    x : Tensor (n, c, h, w)
    y : Tensor (n,), integer

    Raises
    ------
    ValueError
        If the logits have another type, shape or device, or hold NaN; or if a label is not below k.
    """
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"model: expected logits as a tensor (n, k), got {type(logits).__name__}; wrap the model so that it "
            "returns the logits alone"
        )
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise ValueError(
            f"model: expected logits of shape ({len(x)}, k) with k >= 2 classes for {len(x)} images, "
            f"got shape {tuple(logits.shape)}"
        )
    if not logits.is_floating_point():
        raise ValueError(f"model: expected floating-point logits, got {logits.dtype}")
    if logits.device != x.device:
        raise ValueError(f"model: expected logits on the images' device {x.device}, got {logits.device}")
    if bool(logits.isnan().any()):
        raise ValueError(
            f"model: expected finite logits, got {int(logits.isnan().sum())} NaN values for images in [0, 1]"
        )
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(f"y: expected labels below the model's {logits.shape[1]} classes, got {int(y.max())}")


def check_finite(x_adv: Tensor, rows: str = "images") -> Tensor:
    """Return `x_adv` if no gradient became NaN or infinite on the way.

    Parameters
    ----------
    x_adv : Tensor (n, …)
    rows : str
        What the message calls the rows.

    Returns
    -------
    Tensor (n, …)
        `x_adv` itself.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.
    """
    if bool(x_adv.sum().isfinite()):  # a thirtieth of the time; a sum may overflow where all is well
        return x_adv
    if not bool(x_adv.isfinite().all()):
        bad = int((~x_adv.isfinite()).flatten(1).any(1).sum())
        raise ValueError(
            f"model: expected finite gradients, got NaN or infinity for {bad} of {len(x_adv)} {rows} in the attack; "
            "look for log(0), sqrt(0) or an overflow in the model or the loss"
        )
    return x_adv
