"""The copy that is trained: of every network of the registry, at any size and precision."""

import logging

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config.model import MODULES
from cnnlab.engine import keras, tf
from cnnlab.training.learner import Learner, copied, frozen
from cnnlab.training.recipe import Recipe, Stage

SIZE = 32


LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in (*MODULES[2:], "mobilenet_v2")]


@pytest.fixture(scope="module", params=[*MODULES[:2], *LARGE])
def model(request: pytest.FixtureRequest) -> keras.Model:
    return models.build(request.param, image_size=SIZE, num_classes=3, seed=1, l2=1e-4, dropout=0.5)


def answers(network: keras.Model, size: int = SIZE) -> np.ndarray:
    images = np.random.default_rng(0).uniform(0, 255, (4, size, size, 3)).astype(np.float32)
    return np.asarray(network(images, training=False))


@pytest.mark.slow
def test_a_copy_gives_the_same_bits_from_weights_of_its_own(model: keras.Model) -> None:
    copy = copied(model)
    expected = answers(model)
    np.testing.assert_array_equal(answers(copy), expected)
    assert [each.path for each in copy.weights] == [each.path for each in model.weights]
    assert not {id(each) for each in copy.weights} & {id(each) for each in model.weights}
    copy.set_weights([each + 1 for each in copy.get_weights()])
    np.testing.assert_array_equal(answers(model), expected)


def test_a_copy_of_another_size_has_the_same_weights(model: keras.Model) -> None:
    if not models.pools_globally(model):  # they depend on the size
        with pytest.raises(ValueError, match="shape"):
            copied(model, image_size=24)
        return
    copy = copied(model, image_size=24)
    assert copy.input_shape == (None, 24, 24, 3)
    for one, other in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert answers(copy, 24).shape == (4, 3)


@pytest.mark.slow
def test_a_copy_in_bfloat16_answers_nearly_the_same_in_float32(model: keras.Model) -> None:
    copy = copied(model, precision="bfloat16")
    found = answers(copy)
    assert found.dtype == np.float32
    assert {weight.dtype for weight in copy.weights} == {"float32"}
    weighted = [layer for layer in copy.layers if layer.weights]
    assert {layer.compute_dtype for layer in weighted[:-1]} == {"bfloat16"}
    np.testing.assert_allclose(found, answers(model), atol=0.05)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@pytest.mark.slow
def test_what_learns_is_counted_from_the_end(model: keras.Model) -> None:
    """Of all layers with weights, last1 freezes some, head more; the dense ones always learn."""

    def learning(trainable: str) -> int:
        names = {layer.name for layer in frozen(model, trainable)}
        dense = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        assert dense[-1] not in names
        stage = Stage(1, trainable)
        network = Learner(model, stage, Recipe((stage,)), steps=1).network
        return len(network.trainable_weights)

    counts = [learning(each) for each in ("head", "last1", "last2", "all")]
    assert counts == sorted(set(counts))
    assert counts[-1] == len(model.trainable_weights)


@pytest.mark.slow
def test_many_trainings_in_one_process_warn_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Each has a network of its own; TensorFlow takes that for one function traced in vain."""
    stage = Stage(1)
    tf.get_logger().propagate, kept = True, tf.get_logger().propagate
    try:
        with caplog.at_level(logging.WARNING, logger="tensorflow"):
            for size in range(16, 24):
                images = keras.Input((size, size, 3))
                pooled = keras.layers.GlobalAveragePooling2D()(images)
                network = keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))
                one = np.ones((1, size, size, 3), np.float32), np.float32([[0, 1]])
                batches = tf.data.Dataset.from_tensors(one)
                recipe = Recipe((stage,), ema_decay=0.9)
                Learner(network, stage, recipe, steps=1).run(batches, seed=0, epoch=1)
    finally:
        tf.get_logger().propagate = kept
    assert caplog.messages == []
