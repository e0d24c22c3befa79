"""The pictures of a seeing game: stored once, changed by any size, exact to the byte in Python and in the browser."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..contract.input_validation import check_images
from .page import Block, half_steps, to_bytes

NORMS = ("Linf", "L2", "L1", "L0")


class Changes:
    """Pictures, and for each norm a change of each picture that grows along a ladder of sizes.

    A change for Linf, L2 or L1 keeps its direction and is scaled; for L0 a size of k changes k pixels, in given order.
    What is shown at a size is rounded to whole 255ths and clipped to [0, 1], so it is at most that size, less or more
    half a 255th a value.

    Parameters
    ----------
    pictures : Tensor (n, c, h, w), float in [0, 1]; c is 1 or 3
    perturbations : mapping of norm to Tensor (n, c, h, w)
        Of any size; for L0 with as many changed pixels as the largest size.
    eps : mapping of norm to ascending sizes > 0
        In units of [0, 1]; pixels for L0.
    order : Tensor (n, h, w), optional
        For L0: the lower the number, the earlier the pixel is changed. By default the largest changes come first.

    Raises
    ------
    ValueError
        If an argument is unusable, or the smallest size changes no pixel of a picture.
    """

    def __init__(
        self,
        pictures: Tensor,
        perturbations: Mapping[str, Tensor],
        eps: Mapping[str, Sequence[float]],
        order: Tensor | None = None,
    ) -> None:
        check_images(pictures)
        if pictures.shape[1] not in (1, 3):
            raise ValueError(f"pictures: expected grey (c = 1) or colour (c = 3), got shape {tuple(pictures.shape)}")
        if not perturbations or set(perturbations) != set(eps) or set(eps) - set(NORMS):
            raise ValueError(
                f"perturbations and eps: expected the same norms, some of {', '.join(NORMS)}, got "
                f"{list(perturbations)} and {list(eps)}"
            )
        self.norms = tuple(perturbations)
        self.eps = {norm: tuple(float(size) for size in eps[norm]) for norm in self.norms}
        x = pictures.detach().cpu()
        self.clean = to_bytes(x)
        self._steps: dict[str, np.ndarray] = {}
        self._unit: dict[str, list[float]] = {}
        self._dots: list[tuple[np.ndarray, np.ndarray]] = []
        for norm, delta in perturbations.items():
            if delta.shape != x.shape or not bool(delta.isfinite().all()):
                raise ValueError(
                    f"perturbations: expected finite values of shape {tuple(x.shape)} for {norm}, "
                    f"got shape {tuple(delta.shape)}"
                )
            delta = delta.detach().cpu().double()
            if norm == "L0":
                self._dots = [self._pixels(i, x[i], delta[i], order) for i in range(len(x))]
            else:
                self._scaled(norm, delta)
            self._check_smallest(norm)

    def _scaled(self, norm: str, delta: Tensor) -> None:
        """Store a change in whole steps, and the step with which its size in `norm` is 1."""
        top = delta.abs().flatten(1).amax(1)
        if not bool((top > 0).all()):
            raise ValueError(f"perturbations: expected a change of every picture for {norm}, got zeros for one")
        half = half_steps(delta[0])
        steps = (delta / top[:, None, None, None] * half).round()
        length = steps.flatten(1).norm({"Linf": torch.inf, "L2": 2, "L1": 1}[norm], dim=1)
        self._unit[norm] = (1 / length).tolist()
        self._steps[norm] = steps.to(torch.int8).permute(0, 2, 3, 1).contiguous().numpy()

    def _pixels(self, at: int, x: Tensor, delta: Tensor, order: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the places that change, in order, and their new colours."""
        most = self.eps["L0"][-1]
        if any(size != round(size) for size in self.eps["L0"]):
            raise ValueError(f"eps: expected whole numbers of pixels for L0, got {list(self.eps['L0'])}")
        new = ((x + delta).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).flatten(0, 1)
        differs = (new != torch.from_numpy(self.clean[at]).flatten(0, 1)).any(1)
        rank = -delta.abs().amax(0).flatten() if order is None else order[at].detach().cpu().double().flatten()
        places = rank.argsort(stable=True)
        places = places[differs[places]][: int(most)]
        if len(places) < most:
            raise ValueError(
                f"eps: expected at most {len(places)} pixels for L0, as many as the perturbation of picture {at} "
                f"changes by a 255th or more, got {most:g}"
            )
        return places.to(torch.int64).numpy().astype("<u4"), new[places].contiguous().numpy()

    def _check_smallest(self, norm: str) -> None:
        for at in range(len(self.clean)):
            if np.array_equal(self.shown(norm, at, 0), self.clean[at]):
                raise ValueError(
                    f"eps: expected a smallest size that can be shown, but {norm} {self.eps[norm][0]:.4g} changes no "
                    f"pixel of picture {at} in whole 255ths; start the ladder higher"
                )

    def shown(self, norm: str, picture: int, level: int) -> np.ndarray:
        """Return the bytes (h, w, c) that the game shows for a picture at a level of a norm's ladder."""
        pixels = self.clean[picture].copy()
        if norm == "L0":
            places, colours = self._dots[picture]
            k = int(self.eps[norm][level])
            pixels.reshape(-1, pixels.shape[2])[places[:k]] = colours[:k]
            return pixels
        amount = self._amount(norm, picture, level)
        moved = np.floor(pixels + amount * self._steps[norm][picture].astype(np.float64) + 0.5)
        return moved.clip(0, 255).astype(np.uint8)

    def _amount(self, norm: str, picture: int, level: int) -> float:
        return 255 * self.eps[norm][level] * self._unit[norm][picture]

    def pack(self, header: dict, norms: list[dict]) -> str:
        """Return the pictures and changes packed as a `Block`, with `header` and an entry of `norms` for each norm."""
        block = Block()
        pictures = [{"at": block.put(one.tobytes())} for one in self.clean]
        for norm, entry in zip(self.norms, norms, strict=True):
            entry["changes"] = [self._entry(norm, i, block) for i in range(len(self.clean))]
        height, width, channels = self.clean.shape[1:]
        sizes = {"width": width, "height": height, "channels": channels, "pictures": pictures, "norms": norms}
        return block.pack(header | sizes)

    def _entry(self, norm: str, picture: int, block: Block) -> dict:
        if norm == "L0":
            places, colours = self._dots[picture]
            at = {"placesAt": block.put(places.tobytes()), "coloursAt": block.put(colours.tobytes())}
            return at | {"count": len(places)}
        amounts = [self._amount(norm, picture, level) for level in range(len(self.eps[norm]))]
        return {"at": block.put(self._steps[norm][picture].tobytes()), "amounts": amounts}
