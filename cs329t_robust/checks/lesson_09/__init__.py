"""The exercises of lesson 09: what a model looks at, and whether a person would agree."""

from .attributions import INTEGRATED, SALIENCY
from .judging import ON_INK, OVERLAP, SHARE_READ

EXERCISES = [SALIENCY, INTEGRATED, ON_INK, SHARE_READ, OVERLAP]
