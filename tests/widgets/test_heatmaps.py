"""Which explanations a network allows."""

import numpy as np
import pytest

from cnnlab.engine import keras
from cnnlab.explain.methods import cam
from cnnlab.explain.methods.registry import METHODS
from cnnlab.widgets import explainers


def _network(*head: keras.layers.Layer) -> keras.Model:
    convolution = keras.layers.Conv2D(4, 3, activation="relu")
    answer = keras.layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input((12, 12, 3)), convolution, *head, answer])


@pytest.fixture(scope="module")
def flat() -> keras.Model:
    return _network(keras.layers.Flatten())


def test_cam_is_offered_to_networks_that_pool_and_to_no_other(flat):
    pooled = _network(keras.layers.GlobalAveragePooling2D())
    assert set(explainers(pooled)) == set(METHODS)
    assert set(METHODS) - set(explainers(flat)) == {"CAM"}


def test_an_explainer_gives_the_methods_map_of_one_image(flat):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    expected = cam.hires_cam(flat, pixels[None])[0]
    np.testing.assert_array_equal(explainers(flat)["HiResCAM"](pixels), expected)
