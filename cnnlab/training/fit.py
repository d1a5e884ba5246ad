"""One function trains: it runs a recipe, stage by stage, and ends with the best weights.

Everything random in an epoch derives from (seed, epoch): the caller's batches do, and the dropout
masks are re-seeded here. TensorFlow's own operations are made deterministic. So an epoch gives the
same bits whatever ran before it, and a training that was killed and goes on from its checkpoint
ends with the weights that it would have had.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.engine import keras, make_deterministic, new_traces_expected, tf
from cnnlab.training import checkpoint, divergence
from cnnlab.training.learner import Learner, check_stage
from cnnlab.training.recipe import Recipe, Stage
from cnnlab.training.stopping import EarlyStopping

Shape = tuple[int | None, ...]
Probe = Callable[[keras.Model], dict[str, float]]
COLUMNS = (
    "epoch", "stage", "loss", "accuracy", "validation_loss", "validation_accuracy",
    "learning_rate", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """What a training did. The model itself holds the weights of ``best_epoch``.

    ``history`` has one row an epoch and the columns ``COLUMNS``: epoch and stage count from 1,
    losses include the L2 penalty, accuracies are 0…1. ``loss`` and ``accuracy`` are means over
    the epoch while the weights change, with augmentation, mixing, dropout and, in the loss, class
    weights and all else that its recipe asks for. The validation columns are plain cross-entropy
    and accuracy of the weights at its end, averaged if the recipe averages. ``learning_rate`` is
    what the next step of the head would take, 0 after a probe. ``seconds`` counts every process
    that took part, up to its last whole epoch. ``kept_probe`` says that no epoch of the last stage
    had a lower validation loss than the probe, so that its weights were kept.
    """

    history: pd.DataFrame
    best_epoch: int
    stopped_early: bool
    seconds: float
    kept_probe: bool = False


def fit(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    recipe: Recipe,
    *,
    seed: int,
    class_weights: np.ndarray | None = None,
    probe: Probe | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    folder: Path | None = None,
    identity: Any = None,
) -> Fit:
    """Train ``model`` in place by a recipe and leave it with the weights of its best epoch.

    Args:
        model: Takes images float32 (B, S, S, 3) in 0…255, gives softmax float32 (B, C).
        training: Gives the batches of an epoch, counted from 1 over all stages: (images of the
            stage's size, targets float32 (B, C) that add up to 1); equally many in each epoch of
            a stage.
        validation: The same with images of the model's size and one-hot labels, without
            augmentation, in any order.
        recipe: The stages, when to stop, averaging and precision.
        seed: Decides the dropout masks, together with the epoch.
        class_weights: (C,), above 0; a class counts so many times in the training loss. The
            validation loss is not weighted.
        probe: Fits the head: it gives ``model`` the head's weights, leaves all others, and returns
            ``loss``, ``accuracy``, ``validation_loss`` and ``validation_accuracy``, losses without
            the L2 penalty. What it does must follow from the model's weights, ``seed`` and
            ``identity``. Only a recipe that begins with a probe needs it.
        report: Is called after each epoch with its row of the history and, besides, ``epochs``,
            ``best`` (whether it is the best so far), ``last`` and ``kept_probe`` (of the last row:
            as in ``Fit``). See ``print_progress``.
        folder: Keeps a checkpoint of each epoch there, see ``checkpoint``. Called again with an
            equal model and equal arguments, ``fit`` goes on after the last of them, or returns at
            once if the training was finished. ``checkpoint.forget`` ends that.
        identity: Says, in JSON values, what decides the batches: checkpoints of other data are
            told by it.

    Returns:
        The history and which epoch was best.

    Raises:
        Diverged: A loss is no number or has exploded, see ``divergence``. The model is of no use
            then, and no checkpoint holds such an epoch.
        InputError: A number out of range; no batches; batches that do not fit the model; a
            checkpoint that cannot be written; a stage that the model cannot be trained by; a probe
            that is asked for and not given.

    Example:
        >>> recipe = Recipe((Stage(epochs=15),), patience=10)
        >>> result = fit(model, batches_of_epoch, validation, recipe, seed=0, report=print_progress)
        >>> result.history.to_csv("history.csv", index=False)
    """
    started = time.perf_counter()
    _check_probe(model, recipe, probe)
    weights = _checked_weights(model, class_weights)
    check_batches(validation, model.input_shape, model.output_shape, "validation")
    _check_pixels(validation)
    judge, mark, done = _judge(model), "", checkpoint.Progress()
    if folder:
        mark = checkpoint.fingerprint(
            model, recipe=asdict(recipe), seed=seed, class_weights=weights, identity=identity
        )
        done = checkpoint.load(folder, mark) or done
    limit = divergence.most(model, weights)  # of the first weights, whoever goes on
    rows, stopping, learner = list(done.rows), _stopping(recipe, done.rows), None
    if rows:
        model.set_weights(done.judged)
    best = done.best or model.get_weights()
    while len(rows) < recipe.epochs and not stopping.should_stop:
        began, epoch = time.perf_counter(), len(rows) + 1
        number = recipe.stage_of(epoch)
        stage = recipe.stages[number - 1]
        row: dict[str, Any] = {"epoch": epoch, "stage": number}
        if stage.probes and probe:
            row |= _probed(judge, model, probe) | {"learning_rate": 0.0}
        else:
            batches = training(epoch)
            check_batches(batches, _input_shape(model, stage), model.output_shape, "training")
            begun = bool(rows) and rows[-1]["stage"] == number
            if learner is None or not begun:  # a stage begins, or a process
                steps = int(batches.cardinality())
                learner = Learner(model, stage, recipe, steps=steps, class_weights=weights)
                if begun:
                    learner.restore(done)
            row |= learner.run(batches, seed=seed, epoch=epoch, limit=limit)
            model.set_weights(learner.judged)
            row |= _judged(judge, validation) | {"learning_rate": learner.rate}
        row["seconds"] = time.perf_counter() - began
        divergence.check(row, 0.0 if stage.probes else stage.learning_rate)
        rows.append(row)
        if number == len(recipe.stages):
            stopping.update(epoch, row["validation_loss"])
        improved = recipe.best_epoch(rows) == epoch
        if improved:
            best = model.get_weights()
        if folder:
            spent, kept = done.seconds + time.perf_counter() - started, [] if improved else best
            state = learner.state() if learner else {"weights": model.get_weights()}
            now = checkpoint.Progress(rows, best=kept, seconds=spent, **state)
            checkpoint.save(folder, now, mark)
        if report:
            last = len(rows) == recipe.epochs or stopping.should_stop
            told = {"epochs": recipe.epochs, "best": improved, "last": last}
            report(row | told | {"kept_probe": last and recipe.keeps_probe(rows)})
    number = recipe.best_epoch(rows)
    lowest, rate = rows[number - 1]["validation_loss"], recipe.stages[-1].learning_rate
    divergence.check_best(lowest, number, limit, rate)
    model.set_weights(best)
    return Fit(
        history=pd.DataFrame(rows, columns=list(COLUMNS)),
        best_epoch=number,
        stopped_early=len(rows) < recipe.epochs,
        seconds=done.seconds + time.perf_counter() - started,
        kept_probe=recipe.keeps_probe(rows),
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
    with new_traces_expected():
        return np.asarray(model.predict(batches, verbose=0), np.float32)


def _check_probe(model: keras.Model, recipe: Recipe, probe: Probe | None) -> None:
    """Raise InputError where a recipe asks for a probe that cannot be."""
    if recipe.probes:
        check_stage(model, recipe.stages[0])
        if not probe:
            raise InputError(
                "The recipe begins with a probe and none is given: expected probe, a function that "
                "fits the model's head, see training.fit."
            )


def _probed(judge: keras.Model, model: keras.Model, probe: Probe) -> dict[str, float]:
    """Fit the model's head; return the columns of the history, with the penalty in its losses."""
    found = probe(model)
    penalty = float(sum(judge.losses))
    losses = {name: float(found[name]) + penalty for name in ("loss", "validation_loss")}
    return losses | {name: float(found[name]) for name in ("accuracy", "validation_accuracy")}


def _stopping(recipe: Recipe, rows: list[dict[str, Any]]) -> EarlyStopping:
    """Return what decides when to stop, told of the last stage's epochs so far."""
    stopping = EarlyStopping(recipe.patience)
    for row in rows:
        if row["stage"] == len(recipe.stages):
            stopping.update(row["epoch"], row["validation_loss"])
    return stopping


def _judge(model: keras.Model) -> keras.Model:
    """Return a model of the same layers that is compiled to be evaluated, and only that."""
    make_deterministic()
    judge = keras.Model(model.inputs[0], model.outputs[0])
    judge.compile(
        optimizer=None,
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return judge


def _judged(judge: keras.Model, validation: tf.data.Dataset) -> dict[str, float]:
    """Return the columns of the history that are of the validation images."""
    with new_traces_expected():
        found = judge.evaluate(validation, verbose=0, return_dict=True)
    return {f"validation_{name}": float(found[name]) for name in ("loss", "accuracy")}


def _checked_weights(model: keras.Model, class_weights: np.ndarray | None) -> list[float] | None:
    """Return the class weights as numbers, or raise InputError unless there is one a class."""
    classes = model.output_shape[-1]
    if class_weights is not None and (
        np.shape(class_weights) != (classes,)
        or not np.all(np.isfinite(class_weights) & np.greater(class_weights, 0))
    ):
        raise InputError(
            f"class_weights={class_weights} cannot weigh {classes} classes: expected one number "
            "above 0 for each."
        )
    return None if class_weights is None else [float(each) for each in class_weights]


def _input_shape(model: keras.Model, stage: Stage) -> Shape:
    """Return the shape of the images that a stage trains on."""
    size = stage.image_size
    return (None, size, size, 3) if size else model.input_shape


def _check_pixels(batches: tf.data.Dataset) -> None:
    """Raise InputError where the first batch of images was normalised: the network does that."""
    given = next(iter(batches))[0]
    if given.shape.rank != 4:  # features, for a head alone
        return
    low, high = float(tf.reduce_min(given)), float(tf.reduce_max(given))
    if low < 0 or high > 255 or 0 < high <= 1:  # all black is possible
        raise InputError(
            f"The images have values from {low:g} to {high:g}: expected 0…255, as files have them. "
            "The network normalises them itself."
        )


def check_batches(batches: tf.data.Dataset, images: Shape, targets: Shape, name: str) -> None:
    """Raise InputError unless there are batches of images and targets of these shapes."""
    if int(batches.cardinality()) == 0:
        raise InputError(f"The {name} set has no images: expected at least one batch.")
    spec = batches.element_spec
    found = [tuple(part.shape) for part in spec] if isinstance(spec, tuple) else [tuple(spec.shape)]
    expected = [images, targets]
    fits = len(found) == 2 and all(
        tf.TensorShape(one).is_compatible_with(other)
        for one, other in zip(found, expected, strict=True)
    )
    if not fits:
        raise InputError(
            f"The {name} batches have shapes {found}: this model expects images and one-hot labels "
            f"of shapes {expected}."
        )
