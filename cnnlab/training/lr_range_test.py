"""The learning-rate range test: train a copy while the rate rises, and watch the loss.

Far too small a rate leaves the loss where it is, a good one lets it fall, too large a one lets it
explode. One short pass shows all three. It suggests where to begin, not the best rate: that
also depends on how long is trained.

Source:
    Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training.fit import check_batches
from cnnlab.training.learner import Learner, reseed
from cnnlab.training.recipe import Recipe, Stage

SMOOTHING = 0.9  # weight of the past in the running mean of the loss
EXPLODED = 4.0  # the test ends when the smoothed loss is so many times its lowest
START = 0.2  # of the steps: their mean loss is where the curve begins; their rates do little yet


@dataclass(frozen=True)
class RateTest:
    """What a range test found.

    ``table`` has a row per step: rate, loss (of its batch, before the step, with the L2 penalty)
    and smoothed. ``suggested`` is the rate where the smoothed loss was halfway down, see
    ``halfway``; nan if it never fell. ``first_seconds`` is what the first step took, in which the
    network is traced and compiled, ``step_seconds`` the mean of the others, batches included.
    """

    table: pd.DataFrame
    suggested: float
    first_seconds: float = 0.0
    step_seconds: float = 0.0


def find_rate(
    model: keras.Model,
    training: Callable[[int], tf.data.Dataset],
    *,
    seed: int,
    stage: Stage = Stage(epochs=1),  # noqa: B008 - it is frozen
    steps: int = 100,
    lowest: float = 1e-6,
    highest: float = 1.0,
) -> RateTest:
    """Train a copy of ``model`` with a rising rate; the model itself is not touched.

    Args:
        model: As ``fit`` takes it, best a new one.
        training: As ``fit`` takes it: gives the batches of an epoch, counted from 1. As many epochs
            are begun as the steps need.
        seed: Decides the dropout masks.
        stage: Gives optimizer, loss, image size and which layers learn; Adam and all by default.
            Each batch makes a step, whatever it accumulates: the mean of several gradients is less
            noisy, so that the rate found is rather too low for it than too high.
        steps: Batches at most; the rate rises by the same factor at each.
        lowest: The learning rate at the first batch.
        highest: At the last; the test ends earlier once the loss explodes.

    Returns:
        The steps taken and the rate suggested.

    Raises:
        InputError: Numbers out of range, batches that do not fit the model, or a probe: it is
            fitted without a learning rate.

    Example:
        >>> result = find_rate(new_model(dataset, settings), batches_of_epoch, seed=0)
        >>> result.suggested
        0.00018
    """
    if steps < 10 or not 0 < lowest < highest < math.inf:
        raise InputError(
            f"steps={steps}, lowest={lowest}, highest={highest}: expected at least 10 steps and "
            "0 < lowest < highest."
        )
    if stage.probes:
        raise InputError("A probe has no learning rate to test: expected a stage that trains.")
    constant = replace(
        stage, learning_rate=lowest, schedule="constant", warmup_epochs=0, accumulate=1
    )
    copy = Learner(model, constant, Recipe((constant,)), steps=steps).network
    rates, rows, smoothing = np.geomspace(lowest, highest, steps), [], Smoothing()
    batches, marks = _endless(copy, training, seed), [time.perf_counter()]
    for rate, (images, labels) in zip(rates, batches, strict=False):
        copy.optimizer.learning_rate = rate
        copy.reset_metrics()  # else the loss would be the mean of all steps so far
        loss = float(copy.train_on_batch(images, labels, return_dict=True)["loss"])
        marks.append(time.perf_counter())
        if not math.isfinite(loss):
            break
        rows.append((float(rate), loss, smoothing.update(loss)))
        if smoothing.exploded:
            break
    table = pd.DataFrame(rows, columns=["rate", "loss", "smoothed"])
    spent = np.diff(marks)
    later = float(spent[1:].mean()) if len(spent) > 1 else float(spent[0])
    return RateTest(table, halfway(table, int(START * steps)), float(spent[0]), later)


class Smoothing:
    """A running mean of losses that forgets, corrected for its start (as Adam's moments are).

    Example:
        >>> smoothing = Smoothing()
        >>> smoothing.update(2.0), round(smoothing.update(1.0), 3)
        (2.0, 1.474)
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self._value = self._lowest = math.inf

    def update(self, loss: float) -> float:
        """Take the loss of a step; return the mean so far."""
        self._count += 1
        self._sum = SMOOTHING * self._sum + (1 - SMOOTHING) * loss
        self._value = self._sum / (1 - SMOOTHING**self._count)
        self._lowest = min(self._lowest, self._value)
        return self._value

    @property
    def exploded(self) -> bool:
        """Whether the mean is ``EXPLODED`` times as large as it once was."""
        return self._value > EXPLODED * self._lowest


def halfway(table: pd.DataFrame, start: int) -> float:
    """Return the rate in the middle of the loss's fall.

    The fall goes from the mean loss of the first steps to the lowest smoothed loss after them. Its
    middle is the last step before the lowest whose smoothed loss is above half of the way: a
    level, unlike a slope, is not led astray by single batches.

    Args:
        table: Columns rate (rising), loss and smoothed, see ``RateTest``.
        start: How many first steps make the start.

    Returns:
        The rate; nan if no later smoothed loss is below the start.
    """
    smoothed = table["smoothed"].to_numpy()
    if len(table) <= start:
        return float("nan")
    level, lowest = float(table["loss"][:start].mean()), start + int(smoothed[start:].argmin())
    if not smoothed[lowest] < level:
        return float("nan")
    above = np.flatnonzero(smoothed[:lowest] > (level + smoothed[lowest]) / 2)
    return float(table["rate"].iloc[above[-1] if len(above) else 0])


def _endless(
    model: keras.Model, training: Callable[[int], tf.data.Dataset], seed: int
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yield the batches of epoch 1, 2, …, one at a time."""
    epoch = 0
    while True:
        epoch += 1
        batches = training(epoch)
        check_batches(batches, model.input_shape, model.output_shape, "training")
        reseed(model, seed, epoch)
        yield from batches
