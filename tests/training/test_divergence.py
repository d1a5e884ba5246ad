"""An exploding loss ends a training with one line; a good one is not touched."""

import math
from pathlib import Path

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training import Diverged, Recipe, Stage, divergence


def batches(_: int = 0) -> tf.data.Dataset:
    """Three batches of dark and bright images."""
    labels = np.arange(24) % 2
    images = np.full((24, 4, 4, 3), 60, np.float32) + 120 * labels[:, None, None, None]
    return tf.data.Dataset.from_tensor_slices(
        (images.astype(np.float32), np.eye(2, dtype=np.float32)[labels])
    ).batch(8)


def network(l2: float = 0.0) -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    start = keras.initializers.GlorotUniform(seed=1)
    penalty = keras.regularizers.L2(l2) if l2 else None
    dense = keras.layers.Dense(
        2, activation="softmax", kernel_initializer=start, kernel_regularizer=penalty
    )
    return keras.Model(inputs, dense(x))


def fit(rate: float, folder: Path | None = None, **options) -> training.Fit:
    recipe = Recipe((Stage(3, learning_rate=rate, **options),))
    return training.fit(network(), batches, batches(), recipe, seed=0, folder=folder)


def test_the_limit_is_a_hundred_times_guessing():
    assert divergence.most(network()) == pytest.approx(100 * math.log(2))
    weighted = divergence.most(network(), [0.5, 4.0])  # a rare class may fill a batch
    assert weighted == pytest.approx(400 * math.log(2))
    penalised = network(0.1)
    squares = float(sum((each**2).sum() for each in penalised.get_weights()))
    expected = 100 * (math.log(2) + 0.1 * squares)
    assert divergence.most(penalised) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("loss", "stops"), [(69.0, False), (70.0, True), (math.nan, True)])
def test_the_guard_looks_every_sixteen_steps_and_at_the_end(loss, stops):
    guard = divergence.Guard(100 * math.log(2), epoch=2, steps=40, rate=10.0)
    for batch in (*range(15), *range(16, 31), *range(32, 39)):
        guard.on_train_batch_end(batch, {"loss": math.nan})  # between two looks
    for batch in (15, 31, 39):
        if not stops:
            guard.on_train_batch_end(batch, {"loss": loss})
            continue
        said = rf"loss {loss:.3g} at epoch 2, step {batch + 1} of 40, learning_rate=10; expected"
        with pytest.raises(Diverged, match=said):
            guard.on_train_batch_end(batch, {"loss": loss})


def test_a_rate_of_1000_is_refused_as_bad_input_and_again_the_same_way(tmp_path):
    said = []
    for _ in range(2):
        with pytest.raises(InputError) as refused:
            fit(1000.0, tmp_path)
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert "learning_rate=1000; expected at most 69.3" in said[0]
    assert "--set learning_rate=0.001 in a new run" in said[0]


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.9}, {"loss": "focal"}])
def test_a_good_rate_is_no_explosion(options):
    found = fit(0.01, **options).history
    assert len(found) == 3
    assert found["loss"].max() < 3 * math.log(2)


def test_a_network_that_guesses_better_untrained_is_refused_at_the_end():
    """One step an epoch: its loss is that before the step, and only validation sees what came."""
    recipe = Recipe((Stage(1, learning_rate=1000.0),))
    with pytest.raises(Diverged, match=r"validation loss .* at epoch 1, the best"):
        training.fit(network(), lambda _: batches().take(1), batches(), recipe, seed=0)
