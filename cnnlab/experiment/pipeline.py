"""The experiment: train, calibrate, fit the rules, validate; later, once, test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import images, training
from cnnlab.config import InputError, Settings
from cnnlab.data.batches import Dataset
from cnnlab.data.synthetic import out_of_distribution
from cnnlab.engine import keras, tf
from cnnlab.evaluation import calibration, conformal, ood_detection
from cnnlab.evaluation.records import (
    Calibration,
    NoveltyResult,
    SetsResult,
    TestResult,
    ValidationResult,
)
from cnnlab.experiment.classifier import Classifier, Validation, identified
from cnnlab.experiment.predictions import Predictions, predict

BATCH_SIZE = 32  # generated images a step


@dataclass(frozen=True, eq=False)
class Test:
    """What the test images gave.

    Attributes:
        predictions: The answers about them.
        set_sizes: int64 (N,), classes in the prediction set of each.
        known_scores: float64 (N,), the novelty score of each.
        novel_scores: float64 (M,), the same of generated images that show no class.
        result: The figures, ``metrics/test.json``.
    """

    __test__ = False  # of pytest, which takes the name for a class of tests

    predictions: Predictions
    set_sizes: np.ndarray
    known_scores: np.ndarray
    novel_scores: np.ndarray
    result: TestResult


def fit_classifier(
    dataset: Dataset,
    settings: Settings,
    *,
    seed: int | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    folder: Path | None = None,
) -> Classifier:
    """Train a network on the training images and fit its rules on the validation images.

    The same arguments give the same bits on one machine, also after an interruption. The test set
    is not looked at.

    Args:
        dataset: Prepared pixels and labels.
        settings: The protocol.
        seed: Root of initial weights, order, augmentation and dropout; the settings' by default.
            Another changes nothing else: neither the split nor the resamples.
        report: Called after each epoch, see ``training.fit``.
        folder: Keeps checkpoints, so that an interrupted training resumes; see ``training.fit``.

    Example:
        >>> classifier = fit_classifier(lab.dataset(), lab.settings, folder=lab.path("training"))
        >>> classifier.save(lab.path("model"), run_id=lab.id, card="")
    """
    train, validation = dataset.indices("train"), dataset.indices("validation")
    root = settings.seed if seed is None else seed
    model = training.new_model(dataset, settings, seed=root)
    history = training.train(
        model, dataset, train, validation, settings, seed=root, report=report, folder=folder
    )
    return replace(calibrate(model, dataset, settings), history=history)


def calibrate(model: keras.Model, dataset: Dataset, settings: Settings) -> Classifier:
    """Return a trained network as a classifier: all its rules come from the validation images.

    Args:
        model: Takes images of the dataset's size, gives one output for each of its classes.
        dataset: Its validation images must not have been trained on.
        settings: Batch size, resamples, and how the dataset's pixels were made.
    """
    predictions = predict(model, dataset, dataset.indices("validation"), settings)
    served, groups = predictions.probabilities, predictions.groups
    rules = Calibration(
        predictions.temperature,
        conformal.fit(predictions.labels, served, groups=groups),
        ood_detection.fit(served, groups=groups),
    )
    validation = _validation(predictions, rules, settings)
    preprocessing = images.Preprocessing.of(settings.data)
    return identified(model, predictions.class_names, rules, preprocessing, validation)


def validate(classifier: Classifier, dataset: Dataset, settings: Settings) -> Validation:
    """Return what a classifier that was loaded gives on the validation images."""
    rows, temperature = dataset.indices("validation"), classifier.rules.temperature
    predictions = predict(classifier.model, dataset, rows, settings, temperature=temperature)
    return _validation(predictions, classifier.rules, settings)


def evaluate(classifier: Classifier, opened: Dataset, settings: Settings) -> Test:
    """Measure a classifier on the test images: figures, prediction sets, *none of these*.

    Args:
        classifier: From ``fit_classifier`` or ``load``.
        opened: From ``Run.open_test_set``, which has recorded the opening for this classifier.
        settings: Batch size, resamples, and how many images of no class to generate.

    Raises:
        SealedTestSet: The test set is not open.
        InputError: The dataset has other classes.
    """
    if tuple(opened.class_names) != classifier.class_names:
        raise InputError(
            f"The classes of the model are {', '.join(classifier.class_names)}, those of the data "
            f"{', '.join(opened.class_names)}: expected the same, in the same order."
        )
    rules = classifier.rules
    predictions = predict(
        classifier.model, opened, opened.indices("test"), settings, temperature=rules.temperature
    )
    members = conformal.sets(predictions.probabilities, rules.sets.threshold)
    sizes = conformal.set_sizes(members)
    known = ood_detection.scores(predictions.probabilities)
    novel = _novel_scores(classifier, settings)
    told = ood_detection.separation(known, novel)
    covered = conformal.coverage(predictions.labels, members)
    limit = rules.none_of_these.threshold
    result = TestResult(
        predictions.evaluate(settings),
        SetsResult(rules.sets.coverage, covered, float(sizes.mean())),
        NoveltyResult(
            known=float((known < limit).mean()),
            strangers=float((novel < limit).mean()),
            auroc=told.auroc,
            fpr95=told.fpr95,
        ),
    )
    return Test(predictions, sizes, known, novel, result)


def _validation(predictions: Predictions, rules: Calibration, settings: Settings) -> Validation:
    return Validation(
        predictions, ValidationResult(predictions.evaluate(settings), calibration=rules)
    )


def _novel_scores(classifier: Classifier, settings: Settings) -> np.ndarray:
    """Return the novelty scores of generated images that show no class, float64 (M,)."""
    size = classifier.model.input_shape[1]
    preprocessing = classifier.preprocessing
    pixels = _novel_pixels(settings.evaluation.strangers, settings.seed, size, preprocessing)
    batches = tf.data.Dataset.from_tensor_slices(pixels).batch(BATCH_SIZE)
    raw = training.predict(classifier.model, batches.map(lambda part: tf.cast(part, tf.float32)))
    return ood_detection.scores(calibration.apply(raw, classifier.rules.temperature))


@lru_cache(maxsize=1)  # drawing them takes longer than all else, and every seed is asked the same
def _novel_pixels(
    count: int, seed: int, size: int, preprocessing: images.Preprocessing
) -> np.ndarray:
    """Return generated images that show no class, uint8 (count, size, size, 3)."""
    contents = out_of_distribution.pictures(count, seed=seed)
    return np.stack([images.decode(content, size, preprocessing) for _, content in contents])
