"""The reference network: its layers by name, its settings, its options."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain.methods import pooled


def test_the_layers_in_order(network) -> None:
    layers = network(image_size=64).layers
    found = [(layer.name, type(layer).__name__, layer.output.shape[1:]) for layer in layers]
    expected = [("images", "InputLayer", (64, 64, 3)), ("rescale", "Rescaling", (64, 64, 3))]
    for block, (side, filters) in enumerate([(64, 32), (32, 64), (16, 128), (8, 256)], 1):
        expected += [
            (f"conv{block}", "Conv2D", (side, side, filters)),
            (f"relu{block}", "ReLU", (side, side, filters)),
            (f"norm{block}", "BatchNormalization", (side, side, filters)),
            (f"pool{block}", "MaxPooling2D", (side // 2, side // 2, filters)),
        ]
    expected += [
        ("flatten", "Flatten", (4 * 4 * 256,)),
        ("dense", "Dense", (512,)),
        ("dropout", "Dropout", (512,)),
        ("probabilities", "Dense", (4,)),
    ]
    assert found == expected


def test_the_layers_have_the_protocol_s_settings(network) -> None:
    model = network(l2=0.01, dropout=0.3)
    assert model.get_layer("dropout").rate == 0.3
    assert model.get_layer("dense").activation is keras.activations.relu
    assert model.get_layer("probabilities").activation is keras.activations.softmax
    kernels = [model.get_layer(f"conv{block}").kernel.numpy() for block in (1, 2, 3, 4)]
    assert {kernel.shape[:2] for kernel in kernels} == {(3, 3)}
    # The penalty of all convolutions and of nothing else, written out.
    penalty = 0.01 * sum(np.sum(kernel.astype(np.float64) ** 2) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)


def test_it_sees_pixels_divided_by_255(network, photographs) -> None:
    model, images = network(), photographs()
    view = keras.Model(model.inputs[0], model.get_layer("rescale").output)
    np.testing.assert_allclose(view(images), images / 255, rtol=1e-6)


def test_the_smallest_image_leaves_one_pixel(network) -> None:
    assert network(image_size=16).get_layer("pool4").output.shape == (None, 1, 1, 256)


def test_its_stages_are_the_rectified_maps(network) -> None:
    assert models.stages(network()) == ("relu1", "relu2", "relu3", "relu4")


def test_filters_and_units_can_be_chosen(network) -> None:
    model = network(options="filters=4-6,dense_units=7")
    assert models.stages(model) == ("relu1", "relu2")
    assert model.get_layer("conv2").kernel.shape == (3, 3, 4, 6)
    assert model.get_layer("dense").kernel.shape == (8 * 8 * 6, 7)


def test_pooled_globally_it_differs_in_that_layer_alone(network, photographs) -> None:
    plain, averaged = network(), network(options="pool=global")
    names = [[layer.name for layer in model.layers] for model in (plain, averaged)]
    assert names[1] == ["global_pool" if name == "flatten" else name for name in names[0]]
    assert models.stages(averaged) == models.stages(plain)
    assert models.pools_globally(averaged)
    assert not models.pools_globally(plain)
    for one, other in zip(plain.layers[:18], averaged.layers[:18], strict=True):
        assert all(map(np.array_equal, one.get_weights(), other.get_weights()))
    maps = keras.Model(averaged.inputs[0], averaged.get_layer("pool4").output)(photographs())
    means = keras.Model(averaged.inputs[0], averaged.get_layer("global_pool").output)(photographs())
    np.testing.assert_allclose(means, np.mean(maps, axis=(1, 2)), rtol=1e-5, atol=1e-6)
    said = models.describe(averaged)
    assert "then global average pooling, a hidden layer of 512 units, dropout and a softmax" in said
    assert said.endswith("as many at every image size.")


def test_pooled_and_without_a_dense_layer_it_has_class_activation_maps(network, photographs):
    """The maps of pool4, 2 × 2 here, weighted by the class's weights, each enlarged 16 times."""
    model, images = network(options="pool=global,dense_units=0"), photographs()
    assert [layer.name for layer in models.head_layers(model)] == ["probabilities"]
    maps = keras.Model(model.inputs[0], model.get_layer("pool4").output)(images)
    weights = model.get_layer("probabilities").kernel.numpy()[:, 2]
    expected = tf.image.resize((np.asarray(maps) @ weights)[..., None], (32, 32))[..., 0]
    found = pooled.class_activation(model, images, target=2, signed=True)
    peaks = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected / peaks, atol=1e-4)
    with pytest.raises(InputError, match="no pooled head"):
        pooled.class_activation(network(options="pool=global"), images)


@pytest.mark.parametrize("filters", ["", "0", "4-", "4--4", "4-4-4-4-4", "٤", "1025", "4 4"])
def test_odd_filters_are_refused(filters, network) -> None:
    with pytest.raises(InputError, match="expected 1 to 4 whole numbers from 1 to 1024"):
        network(options=f"filters={filters}")
