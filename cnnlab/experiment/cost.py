"""What a network costs on this machine: the processor time of its features, and its latency."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from cnnlab import models
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras, tf

BATCH, BATCHES = 32, 4  # images whose features are timed
CALLS, FIRST = 30, 5  # answers to one image that are timed, after the first few


def features_time(model: keras.Model, dataset: Dataset, rows: np.ndarray) -> float:
    """Return the CPU seconds that the features of 1,000 decoded images take, from a few of them.

    Args:
        model: A network that pools globally.
        dataset: Prepared pixels of its size.
        rows: int64 (N,), images that may be looked at.
    """
    run = _compiled(models.body(model), BATCH)
    chosen = np.resize(rows, (BATCHES, BATCH))
    run(tf.constant(dataset.pixels[chosen[0]], tf.float32))  # the first call compiles
    started = time.process_time()
    for batch in chosen:
        run(tf.constant(dataset.pixels[batch], tf.float32)).numpy()
    return 1000 * (time.process_time() - started) / chosen.size


def latency(model: keras.Model) -> float:
    """Return the milliseconds from one decoded image to its answer, the median of ``CALLS``."""
    run, size = _compiled(model, 1), model.input_shape[1]
    image = tf.zeros((1, size, size, 3))
    return 1000 * median([*_seconds(run, image, CALLS + FIRST)][FIRST:])


def _seconds(run: Callable[[Any], Any], image: Any, calls: int) -> Iterator[float]:
    for _ in range(calls):
        started = time.perf_counter()
        run(image).numpy()
        yield time.perf_counter() - started


def _compiled(model: keras.Model, batch: int) -> Callable[[Any], Any]:
    """Return a network as a graph for so many images at a time."""
    side = model.input_shape[1]
    spec = [tf.TensorSpec((batch, side, side, 3), tf.float32)]
    return tf.function(lambda images: model(images, training=False), spec, autograph=False)
