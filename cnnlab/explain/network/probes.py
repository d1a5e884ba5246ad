"""Linear probes: from which layer on can the class be read off by a linear rule?"""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import features
from cnnlab.statistics import linear_probe

# scikit-learn's C: a larger one is a weaker penalty. Early stages need the weak ones: their few
# numbers tell classes apart by small differences only.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100)
TOLERANCE = 1e-3  # of the solver


def pooled(
    model: keras.Model, images: np.ndarray, layer_names: Sequence[str], side: int = 2
) -> dict[str, np.ndarray]:
    """Return each layer's maps averaged over ``side`` × ``side`` fields, the same at any depth.

    Without that, early layers would have many more numbers to read from than late ones.

    Args:
        model: As for ``features.activations``.
        images: uint8 or float32 (N, H, W, 3), RGB, 0…255.
        layer_names: Layers with maps (h, w, K).
        side: Fields a side; 1 is global average pooling.

    Returns:
        Layer → float32 (N, side · side · K); fewer of maps with fewer places a side.
    """
    return features.reduced(model, images, layer_names, lambda maps, _: averaged(maps, side))


def averaged(maps: np.ndarray, side: int) -> np.ndarray:
    """Return the mean of each field: float (b, h, w, K) → (b, side · side · K).

    Fields share a line where the side does not divide the map evenly. A map that is smaller than
    ``side`` has as many fields a side as its shorter one has places.

    Raises:
        InputError: They are no maps.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 4:
        raise InputError(f"Maps {maps.shape}: expected (b, h, w, K).")
    side = min(side, *maps.shape[1:3])

    def fields(length: int) -> list[slice]:
        return [
            slice(i * length // side, -(-(i + 1) * length // side)) for i in range(side)
        ]  # rounded outwards

    means = [
        maps[:, rows, columns].mean(axis=(1, 2))
        for rows in fields(maps.shape[1])
        for columns in fields(maps.shape[2])
    ]
    return np.concatenate(means, axis=1)


def hits(
    training: np.ndarray,
    training_labels: np.ndarray,
    held_out: np.ndarray,
    held_out_labels: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Return which held-out images a linear rule gets right: bool (M,).

    Logistic regression on standardised numbers. Its penalty is chosen on a quarter of the
    training images, never on the held-out ones, the stronger of equals; then all training images
    fit it. Of few images the quarter chooses roughly, which costs some accuracy and favours none.

    Args:
        training: float (N, F).
        training_labels: int (N,).
        held_out: float (M, F).
        held_out_labels: int (M,).
        seed: Decides the quarter.

    Raises:
        InputError: There are too few training images of some class.

    Source:
        Alain and Bengio, "Understanding intermediate layers using linear classifier probes",
        2016 (arXiv:1610.01644).
    """
    labels = np.asarray(training_labels)
    drawn = np.random.default_rng(seed).permutation(len(labels))
    judging, learned = np.split(drawn, [len(labels) // 4])
    if not len(judging) or len(np.unique(labels[learned])) < 2:
        raise InputError(f"{len(labels)} training images: expected some of at least two classes.")
    with threadpool_limits(1):  # the same bits on any number of cores
        strength = linear_probe.best_strength(
            STRENGTHS,
            (training[learned], labels[learned]),
            (training[judging], labels[judging]),
            linear_probe.error_rate,
            tolerance=TOLERANCE,
        )
        probe = linear_probe.fitted(training, labels, strength, tolerance=TOLERANCE)
        return probe.predict(held_out) == np.asarray(held_out_labels)
