"""The inner maximum enclosed: how large can the margin get within a threat, at least, exactly, and at most?

The margin is that of `losses.margin`, the best other logit minus the label's. While its maximum over the threat is
negative, every image there is classified as `y`. For that maximum, always

    attacked (a point that was found)  <=  exact (a mixed-integer program)  <=  linear (relaxed)  <=  interval.

The three bounds from above hold for the function that runs. A model may be any callable: what it does to images is
traced, and read are linear layers and convolutions (any stride, padding with zeros, dilation, groups; transposed too),
ReLU, flatten and other rearrangements, average pooling, BatchNorm in eval mode, `models.Normalize` and other arithmetic
with constants, and sums of values (residual connections); also in subclasses, functional calls and layers used twice.

Refused by a ValueError that names the module: every other operation, hooks, parametrisations (weight_norm and
spectral_norm too), compiled and scripted parts, dropout and BatchNorm in train mode, random numbers, decisions by the
images' values, what mixes the images of a batch or overwrites them, and modules that change while they run. What was
read is then compared with the model at a few points of the threat; a bound that is crossed there is a RuntimeError.
"""

from .attack_bound import attacked
from .exact import Exact, exact
from .interval import interval, worst_logits
from .linear import linear
from .randomized_smoothing import (
    ABSTAIN,
    Certificate,
    Soft,
    certified_accuracy,
    certify,
    decide,
    lower_bound,
    smoothed_predict,
    votes,
)

__all__ = [
    "ABSTAIN",
    "Certificate",
    "Exact",
    "Soft",
    "attacked",
    "certified_accuracy",
    "certify",
    "decide",
    "exact",
    "interval",
    "linear",
    "lower_bound",
    "smoothed_predict",
    "votes",
    "worst_logits",
]
