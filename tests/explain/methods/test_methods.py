"""What every method promises."""

import random

import numpy as np
import pytest

from cnnlab.engine import keras
from cnnlab.explain.methods.registry import METHODS

layers = keras.layers
EACH = pytest.mark.parametrize("name", METHODS)
# Those that change the images or read a plane more than once take few of them to be quick.
QUICK = {"occlusion": {"patch": 4, "stride": 4}, "integrated gradients": {"steps": 4}}
SIGNED = ("CAM", "Grad-CAM", "HiResCAM", "occlusion", "integrated gradients")


@pytest.fixture(scope="module")
def model():
    """Compiled, with noise, state and a regularised activation: much that could be touched."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.RandomFlip(seed=1)(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(4, 3, padding="same", activity_regularizer="l2", name="first")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="last")(x)
    x = layers.Dropout(0.5, seed=2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.get_layer("first").trainable = False
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


def state(model):
    """Return all that a method might have changed."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    generators = [getattr(layer, "generator", None) for layer in model.layers]
    generators += [getattr(layer, "seed_generator", None) for layer in model.layers]
    variables += [generator.state for generator in generators if generator]
    return {
        "values": [np.array(variable.value) for variable in variables],
        "flags": [(layer.trainable, layer.built, sorted(vars(layer))) for layer in model.layers],
        "nodes": [(len(one._inbound_nodes), len(one._outbound_nodes)) for one in model.layers],
        "losses": len(model.losses),
        "compiled": (model.compiled, model.optimizer, model.loss, model.train_function),
        "seed": random.getstate(),
    }


@EACH
def test_model_and_images_are_left_untouched(model, images, name):
    method, keyword = METHODS[name], QUICK.get(name, {})
    pixels, before = images.copy(), state(model)
    pixels.setflags(write=False)
    heatmaps = method(model, pixels, target=1, **keyword)
    np.testing.assert_array_equal(pixels, images)
    assert not np.shares_memory(heatmaps, pixels)
    after = state(model)
    assert len(before["values"]) > 16  # weights, optimizer, metrics and two seed generators
    for old, new in zip(before.pop("values"), after.pop("values"), strict=True):
        np.testing.assert_array_equal(old, new)
    assert before == after


@EACH
def test_maps_are_float32_in_range_at_image_size(model, images, name):
    method, keyword = METHODS[name], QUICK.get(name, {})
    heatmaps = method(model, images, **keyword)
    assert (heatmaps.dtype, heatmaps.shape) == (np.float32, (3, 8, 8))
    assert isinstance(heatmaps, np.ndarray)
    assert heatmaps.min() >= 0
    assert heatmaps.max() == 1
    np.testing.assert_array_equal(method(model, images.astype(np.float32), **keyword), heatmaps)
    assert method(model, images[:0], **keyword).shape == (0, 8, 8)
    if name in SIGNED:
        signed = method(model, images, signed=True, **keyword)
        assert signed.dtype == np.float32
        np.testing.assert_allclose(np.abs(signed).max(axis=(1, 2)), 1)


@EACH
def test_an_image_has_the_same_map_in_any_company(model, images, name):
    method, keyword = METHODS[name], QUICK.get(name, {})
    together = method(model, images, **keyword)
    for image, expected in zip(images, together, strict=True):
        np.testing.assert_allclose(method(model, image[None], **keyword)[0], expected, atol=1e-4)
