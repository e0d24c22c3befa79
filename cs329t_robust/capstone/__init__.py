"""The capstone: attack a sealed model, defend one of your own, on hidden images and with a leaderboard."""

from .entry import score_entry, write_entry
from .tracks import EPS, Refused, Score, black, defence, hidden_images, oracle, practise, sealed_model, white

__all__ = [
    "EPS",
    "Refused",
    "Score",
    "black",
    "defence",
    "hidden_images",
    "oracle",
    "practise",
    "score_entry",
    "sealed_model",
    "white",
    "write_entry",
]
