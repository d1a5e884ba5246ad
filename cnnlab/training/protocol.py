"""The protocol: from a dataset and settings to a trained network, once or fold by fold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab import augment, models
from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data.batches import Dataset, evaluation_batches, training_batches
from cnnlab.engine import keras
from cnnlab.training.fit import Fit, fit, predict

Report = Callable[[dict[str, Any]], None]


def new_model(dataset: Dataset, settings: Settings, *, seed: int | None = None) -> keras.Model:
    """Return a new network as the settings describe it; ``seed`` defaults to theirs."""
    return models.build(
        settings.model,
        image_size=settings.image_size,
        num_classes=len(dataset.class_names),
        seed=child_seed(settings.seed if seed is None else seed, "init"),
        l2=settings.l2,
        dropout=settings.dropout,
    )


def train(
    model: keras.Model,
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    settings: Settings,
    *,
    seed: int | None = None,
    epochs: int | None = None,
    report: Report | None = None,
    folder: Path | None = None,
) -> Fit:
    """Train ``model`` in place by the settings' protocol; it ends with its best weights.

    Args:
        model: A network for this dataset, see ``new_model``.
        dataset: Prepared pixels and labels.
        train: int64 (N,), the images to learn from; they are augmented.
        validation: int64 (M,), the images that judge each epoch; they are not.
        settings: Protocol and augmentation.
        seed: Root of order, augmentation and dropout; the settings' by default.
        epochs: At most so many; the settings' by default.
        report: Called after each epoch, see ``fit``.
        folder: Keeps the best weights there, see ``fit``; in memory by default.
    """
    root = settings.seed if seed is None else seed

    def epoch_batches(epoch: int) -> Any:
        view = augment.transform(settings, seed=root, epoch=epoch)
        return training_batches(
            dataset,
            train,
            batch_size=settings.batch_size,
            seed=root,
            epoch=epoch,
            transform=view,
        )

    return fit(
        model,
        epoch_batches,
        evaluation_batches(dataset, validation, batch_size=settings.batch_size),
        epochs=epochs or settings.epochs,
        patience=settings.patience,
        learning_rate=settings.learning_rate,
        seed=root,
        report=report,
        folder=folder,
    )


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
