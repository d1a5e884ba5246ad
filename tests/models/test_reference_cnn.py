"""The reference network: its layers by name, its settings, its options."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras


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


@pytest.mark.parametrize("filters", ["", "0", "4-", "4--4", "4-4-4-4-4", "٤", "1025", "4 4"])
def test_odd_filters_are_refused(filters, network) -> None:
    with pytest.raises(InputError, match="expected 1 to 4 whole numbers from 1 to 1024"):
        network(options=f"filters={filters}")
