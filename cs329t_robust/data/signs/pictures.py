"""Pictures of road signs: a labelled set of any size, one sign in a chosen pose, and random views of a painted face."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...contract.input_validation import check_count, check_number
from .camera import STEEPEST, Each, view
from .faces import CLASSES, FACE, face, outline
from .scenes import noise, scenes

BLOCK = 250  # pictures drawn at once
SHIFT = 0.08  # how far a sign's middle may lie from the picture's, as a share of its side


def signs(
    n: int,
    *,
    seed: int,
    size: int = 48,
    degrees: float = 60.0,
    tilt: float = 15.0,
    roll: float = 10.0,
    scale: tuple[float, float] = (0.5, 0.95),
) -> tuple[Tensor, Tensor]:
    """Return pictures of road signs and their labels, all drawn by `view` on `scenes`.

    Parameters
    ----------
    n : int >= 1
    seed : int >= 0
        Everything follows from it; the global random state is neither read nor moved. The first k of n are what
        ``signs(k, seed=seed)`` draws, but for the last bits of a float.
    size : int >= 16
        Side of the pictures in pixels.
    degrees, tilt : float in [0, 75]
        Turned about the upright axis within ±degrees, and about the level one within ±tilt.
    roll : float in [0, 180]
        Rotated in the sign's plane within ±roll degrees. Beyond 45 a turn to the right can point ahead.
    scale : pair of floats > 0
        Least and most of the sign's side as a share of the picture's: how near it is.

    Returns
    -------
    x : float32 (n, 3, size, size) in [0, 1]
    y : int64 (n,)
        Indices into `CLASSES`: one of each class in turn, so that any n is balanced.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_count("n", n, 1)
    check_count("size", size, 16)
    seen = Roadside(degrees=degrees, tilt=tilt, roll=roll, scale=scale)
    check_count("seed", seed, 0)
    generator = torch.Generator().manual_seed(seed)
    faces = torch.stack([face(name) for name in CLASSES])
    outlines = torch.stack([outline(name) for name in CLASSES])
    y = torch.arange(n) % len(CLASSES)
    x = torch.empty(n, 3, size, size)
    for begin in range(0, n, BLOCK):
        labels = y[begin : begin + BLOCK]
        few = slice(0, len(labels))
        numbers = torch.rand(BLOCK, 6, generator=generator)[few]
        painted = weathered(faces[labels], generator)
        around = scenes(BLOCK, generator, size).of(few)
        pictures = view(
            painted,
            outlines[labels],
            **seen.pose(numbers),
            light=around.light,
            blur=around.blur,
            background=around.background,
            side=size,
        )
        x[begin : begin + BLOCK] = (pictures + around.grain).clamp(0, 1)
    return x, y


def sign(
    name: str,
    *,
    yaw: Each = 0.0,
    tilt: Each = 0.0,
    roll: Each = 0.0,
    scale: Each = 0.7,
    light: Each = 1.0,
    blur: Each = 0.0,
    seed: int = 0,
    size: int = 48,
) -> Tensor:
    """Return a clean sign in a chosen pose, before the scene that follows from `seed`.

    Parameters
    ----------
    name : str
        One of `CLASSES`.
    yaw, tilt, roll : float or Tensor (n,), in degrees
        As in `view`.
    scale : float or Tensor (n,)
        The `size` of `view`: the sign's share of the picture.
    light, blur : float or Tensor (n,)
        As in `view`.
    seed : int >= 0
        Of the scene behind it.
    size : int >= 16
        The picture's side in pixels.

    Returns
    -------
    Tensor (n, 3, size, size), float32 in [0, 1]
        n is the length of the tensors among the arguments, else 1.

    Raises
    ------
    ValueError
        If there is no such sign, or a number is out of range.
    """
    check_count("seed", seed, 0)
    check_count("size", size, 16)
    behind = scenes(1, torch.Generator().manual_seed(seed), size).background
    return view(
        face(name),
        outline(name),
        yaw=yaw,
        tilt=tilt,
        roll=roll,
        size=scale,
        light=light,
        blur=blur,
        background=behind,
        side=size,
    )


@dataclass(frozen=True)
class Roadside:
    """Random views of one flat sign: what a car passing by would see of it.

    A view for `physical` and of the kind it takes: a function of faces and uniform random numbers.

    Parameters
    ----------
    name : str
        Whose outline is cut from the faces.
    degrees, tilt : float in [0, 75]
        Yaw within ±degrees, tilt within ±tilt.
    yaw : float, optional
        Always this yaw, in degrees, instead of a random one.
    roll : float in [0, 180]
    scale : pair of floats > 0
        As in `signs`.
    scenes : int >= 1
        How many different surroundings there are.
    seed : int >= 0
        The surroundings follow from it: another seed gives others, to measure what was optimised in these.
    size : int >= 16
        Side of the pictures in pixels.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    name: str = "stop"
    degrees: float = 60.0
    tilt: float = 15.0
    roll: float = 10.0
    scale: tuple[float, float] = (0.5, 0.95)
    yaw: float | None = None
    scenes: int = 64
    seed: int = 0
    size: int = 48

    def __post_init__(self) -> None:
        outline(self.name)
        limits = {"degrees": STEEPEST, "tilt": STEEPEST, "roll": 180.0}
        for key, most in limits.items():
            check_number(key, getattr(self, key), 0.0, most)
        if self.yaw is not None:
            check_number("yaw", self.yaw, -STEEPEST, STEEPEST)
        if not isinstance(self.scale, tuple) or len(self.scale) != 2:
            raise ValueError(f"scale: expected a pair (least, most), got {self.scale!r}")
        check_number("scale", self.scale[0], 0.05, 5.0)
        check_number("scale", self.scale[1], self.scale[0], 5.0)
        for key, least in (("scenes", 1), ("seed", 0), ("size", 16)):
            check_count(key, getattr(self, key), least)
        drawn = scenes(self.scenes, torch.Generator().manual_seed(self.seed), self.size)
        object.__setattr__(self, "_drawn", drawn)
        object.__setattr__(self, "_outline", outline(self.name))

    def pose(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return the pose that each row of six or more numbers in [0, 1] names, as arguments of `view`."""
        u = 2 * numbers - 1
        least, most = self.scale
        return {
            "yaw": self.degrees * u[:, 0] if self.yaw is None else torch.full_like(u[:, 0], self.yaw),
            "tilt": self.tilt * u[:, 1],
            "roll": self.roll * u[:, 2],
            "size": least * (most / least) ** numbers[:, 3],  # as many halvings of the distance near as far
            "across": SHIFT * u[:, 4],
            "down": SHIFT * u[:, 5],
        }

    def __call__(self, faces: Tensor, numbers: Tensor) -> Tensor:
        """Return a picture of each face.

        Parameters
        ----------
        faces : Tensor (n, 3, h, w), float in [0, 1]
        numbers : Tensor (n, 7) or wider
            Uniform in [0, 1]: yaw, tilt, roll, scale, across, down, surroundings.

        Returns
        -------
        Tensor (n, 3, size, size)
            In [0, 1], differentiable in `faces`.
        """
        numbers = numbers.to(faces)
        rows = (numbers[:, 6] * self.scenes).long().clamp_max(self.scenes - 1)
        around = type(self._drawn)(*(part.to(faces) for part in self._drawn)).of(rows)
        seen = view(
            faces,
            self._outline.to(faces),
            **self.pose(numbers),
            light=around.light,
            blur=around.blur,
            background=around.background,
            side=self.size,
        )
        return (seen + around.grain).clamp(0, 1)


def weathered(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Return each face (n <= BLOCK) faded, dirty and lit from one side, by draws for BLOCK of them."""
    few = slice(0, len(faces))

    def one() -> Tensor:
        return torch.rand(BLOCK, 1, 1, 1, generator=generator)[few]

    pale = 0.35 * one().square()
    ticks = (torch.arange(FACE) + 0.5) / FACE * 2 - 1
    slope = (one() - 0.5) * ticks.view(1, 1, 1, -1) + (one() - 0.5) * ticks.view(1, 1, -1, 1)
    dirt = noise(BLOCK, FACE, (4, 8, 16, 32), generator)[few]
    dull = 1 + 0.35 * slope - 0.5 * one() * (dirt - 0.35).clamp_min(0)
    return ((faces + pale * (0.62 - faces)) * dull).clamp(0, 1)
