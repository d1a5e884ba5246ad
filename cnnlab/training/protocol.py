"""The protocol: from a dataset and settings to a trained network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import augment, models
from cnnlab.config import Settings, child_seed
from cnnlab.data.batches import Dataset, evaluation_batches, training_batches
from cnnlab.engine import keras
from cnnlab.training.fit import Fit, fit

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
