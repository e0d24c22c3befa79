"""F with its weights θ: the course's networks, wrapped classifiers, and the reading of checkpoints."""

from .networks import (
    CHECKPOINTS,
    Bfloat16,
    LinearModel,
    Normalize,
    SignCNN,
    SmallCNN,
    SmallDense,
    checkpoint,
    cifar_resnet,
    imagenet_classes,
    imagenet_classifier,
    load,
    mnist_card,
    mnist_classifier,
    sign_classifier,
    small_dense,
)

__all__ = [
    "CHECKPOINTS",
    "Bfloat16",
    "LinearModel",
    "Normalize",
    "SignCNN",
    "SmallCNN",
    "SmallDense",
    "checkpoint",
    "cifar_resnet",
    "imagenet_classes",
    "imagenet_classifier",
    "load",
    "mnist_card",
    "mnist_classifier",
    "sign_classifier",
    "small_dense",
]
