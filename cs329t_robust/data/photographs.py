"""Photographs inside installed packages, as an ImageNet classifier sees them. Nothing is ever downloaded."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..runtime.data_folder import DataError
from ..runtime.extras import MissingExtra, missing
from .mnist_files import Verdict

SIDE = 224


@dataclass(frozen=True)
class Photo:
    """A photograph, where it comes from, and the part of it that is shown.

    Attributes
    ----------
    package, file : the pip package that carries it, and its path there (the first folder is the import name)
    sha256 : of the file
    author, licence : as the package, or else the picture's source, states them
    box : (left, top, right, bottom) in pixels; None for the whole picture
    expected : the ImageNet class it shows, by its first name; None if ImageNet has none
    """

    package: str
    file: str
    sha256: str
    author: str
    licence: str
    box: tuple[int, int, int, int] | None
    expected: str | None


PHOTOS: dict[str, Photo] = {
    "cat": Photo(
        package="scikit-image",
        file="skimage/data/chelsea.png",
        sha256="596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        author="Stefan van der Walt",
        licence="CC0",
        box=None,
        expected="Egyptian cat",
    ),
    "coffee": Photo(
        package="scikit-image",
        file="skimage/data/coffee.png",
        sha256="cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        author="Rachel Michetti, courtesy of Pikolo Espresso Bar",
        licence="CC0",
        box=(100, 0, 500, 400),
        expected="espresso",
    ),
    "cameraman": Photo(
        package="scikit-image",
        file="skimage/data/camera.png",
        sha256="b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        author="Lav Varshney",
        licence="CC0",
        box=None,
        expected="tripod",
    ),
    "motorcycle": Photo(
        package="scikit-image",
        file="skimage/data/motorcycle_left.png",
        sha256="db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        author="Nesic, Westling, Wang, Kitajima, Krathwohl & Scharstein (Middlebury Stereo 2014)",
        licence="none stated; part of a public benchmark, cite Scharstein et al., GCPR 2014",
        box=(120, 0, 620, 500),
        expected="moped",
    ),
    "rocket": Photo(
        package="scikit-image",
        file="skimage/data/rocket.jpg",
        sha256="c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        author="SpaceX (launch of DSCOVR on a Falcon 9)",
        licence="public domain",
        box=(200, 0, 500, 300),
        expected="missile",
    ),
    "admiral": Photo(
        package="matplotlib",
        file="matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        author="James S. Davis, US Navy (Grace Hopper)",
        licence="public domain, work of the US federal government",
        box=None,
        expected="military uniform",
    ),
    "astronaut": Photo(
        package="scikit-image",
        file="skimage/data/astronaut.png",
        sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        author="NASA (Eileen Collins)",
        licence="public domain",
        box=None,
        expected=None,
    ),
    "portrait": Photo(
        package="scikit-image",
        file="skimage/data/astronaut.png",
        sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        author="NASA (Eileen Collins)",
        licence="public domain",
        box=(134, 20, 314, 200),
        expected=None,
    ),
}
"""Every photograph by its name: the package that brings it, its author and its licence."""


def photo(name: str) -> Tensor:
    """Return one of the `PHOTOS` as float32 (1, 3, 224, 224) in [0, 1]: its box, squashed to a square.

    The values are whole 255ths, so the tensor is exactly a picture that could be saved.

    Parameters
    ----------
    name : str
        A key of `PHOTOS`.

    Returns
    -------
    Tensor (1, 3, 224, 224), float32 in [0, 1]

    Raises
    ------
    ValueError
        If there is no such photograph.
    DataError
        If the package that carries it lacks the file or holds a different one.
    MissingExtra
        If that package is not installed.
    """
    if name not in PHOTOS:
        raise ValueError(f"photo: expected one of {', '.join(PHOTOS)}, got {name!r}")
    return _pixels(name).float().div_(255)


def photos(names: Iterable[str] | None = None) -> tuple[Tensor, list[str]]:
    """Return several photographs, by default every one whose class ImageNet has.

    Parameters
    ----------
    names : sequence of str, optional
        Keys of `PHOTOS`.

    Returns
    -------
    x : Tensor (n, 3, 224, 224), float32 in [0, 1]
    names : list of str

    Raises
    ------
    ValueError
        If `names` is one text, is empty, or holds an unknown name.
    DataError
        As in `photo`.
    """
    if isinstance(names, str):
        raise ValueError(f"photos: expected a list of names, got the text {names!r}; use [{names!r}]")
    chosen = [name for name in PHOTOS if PHOTOS[name].expected] if names is None else list(names)
    if not chosen:
        raise ValueError(f"photos: expected at least one of {', '.join(PHOTOS)}, got no names")
    return torch.cat([photo(name) for name in chosen]), chosen


def verify_photos() -> list[Verdict]:
    """Check every photograph's SHA-256.

    Returns
    -------
    list of Verdict
        The path, whether it is as it should be, and a detail in words, of each file.
    """
    verdicts = []
    for about in PHOTOS.values():
        try:
            path = _checked(about)
            verdicts.append(Verdict(str(path), True, f"{path.stat().st_size:,} bytes, from {about.package}"))
        except (DataError, MissingExtra) as error:
            verdicts.append(Verdict(about.file, False, str(error)))
    return verdicts


@cache
def _pixels(name: str) -> Tensor:
    from PIL import Image

    about = PHOTOS[name]
    with Image.open(_checked(about)) as image:
        square = image.convert("RGB").crop(about.box or (0, 0, *image.size))
    # squashed, not cropped: what a classifier is shown must hold the whole object
    array = np.array(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def _checked(about: Photo) -> Path:
    """Return the photograph's path. Read from disk: scikit-image's own loader may go to the network."""
    module, _, inner = about.file.partition("/")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise missing("a photograph", module)
    path = Path(spec.submodule_search_locations[0]) / inner
    fix = f"repair:   `cs329t doctor` gives the command that re-installs {about.package}"
    if not path.is_file():
        raise DataError(f"{path} is missing\n  expected: a photograph in the package\n  {fix}")
    came = hashlib.sha256(path.read_bytes()).hexdigest()
    if came != about.sha256:
        raise DataError(f"{path} is damaged\n  expected: SHA-256 {about.sha256}\n  got:      {came}\n  {fix}")
    return path
