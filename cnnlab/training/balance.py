"""Unequal classes: how unequal they are, and weights that make each class count the same."""

import numpy as np

from cnnlab.config import InputError

NOTABLE = 10  # above this ratio the accuracy says more about the largest class than about the rest


def imbalance(labels: np.ndarray) -> float:
    """Return how many images the largest class has for one of the smallest: 1 or more.

    Args:
        labels: int (N,), N ≥ 1; classes without an image are not seen.

    Example:
        >>> imbalance(np.array([0, 0, 0, 1]))
        3.0
    """
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.max() / counts.min())


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the weight of each class in the loss, n / (C · n_c): float64 (C,).

    With them every class has the same total weight, and the mean weight of an image is 1.

    Args:
        labels: int (n,), the training images' classes, 0…C-1.
        num_classes: C.

    Raises:
        InputError: A class has no image.

    Example:
        >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
        array([0.66666667, 2.        ])

    Source:
        G. King and L. Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9
        (2001), 137–163, section 4.2: weighting by the classes' shares, here to equal shares.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        missing = ", ".join(map(str, np.flatnonzero(counts == 0)))
        raise InputError(
            f"Cannot balance the classes: class {missing} of {num_classes} has no training image. "
            "Add some, or leave class_weight=none."
        )
    return len(labels) / (num_classes * counts)
