"""One function trains: Adam, cross-entropy, early stopping, the best weights at the end.

Everything random in an epoch derives from (seed, epoch): the caller's batches do, and the dropout
masks are re-seeded here. TensorFlow's own operations are made deterministic. So an epoch gives the
same bits whatever ran before it, and a training that was killed and goes on from its checkpoint
ends with the weights that it would have had.
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
from cnnlab.engine import keras, make_deterministic, tf
from cnnlab.training import checkpoint
from cnnlab.training.stopping import EarlyStopping

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
    epoch while the weights change, with augmentation, dropout and, in the loss, class weights; the
    validation columns are of the weights at its end, without. ``seconds`` counts every process
    that took part, up to its last whole epoch.
    """

    history: pd.DataFrame
    best_epoch: int
    stopped_early: bool
    seconds: float


def fit(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    *,
    epochs: int,
    patience: int,
    learning_rate: float,
    seed: int,
    class_weights: np.ndarray | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    folder: Path | None = None,
    identity: Any = None,
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
        class_weights: (C,), above 0; an image's cross-entropy counts so many times in the training
            loss. The validation loss is not weighted.
        report: Is called after each epoch with its row of the history and, besides, ``epochs``,
            ``best`` (whether it is the best so far) and ``last``. See ``print_progress``.
        folder: Keeps a checkpoint of each epoch there, see ``checkpoint``. Called again with an
            equal model and equal arguments, ``fit`` goes on after the last of them, or returns at
            once if the training was finished. ``checkpoint.forget`` ends that.
        identity: Says, in JSON values, what decides the batches: checkpoints of other data are
            told by it.

    Returns:
        The history and which epoch was best.

    Raises:
        Diverged: A loss is infinite or not a number. The model is of no use then.
        InputError: A number out of range; no batches; batches that do not fit the model; a
            checkpoint that cannot be written.

    Example:
        >>> result = fit(model, batches_of_epoch, validation, epochs=15, patience=10,
        ...              learning_rate=1e-3, seed=0, report=print_progress)
        >>> result.history.to_csv("history.csv", index=False)
    """
    stopping = EarlyStopping(patience)
    _check_numbers(model, epochs, learning_rate, class_weights)
    check_batches(model, validation, "validation")
    prepare(model, learning_rate)
    weights = None if class_weights is None else dict(enumerate(map(float, class_weights)))
    mark, done, started = "", checkpoint.Progress(), time.perf_counter()
    if folder:
        mark = checkpoint.fingerprint(
            model, epochs=epochs, patience=patience, seed=seed, class_weights=weights,
            identity=identity,
        )  # fmt: skip
        done = checkpoint.load(folder, model, mark) or done
    rows, best = list(done.rows), done.best or model.get_weights()
    for row in rows:
        stopping.update(row["epoch"], row["validation_loss"])
    while len(rows) < epochs and not stopping.should_stop:
        row = _run_epoch(model, training, validation, len(rows) + 1, seed, weights)
        row["learning_rate"] = learning_rate
        _check_finite(row)
        rows.append(row)
        improved = stopping.update(row["epoch"], row["validation_loss"])
        if improved:
            best = model.get_weights()
        if folder:
            spent = done.seconds + time.perf_counter() - started
            now = checkpoint.Progress(rows, [] if improved else best, spent)
            checkpoint.save(folder, model, now, mark)
        if report:
            last = len(rows) == epochs or stopping.should_stop
            report(row | {"epochs": epochs, "best": improved, "last": last})
    model.set_weights(best)
    return Fit(
        history=pd.DataFrame(rows, columns=list(COLUMNS)),
        best_epoch=stopping.best_epoch,
        stopped_early=len(rows) < epochs,
        seconds=done.seconds + time.perf_counter() - started,
    )


def predict(model: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Return the probabilities of every image, in the order of the batches: float32 (N, C).

    Args:
        model: Gives softmax (B, C).
        batches: (images, labels) or images alone; labels are not looked at. May be empty.
    """
    if int(batches.cardinality()) == 0:
        return np.zeros((0, model.output_shape[-1]), np.float32)
    make_deterministic()
    return np.asarray(model.predict(batches, verbose=0), np.float32)


def _run_epoch(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    epoch: int,
    seed: int,
    class_weights: dict[int, float] | None,
) -> dict[str, Any]:
    """Return the row of one pass over the training batches and the validation after it."""
    started = time.perf_counter()
    batches = training(epoch)
    check_batches(model, batches, "training")
    reseed(model, seed, epoch)
    # One call an epoch, because each epoch has a dataset of its own. The compiled step is kept
    # between calls; the order of the batches is the dataset's (shuffle=False).
    logs = model.fit(
        batches, validation_data=validation, epochs=1, verbose=0, shuffle=False,
        class_weight=class_weights,
    ).history  # fmt: skip
    return {
        "epoch": epoch,
        "loss": float(logs["loss"][0]),
        "accuracy": float(logs["accuracy"][0]),
        "validation_loss": float(logs["val_loss"][0]),
        "validation_accuracy": float(logs["val_accuracy"][0]),
        "seconds": time.perf_counter() - started,
    }


def _check_finite(row: dict[str, Any]) -> None:
    """Raise Diverged if a loss of this epoch is no finite number."""
    if not math.isfinite(row["loss"] + row["validation_loss"]):
        rate = row["learning_rate"]
        raise Diverged(
            f"Training diverged in epoch {row['epoch']}: loss {row['loss']}, validation loss "
            f"{row['validation_loss']}, at learning_rate={rate:g}. Lower it (try {rate / 10:g}), "
            "or look for damaged images or labels."
        )


def prepare(model: keras.Model, learning_rate: float) -> None:
    """Give the model a new Adam, with its state, and the cross-entropy."""
    make_deterministic()
    model.compile(
        # Named, because Keras would count the optimizers of a process: a training's fingerprint
        # is not to depend on what ran before it.
        optimizer=keras.optimizers.Adam(learning_rate, name="adam"),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    model.optimizer.build(model.trainable_variables)


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random generator inside the model to its state at the start of an epoch."""
    states = [each for each in model.variables if each.name == "seed_generator_state"]
    for position, state in enumerate(states):
        # The position keeps two dropout layers of the same width from using the same mask.
        start = child_seed(seed, f"dropout/{epoch}/{position}")
        state.assign(np.array([start, 0]).astype(state.dtype))


def _check_numbers(
    model: keras.Model, epochs: int, learning_rate: float, class_weights: np.ndarray | None
) -> None:
    """Raise InputError unless the numbers can be trained with."""
    if epochs < 1:
        raise InputError(f"epochs={epochs} is out of range: expected 1 or more.")
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate={learning_rate} is out of range: expected above 0.")
    classes = model.output_shape[-1]
    if class_weights is not None and (
        np.shape(class_weights) != (classes,)
        or not np.all(np.isfinite(class_weights) & np.greater(class_weights, 0))
    ):
        raise InputError(
            f"class_weights={class_weights} cannot weigh {classes} classes: expected one number "
            "above 0 for each."
        )


def check_batches(model: keras.Model, batches: tf.data.Dataset, name: str) -> None:
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
