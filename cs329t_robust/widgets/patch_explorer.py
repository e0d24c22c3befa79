"""Drag a patch over a photograph and watch the prediction: computed beforehand, so that it works without a kernel."""

import html
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..attacks.physical.patches import outline, place
from ..contract.input_validation import Model, check_count, check_images
from ..evaluation.accuracy import predict
from .page import Page, build_page, data_address, picture_tag, png, to_bytes, to_json

NOTE = "Drag the patch, or use the arrow keys. It snaps to the places whose predictions were computed."


class PatchExplorer(Page):
    """A photograph, a patch that can be dragged over it, and what the model predicts there.

    Everything is computed here, once: for each size, a square grid of places. What is shown is one piece of HTML that
    holds its data, so it also works in a notebook reopened without a kernel, and in exported HTML, offline.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k).
    x : Tensor (1, 3, h, h), float in [0, 1]
        The photograph, square.
    patch : Tensor (3, side, side), float in [0, 1]
    target : int
        The class that the patch is meant to be taken for.
    sizes : sequence of float
        Offered sizes, in pixels of the photograph.
    places : int >= 2
        Places in each direction; in the outermost ones the patch touches the edge.
    shape : {"square", "round"}
    class_names : sequence of str, optional
    photo_name, title : str
    top : int >= 1
        Classes shown.

    Raises
    ------
    ValueError
        If an argument is unusable.
    """

    def __init__(
        self,
        model: Model,
        x: Tensor,
        patch: Tensor,
        *,
        target: int,
        sizes: Sequence[float] = (50, 70, 90),
        places: int = 8,
        shape: str = "round",
        class_names: Sequence[str] | None = None,
        photo_name: str = "photograph",
        title: str = "Drag the patch and watch the prediction",
        top: int = 4,
    ) -> None:
        check_images(x)
        if len(x) != 1 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
            raise ValueError(f"x: expected one square colour picture (1, 3, h, h), got {tuple(x.shape)}")
        check_count("places", places, 2)
        check_count("top", top, 1)
        if not sizes or any(not 0 < size <= x.shape[3] for size in sizes):
            raise ValueError(f"sizes: expected pixels in (0, {x.shape[3]}], got {sizes!r}")
        self._x, self._patch, self._shape = x.detach().cpu(), patch.detach().cpu(), shape
        self.sizes, self.title, self.photo_name = tuple(sizes), title, photo_name
        self.places = torch.stack([torch.linspace(s / 2, x.shape[3] - s / 2, places) for s in self.sizes])
        self.clean = predict(model, x).softmax(1)[0].cpu()
        k = len(self.clean)
        if not 0 <= target < k:
            raise ValueError(f"target: expected a class from 0 to {k - 1}, got {target}")
        self.target = target
        self.class_names = tuple(map(str, range(k))) if class_names is None else tuple(class_names)
        self.top = min(top, k)
        self.probabilities = torch.stack([self._grid(model, x, patch, i) for i in range(len(self.sizes))])

    def _grid(self, model: Model, x: Tensor, patch: Tensor, size: int) -> Tensor:
        """Return the probabilities (places, places, k) for one size: rows go down, columns across."""
        down, across = torch.meshgrid(self.places[size], self.places[size], indexing="ij")
        centre = torch.stack([across.flatten(), down.flatten()], 1)
        settings = {"size": float(self.sizes[size]), "shape": self._shape}
        found = [
            predict(model, place(x.expand(len(part), -1, -1, -1), patch, centre=part, **settings)).softmax(1).cpu()
            for part in centre.split(16)
        ]
        return torch.cat(found).view(*down.shape, -1)

    def share(self) -> dict[float, float]:
        """Return, for each size, the share of the places in which the target is predicted."""
        reached = (self.probabilities.argmax(3) == self.target).float().mean((1, 2))
        return dict(zip(self.sizes, reached.tolist(), strict=True))

    def __repr__(self) -> str:
        n = self.places.shape[1]
        sizes = ", ".join(f"{size:g}" for size in self.sizes)
        return (
            f"PatchExplorer: {self.photo_name}; sizes {sizes}; {n}×{n} places; target {self.class_names[self.target]}"
        )

    def _top(self, p: Tensor) -> list[list[int]]:
        """Return the most likely classes as [class, per mille], the target among them."""
        classes = p.topk(self.top).indices.tolist()
        if self.target not in classes:
            classes[-1] = self.target
        return [[c, round(1000 * p[c].item())] for c in classes]

    def data(self) -> dict[str, object]:
        """Return what the page is drawn from."""
        cells = [[[self._top(p) for p in row] for row in size] for size in self.probabilities]
        clean = self._top(self.clean)
        shown = {c for size in cells for row in size for cell in row for c, _ in cell} | {c for c, _ in clean}
        middle = self.places.shape[1] // 2
        return {
            "title": self.title, "photo": self.photo_name, "note": NOTE, "target": self.target, "clean": clean,
            "width": self._x.shape[3], "height": self._x.shape[2], "sizes": list(self.sizes), "cells": cells,
            "places": [[round(value, 2) for value in row] for row in self.places.tolist()],
            "classes": {c: self.class_names[c] for c in sorted(shown)},
            "start": {"size": len(self.sizes) // 2, "across": middle, "down": middle},
            "photoPng": data_address(png(to_bytes(self._x[0]))),
            "patchPng": data_address(png(_cut_out(self._patch, outline(self._patch.shape[-1], self._shape)))),
        }  # fmt: skip

    def to_html(self) -> str:
        """Return the explorer as one self-contained piece of HTML, for any page."""
        data = self.data()
        said = "; ".join(f"{size:g} pixels: {share:.0%}" for size, share in self.share().items())
        caption = f"Share of places in which {self.class_names[self.target]} is predicted: {said}."
        still = f"<p>{html.escape(caption)}</p>{picture_tag(data['photoPng'], self.photo_name)}"
        hint = "Run this cell to drag the patch."
        return build_page("patch", ["patch_explorer"], to_json(data), title=self.title, still=still, hint=hint)


def _cut_out(patch: Tensor, inside: Tensor) -> np.ndarray:
    """Return a patch (3, h, w) as pixels with opacity: outside the mask `inside` it is transparent."""
    return np.dstack([to_bytes(patch), inside.numpy().astype(np.uint8) * 255])
