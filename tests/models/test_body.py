"""A network in two parts, and what its answers depend on."""

import numpy as np
import pytest
import small_pictures

from cnnlab import models
from cnnlab.artifact import h5
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.features import Head


@pytest.mark.parametrize("units", [0, 5])
def test_features_and_the_dense_layers_behind_them_are_the_network(units):
    model = small_pictures.network(hidden_units=units)
    images = small_pictures.pictures().pixels[:7].astype(np.float32)
    features = models.body(model)(images).numpy()
    assert features.shape == (7, 8)
    layers = models.head_layers(model)
    assert [layer.name for layer in layers] == (["hidden"] if units else []) + ["probabilities"]
    head = Head(tuple((each.kernel.numpy(), each.bias.numpy()) for each in layers))
    np.testing.assert_allclose(head.answers(features), model(images).numpy(), atol=1e-6)


def test_it_finds_the_features_of_a_network_with_a_nested_backbone():
    inputs = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(6, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.Model(inputs, maps, name="backbone")(inputs))
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.Dropout(0.2)(x))
    assert models.body(keras.Model(inputs, outputs)).output_shape == (None, 6)


def test_a_network_that_does_not_pool_has_no_body():
    model = models.build("reference_cnn", image_size=16, num_classes=3, seed=0, l2=0.0, dropout=0.5)
    with pytest.raises(InputError, match=r"reference_cnn has no features.*such as resnet"):
        models.body(model)


def test_a_network_that_does_not_pool_takes_no_hidden_layer():
    with pytest.raises(InputError, match="hidden_units=4 and reference_cnn"):
        models.build(
            "reference_cnn", image_size=16, num_classes=3, seed=0, l2=0.0, dropout=0.5,
            hidden_units=4,
        )  # fmt: skip


def test_the_digest_is_of_what_answers(tmp_path):
    first, other = small_pictures.network(seed=0), small_pictures.network(seed=1)
    digest = models.answers_digest(models.body(first))
    assert models.answers_digest(models.body(other)) != digest
    other.set_weights(first.get_weights())  # only seeds and first weights differ now
    assert models.answers_digest(models.body(other)) == digest
    kept, *rest = first.get_layer("probabilities").get_weights()
    first.get_layer("probabilities").set_weights([kept + 1, *rest])  # the head is no part of it
    assert models.answers_digest(models.body(first)) == digest
    h5.write(first, tmp_path / "model.h5", "{}")
    assert models.answers_digest(models.body(h5.read(tmp_path / "model.h5"))) == digest
    weights = other.get_weights()
    weights[0][0, 0, 0, 0] += 1e-3
    other.set_weights(weights)
    assert models.answers_digest(models.body(other)) != digest
