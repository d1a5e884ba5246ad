"""A cheap rival: logistic regression on small colour thumbnails.

It sees where which colour is, and nothing of shape that survives a shift. A network that does not
beat it by far has learnt little that needs one. Its penalty is chosen as the network's epochs
are: on a slice of the training images, never on the held-out ones.
"""

import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from cnnlab.config import Settings, child_seed
from cnnlab.data import downscale
from cnnlab.data.batches import Dataset
from cnnlab.statistics import linear_probe
from cnnlab.training.folds import Pair
from cnnlab.training.held_out import hold_out

SIDE = 16  # pixels of a thumbnail
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # scikit-learn's C: a larger one is a weaker penalty
TOLERANCE = 1e-2  # of the solver: a smaller one takes four times as long for the same log loss


def linear_runner(
    dataset: Dataset, pool: np.ndarray, settings: Settings
) -> Callable[[list[Pair]], list[tuple[np.ndarray, float]]]:
    """Return the function that fits the rival on every fold and predicts the held-out images.

    The same signature as ``fold_runner`` gives, so the same folds compare the two. The seconds of a
    fold leave out the thumbnails, which are made once.

    Args:
        dataset: Prepared pixels and labels.
        pool: int64 (N,), the images that are cross-validated; folds index into it.
        settings: ``seed`` and ``validation_fraction``, for the slice that judges the penalty.

    Returns:
        [(training (N,), held_out (M,)), …] → [(probabilities float32 (M, C), seconds), …].

    Raises:
        SealedTestSet: Test images are in the pool, and the test set is not open.

    Example:
        >>> run_folds = linear_runner(dataset, pool, settings)
        >>> table, pooled = cross_validate(labels, units, 5, seed, run_folds, num_classes=3)
    """
    dataset.check(pool)
    features = downscale.shrink(dataset.pixels, pool, SIDE).reshape(len(pool), -1)
    position = np.zeros(len(dataset.pixels), np.int64)  # of an image in the pool
    position[pool] = np.arange(len(pool))
    labels = dataset.labels[pool]

    def run_fold(fold: int, training: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        seed = child_seed(settings.seed, f"fold/{fold}")
        parts = hold_out(dataset, pool[training], settings.data.validation_fraction, seed)
        learned, judging = (position[part] for part in parts)
        strength = linear_probe.best_strength(
            STRENGTHS,
            (features[learned], labels[learned]),
            (features[judging], labels[judging]),
            linear_probe.log_loss,
            tolerance=TOLERANCE,
        )
        model = linear_probe.fitted(
            features[training], labels[training], strength, tolerance=TOLERANCE
        )
        probabilities = np.zeros((len(held_out), len(dataset.class_names)), np.float32)
        probabilities[:, model.classes_] = model.predict_proba(features[held_out])
        return probabilities

    def run_folds(pairs: list[Pair]) -> list[tuple[np.ndarray, float]]:
        results = []
        with threadpool_limits(1):  # matrices this small only wait for each other's threads
            for fold, (training, held_out) in enumerate(pairs, start=1):
                started = time.perf_counter()
                probabilities = run_fold(fold, training, held_out)
                results.append((probabilities, time.perf_counter() - started))
        return results

    return run_folds
