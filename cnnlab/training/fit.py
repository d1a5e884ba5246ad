"""One function trains: Adam, cross-entropy, early stopping, the best weights at the end.

Everything random in an epoch derives from (seed, epoch): the caller's batches do, and the dropout
masks are re-seeded here. So an epoch is the same whatever ran before it in the process.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.config import InputError, child_seed
from cnnlab.engine import keras, tf
from cnnlab.training.checkpoint import Best

COLUMNS = (
    "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate",
    "seconds",
)  # fmt: skip


class Diverged(RuntimeError):  # noqa: N818 - a name that says what happened
    """The loss became infinite or not a number: the message says when, and what to change."""


@dataclass(frozen=True)
class Fit:
    """What a training did. The model itself holds the weights of ``best_epoch``.

    ``history`` has one row an epoch and the columns ``COLUMNS``: epoch counts from 1, losses
    include the L2 penalty, accuracies are 0…1. ``loss`` and ``accuracy`` are means over the
    epoch while the weights change, with augmentation and dropout; the validation columns are of
    the weights at its end, without.
    """

    history: pd.DataFrame
    best_epoch: int
    stopped_early: bool
    seconds: float


class EarlyStopping:
    """Says when ``patience`` epochs have passed without a new lowest loss; a tie is not lower.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.update(epoch, loss) for epoch, loss in enumerate([0.9, 0.5, 0.5, 0.7], 1)]
        [True, True, False, False]
        >>> stopping.best_epoch, stopping.should_stop
        (2, True)
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise InputError(f"patience={patience} is out of range: expected 1 or more epochs.")
        self.patience = patience
        self.best_epoch = 0
        self.best_loss = math.inf
        self._last_epoch = 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take the validation loss of an epoch; return whether it is the lowest so far."""
        self._last_epoch = epoch
        improved = loss < self.best_loss
        if improved:
            self.best_epoch, self.best_loss = epoch, loss
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether the last ``patience`` epochs brought nothing."""
        return self._last_epoch - self.best_epoch >= self.patience


def fit(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    *,
    epochs: int,
    patience: int,
    learning_rate: float,
    seed: int,
    report: Callable[[dict[str, Any]], None] | None = None,
    folder: Path | None = None,
) -> Fit:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    Args:
        model: Takes images float32 (B, S, S, 3) in 0…255, gives softmax float32 (B, C). It is
            compiled here, with a new Adam.
        training: Gives the batches of an epoch, counted from 1: (images, one-hot labels float32
            (B, C)).
        validation: The same, without augmentation, in any order.
        epochs: The most passes over the training images.
        patience: Stop after so many epochs without a lower validation loss.
        learning_rate: Adam's step size.
        seed: Decides the dropout masks, together with the epoch.
        report: Is called after each epoch with its row of the history and, besides, ``epochs``
            and ``best`` (whether it is the best so far). See ``print_progress``.
        folder: Keeps the best weights in ``folder/best.weights.h5``, which survives a crash,
            instead of in memory.

    Returns:
        The history and which epoch was best.

    Raises:
        Diverged: A loss is infinite or not a number. The model is of no use then.
        InputError: A number out of range; no batches; batches that do not fit the model.

    Example:
        >>> result = fit(model, batches_of_epoch, validation, epochs=15, patience=10,
        ...              learning_rate=1e-3, seed=0, report=print_progress)
        >>> result.history.to_csv("history.csv", index=False)
    """
    if epochs < 1:
        raise InputError(f"epochs={epochs} is out of range: expected 1 or more.")
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate={learning_rate} is out of range: expected above 0.")
    stopping, best, rows = EarlyStopping(patience), Best(folder), []
    _check_batches(model, validation, "validation")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    started = time.perf_counter()
    for epoch in range(1, epochs + 1):
        row = _run_epoch(model, training, validation, epoch, seed) | {
            "learning_rate": learning_rate
        }
        if not math.isfinite(row["loss"] + row["validation_loss"]):
            raise Diverged(
                f"Training diverged in epoch {epoch}: loss {row['loss']}, validation loss "
                f"{row['validation_loss']}, at learning_rate={learning_rate:g}. Lower it (try "
                f"{learning_rate / 10:g}), or look for damaged images or labels."
            )
        improved = stopping.update(epoch, row["validation_loss"])
        if improved:
            best.keep(model)
        rows.append(row)
        if report:
            report({name: row[name] for name in COLUMNS} | {"epochs": epochs, "best": improved})
        if stopping.should_stop:
            break
    best.restore(model)
    return Fit(
        history=pd.DataFrame(rows, columns=list(COLUMNS)),
        best_epoch=stopping.best_epoch,
        stopped_early=len(rows) < epochs,
        seconds=time.perf_counter() - started,
    )


def predict(model: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Return the probabilities of every image, in the order of the batches: float32 (N, C).

    Args:
        model: Gives softmax (B, C).
        batches: (images, labels) or images alone; labels are not looked at. May be empty.
    """
    if int(batches.cardinality()) == 0:
        return np.zeros((0, model.output_shape[-1]), np.float32)
    return np.asarray(model.predict(batches, verbose=0), np.float32)


def print_progress(row: dict[str, Any]) -> None:
    """Print one plain line for an epoch: the ``report`` of ``fit`` for notebooks and logs.

    Example:
        ``epoch 3/9  loss 0.812  accuracy 0.71  validation loss 0.900  accuracy 0.68  best  2.9 s``
    """
    width = len(str(row["epochs"]))
    print(
        f"epoch {row['epoch']:>{width}}/{row['epochs']}"
        f"  loss {row['loss']:.3f}  accuracy {row['accuracy']:.2f}"
        f"  validation loss {row['validation_loss']:.3f}"
        f"  accuracy {row['validation_accuracy']:.2f}"
        f"  {'best' if row['best'] else '    '}  {row['seconds']:.1f} s",
        flush=True,
    )


def _run_epoch(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    epoch: int,
    seed: int,
) -> dict[str, Any]:
    """Return the row of one pass over the training batches and the validation after it."""
    started = time.perf_counter()
    batches = training(epoch)
    _check_batches(model, batches, "training")
    _reseed(model, seed, epoch)
    # One call an epoch, because each epoch has a dataset of its own. The compiled step is kept
    # between calls; the order of the batches is the dataset's (shuffle=False).
    logs = model.fit(
        batches, validation_data=validation, epochs=1, verbose=0, shuffle=False
    ).history
    return {
        "epoch": epoch,
        "loss": float(logs["loss"][0]),
        "accuracy": float(logs["accuracy"][0]),
        "validation_loss": float(logs["val_loss"][0]),
        "validation_accuracy": float(logs["val_accuracy"][0]),
        "seconds": time.perf_counter() - started,
    }


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random generator inside the model to its state at the start of an epoch."""
    states = [each for each in model.variables if each.name == "seed_generator_state"]
    for position, state in enumerate(states):
        # The position keeps two dropout layers of the same width from using the same mask.
        start = child_seed(seed, f"dropout/{epoch}/{position}")
        state.assign(np.array([start, 0]).astype(state.dtype))


def _check_batches(model: keras.Model, batches: tf.data.Dataset, name: str) -> None:
    """Raise InputError unless the batches have images and labels of the model's shapes."""
    if int(batches.cardinality()) == 0:
        raise InputError(f"The {name} set has no images: expected at least one batch.")
    spec = batches.element_spec
    found = [tuple(part.shape) for part in spec] if isinstance(spec, tuple) else [tuple(spec.shape)]
    expected = [model.input_shape, model.output_shape]
    fits = len(found) == 2 and all(
        tf.TensorShape(one).is_compatible_with(other)
        for one, other in zip(found, expected, strict=True)
    )
    if not fits:
        raise InputError(
            f"The {name} batches have shapes {found}: this model expects images and one-hot labels "
            f"of shapes {expected}."
        )
