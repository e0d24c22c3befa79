"""The outer minimum over θ: one loop, what to hand to it, its saved state, and several processes."""

from .fit import Moment, fit, ordinary
from .recipes import RECIPES, Recipe, fast, first_collapse, interval, noise, trades, trades_attack

__all__ = [
    "RECIPES",
    "Moment",
    "Recipe",
    "fast",
    "first_collapse",
    "fit",
    "interval",
    "noise",
    "ordinary",
    "trades",
    "trades_attack",
]
