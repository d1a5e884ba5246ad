import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import patches
from cnnlab.explain.patches import Field

layers = keras.layers
RED_DOT = np.zeros((3, 3, 3, 2), np.float32)
RED_DOT[1, 1, 0, 0] = 1
RED_DOT[1, 1, 2, 1] = 1  # the other channel likes blue


@pytest.fixture(scope="module")
def dots():
    """Channel 0 answers to red, channel 1 to blue."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(2, 3, padding="same", use_bias=False, name="conv"),
            layers.MaxPooling2D(2, name="pool"),
        ]
    )
    model.get_layer("conv").set_weights([RED_DOT])
    return model


def branched():
    inputs = keras.Input((20, 20, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(inputs)
    x = layers.DepthwiseConv2D(3, strides=2, name="strided")(x)
    wide = layers.Conv2D(3, 3, dilation_rate=2, padding="same", name="wide")(x)
    x = layers.Add(name="sum")([x, layers.ReLU()(wide)])
    x = layers.AveragePooling2D(2, name="pool")(x)
    return keras.Model(inputs, layers.Flatten(name="flat")(x))


@pytest.mark.parametrize("layer", ["strided", "wide", "sum", "pool"])
def test_the_field_is_where_the_gradient_is(layer):
    """Independent of the rules: with positive weights every pixel that is seen has a slope."""
    model = branched()
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    height, width = patches.receptive_fields(model, layer, 20)
    inner = keras.Model(model.inputs, model.get_layer(layer).output)
    image = tf.Variable(np.ones((1, 20, 20, 3), np.float32))
    with tf.GradientTape() as tape:
        value = inner(image)[0, 2, 3, 0]
    seen = np.abs(tape.gradient(value, image).numpy()[0]).sum(axis=-1) > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    for field, place, found in ((height, 2, rows), (width, 3, columns)):
        start = field.start + place * field.step
        assert (max(start, 0), min(start + field.size, 20)) == (found[0], found[-1] + 1)


def test_fields_by_hand(dots):
    assert patches.receptive_fields(dots, "conv", 16) == (Field(3, 1, -1), Field(3, 1, -1))
    assert patches.receptive_fields(dots, "pool", 16) == (Field(4, 2, -1), Field(4, 2, -1))


def test_what_has_no_field_is_refused():
    with pytest.raises(InputError, match="'flat' has no regular"):
        patches.receptive_fields(branched(), "flat", 20)
    turned = keras.Sequential([keras.Input((8, 8, 3)), layers.UpSampling2D(name="up")])
    with pytest.raises(InputError, match="'up' moves places"):
        patches.receptive_fields(turned, "up", 8)


def test_the_strongest_patches_hold_what_the_channel_likes(dots):
    images = np.full((9, 16, 16, 3), 10, np.uint8)
    places = [(8, 2), (1, 14), (5, 11)]  # row, column
    for image, (row, column), red in zip((1, 4, 7), places, (200, 250, 180), strict=True):
        images[image, row, column, 0] = red
    found = patches.strongest(dots, images, "conv", channels=1, count=3)
    assert found.channels.tolist() == [0]  # blue is nowhere
    assert found.rows.tolist() == [[4, 1, 7]]  # by strength
    assert found.centres[0].tolist() == [[14.5, 1.5], [2.5, 8.5], [11.5, 5.5]]  # x, y
    assert found.pictures.shape == (1, 3, 3, 3, 3)
    assert found.pictures[0, :, 1, 1, 0].tolist() == [250, 200, 180]
    np.testing.assert_array_equal(found.pictures[0, 1], images[1, 7:10, 1:4])
    boxes = np.full((9, 4), np.nan)
    boxes[4], boxes[1] = (14, 0, 16, 2), (0, 0, 2, 16)  # the one holds its dot, the other does not
    assert patches.share_on_object(found, boxes) == 0.5
    assert np.isnan(patches.share_on_object(found, np.full((9, 4), np.nan)))
    area = (1 + 14) / 14**2 / 2  # of the places in the two boxes, those of the ring left out
    assert patches.chance_on_object(found, boxes) == pytest.approx(area)


def test_the_outermost_ring_is_left_out_and_beyond_the_edge_is_grey(dots):
    images = np.full((1, 16, 16, 3), 10, np.uint8)
    images[0, 0, :, 0] = 250  # the ring
    images[0, 2, 3, 0] = 200
    found = patches.strongest(dots, images, "conv", channels=2, count=1)
    assert found.centres[found.channels.tolist().index(0), 0].tolist() == [3.5, 2.5]
    images[0, 0] = 10
    deep = patches.strongest(dots, images, "pool", channels=2, count=1)
    assert deep.centres[deep.channels.tolist().index(0), 0].tolist() == [3.0, 3.0]
    assert (
        patches._cut(images, np.array([-1]), np.array([5]), 3, 3)[0, 0].tolist() == [[128] * 3] * 3
    )
