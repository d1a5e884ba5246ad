"""What a network meets and answers before its first step: pixels, features, loss."""

import math
from dataclasses import dataclass

import numpy as np

from cnnlab import models, training
from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras, make_deterministic, tf
from cnnlab.experiment.doctor.check import Check
from cnnlab.models import structure
from cnnlab.records import Record
from cnnlab.training.learner import copied, reseed

IMAGES = 64  # looked at
DARK = 4  # levels of 255: pictures that never exceed them were scaled to 0…1 before they were saved
WIDE, NARROW = 12.0, 0.02  # standard deviation of what the first layer sees; usual are 0.2 to 2
POOLED, FLATTENED = 3.0, 6.0  # times ln C, see ``most_loss``
DEAD = 1e-5  # standard deviation of the answers over different images: all are the same


@dataclass(frozen=True)
class FirstStep(Record):
    """What a new network sees and says of some training images.

    Attributes:
        images: How many.
        classes: C; guessing has the loss ln C.
        loss: Cross-entropy, dropout off, batch normalisation by its first statistics.
        training_loss: The same as the first step sees it: dropout on, statistics of the batch. It
            has no L2 penalty, class weights, mixing or smoothing in it.
        low: The lowest level of the pixels, 0…255; ``high`` the highest, ``mean`` their mean.
        layer: The first layer with a kernel; "" where the graph does not tell.
        seen_low: The lowest number that this layer sees; likewise ``seen_high``, their mean and
            standard deviation.
        spread: Standard deviation of the answers over the images, the mean over classes.
    """

    images: int
    classes: int
    loss: float
    training_loss: float
    low: float
    high: float
    mean: float
    layer: str
    seen_low: float
    seen_high: float
    seen_mean: float
    seen_deviation: float
    spread: float


def look(model: keras.Model, dataset: Dataset, rows: np.ndarray, settings: Settings) -> FirstStep:
    """Return what a network sees and says of ``IMAGES`` training images; it is not changed.

    Args:
        model: A network for this dataset, best a new one.
        dataset: Prepared pixels and labels.
        rows: int64 (N,), the images to learn from.
        settings: Seed; and ``weights``, which decides how batch normalisation is used.
    """
    make_deterministic()  # what is found is compared by a reproduction
    copy = copied(model)
    reseed(copy, settings.seed, 0)
    chosen = np.random.default_rng(settings.seed).permutation(rows)[:IMAGES]
    pixels, labels = dataset.pixels[chosen], dataset.labels[chosen]
    images = tf.constant(pixels, tf.float32)
    answers = copy(images, training=False).numpy()
    layer, seen = _first_layer(copy, images)
    fixed = settings.model.weights != "random"  # its statistics stay as they are in every stage
    learning = copy(images, training=not fixed).numpy()
    return FirstStep(
        images=len(chosen),
        classes=len(dataset.class_names),
        loss=_crossentropy(answers, labels),
        training_loss=_crossentropy(learning, labels),
        low=float(pixels.min()),
        high=float(pixels.max()),
        mean=float(pixels.mean()),
        layer=layer,
        seen_low=float(seen.min()),
        seen_high=float(seen.max()),
        seen_mean=float(seen.mean()),
        seen_deviation=float(seen.std()),
        spread=float(learning.std(axis=0).mean()),
    )


def checks(found: FirstStep, model: keras.Model, settings: Settings) -> list[Check]:
    """Return what is to be said of it: the pixels, what the first layer sees, the loss."""
    sound = [_pixels(found), _seen(found)]
    if training.probe.alone(settings):  # its head is fitted before any answer counts
        return sound
    return [*sound, _loss(found, most_loss(model))]


def most_loss(model: keras.Model) -> float:
    """Return the loss of the first step from which on a new network is odd.

    Every head here begins as a Glorot-uniform kernel: of features f (K,) each logit has the
    variance 2·|f|² / (K + C), and logits of deviation σ add about σ²/2 to ln C. Features that were
    averaged over all places are small; those of a network that flattens its maps have passed a
    dense layer of the same kind, with dropout that doubles their squares. Measured on generated
    images of 5 classes, at 40 and 96 pixels, with three seeds, as multiples of ln C: networks that
    pool globally 1.05 to 2.5 (``resnet`` 1.7 to 2.1, ``mobilenet_v3_small`` 1.05 to 1.3,
    ``efficientnet_lite0`` 1.2 to 1.3, ``reference_cnn`` with ``pool=global`` 1.1 to 1.6, without
    its dense layer 1.4 to 2.5), ``reference_cnn``, which flattens, 1.8 to 3.9.
    """
    times = POOLED if models.pools_globally(model) else FLATTENED
    return times * math.log(model.output_shape[-1])


def _pixels(found: FirstStep) -> Check:
    said = f"{found.low:.0f} to {found.high:.0f}, mean {found.mean:.0f}"
    warning = ""
    if found.high <= DARK:
        warning = (
            f"No pixel is above {found.high:.0f} of 255: the images are black, most likely because "
            "they were scaled to 0…1 before they were saved. Save them with levels 0…255."
        )
    return Check("pixels that the network is given", said, "0 to 255", warning)


def _seen(found: FirstStep) -> Check:
    said = (
        f"{found.seen_low:.2f} to {found.seen_high:.2f}, mean {found.seen_mean:.2f}, "
        f"deviation {found.seen_deviation:.2f}"
    )
    warning = ""
    if not NARROW <= found.seen_deviation <= WIDE:
        way = "hardly differ" if found.seen_deviation < NARROW else "are very large"
        warning = (
            f"The numbers that layer {found.layer!r} sees {way} (deviation "
            f"{found.seen_deviation:.2g}): pixels are normalised twice, not at all, or all images "
            "look alike. Networks here take 0…255 and normalise once: look at the pictures of "
            "notebook 01."
        )
    name = f"numbers that the first layer ({found.layer}) sees"
    return Check(name, said, f"a deviation from {NARROW} to {WIDE:g}", warning)


def _loss(found: FirstStep, most: float) -> Check:
    guessing = math.log(found.classes)
    said = f"{found.training_loss:.2f}; {found.loss:.2f} as validation would see it"
    expected = f"about ln {found.classes} = {guessing:.2f}, at most {most:.2f}"
    warning = ""
    if not found.training_loss <= most:
        warning = (
            f"The new network's loss is {found.training_loss:.3g}; one that guesses among "
            f"{found.classes} classes has {guessing:.2f}: its first steps only undo that. Expected "
            f"at most {most:.2f}. Use another network (--set architecture=… in a new run), or "
            "weights that fit it."
        )
    elif found.spread < DEAD:
        warning = (
            "The new network answers every image alike: it cannot tell them apart. Look whether "
            "the images differ (notebook 01), or use another network."
        )
    return Check("loss before the first step", said, expected, warning)


def _crossentropy(answers: np.ndarray, labels: np.ndarray) -> float:
    true = answers[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, 1e-30)).mean())


def _first_layer(model: keras.Model, images: tf.Tensor) -> tuple[str, np.ndarray]:
    """Return the first layer with a kernel and what it sees; the pixels where none is found."""
    for step in structure.steps(model):
        operation = step.operation
        if "/" not in step.path and hasattr(operation, "kernel"):
            given = keras.Model(model.inputs[0], operation.input)
            return step.path, given(images, training=False).numpy()
    return "", images.numpy()
