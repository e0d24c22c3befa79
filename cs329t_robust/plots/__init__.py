"""Every still picture of the lessons: functions that take finished results and return a matplotlib Figure."""

from ..runtime.extras import needed_by

with needed_by("cs329t_robust.plots"):
    from .curves_and_planes import Slice, distances, lines, plane, shares
    from .figures import (
        COLOURS,
        attributions,
        curves,
        grid,
        images,
        keyword,
        percent,
        predictions,
        probabilities,
        show,
        triptych,
        verdict,
    )

__all__ = [
    "COLOURS",
    "Slice",
    "attributions",
    "curves",
    "distances",
    "grid",
    "images",
    "keyword",
    "lines",
    "percent",
    "plane",
    "predictions",
    "probabilities",
    "shares",
    "show",
    "triptych",
    "verdict",
]
