import importlib
import warnings

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain.methods import score_cam

layers = keras.layers


def red_and_green(weights):
    """The red and the green plane, their means, and one score per column of the weights."""
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(2, 1, use_bias=False, name="planes")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(weights.shape[1], use_bias=False, name="scores")(x))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0, 0] = kernel[0, 0, 1, 1] = 1
    model.get_layer("planes").set_weights([kernel])
    model.get_layer("scores").set_weights([weights])
    return model


IMAGE = np.zeros((1, 2, 2, 3), np.float32)
IMAGE[0, :, :, 0] = [[4, 2], [0, 0]]
IMAGE[0, :, :, 1] = [[0, 0], [2, 2]]


def test_map_known_by_hand():
    model = red_and_green(np.array([[1.0], [3.0]], np.float32))
    # Masks: red (1, ½; 0, 0), green (0, 0; 1, 1). Red keeps 4 and 1 of red: mean 5/4, score 5/4.
    # Green keeps both greens: mean 1, score 3. Their softmax weighs the planes.
    red = 1 / (1 + np.exp(3 - 5 / 4))
    expected = np.array([[4 * red, 2 * red], [2 * (1 - red)] * 2])
    found = score_cam.score_cam(model, IMAGE, target=0)[0]
    np.testing.assert_allclose(found, expected / expected.max(), rtol=1e-5)


def test_a_map_that_is_constant_masks_everything():
    model = red_and_green(np.array([[1.0], [3.0]], np.float32))
    flat = IMAGE.copy()
    flat[..., 1] = 5  # says nothing about places: its mask is zero, and so is its score
    red = 1 / (1 + np.exp(-(5 + 3 * 7.5) / 4))  # through red's mask, 5 and 2.5 of green are seen
    expected = np.array([[4, 2], [0, 0]]) * red + 5 * (1 - red)
    found = score_cam.score_cam(model, flat, target=0)[0]
    np.testing.assert_allclose(found, expected / expected.max(), rtol=1e-5)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(7, 3, padding="same", activation="relu", name="last")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.MaxPooling2D()(x))))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), np.uint8)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_maps_against_another_library(network, images, capsys):
    """It weighs by probabilities: so does the softmax of their logarithms, up to scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports are deprecated by SciPy
        other = importlib.import_module("tf_keras_vis.scorecam").Scorecam(network)
    expected = other(
        lambda outputs: outputs[:, 2], images.astype(np.float32),
        penultimate_layer="last", normalize_cam=False,
    )  # fmt: skip
    capsys.readouterr()
    found = score_cam.score_cam(
        network, images, target=lambda outputs: tf.nn.log_softmax(outputs)[:, 2]
    )
    np.testing.assert_allclose(found, expected / expected.max(axis=(1, 2), keepdims=True), 2e-4)


def test_the_bound_on_copies_is_kept_and_does_not_matter(network, images, monkeypatch):
    expected = score_cam.score_cam(network, images)
    sizes = []
    trace = score_cam.trace

    def noting(model, function, key, body, signature):
        run = trace(model, function, key, body, signature)

        def noted(*tensors):
            sizes.append(len(tensors[-1]) if key[0] == "masked" else 0)
            return run(*tensors)

        return noted

    monkeypatch.setattr(score_cam, "trace", noting)
    np.testing.assert_allclose(score_cam.score_cam(network, images, copies=3), expected, atol=1e-5)
    assert max(sizes) == 3
    assert sum(sizes) == 5 * 7  # images × channels


def test_the_bar_is_asked_for(network, images, capsys):
    score_cam.score_cam(network, images)
    assert capsys.readouterr().out == ""
    score_cam.score_cam(network, images, progress=True)
    assert "35/35" in capsys.readouterr().out


def test_the_explained_class_stays_the_one_of_the_whole_image(network, images):
    predicted = network(images.astype(np.float32)).numpy().argmax(axis=1)
    np.testing.assert_array_equal(
        score_cam.score_cam(network, images), score_cam.score_cam(network, images, target=predicted)
    )


def test_only_the_feature_maps_that_vary_most_are_looked_through():
    """Red varies more than green, so one map alone is red's, though green scores higher."""
    model = red_and_green(np.array([[1.0], [3.0]], np.float32))
    found = score_cam.score_cam(model, IMAGE, target=0, channels=1)[0]
    np.testing.assert_allclose(found, [[1, 0.5], [0, 0]], rtol=1e-5)
    both = [score_cam.score_cam(model, IMAGE, target=0, channels=many) for many in (None, 2, 9)]
    assert all(np.array_equal(each, both[0]) for each in both)
    with pytest.raises(InputError, match="channels=0: expected 1 or more, or None for all"):
        score_cam.score_cam(model, IMAGE, channels=0)


def test_each_image_has_its_own_choice_of_feature_maps(network, images):
    alone = [score_cam.score_cam(network, images[[i]], channels=3)[0] for i in range(len(images))]
    together = score_cam.score_cam(network, images, channels=3)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert not np.allclose(together, score_cam.score_cam(network, images), atol=1e-3)
