"""The exercises of lesson 00: accuracy, confidence, noise, the first ε that flips a prediction."""

from .reading import ACCURACY, CONFIDENCE
from .smallest_flip import SMALLEST_FLIP
from .uniform_noise import ADD_NOISE

EXERCISES = [ACCURACY, CONFIDENCE, ADD_NOISE, SMALLEST_FLIP]
