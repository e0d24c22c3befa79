"""Attacks on things rather than pictures: they work in every view of glasses, stickers and patches."""

from .accessories import glasses
from .eot import physical, share_seen_as
from .patch_training import train_patch
from .patches import Placements, outline, place
from .views import Views

__all__ = ["Placements", "Views", "glasses", "outline", "physical", "place", "share_seen_as", "train_patch"]
