"""The outer minimum over θ: one loop, what to hand to it, its saved state, and several processes."""

from .fit import Moment, fit, ordinary
from .recipes import RECIPES, Recipe, away, corner, fast, first_collapse, hot, interval, noise, trades

__all__ = [
    "RECIPES",
    "Moment",
    "Recipe",
    "away",
    "corner",
    "fast",
    "first_collapse",
    "fit",
    "hot",
    "interval",
    "noise",
    "ordinary",
    "trades",
]
