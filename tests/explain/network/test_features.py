import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import features

KERNEL = np.zeros((1, 1, 3, 2), np.float32)
KERNEL[0, 0, 0, 0] = 1  # red
KERNEL[0, 0, 1, 1] = -1  # green, negated


@pytest.fixture(scope="module")
def model():
    backbone = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 1, use_bias=False, name="planes"),
            keras.layers.ReLU(name="rectified"),
        ],
        name="backbone",
    )
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="mixed")(backbone(inputs))
    x = keras.layers.Dense(2, activation="softmax", name="classes")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    backbone.get_layer("planes").set_weights([KERNEL])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(1, 256, (3, 4, 4, 3), np.uint8)


def test_activations_are_what_the_layers_compute(model, images):
    names = ["rectified", "backbone/planes", "classes"]
    found = features.activations(model, images, names)
    assert list(found) == names
    planes = np.stack([images[..., 0], -images[..., 1].astype(float)], axis=-1)
    np.testing.assert_array_equal(found["backbone/planes"], planes)
    np.testing.assert_array_equal(found["rectified"], np.maximum(planes, 0))
    np.testing.assert_allclose(found["classes"], model.predict(images, verbose=0), rtol=1e-5)
    assert all(maps.dtype == np.float32 for maps in found.values())


def test_reduced_never_holds_more_than_a_batch(model):
    images = np.random.default_rng(1).integers(0, 256, (70, 4, 4, 3), np.uint8)
    sizes = []

    def largest(maps, name):
        assert name == "rectified"
        sizes.append(len(maps))
        return maps.max(axis=(1, 2))

    found = features.reduced(model, images, ["rectified"], largest)["rectified"]
    assert sizes == [32, 32, 6]
    np.testing.assert_array_equal(found[:, 0], images[..., 0].max(axis=(1, 2)))


def test_no_images_have_no_maps(model):
    none = np.zeros((0, 4, 4, 3), np.uint8)
    found = features.activations(model, none, ["rectified", "classes"])
    assert {name: values.shape for name, values in found.items()} == {
        "rectified": (0, 4, 4, 2),
        "classes": (0, 2),
    }
    assert all(values.dtype == np.float32 for values in found.values())
    highest = features.reduced(model, none, ["rectified"], lambda maps, _: maps.max(axis=(1, 2)))
    assert highest["rectified"].shape == (0, 2)


def test_wrong_names_list_the_possible_ones(model, images):
    with pytest.raises(InputError, match=r"No layer 'conv'.*backbone/rectified.*classes"):
        features.activations(model, images, ["mixed", "conv"])


def test_a_layer_that_computes_nothing_is_refused(model, images):
    name = model.layers[0].name
    with pytest.raises(InputError, match=f"{name}: no output to show"):
        features.activations(model, images, [name])


def first_of(*steps, channels=3):
    return keras.Sequential([keras.Input((8, 8, channels)), *steps])


def test_first_filters_are_a_copy_of_the_kernel_that_sees_the_pixels(model):
    found = features.first_filters(model)
    np.testing.assert_array_equal(found, KERNEL)
    found += 1
    np.testing.assert_array_equal(features.first_filters(model), KERNEL)
    large = first_of(keras.layers.ZeroPadding2D(3), keras.layers.Conv2D(4, 7, strides=2))
    assert features.first_filters(large).shape == (7, 7, 3, 4)


def test_a_depthwise_kernel_sees_one_channel():
    layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    found = features.first_filters(first_of(layer))
    assert found.shape == (3, 3, 1, 6)
    np.testing.assert_array_equal(found[:, :, 0, 3], layer.get_weights()[0][:, :, 1, 1])


def test_the_kernels_of_a_separable_convolution_are_what_it_does_to_an_image():
    layer = keras.layers.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=False)
    transposed = keras.layers.Conv2DTranspose(5, 3, use_bias=False, padding="valid")
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    found = features.first_filters(first_of(layer))
    plain = keras.ops.conv(image, found)
    np.testing.assert_allclose(layer(image), plain, atol=1e-5)
    turned = features.first_filters(first_of(transposed))[::-1, ::-1]
    around = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(transposed(image), keras.ops.conv(around, turned), atol=1e-5)


def test_without_kernels_on_the_pixels_a_sentence_says_so():
    with pytest.raises(InputError, match="has no convolution: no kernels see the colours"):
        features.first_filters(first_of(keras.layers.Flatten()))
    shuffled = first_of(keras.layers.Reshape((4, 4, 12)), keras.layers.Conv2D(2, 1, name="later"))
    with pytest.raises(InputError, match="has 'later' behind others: no kernels"):
        features.first_filters(shuffled)
