"""x and y: MNIST from the repository, photographs from installed packages, road signs drawn by the program."""

from ..runtime.data_folder import DataError
from .datasets import cifar10, fashion_mnist, image_folder, mnist, verify
from .mnist_files import repair, verify_mnist
from .photographs import PHOTOS, Photo, photo, photos, verify_photos

__all__ = [
    "PHOTOS",
    "DataError",
    "Photo",
    "cifar10",
    "fashion_mnist",
    "image_folder",
    "mnist",
    "photo",
    "photos",
    "repair",
    "verify",
    "verify_mnist",
    "verify_photos",
]
