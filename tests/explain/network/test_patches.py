import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import patches

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


def strided(height, width, channels=3):
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False, name="conv"),
            layers.GlobalAveragePooling2D(keepdims=True, name="mean"),
            layers.UpSampling2D(2, name="enlarged"),
            layers.ReLU(name="behind"),
        ]
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_of_an_oblong_image_have_the_bright_pixel_in_the_middle(channels):
    model = strided(16, 15, channels)
    kernel = np.zeros((3, 3, channels, 1))
    kernel[1, 1] = 1
    model.get_layer("conv").set_weights([kernel])
    images = np.zeros((1, 16, 15, channels), np.uint8)
    images[0, 7, 6] = 200  # what place (3, 3) has in its middle
    found = patches.strongest(model, images, "conv", channels=1, count=1)
    assert found.centres.tolist() == [[[6.5, 7.5]]]
    assert found.pictures.shape == (1, 1, 3, 3, channels)
    assert found.pictures[0, 0, 1, 1].tolist() == [200] * channels
    assert found.pictures.sum() == 200 * channels


def test_nothing_to_choose_from_is_refused(dots):
    images = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="No images"):
        patches.strongest(dots, images[:0], "conv")
    for change in ({"channels": 0}, {"count": 0}):
        with pytest.raises(InputError, match="1 or more"):
            patches.strongest(dots, images, "conv", **change)


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


def test_beyond_the_edge_is_grey_also_far_beyond_it():
    """A place may see padding only, here up to six pixels away from the image."""
    padded = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.ZeroPadding2D(6, name="padding"),
            layers.Conv2D(1, 3, name="conv"),
        ]
    )
    kernel = -np.ones((3, 3, 3, 1))
    padded.get_layer("conv").set_weights([kernel, np.ones(1)])  # likes the padding best
    images = np.full((1, 4, 4, 3), 200, np.uint8)
    (found,) = patches.strongest(padded, images, "conv", channels=1, count=1).pictures[0]
    assert (found == 128).all()
    kernel[0, 0] = 1000  # what a pixel at its upper left corner excites
    padded.get_layer("conv").set_weights([kernel, np.ones(1)])
    images[0, 3, 3] = 250
    (found,) = patches.strongest(padded, images, "conv", channels=1, count=1).pictures[0]
    assert found[..., 0].tolist() == [[250, 128, 128], [128] * 3, [128] * 3]


def test_whole_images_stand_for_pieces_where_nothing_regular_is_seen():
    turned = layers.Permute((2, 1, 3), name="turned")
    model = keras.Sequential([keras.Input((8, 8, 3)), turned])
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    found = patches.strongest(model, images, "turned", channels=1, count=2)
    np.testing.assert_array_equal(found.pictures[0], images[found.rows[0]])
    assert (found.centres == 4).all()
    flat = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(name="flat")])
    with pytest.raises(InputError, match=r"\(3, 192\): expected maps"):
        patches.strongest(flat, images, "flat")


def test_a_piece_is_no_larger_than_the_image():
    wide = layers.Conv2D(1, 21, padding="same", use_bias=False, name="wide")
    model = keras.Sequential([keras.Input((8, 9, 3)), wide])
    kernel = np.zeros((21, 21, 3, 1))
    kernel[10, 10] = 1  # what is in the middle
    wide.set_weights([kernel])
    images = np.zeros((1, 8, 9, 3), np.uint8)
    images[0, 3, 6] = 200
    found = patches.strongest(model, images, "wide", channels=1, count=1)
    assert found.pictures.shape == (1, 1, 8, 9, 3)
    assert found.centres.tolist() == [[[6.5, 3.5]]]
    (piece,) = found.pictures[0]
    assert np.argwhere(piece[..., 0] == 200).tolist() == [[4, 4]]
