import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training import Stage
from cnnlab.training.lr_range_test import Smoothing, find_rate, halfway


def table_of(losses, smoothed=None) -> pd.DataFrame:
    smoothed = losses if smoothed is None else smoothed
    rates = np.geomspace(1e-6, 1, len(losses))
    return pd.DataFrame({"rate": rates, "loss": losses, "smoothed": smoothed})


def test_the_running_mean_by_hand():
    smoothing = Smoothing()
    assert smoothing.update(2.0) == pytest.approx(2)
    # (0.9·0.1·2 + 0.1·1) / (1 - 0.9²) = 0.28 / 0.19
    assert smoothing.update(1.0) == pytest.approx(28 / 19)
    assert [smoothing.update(5.0) > 28 / 19, smoothing.exploded] == [True, False]


def test_a_constant_loss_stays_and_a_huge_one_explodes():
    smoothing = Smoothing()
    assert [smoothing.update(3.0) for _ in range(5)] == pytest.approx([3] * 5)
    assert not smoothing.exploded
    smoothing.update(1000.0)
    assert smoothing.exploded


def test_the_middle_of_the_fall_is_suggested():
    table = table_of([10, 10, 10, 9, 7, 4, 2, 3, 50])  # from 10 to 2: half is 6
    assert halfway(table, start=2) == table["rate"][4]
    wavy = table_of([10, 10, 5, 9, 7, 4, 2, 3, 50])  # half the way once before: the last counts
    assert halfway(wavy, start=2) == wavy["rate"][4]


def test_the_start_is_the_loss_of_the_first_steps():
    table = table_of([8, 12, 9, 9, 7, 4, 2, 3, 50], smoothed=[8, 1, 9, 9, 7, 4, 2, 3, 50])
    assert halfway(table, start=2) == table["rate"][4]  # a smoothed 1 in the start is no minimum


@pytest.mark.parametrize("losses", [[], [3.0, 3.0], [3.0, 3.0, 3.0, 3.5, 9.0]])
def test_a_loss_that_never_falls_suggests_nothing(losses):
    assert np.isnan(halfway(table_of(losses), start=2))


def network(dropout: float = 0.0) -> keras.Model:
    """A linear softmax of four pixels, as small as the contract allows."""
    inputs = keras.Input((2, 2, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(dropout, seed=0)(x)
    start = keras.initializers.GlorotUniform(seed=1)
    outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=start)(x)
    return keras.Model(inputs, outputs)


def pooled() -> keras.Model:
    """A linear softmax of the mean pixel, at any size."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    start = keras.initializers.GlorotUniform(seed=1)
    outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=start)(x)
    return keras.Model(inputs, outputs)


def batches_of(epoch: int) -> tf.data.Dataset:
    """Four batches an epoch: bright images of one class, dark ones of the other."""
    generator = np.random.default_rng(epoch)
    labels = generator.integers(2, size=32)
    images = generator.uniform(0, 100, (32, 2, 2, 3)) + 150 * labels[:, None, None, None]
    pair = (images.astype(np.float32), np.eye(2, dtype=np.float32)[labels])
    return tf.data.Dataset.from_tensor_slices(pair).batch(8)


def test_a_copy_is_trained_as_adam_would_and_the_model_is_not_touched():
    """The first epoch's losses are those of Adam done by hand, each before its step."""
    model = network()
    before = [variable.numpy().copy() for variable in model.variables]
    table = find_rate(model, batches_of, seed=0, steps=10, lowest=0.01, highest=0.1).table
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert not model.compiled
    np.testing.assert_allclose(table["rate"], np.geomspace(0.01, 0.1, 10))
    adam, expected = keras.optimizers.Adam(0.01), []
    for rate, (images, labels) in zip(table["rate"], batches_of(1), strict=False):
        with tf.GradientTape() as tape:
            loss = keras.losses.CategoricalCrossentropy()(labels, model(images))
        expected.append(float(loss))
        adam.learning_rate = rate
        gradients = tape.gradient(loss, model.trainable_variables)
        adam.apply(gradients, model.trainable_variables)
    np.testing.assert_allclose(table["loss"][:4], expected, rtol=1e-4)


@pytest.mark.slow
def test_a_stage_gives_optimizer_loss_and_size():
    """The first steps of gradient descent with momentum, on images of another size, by hand."""
    model = pooled()
    stage = Stage(1, optimizer="sgd", label_smoothing=0.2, image_size=2, schedule="cosine")
    table = find_rate(model, batches_of, seed=0, stage=stage, steps=10, lowest=0.01).table
    sgd, expected = keras.optimizers.SGD(0.01, momentum=0.9), []
    for rate, (images, labels) in zip(table["rate"], batches_of(1), strict=False):
        with tf.GradientTape() as tape:
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)(labels, model(images))
        expected.append(float(loss))
        sgd.learning_rate = rate
        gradients = tape.gradient(loss, model.trainable_variables)
        sgd.apply(gradients, model.trainable_variables)
    np.testing.assert_allclose(table["loss"][:4], expected, rtol=1e-4)


@pytest.mark.slow
def test_each_batch_makes_a_step_whatever_is_accumulated():
    stages = (Stage(1, accumulate=4), Stage(1))
    some, none = (find_rate(pooled(), batches_of, seed=0, stage=each, steps=10) for each in stages)
    pd.testing.assert_frame_equal(some.table, none.table)


@pytest.mark.slow
def test_epochs_follow_each_other_and_the_seed_decides():
    epochs = []

    def watched(epoch):
        epochs.append(epoch)
        return batches_of(epoch)

    first = find_rate(network(0.5), watched, seed=0, steps=10).table
    assert epochs == [1, 2, 3]  # ten steps, four batches an epoch
    pd.testing.assert_frame_equal(
        first, find_rate(network(0.5), batches_of, seed=0, steps=10).table
    )
    other = find_rate(network(0.5), batches_of, seed=1, steps=10).table
    assert not first["loss"].equals(other["loss"])


@pytest.mark.slow
def test_it_ends_when_the_loss_explodes_or_is_no_number():
    def poisoned(epoch):
        return batches_of(epoch).map(lambda x, y: (x * np.nan if epoch > 2 else x, y))

    result = find_rate(network(), poisoned, seed=0, steps=100)
    assert len(result.table) == 8  # two epochs
    assert np.isnan(result.suggested)

    def contradicted(epoch):  # sure answers that become wrong: a loss without bound
        return batches_of(epoch).map(lambda x, y: (x, y if epoch < 4 else 1 - y))

    result = find_rate(network(), contradicted, seed=0, steps=40, lowest=1e-3, highest=1e4)
    assert 12 < len(result.table) < 40
    assert result.table["smoothed"].iloc[-1] > 4 * result.table["smoothed"].min()


@pytest.mark.parametrize(
    "bad", [{"steps": 9}, {"lowest": 0.0}, {"lowest": 1.0, "highest": 1.0}, {"highest": np.inf}]
)
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match="expected at least 10 steps"):
        find_rate(network(), batches_of, seed=0, **bad)


def test_batches_must_fit():
    with pytest.raises(InputError, match="batches have shapes"):
        find_rate(network(), lambda epoch: batches_of(epoch).map(lambda x, y: x), seed=0)
