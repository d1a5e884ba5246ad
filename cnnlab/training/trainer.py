"""From a dataset and settings to a trained network."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import augment, hashing, locks, models
from cnnlab.augment.mixing import MIXERS
from cnnlab.config import Settings, child_seed
from cnnlab.data.batches import Dataset, Mix, evaluation_batches, training_batches
from cnnlab.engine import keras, tf
from cnnlab.images import Preprocessing
from cnnlab.training import probe, processes
from cnnlab.training.balance import NOTABLE, imbalance
from cnnlab.training.fit import Fit, fit
from cnnlab.training.learner import check_stage, copied, frozen
from cnnlab.training.lr_range_test import RateTest, find_rate
from cnnlab.training.recipe import Recipe, Stage, cautions, from_settings

Report = Callable[[dict[str, Any]], None]
CHUNK = 256  # images hashed at a time


def new_model(dataset: Dataset, settings: Settings, *, seed: int | None = None) -> keras.Model:
    """Return a new network as the settings describe it; ``seed`` defaults to theirs."""
    return _built(settings, len(dataset.class_names), settings.seed if seed is None else seed)


def _built(settings: Settings, num_classes: int, seed: int) -> keras.Model:
    return models.build(
        settings.model.architecture,
        image_size=settings.data.image_size,
        num_classes=num_classes,
        seed=child_seed(seed, "init"),
        l2=settings.model.l2,
        dropout=settings.model.dropout,
        options=settings.model.network_options,
        weights=settings.model.weights,
        hidden_units=settings.model.hidden_units,
    )


def memory(dataset: Dataset, settings: Settings) -> int:
    """Return about how many bytes a process takes that trains the settings' network."""
    return memory_of(new_model(dataset, settings), settings)


def memory_of(model: keras.Model, settings: Settings) -> int:
    """Return about how many bytes a process takes that trains ``model`` as the settings say."""
    size, more = settings.training.batch_size, settings.training.accumulate > 1
    stages = from_settings(settings).stages
    return max(
        processes.memory(model, size, frozen(model, each.trainable), accumulates=more)
        for each in stages
    )


def deciding(settings: Settings) -> dict[str, Any]:
    """Return those settings that decide a training, as plain JSON values.

    Not among them: what the caller passes besides (seed, epochs, rows), what only says where the
    images come from, and all that comes after the training. So a checkpoint or a finished fold
    stays of use when the evaluation or the report changes. Of weights that are not random it is
    the file's SHA-256 that decides, wherever the file lies.

    Raises:
        InputError: There is no such file of weights.
    """
    model = settings.model
    origin = models.provenance(model.architecture, model.network_options, model.weights)
    training = asdict(settings.training)
    del training["epochs"]  # the caller's: folds have another number
    return {
        "image_size": settings.data.image_size,
        "preprocessing": asdict(Preprocessing.of(settings.data)),
        "augmentation": asdict(settings.augmentation),
        "model": asdict(model) | ({"weights": origin.sha256} if origin else {}),
        "training": training,
    }


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
    """Train ``model`` in place by the settings' recipe; it ends with its best weights.

    Prints a line if the classes are very unequal, if the recipe is likely to spoil given weights,
    and if it goes on from a checkpoint.

    Args:
        model: A network for this dataset, see ``new_model``.
        dataset: Prepared pixels and labels.
        train: int64 (N,), the images to learn from; they are augmented.
        validation: int64 (M,), the images that judge each epoch; they are not.
        settings: Recipe, augmentation and ``class_weight``.
        seed: Root of order, augmentation and dropout; the settings' by default.
        epochs: At most so many, in all stages together; the settings' by default.
        report: Called after each epoch, see ``fit``.
        folder: Keeps a checkpoint there, so that a killed training goes on; see ``fit``.

    Raises:
        InputError: Another process trains in that folder; or as ``fit``.
    """
    root = settings.seed if seed is None else seed
    recipe = from_settings(settings, epochs=epochs)
    for caution in cautions(recipe):
        print(f"Note: {caution}")
    identity = None
    if folder:
        content = [content_digest(dataset, rows) for rows in (train, validation)]
        identity = {"settings": deciding(settings), "content": content}

    with locks.alone(folder, f"A network is trained in {folder}"):
        return fit(
            model,
            epoch_batches(dataset, train, settings, seed=root, recipe=recipe),
            evaluation_batches(dataset, validation, batch_size=settings.training.batch_size),
            recipe,
            seed=root,
            class_weights=_class_weights(dataset, train, settings),
            probe=probe.fitter(
                dataset, train, validation, settings, seed=root, progress=report is not None
            ),
            report=report,
            folder=folder,
            identity=identity,
        )


def epoch_batches(
    dataset: Dataset,
    rows: np.ndarray,
    settings: Settings,
    *,
    seed: int | None = None,
    recipe: Recipe | None = None,
) -> Callable[[int], tf.data.Dataset]:
    """Return what ``fit`` trains on: epoch, from 1 → its shuffled, augmented, mixed batches.

    Args:
        dataset: Prepared pixels and labels.
        rows: int64 (N,), the images to learn from.
        settings: Batch size and augmentation.
        seed: Root of order, augmentation and mixing; the settings' by default.
        recipe: Whose stages say at which size and how mixed; the settings' by default.
    """
    root = settings.seed if seed is None else seed
    chosen = recipe or from_settings(settings)

    def batches(epoch: int) -> tf.data.Dataset:
        stage = chosen.stages[chosen.stage_of(epoch) - 1]
        return training_batches(
            dataset,
            rows,
            batch_size=settings.training.batch_size,
            seed=root,
            epoch=epoch,
            transform=augment.transform(settings.augmentation, seed=root, epoch=epoch),
            mix=_mix(stage, root, epoch),
            image_size=stage.image_size,
        )

    return batches


def _mix(stage: Stage, seed: int, epoch: int) -> Mix | None:
    if stage.mixing == "none":
        return None
    return partial(MIXERS[stage.mixing], seed=seed, epoch=epoch, strength=stage.mixing_strength)


def check(settings: Settings) -> None:
    """Raise InputError where the settings' network cannot be trained by their stages.

    It needs no images, so a run can be refused when it is opened; weights that are not random are
    loaded once.
    """
    size, chosen = settings.data.image_size, settings.model
    stages = from_settings(settings).stages
    smallest = min(each.image_size or size for each in stages)
    models.check_weights(chosen.architecture, chosen.network_options, chosen.weights, smallest)
    model = _built(settings, 2, settings.seed)
    for stage in stages:
        check_stage(model, stage)


def range_test(
    model: keras.Model, dataset: Dataset, rows: np.ndarray, settings: Settings, *, steps: int = 100
) -> RateTest:
    """Return the learning-rate range test of the settings' last stage; ``model`` is not touched.

    Args:
        model: A network for this dataset, best a new one.
        dataset: Prepared pixels and labels.
        rows: int64 (N,), the images to learn from.
        settings: Recipe, augmentation and seed.
        steps: At most, see ``find_rate``.

    Returns:
        Its rates are values of the setting ``learning_rate``: a stage that takes ``x0.1`` of that
        trained with a tenth of them. Behind a probe, the test begins with the head that it fits.

    Raises:
        InputError: The recipe is a probe alone: there is no rate to test.
    """
    recipe = from_settings(settings)
    last = replace(recipe, stages=recipe.stages[-1:])
    if recipe.probes and not recipe.only_probes:  # of a random head, only the head's rate is seen
        model = copied(model)
        probe.fitter(dataset, rows, rows, settings, seed=settings.seed)(model)
    batches = epoch_batches(dataset, rows, settings, recipe=last)
    found = find_rate(model, batches, seed=settings.seed, stage=last.stages[0], steps=steps)
    factor = last.stages[0].learning_rate / settings.training.learning_rate
    table = found.table.assign(rate=found.table["rate"] / factor)
    return replace(found, table=table, suggested=found.suggested / factor)


def _class_weights(dataset: Dataset, train: np.ndarray, settings: Settings) -> np.ndarray | None:
    """Return the weights the settings ask for; say so if the classes are very unequal."""
    labels, balanced = dataset.labels[train], settings.training.class_weight == "balanced"
    if (ratio := imbalance(labels)) > NOTABLE:
        cure = "is weighted for it" if balanced else "is not: class_weight=balanced weights it"
        print(
            f"Note: the largest class has {ratio:.0f} times the training images of the smallest. "
            f"Judge by the macro figures; the loss {cure}."
        )
    return probe.class_weights(dataset, train, settings)


def content_digest(dataset: Dataset, rows: np.ndarray) -> str:
    """Return the SHA-256 over which rows these are, their labels, units and pixels."""
    units = np.unique(dataset.units[rows], return_inverse=True)[1]  # they decide a probe's penalty
    numbers = [np.asarray(each, np.int64).tobytes() for each in (rows, dataset.labels[rows], units)]
    starts = range(0, len(rows), CHUNK)
    pixels = (dataset.pixels[rows[start : start + CHUNK]].tobytes() for start in starts)
    return hashing.stream_digest(chain(numbers, pixels))
