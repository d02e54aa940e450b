"""The images: 1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (its test set). Pixels are 0 (black) to 16 (white).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PIXELS = 64
WHITE = 16.0
SEED = 7
HELD_OUT = 0.25

Images = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images of shape [N, 64] with labels of shape [N], 0 to 9."""

    images: Images
    labels: NDArray[np.int64]


def split() -> tuple[Dataset, Dataset]:
    """The training set (1,347 images) and the held-out set (450), the same ones at every call."""
    images, labels = load_digits(return_X_y=True)
    train_images, held_images, train_labels, held_labels = train_test_split(
        images, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    return Dataset(train_images, train_labels), Dataset(held_images, held_labels)


def brightness(images: Images) -> NDArray[np.float64]:
    """Mean brightness of each image, 0 (black) to 1 (white); shape [N]."""
    mean: NDArray[np.float64] = images.mean(axis=1) / WHITE
    return mean
