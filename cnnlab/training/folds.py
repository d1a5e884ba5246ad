"""Training fold by fold: each fold has its own child seed and predicts what it held out."""

from collections.abc import Callable

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data.batches import Dataset, evaluation_batches
from cnnlab.training.fit import predict
from cnnlab.training.protocol import Report, new_model, train


def fold_runner(
    dataset: Dataset, pool: np.ndarray, settings: Settings, *, report: Report | None = None
) -> Callable[[int, np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that trains one fold and predicts its held-out images.

    Each fold has its own child seed, for its initial weights as for all else. Early stopping is
    judged on a slice of the fold's *training* images, so the held-out ones decide nothing.

    Args:
        dataset: Prepared pixels and labels.
        pool: int64 (N,), the images that are cross-validated; folds index into it.
        settings: Protocol; at most ``fold_epochs`` epochs a fold.
        report: Called after each epoch of each fold.

    Returns:
        (fold, training (N,), held_out (M,)) → probabilities float32 (M, C).
    """

    def run_fold(fold: int, training: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        seed = child_seed(settings.seed, f"fold/{fold}")
        learned, judging = hold_out(dataset, pool[training], settings.validation_fraction, seed)
        model = new_model(dataset, settings, seed=seed)
        train(
            model, dataset, learned, judging, settings,
            seed=seed, epochs=settings.fold_epochs, report=report,
        )  # fmt: skip
        batches = evaluation_batches(dataset, pool[held_out], batch_size=settings.batch_size)
        return predict(model, batches)

    return run_fold


def hold_out(
    dataset: Dataset, indices: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a slice off some images: stratified by class, copies on one side.

    Args:
        dataset: Gives labels and groups.
        indices: int64 (N,), the images to divide.
        fraction: Share of the slice; it is rounded to 1/n, and is larger where the smallest
            class has fewer than n independent images, so that each class is on both sides.
        seed: Decides which images.

    Returns:
        (the rest, the slice): int64 arrays that divide ``indices``.

    Raises:
        InputError: A class has fewer than two independent images.
    """
    labels = dataset.labels[indices]
    groups = dataset.table["group"].to_numpy()[indices]
    fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if fewest < 2:
        raise InputError(
            f"The smallest class has {fewest} independent image left in a fold: training and early "
            "stopping need one each. Add images of it."
        )
    parts = max(2, min(round(1 / fraction), fewest))
    splitter = StratifiedGroupKFold(n_splits=parts, shuffle=True, random_state=seed)
    rest, cut = next(iter(splitter.split(indices, labels, groups)))
    return indices[rest], indices[cut]
