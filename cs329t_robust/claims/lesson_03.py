"""What lesson 03 claims: glasses, tape and patches, in views they never met and beside their controls."""

from .ledger import Claim
from .things import (
    glasses,
    large_patch,
    moving_glasses,
    patch_sizes,
    photographed_again,
    plain_glasses,
    plain_tape,
    still_glasses,
    tape,
)

CLAIMS = (
    Claim(
        id="03.views",
        says="An adversarial photograph made for one view stops working as soon as it is seen from elsewhere.",
        source="Athalye et al. 2018, arXiv:1707.07397, section 1; Lu et al. 2017, arXiv:1707.03501",
        theirs="no number given",
        holds_if="fewer than 10% of the views still show the target",
        run=photographed_again,
    ),
    Claim(
        id="03.glasses",
        says="Wearing crazy glasses can cause the model to name a celebrity: any class that one chooses.",
        source="lecture, slide “There are surprising attacks on classifiers”; Sharif et al. 2016, CCS",
        theirs="frames over 6.5% of a face picture; no number given in the lecture",
        holds_if="at least 90% of the targets are reached",
        run=glasses,
    ),
    Claim(
        id="03.plain-glasses",
        says="It is the colours that do it, not the wearing of glasses.",
        source="lesson 03, section 2; the control of 03.glasses",
        theirs="no number given",
        holds_if="no control reaches any target",
        run=plain_glasses,
    ),
    Claim(
        id="03.still-glasses",
        says="Glasses made for one picture fail as soon as the wearer moves.",
        source="Athalye et al. 2018, arXiv:1707.07397, section 1, of standard attacks",
        theirs="no number given",
        holds_if="the target is seen in fewer than 10% of the poses",
        run=still_glasses,
    ),
    Claim(
        id="03.moving-glasses",
        says="Optimised over poses, glasses work while their wearer moves.",
        source="Sharif et al. 2016, CCS; Athalye et al. 2018, arXiv:1707.07397",
        theirs="no number given",
        holds_if="the target is seen in at least 90% of the held-out poses",
        run=moving_glasses,
    ),
    Claim(
        id="03.tape",
        says="Black and white stickers make a stop sign another sign of the attacker's choice, seen from a passing car.",
        source="lecture, “[Evtimov et al. 2018]”; Eykholt, Evtimov et al. 2018, arXiv:1707.08945, abstract",
        theirs="100% of laboratory pictures, 84.8% of frames from a moving car",
        holds_if="at least 84.8% of the held-out views show the target",
        run=tape,
    ),
    Claim(
        id="03.plain-tape",
        says="It is the pattern that does it, not the tape.",
        source="lesson 03, section 4; the control of 03.tape",
        theirs="no number given",
        holds_if="the pattern reaches the target more than twice as often as the best control",
        run=plain_tape,
    ),
    Claim(
        id="03.patch",
        says="One patch makes a classifier name its class beside anything, once it is large enough.",
        source="Brown et al. 2017, arXiv:1712.09665",
        theirs="no number given",
        holds_if="at least 90% of the placements show the target, and a grey disc shows it in none",
        run=large_patch,
    ),
    Claim(
        id="03.patch-size",
        says="Patches of 32, 48 and 64 pixels (2, 5, 8% of the picture) make a classifier say “toaster” in 49, 90 and 99% of pictures.",
        source="UvA deep learning tutorial 10, adversarial attacks",
        theirs="49 / 90 / 99% top-1 (ResNet-34, one patch for each size)",
        holds_if="ours is within 10 points of theirs at each size",
        run=patch_sizes,
    ),
)
