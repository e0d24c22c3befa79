"""The capstone: attack a sealed model, defend one of your own, on hidden images and with a leaderboard."""

from .entry import score_entry, write_entry
from .tracks import EPS, Refused, Score, hidden_images, practise, sealed_model

__all__ = [
    "EPS",
    "Refused",
    "Score",
    "hidden_images",
    "practise",
    "score_entry",
    "sealed_model",
    "write_entry",
]
