import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import features, maximisation

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 1, use_bias=False, name="colours")(inputs)
    y = layers.Conv2D(4, 3, activation="relu", name="mixed")(x)
    model = keras.Model(inputs, layers.Flatten(name="flat")(y))
    kernel = np.zeros((1, 1, 3, 2))
    kernel[0, 0, :, 0] = [1, 0, 0]
    kernel[0, 0, :, 1] = [0, 1, -1]
    model.get_layer("colours").set_weights([kernel])
    return model


def test_a_channel_of_colour_gets_a_picture_of_that_colour(model):
    red, other = maximisation.maximised(model, "colours", [0, 1], size=8, seed=0)
    assert red.dtype == np.uint8
    assert (red[1:-1, 1:-1, 0] == 255).all()
    assert abs(red[..., 1:].mean() - 127.5) < 2  # what it does not read stays as it began
    assert (other[1:-1, 1:-1, 1] == 255).all()
    assert (other[1:-1, 1:-1, 2] == 0).all()


def test_what_only_the_padding_excites_is_not_climbed():
    """Steps from left to right add up: all that counts are the ends, without the rim or with it."""
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Conv2D(1, (1, 3), padding="same", use_bias=False, name="steps")(inputs)
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((1, 3, 3, 1))
    kernel[0, :2, :, 0] = [[-1], [1]]
    model.get_layer("steps").set_weights([kernel])
    (picture,) = maximisation.maximised(model, "steps", [0], size=8, seed=0)
    assert (picture[1:-1, 0] == 0).all()  # with the rim, the padding beside it would take its part
    assert (picture[1:-1, 6] == 255).all()
    np.testing.assert_allclose(picture[:, 3], 127.5, atol=25)


def test_the_channel_answers_more_after_every_ten_steps(model):
    pictures = [
        maximisation.maximised(model, "mixed", [2], size=8, seed=0, steps=steps, rate=4)
        for steps in (0, 10, 20)
    ]
    found = features.activations(model, np.concatenate(pictures), ["mixed"])["mixed"]
    assert (np.diff(found[..., 2].mean(axis=(1, 2))) > 0).all()


def test_it_is_the_same_each_time(model):
    once, again = (
        maximisation.maximised(model, "mixed", [0, 1], size=8, seed=3, steps=5) for _ in range(2)
    )
    np.testing.assert_array_equal(once, again)


def test_no_channels_get_no_pictures(model):
    found = maximisation.maximised(model, "mixed", [], size=8, seed=0)
    assert (found.shape, found.dtype) == ((0, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("layer", "channels", "says"),
    [
        ("flat", [0], "gives no maps"),
        ("flat", [], "gives no maps"),
        ("mixed", [4], "expected 0 to 3"),
        ("mixed", [-1], "expected 0 to 3"),
        ("none", [0], "No layer"),
    ],
)
def test_what_is_not_there_is_refused(model, layer, channels, says):
    with pytest.raises(InputError, match=says):
        maximisation.maximised(model, layer, channels, size=8, seed=0)


def test_a_channel_that_is_silent_at_the_start_is_woken():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(1, 1, name="conv"), layers.ReLU(name="out")]
    )
    kernel = np.zeros((1, 1, 3, 1))
    kernel[0, 0, 2] = 1
    model.get_layer("conv").set_weights([kernel, np.array([-200.0])])
    (found,) = maximisation.maximised(model, "out", [0], size=8, seed=0)
    assert (found[1:-1, 1:-1, 2] == 255).all()
