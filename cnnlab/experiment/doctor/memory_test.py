"""Can a network learn a few images by heart? One that cannot will learn nothing else.

Source:
    Karpathy, "A Recipe for Training Neural Networks", 2019: overfit one batch.
"""

import math
from dataclasses import replace

import numpy as np

from cnnlab import training
from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras, tf
from cnnlab.experiment.doctor.check import Check
from cnnlab.training.learner import Learner, reseed
from cnnlab.training.recipe import Recipe, from_settings

IMAGES, STEPS = 32, 200
LEARNT = 0.1  # of ln C: the loss at which images count as learnt by heart


def memorises(
    dataset: Dataset,
    rows: np.ndarray,
    settings: Settings,
    *,
    model: keras.Model | None = None,
    steps: int = STEPS,
) -> Check:
    """Train a network of its own on a few images, the same at every step, and say how far it came.

    Dropout, L2 penalty, augmentation, mixing and smoothing are off: nothing holds it back. All
    layers that the last stage trains learn, by its optimizer and highest rate.

    Args:
        dataset: Prepared pixels and labels.
        rows: int64 (N,), the images to learn from; about as many of each class are taken.
        settings: Network, recipe and seed.
        model: Is trained as a copy instead of a new network of the settings.
        steps: At most; it ends once the images are learnt.

    Raises:
        InputError: The recipe is a probe alone: it takes no steps.
    """
    plain = settings.replace(dropout=0.0, l2=0.0)
    network = model or training.new_model(dataset, plain)
    stage = replace(
        from_settings(plain).stages[-1],
        schedule="constant",
        warmup_epochs=0,
        accumulate=1,  # the same images at every step: the mean of equal gradients is each of them
        image_size=None,
        label_smoothing=0.0,
        loss="crossentropy",
    )
    learner = Learner(network, stage, Recipe((stage,)), steps=steps).network
    reseed(learner, settings.seed, 0)
    chosen = few(dataset, rows, settings.seed)
    images = tf.constant(dataset.pixels[chosen], tf.float32)
    targets = tf.one_hot(dataset.labels[chosen], len(dataset.class_names))
    enough, lowest, taken = LEARNT * math.log(len(dataset.class_names)), math.inf, 0
    while taken < steps and lowest > enough:
        learner.reset_metrics()
        loss = float(learner.train_on_batch(images, targets, return_dict=True)["loss"])
        lowest, taken = min(lowest, loss), taken + 1  # a nan is lower than nothing
    learnt = lowest <= enough
    warning = "" if learnt else _warning(len(chosen), lowest, stage.learning_rate)
    said = f"loss {lowest:.3g} after {taken} step{'s' if taken != 1 else ''}"
    name = f"{len(chosen)} images learnt by heart"
    return Check(name, said, f"at most {enough:.2f} within {steps}", warning)


def few(dataset: Dataset, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return about as many images of each class, ``IMAGES`` in all: rows, int64 (n,)."""
    order = np.random.default_rng(seed).permutation(rows)
    labels = dataset.labels[order]
    place = np.empty(len(order), int)  # of each image among those of its class
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        place[own] = np.arange(len(own))
    return order[np.argsort(place, kind="stable")[:IMAGES]]


def _warning(count: int, loss: float, rate: float) -> str:
    return (
        f"The network cannot learn {count} images by heart (lowest loss {loss:.3g}), so it will "
        f"learn no more of them: learning_rate={rate:g} may be far off (see the range test), its "
        "layers dead, or images of different classes equal. Set another learning_rate or "
        "architecture, or look at the pictures of notebook 01."
    )
