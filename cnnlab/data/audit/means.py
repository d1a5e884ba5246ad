"""The mean image and the mean colour of each class: what a network could tell without any shape."""

import numpy as np

from cnnlab.config import InputError
from cnnlab.data.batches import Dataset

BLOCK = 256  # images read at a time


def class_means(dataset: Dataset, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean image and the mean colour of every class, read in blocks.

    Args:
        dataset: From ``open_dataset``.
        indices: Rows to average, int (n,): those of the training split.

    Returns:
        Mean images uint8 (C, S, S, 3) and mean colours uint8 (C, 3), both RGB, 0–255, rounded, in
        the order of ``class_names``.

    Raises:
        InputError: A class has no image among the rows; ``SealedTestSet`` for test rows.

    Example:
        >>> means, colours = class_means(data, data.indices("train"))
    """
    dataset.check(indices)
    labels = dataset.labels[indices]
    images, colours = [], []
    for position, name in enumerate(dataset.class_names):
        rows = np.sort(indices[labels == position])  # in the order of the file
        if len(rows) == 0:
            raise InputError(f"Class {name!r} has no image to average: expected at least one.")
        total = np.zeros(dataset.pixels.shape[1:], np.int64)
        for start in range(0, len(rows), BLOCK):
            total += dataset.pixels[rows[start : start + BLOCK]].sum(axis=0, dtype=np.int64)
        mean = total / len(rows)
        images.append(np.rint(mean).astype(np.uint8))
        colours.append(np.rint(mean.mean(axis=(0, 1))).astype(np.uint8))
    return np.stack(images), np.stack(colours)
