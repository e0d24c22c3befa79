"""Where and how the workbook computes: device and threads, progress, random numbers."""

from .hardware import check_writable, describe, device, keep_memory, set_threads, usable
from .progress_bar import bar, rows, section, tick
from .randomness import ImageRandom, normal_like, uniform_like

__all__ = [
    "ImageRandom",
    "bar",
    "check_writable",
    "describe",
    "device",
    "keep_memory",
    "normal_like",
    "rows",
    "section",
    "set_threads",
    "tick",
    "uniform_like",
    "usable",
]
