"""What lesson 06 claims: hidden gradients are no defence, and certificates bound from the other side."""

from .ledger import Claim
from .lesson_06_measures import alarms, below, black_box, defence, ensemble, loose, ordered, repaired, trained

CLAIMS = (
    Claim(
        id="06.distillation",
        says="A network trained at a high temperature withstands adversarial examples.",
        source="Papernot et al. 2016, arXiv:1511.04508",
        theirs="attack success falls from 95% to less than 0.5% (MNIST, a saliency-map attack)",
        holds_if="more than 90% stand under the worst of five attacks",
        run=defence,
    ),
    Claim(
        id="06.repaired",
        says="Such a network falls to a gradient attack as soon as its loss does not saturate.",
        source="Carlini & Wagner 2017, arXiv:1608.04644",
        theirs="100% success on distilled networks (MNIST, CIFAR-10)",
        holds_if="PGD on the cross-entropy leaves more than 90%, on the margin less than 30%",
        run=repaired,
    ),
    Claim(
        id="06.black-box",
        says="Where gradients are masked, a black-box attack does better than a white-box one.",
        source="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
        theirs="no number given",
        holds_if="Square leaves less than half of what PGD and APGD leave",
        run=black_box,
    ),
    Claim(
        id="06.autoattack",
        says="An ensemble of diverse attacks finds what each misses.",
        source="Croce & Hein 2020, arXiv:2003.01690",
        theirs="no number given for this defence",
        holds_if="AutoAttack leaves no more than the best attack alone",
        run=ensemble,
    ),
    Claim(
        id="06.alarms",
        says="Warning signs tell masked gradients from honest measurements.",
        source="Athalye et al. 2018, arXiv:1802.00420, section 3.1; Carlini et al. 2019, arXiv:1902.06705",
        theirs="no number given",
        holds_if="at least three signs on the masked network, none on the honest ones",
        run=alarms,
    ),
    Claim(
        id="06.ordered",
        says="The inner maximum can be found exactly for a small network, and lies between attack and relaxations.",
        source="Kolter & Madry 2018, tutorial, chapter 4; Tjeng et al. 2019, arXiv:1711.07356",
        theirs="no number given",
        holds_if="attack ≤ exact ≤ linear ≤ interval for every digit, every program solved",
        run=ordered,
    ),
    Claim(
        id="06.loose",
        says="On a network not trained for it, interval bounds certify far less than the linear relaxation.",
        source="Kolter & Madry 2018, tutorial, chapter 4",
        theirs="no number given",
        holds_if="less than half as many digits",
        run=loose,
    ),
    Claim(
        id="06.trained",
        says="Trained on its own interval bounds, a network is certified by them nearly wherever attacks fail.",
        source="Gowal et al. 2018, arXiv:1810.12715",
        theirs="no number given for this size",
        holds_if="at least 90% of the digits that PGD leaves",
        run=trained,
    ),
    Claim(
        id="06.certificate",
        says="No attack within the certified radius turns the smoothed classifier's answer.",
        source="Cohen et al. 2019, arXiv:1902.02918, theorem 1",
        theirs="a theorem, with probability 1 − alpha",
        holds_if="no digit is turned",
        run=below,
    ),
)
