"""The inner maximum enclosed: how large can the margin get within a threat, at least, exactly, and at most?

The margin is that of `losses.margin`, the best other logit minus the label's. While its maximum over the threat is
negative, every image there is classified as `y`. For that maximum, always

    attacked (a point that was found)  <=  exact (a mixed-integer program)  <=  linear (relaxed)  <=  interval.
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
