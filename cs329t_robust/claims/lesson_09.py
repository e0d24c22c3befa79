"""What lesson 09 claims: robust models are more human-aligned; which are, by which measure, and which are not."""

from functools import cache

import torch
from torch import Tensor, nn

from ..data.datasets import mnist
from ..explanation import attributions, human_alignment
from ..models.networks import SmallCNN
from ..threat import Linf
from .ledger import Claim, Finding, mean, share

IMAGES, FEW = 200, 100
DIGITS = f"the first {IMAGES} test digits, the four shipped digit networks"
LECTURE = 'lecture, "Robust models are more human-aligned"'


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return the images and labels that every row is measured on."""
    return mnist("test", IMAGES)


@cache
def network(name: str) -> nn.Module:
    """Return one of the shipped networks, loaded once."""
    return human_alignment.digit_models([name])[name]


@cache
def standing(name: str) -> human_alignment.Standing:
    """Return robustness and alignment of one network, as the lesson's map has them."""
    return human_alignment.standing(network(name), *digits())


def gradients_along_x() -> Finding:
    """Compare the gradient's cosine with the picture, trained against L2 attacks and as usual, image by image."""
    x, y = digits()
    robust, usual = (
        attributions.alignment(attributions.saliency(network(name), x, y), x) for name in ("PGD L2", "standard")
    )
    ahead = int((robust > usual).sum())
    return share(
        ahead, len(x), "test digits", setting=f"{DIGITS}; |cosine| of saliency and picture, PGD L2 above standard",
        holds=ahead >= 0.9 * len(x), note=f"means {robust.mean():.2f} and {usual.mean():.2f}",
    )  # fmt: skip


def drawings_read() -> Finding:
    """Count the drawings of the network trained against L2 attacks that the judge reads as the target."""
    read = {name: standing(name).read for name in ("PGD L2", "standard")}
    found, usual = read["PGD L2"], read["standard"]
    return share(
        int(found.correct.sum()), found.n, "drawings",
        setting=f"{DIGITS}; targeted PGD-40 in L2 8 from the digit; read by 5 nearest of 6,000 training digits",
        holds=float(found) >= float(usual) + 0.3, note=f"the standard network's drawings: {float(usual):.0%}",
    )  # fmt: skip


def linf_aligned() -> Finding:
    """Ask the same of the network trained against L-infinity attacks, which is robust."""
    read, usual = standing("PGD Linf"), standing("standard")
    return share(
        int(read.read.correct.sum()), read.read.n, "drawings",
        setting=f"{DIGITS}; as 09.drawings, PGD-trained at L∞ 0.3",
        holds=float(read.read) > float(usual.read) and read.along_x.value > usual.along_x.value,
        note=f"it keeps {float(read.linf):.0%} under PGD-40 at L∞ 0.3, but its gradient's cosine with x is "
        f"{read.along_x.value:.2f} (standard: {usual.along_x.value:.2f})",
    )  # fmt: skip


def noise_aligned() -> Finding:
    """Ask whether a network that noise has aligned is robust."""
    noise, usual = standing("noise"), standing("standard")
    aligned = noise.along_x.value > usual.along_x.value + 0.1 and float(noise.read) > float(usual.read) + 0.2
    return share(
        int(noise.linf.correct.sum()), noise.linf.n, "test digits",
        setting=f"{DIGITS}; trained with Gaussian noise, σ 0.3; right under PGD-40 at L∞ 0.3",
        holds=aligned and float(noise.linf) < 0.1,
        note=f"its drawings are read {float(noise.read):.0%}, the standard network's {float(usual.read):.0%}",
    )  # fmt: skip


def fragile() -> Finding:
    """Turn the standard network's saliency while its prediction stays."""
    x, y = (part[:FEW] for part in digits())
    net = network("standard")
    before, fake = attributions.saliency(net, x, y), attributions.forge(net, x, y, threat=Linf(0.05))
    turned = attributions.similarity(before, attributions.saliency(net, fake, y))
    control = human_alignment.forged(net, x, y, Linf(0.05)).noisy
    with torch.no_grad():
        kept = bool((net(fake).argmax(1) == net(x).argmax(1)).all())
    return mean(
        turned, "test digits",
        setting="standard network; cosine of saliency before and after, L∞ 0.05, 50 steps on a softplus copy",
        holds=kept and turned.mean().item() < control.low - 0.1,
        note=f"every prediction kept: {'yes' if kept else 'no'}; random noise of the same size {control.value:.2f}",
    )  # fmt: skip


def blind_measure() -> Finding:
    """Measure integrated gradients of an untrained network on the ink."""
    x, y = digits()
    on_ink = attributions.on_object(attributions.integrated_gradients(SmallCNN(seed=1).eval(), x, y), x)
    return mean(
        on_ink, "test digits", setting="a SmallCNN with random weights; integrated gradients from black, 32 points",
        holds=on_ink.mean().item() > 0.95,
        note=f"the ink and its rim cover {attributions.object_area(x).mean():.2f} of the picture",
    )  # fmt: skip


CLAIMS = (
    Claim(
        "09.gradients-align", "Gradients of a model trained against L2 attacks look more like the picture than a standard model's.",
        f"{LECTURE}; Tsipras et al. 2019, arXiv:1805.12152", "no number given",
        "for at least 90% of digits the cosine with the picture is larger", gradients_along_x,
    ),
    Claim(
        "09.drawings", "A robust model draws what people can read: class synthesis.",
        "Santurkar et al. 2019, arXiv:1906.09453", "no number given (Inception scores on photographs)",
        "at least 30 points more of its drawings are read as the target than of the standard model's", drawings_read,
    ),
    Claim(
        "09.linf-aligned", "The model that is robust in L∞ is more aligned than the standard one, too.",
        LECTURE, "no number given", "its drawings are read more often, and its gradient is nearer to the picture", linf_aligned,
    ),
    Claim(
        "09.aligned-not-robust", "Gradients can be aligned without robustness to attacks: noise does it.",
        "Kaur, Cohen & Lipton 2019, arXiv:1910.08640", "no number given",
        "aligned by both measures, and under 10% right under PGD at L∞ 0.3", noise_aligned,
    ),
    Claim(
        "09.fragile-explanation", "An explanation can be changed while the prediction stays.",
        "Ghorbani, Abid & Zou 2019, arXiv:1710.10547", "no number given here (other data, other measures)",
        "all predictions kept, and the cosine at least 0.1 below that of noise of the same size", fragile,
    ),
    Claim(
        "09.measure-that-cannot-fail", "Some attributions show the input even for an untrained network.",
        "Adebayo et al. 2018, arXiv:1810.03292", "no number given",
        "at least 95% of the mass on the ink, for random weights", blind_measure,
    ),
)  # fmt: skip
