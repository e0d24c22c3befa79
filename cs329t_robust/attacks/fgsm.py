"""The fast gradient sign method: one step, as far as the threat allows."""

from torch import Tensor

from ..contract.input_validation import Loss, Model, check_finite, check_inputs
from ..contract.model_state import borrowed
from ..losses import cross_entropy
from ..threat import Threat
from .engine.batches import batched
from .engine.gradient import input_gradient


@batched()
def fgsm(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, targeted: bool = False, loss: Loss = cross_entropy
) -> Tensor:
    """Take one steepest-ascent step of the threat's full radius.

    For ``Linf(eps)`` this is the lecture's x + ε·sign(∇ₓ J(θ, x, y)), clipped to [0, 1]; for ``L2(eps)`` the step is
    along the normalised gradient.

    Parameters
    ----------
    model : callable
        Images (n, c, h, w) in [0, 1] to logits (n, k). Left as found: modes, parameter gradients, everything.
    x : Tensor (n, c, h, w), float in [0, 1]
    y : Tensor (n,), integer
        True labels; with `targeted`, the labels to reach.
    threat : Linf, L2, L1 or L0, or one of them `Masked`
        Its `eps` may be a tensor (n,): one radius for each image.
    targeted : bool
        Minimise the loss towards `y` instead of maximising it.
    loss : callable
        (logits, y) to one value per image, shape (n,); see `cs329t_robust.losses`.

    Returns
    -------
    Tensor (n, c, h, w)
        Detached, in [0, 1] and within the threat; each image as if it were attacked alone.

    Raises
    ------
    ValueError
        If an input is unusable: the message says what was expected, what came and the likely fix.

    References
    ----------
    Goodfellow, Shlens & Szegedy 2015, "Explaining and harnessing adversarial examples", arXiv:1412.6572, section 4.
    """
    x, y = check_inputs(model, x, y, threat)
    with borrowed(model):
        grad, _ = input_gradient(model, x, y, loss, check=True)
        x_adv = threat.project(x, threat.ascend(x, x, -grad if targeted else grad, threat.eps))
    return check_finite(x_adv)
