"""Every registered network: its size by arithmetic, its layers, its contract."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras

# Weights + biases of each layer, written out. (image size, classes) → parameters.
PINS: dict[str, dict[tuple[int, int], int]] = {
    "reference_cnn": {
        (224, 10): (
            (3 * 3 * 3 * 32 + 32)
            + (3 * 3 * 32 * 64 + 64)
            + (3 * 3 * 64 * 128 + 128)
            + (3 * 3 * 128 * 256 + 256)
            + 4 * (32 + 64 + 128 + 256)  # scale, shift, moving mean, moving variance
            + (14 * 14 * 256 * 512 + 512)  # 224 halved four times is 14
            + (512 * 10 + 10)
        ),  # 26,086,090
        (64, 5): (
            (896 + 18_496 + 73_856 + 295_168)  # convolutions, as above
            + 1_920  # normalisations
            + (4 * 4 * 256 * 512 + 512)  # 64 halved four times is 4
            + (512 * 5 + 5)
        ),  # 2,490,565
    }
}


def network(name: str = "reference_cnn", **changes: object) -> keras.Model:
    arguments = {"image_size": 32, "num_classes": 4, "seed": 0, "l2": 1e-4, "dropout": 0.5}
    return models.build(name, **(arguments | changes))


def photographs(size: int = 32, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def test_every_registered_network_has_a_pin() -> None:
    assert set(PINS) == set(models.REGISTRY)
    assert all(len(pins) >= 2 for pins in PINS.values())


@pytest.mark.parametrize("name", models.REGISTRY)
def test_parameter_counts(name: str) -> None:
    for (image_size, num_classes), count in PINS[name].items():
        assert network(name, image_size=image_size, num_classes=num_classes).count_params() == count


@pytest.mark.parametrize("name", models.REGISTRY)
def test_contract_of_every_network(name: str) -> None:
    model = network(name)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 4)
    assert model.inputs[0].dtype == model.outputs[0].dtype == "float32"
    assert isinstance(model.layers[1], keras.layers.Rescaling)  # callers never scale pixels
    images = photographs()
    probabilities = np.asarray(model(images, training=False))
    assert np.all(probabilities > 0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model(images[:1], training=False), probabilities[:1], atol=1e-6)


@pytest.mark.parametrize("name", models.REGISTRY)
def test_the_seed_decides_the_weights_and_nothing_else_does(name: str) -> None:
    keras.utils.set_random_seed(1)
    one = network(name, seed=5).get_weights()
    keras.utils.set_random_seed(2)
    again = network(name, seed=5).get_weights()
    other = network(name, seed=6).get_weights()
    assert all(map(np.array_equal, one, again))
    kernels = [position for position, weight in enumerate(one) if weight.ndim > 1]
    assert len(kernels) > 1
    assert not any(np.array_equal(one[position], other[position]) for position in kernels)


def test_the_reference_network_layers_in_order() -> None:
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


def test_the_reference_network_layers_have_the_protocol_s_settings() -> None:
    model = network(l2=0.01, dropout=0.3)
    assert model.get_layer("dropout").rate == 0.3
    assert model.get_layer("dense").activation is keras.activations.relu
    assert model.get_layer("probabilities").activation is keras.activations.softmax
    kernels = [model.get_layer(f"conv{block}").kernel.numpy() for block in (1, 2, 3, 4)]
    assert {kernel.shape[:2] for kernel in kernels} == {(3, 3)}
    # The penalty of all convolutions and of nothing else, written out.
    penalty = 0.01 * sum(np.sum(kernel.astype(np.float64) ** 2) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)


def test_the_reference_network_sees_pixels_divided_by_255() -> None:
    model = network()
    view = keras.Model(model.inputs[0], model.get_layer("rescale").output)
    images = photographs()
    np.testing.assert_allclose(view(images), images / 255, rtol=1e-6)


def test_the_reference_network_drops_units_in_training_only() -> None:
    model, images = network(), photographs()
    view = keras.Model(model.inputs[0], model.get_layer("dropout").output)
    assert np.array_equal(view(images, training=False), view(images, training=False))
    assert not np.array_equal(view(images, training=True), view(images, training=True))


def test_the_smallest_image_leaves_one_pixel() -> None:
    assert network(image_size=16).get_layer("pool4").output.shape == (None, 1, 1, 256)


def test_unknown_names_and_single_classes_are_refused() -> None:
    with pytest.raises(
        InputError, match="Unknown architecture 'resnet': expected one of reference_cnn"
    ):
        network("resnet")
    with pytest.raises(InputError, match="at least two classes; got 1"):
        network(num_classes=1)
