"""How fast this machine works with a network: a few steps, answers and a head, timed."""

import time
from dataclasses import dataclass

import numpy as np

from cnnlab import models
from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras, tf
from cnnlab.features import linear
from cnnlab.records import Record
from cnnlab.training.lr_range_test import RateTest

BATCH = 32  # images whose answers are timed
HEAD_ROWS = 256  # on which a head is fitted to see how long it takes
LOOPS, LOOP = 3, 0.083  # of ``pace``; seconds of one on an idle core of two of an AMD EPYC


@dataclass(frozen=True)
class Speed(Record):
    """How fast this machine works with a network, seconds by the clock.

    Attributes:
        step: A training step of the last stage.
        first: The first of them: the network is traced and compiled.
        image: An image's way through the network.
        head: A fitted head, for each training image.
        pace: How many times longer plain Python takes than on an idle core of two of an AMD EPYC.
    """

    step: float = 0.0
    first: float = 0.0
    image: float = 0.0
    head: float = 0.0
    pace: float = 1.0


def measured(
    model: keras.Model, dataset: Dataset, settings: Settings, trial: RateTest | None
) -> Speed:
    """Return the speed with a network and training images; see ``costs.forecast``."""
    train = dataset.indices("train")
    image, pace = _image_seconds(model, dataset, train), _pace()
    if trial:
        return Speed(trial.step_seconds, trial.first_seconds, image, pace=pace)
    head = _head_seconds(model, dataset, train, settings)
    return Speed(image=image, head=head, pace=pace)


def _pace() -> float:
    """Return how busy or slow this machine is, in multiples of ``LOOP``."""
    started = time.perf_counter()
    for _ in range(LOOPS):
        sum(number * number for number in range(2_000_000))
    return (time.perf_counter() - started) / (LOOPS * LOOP)


def _image_seconds(model: keras.Model, dataset: Dataset, rows: np.ndarray) -> float:
    """Return the seconds that one image of a batch takes through the network."""
    run = tf.function(lambda images: model(images, training=False), autograph=False)
    images = tf.cast(tf.constant(dataset.pixels[np.resize(rows, BATCH)]), tf.float32)
    run(images).numpy()  # traced and compiled
    started = time.perf_counter()
    run(images).numpy()
    return (time.perf_counter() - started) / BATCH


def _head_seconds(
    model: keras.Model, dataset: Dataset, rows: np.ndarray, settings: Settings
) -> float:
    """Return the seconds that a head takes for each image, from one that is fitted to noise."""
    chosen = np.random.default_rng(settings.seed).permutation(rows)[:HEAD_ROWS]
    classes = np.unique(dataset.labels[chosen], return_inverse=True)[1]
    width = models.body(model).output_shape[-1]
    noise = np.random.default_rng(0).normal(size=(len(chosen), width))
    noise[:, 0] += classes
    started = time.perf_counter()
    linear(noise.astype(np.float32), classes, np.arange(len(chosen)), classes.max() + 1, seed=0)
    return (time.perf_counter() - started) / len(chosen)
