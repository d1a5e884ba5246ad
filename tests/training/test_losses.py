"""Losses: weighted by class under soft targets, and the bits of Keras' own where it has one."""

import numpy as np
import pytest

from cnnlab.config.training import TrainingSettings
from cnnlab.engine import keras, tf
from cnnlab.training.losses import LOSSES, WeightedCrossentropy, crossentropy, focal

WEIGHTS = [0.5, 1.0, 3.0]
TARGETS = np.array([[0.7, 0.3, 0.0], [0.0, 0.25, 0.75]], np.float32)
PROBABILITIES = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], np.float32)


def gradient(loss: keras.losses.Loss, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Of the loss by the logits, through a softmax as the networks have it, in a graph."""

    @tf.function
    def found(values: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = loss(tf.constant(targets), keras.activations.softmax(values))
        return tape.gradient(value, values)

    return found(tf.constant(logits, tf.float32)).numpy()


def test_soft_targets_are_weighted_class_by_class() -> None:
    """By hand: (0.7·0.5·ln 0.6 + 0.3·1·ln 0.3 + 0.25·1·ln 0.2 + 0.75·3·ln 0.6) / -2."""
    by_hand = -(0.35 * np.log(0.6) + 0.3 * np.log(0.3) + 0.25 * np.log(0.2) + 2.25 * np.log(0.6))
    loss = crossentropy(WEIGHTS, 0.0)
    assert float(loss(TARGETS, PROBABILITIES)) == pytest.approx(by_hand / 2, rel=1e-6)


def test_the_gradient_under_soft_targets_is_that_of_the_formula() -> None:
    """d/dz_k of −Σ_c t_c w_c log p_c is p_k Σ_c t_c w_c − t_k w_k."""
    logits = np.log(PROBABILITIES)
    weighted = TARGETS * WEIGHTS
    expected = (PROBABILITIES * weighted.sum(1, keepdims=True) - weighted) / 2
    found = gradient(crossentropy(WEIGHTS, 0.0), TARGETS, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_smoothing_comes_before_the_weights() -> None:
    """0.1 over three classes: a target of 1 becomes 0.9 + 0.1/3, one of 0 becomes 0.1/3."""
    target = np.array([[0, 0, 1]], np.float32)
    smooth = np.array([0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3])
    by_hand = -(smooth * WEIGHTS * np.log(PROBABILITIES[0])).sum()
    loss = crossentropy(WEIGHTS, 0.1)
    assert float(loss(target, PROBABILITIES[:1])) == pytest.approx(by_hand, rel=1e-6)


def test_one_hot_targets_give_the_bits_of_keras_class_weights() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(64, 3)).astype(np.float32) * 3
    targets = np.eye(3, dtype=np.float32)[random.integers(3, size=64)]
    probabilities = np.asarray(keras.ops.softmax(logits))
    plain = keras.losses.CategoricalCrossentropy()
    sample_weight = np.array(WEIGHTS, np.float32)[targets.argmax(1)]
    ours = crossentropy(WEIGHTS, 0.0)(targets, probabilities)
    assert float(ours) == float(plain(targets, probabilities, sample_weight=sample_weight))


def test_equal_weights_are_no_weights() -> None:
    ours, plain = (
        crossentropy(weights, 0.1)(TARGETS, PROBABILITIES) for weights in ([1] * 3, None)
    )
    assert float(ours) == pytest.approx(float(plain), rel=1e-6)


def test_the_focal_loss_by_hand() -> None:
    """−Σ_c w_c t_c (1 − p_c)² log p_c, of the first image alone."""
    terms = np.array(WEIGHTS) * TARGETS[0] * (1 - PROBABILITIES[0]) ** 2 * np.log(PROBABILITIES[0])
    found = focal(WEIGHTS, 0.0)(TARGETS[:1], PROBABILITIES[:1])
    assert float(found) == pytest.approx(-terms.sum(), rel=1e-5)
    unweighted = focal(None, 0.0)(TARGETS[:1], PROBABILITIES[:1])
    assert float(unweighted) == pytest.approx(-(terms / WEIGHTS).sum(), rel=1e-5)


def test_keras_can_store_it() -> None:
    loss = WeightedCrossentropy(WEIGHTS, 0.1)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, WeightedCrossentropy)
    assert float(again(TARGETS, PROBABILITIES)) == float(loss(TARGETS, PROBABILITIES))


def test_the_settings_offer_every_loss() -> None:
    assert TrainingSettings.__dataclass_fields__["loss"].metadata["choices"] == tuple(LOSSES)
