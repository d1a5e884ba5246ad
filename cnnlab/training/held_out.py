"""The slice of a fold's training images that judges its epochs."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab.config import InputError
from cnnlab.data.batches import Dataset


def hold_out(
    dataset: Dataset, indices: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a slice off some images: stratified by class, no unit divided.

    Args:
        dataset: Gives labels and units.
        indices: int64 (N,), the images to divide.
        fraction: Share of the slice; it is rounded to 1/n, and is larger where the smallest
            class has fewer than n units, so that each class is on both sides.
        seed: Decides which images.

    Returns:
        (the rest, the slice): int64 arrays that divide ``indices``.

    Raises:
        InputError: A class cannot be on both sides: it has fewer than two units, or shares them
            with other classes.
    """
    labels, units = dataset.labels[indices], dataset.units[indices]
    classes = np.unique(labels)
    fewest = min(len(np.unique(units[labels == label])) for label in classes)
    if fewest < 2:
        raise InputError(
            f"The smallest class has {fewest} independent image (or group) left in a fold: "
            "training and early stopping need one each. Add images of it."
        )
    parts = max(2, min(round(1 / fraction), fewest))
    splitter = StratifiedGroupKFold(n_splits=parts, shuffle=True, random_state=seed)
    for rest, cut in splitter.split(indices, labels, units):
        if all(len(np.unique(labels[side])) == len(classes) for side in (rest, cut)):
            return indices[rest], indices[cut]
    raise InputError(
        "The groups of a fold cannot be divided with every class on both sides, for training and "
        "for early stopping: add groups, or set folds to fewer."
    )
