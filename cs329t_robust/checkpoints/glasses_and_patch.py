"""Make the physical attacks that data/physical ships: a table of targets reached by glasses, and a printable patch."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..attacks import physical
from ..attacks.physical import Placements, train_patch
from ..attacks.physical.accessories import glasses
from ..attacks.physical.eot import share_seen_as
from ..attacks.physical.views import Views
from ..data.datasets import photo, photos
from ..models.networks import imagenet_classes, imagenet_classifier
from ..runtime.data_folder import shipped
from ..threat import Linf, Masked

TRAINING = ("cat", "cameraman", "rocket", "astronaut", "portrait")  # photographs that the patch is trained on
HELD_OUT = ("coffee", "motorcycle", "admiral")
"""The photographs that the patch is measured on: no training saw them."""
HEAD = Views(degrees=12, scale=0.1, shift=8, light=0.15)  # how a head may move before the camera


@dataclass(frozen=True)
class PaintedGlasses:
    """One pair of painted glasses: the class it aims at, the class that is seen, and how long it took."""

    target: str
    seen_as: str
    probability: float
    share_of_views: float
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether the picture is taken for the target."""
        return self.seen_as == self.target


def class_number(name: str) -> int:
    """Return the number of the ImageNet class called `name`.

    Parameters
    ----------
    name : str
        Upper or lower case.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is none; the message names the nearest.
    """
    from difflib import get_close_matches

    names = [one.lower() for one in imagenet_classes()]
    if name.lower() in names:
        return names.index(name.lower())
    near = ", ".join(get_close_matches(name.lower(), names, 5, 0.4)) or "none is near"
    raise ValueError(f"target: expected the name of an ImageNet class, got {name!r}; nearest: {near}")


def moving_head(x: Tensor, numbers: Tensor) -> Tensor:
    """See three pictures of every four as `HEAD` does, and one as it is: no turned picture is as sharp."""
    still = (torch.arange(len(x), device=x.device) % 4 == 0).view(-1, 1, 1, 1)
    return torch.where(still, x, HEAD(x, numbers))


def paint_glasses(
    model: nn.Module, target: int, *, poses: bool = False, thickness: float = 0.12, steps: int = 200, seed: int = 0
) -> tuple[Tensor, PaintedGlasses]:
    """Paint the frame of the portrait's glasses so that `model` says `target`; with `poses`, in any pose of the head.

    A thickness of 0.12 covers 4.0% of the picture and 0.19 covers 6.4%; the frames of Sharif et al. 2016 took 6.5%.

    Returns
    -------
    Tensor (1, 3, 224, 224), PaintedGlasses
        The portrait with the glasses, in whole 255ths, and how it is seen. Seconds are the process's own.
    """
    x, y = photo("portrait"), torch.tensor([target])
    began = time.process_time()
    threat = Masked(Linf(1.0), glasses(thickness=thickness))
    settings = {"views": moving_head, "samples": 4, "step_size": 10 / max(steps, 1)} if poses else {}
    found = physical(model, x, y, threat=threat, steps=steps, targeted=True, seed=seed, **settings)
    seconds = time.process_time() - began
    found = (found * 255).round() / 255
    with torch.no_grad():
        p, guess = model(found).softmax(1)[0].max(0)
    share = share_seen_as(model, found, y, views=HEAD, samples=32).item()
    names = imagenet_classes()
    return found, PaintedGlasses(names[target], names[guess], round(p.item(), 3), round(share, 3), round(seconds, 1))


def backgrounds(seed: int = 0, crops: int = 45) -> Tensor:
    """Return the training photographs, their mirror images, and random parts of them, each 224×224."""
    generator = torch.Generator().manual_seed(seed)
    whole = photos(TRAINING)[0]
    found = [whole, whole.flip(3)]
    for i in range(crops):
        side = int(torch.randint(110, 200, (1,), generator=generator))
        top, left = (int(torch.randint(224 - side, (1,), generator=generator)) for _ in range(2))
        part = whole[i % len(whole)][None, :, top : top + side, left : left + side]
        part = F.interpolate(part, size=224, mode="bicubic", antialias=True).clamp(0, 1)
        found.append(part.flip(3) if i % 2 else part)
    return torch.cat(found)


def make_patch(target: int, *, steps: int = 800, side: int = 64, seed: int = 0, progress: bool = False) -> Tensor:
    """Train the course's patch: round, in any place, turned by up to 30°, 50 to 110 pixels across."""
    from tqdm.auto import trange

    x, model = backgrounds(seed), imagenet_classifier()
    y = torch.full((len(x),), target)
    with trange(steps, disable=not progress) as bar:
        return train_patch(
            model, x, y, side=side, placements=Placements((50, 110)), steps=steps, targeted=True, seed=seed,
            progress=lambda step, loss: bar.update(),
        )  # fmt: skip


def patch_success(patch: Tensor, target: int, size: float, *, poses: int = 32, seed: int = 1) -> tuple[int, int]:
    """Return on how many of the held-out photographs, each in so many random poses, the patch of this size succeeds."""
    model, x = imagenet_classifier(), photos(HELD_OUT)[0].repeat_interleave(poses, 0)
    with torch.no_grad():
        seen = Placements((size, size))(x, patch, torch.Generator().manual_seed(seed))
        hits = sum(int((model(part).argmax(1) == target).sum()) for part in seen.split(16))
    return hits, len(x)


def save(image: Tensor, path: str | Path, **card: str) -> None:
    """Write (c, h, w) in [0, 1] as a PNG whose text holds `card`."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    for key, value in card.items():
        info.add_text(key, value)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path, "PNG", optimize=True, pnginfo=info)


def shipped_patch() -> tuple[Tensor, int]:
    """Return the patch of data/physical and the class that it aims at.

    Returns
    -------
    patch : Tensor (3, side, side), float32 in [0, 1]
    target : int
        An ImageNet class.

    Raises
    ------
    DataError
        If it is missing; the message names the command that makes it.
    """
    pixels, card = _opened(shipped("physical/patch.png", "cs329t patch --out FILE"))
    return pixels, class_number(card["target"])


def shipped_glasses() -> Tensor:
    """Return the portrait in the shipped glasses that work in any pose of the head.

    Returns
    -------
    Tensor (1, 3, 224, 224), float32 in [0, 1]

    Raises
    ------
    DataError
        If it is missing; the message names the command that makes it.
    """
    command = "cs329t glasses --target hummingbird --poses --out FILE"
    return _opened(shipped("physical/glasses_moving.png", command))[0][None]


def shipped_targets() -> list[dict[str, Any]]:
    """Return the rows of the table of glasses that data/ ships, one for each target.

    Returns
    -------
    list of dict
        As `as_row` writes them: the target, and how often the glasses are seen as it.

    Raises
    ------
    DataError
        If it is missing; the message names a command that makes one (data/README.md has the whole one).
    """
    path = shipped("physical/glasses.json", "cs329t glasses --target zebra --by-lot 28 --json FILE")
    return json.loads(path.read_text("utf-8"))


def _opened(path: Path) -> tuple[Tensor, dict[str, str]]:
    """Return the pixels (3, h, w) in [0, 1] of a PNG, and its text."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        return pixels.float() / 255, dict(picture.text)


def as_row(painted: PaintedGlasses) -> dict[str, object]:
    """Return one row of the table of glasses."""
    return asdict(painted) | {"reached": painted.reached}
