import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.methods import occlusion

layers = keras.layers
SIZE = 6


@pytest.fixture(scope="module")
def linear():
    """Two scores that are weighted sums of all pixels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)


def literal_falls(model, images, target, patch, starts, fill):
    """The score before and after, patch by patch."""
    falls = np.zeros((len(images), len(starts), len(starts)))
    for i, top in enumerate(starts):
        for j, left in enumerate(starts):
            covered = images.astype(np.float32)
            covered[:, top : top + patch, left : left + patch] = fill
            falls[:, i, j] = (model(images.astype(np.float32)) - model(covered))[:, target]
    return falls


@pytest.mark.parametrize(
    ("patch", "stride", "starts"), [(2, 2, [0, 2, 4]), (3, 2, [0, 2, 3]), (6, 1, [0])]
)
def test_the_score_falls_as_when_covered_by_hand(linear, images, patch, stride, starts):
    expected = literal_falls(linear, images, 1, patch, starts, 20)
    found = occlusion.score_falls(
        linear, images, target=1, patch=patch, stride=stride, fill=20, copies=4
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    planes, covering = np.zeros((3, SIZE, SIZE)), np.zeros((SIZE, SIZE))
    for i, top in enumerate(starts):
        for j, left in enumerate(starts):
            rows, columns = slice(top, top + patch), slice(left, left + patch)
            planes[:, rows, columns] += expected[:, i, j, None, None]
            covering[rows, columns] += 1
    planes /= covering
    signed = occlusion.occlusion(
        linear, images, target=1, patch=patch, stride=stride, fill=20, signed=True
    )
    peaks = np.abs(planes).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(signed, planes / peaks, atol=1e-4)


def test_a_patch_of_one_pixel_on_a_linear_network_gives_value_times_weight(linear, images):
    weights = linear.layers[-1].get_weights()[0][:, 0].reshape(SIZE, SIZE, 3)
    found = occlusion.score_falls(linear, images, target=0, patch=1, stride=1, fill=0)
    np.testing.assert_allclose(found, (images * weights).sum(axis=-1), atol=2e-3)


def test_pixels_between_patches_stay_zero(linear, images):
    found = occlusion.occlusion(linear, images, target=0, patch=1, stride=2, signed=True)
    assert not found[:, 1, 1].any()
    assert found[:, 0, 0].all()


def test_the_prediction_of_the_whole_image_is_explained(linear, images):
    predicted = linear(images.astype(np.float32)).numpy().argmax(axis=1)
    np.testing.assert_array_equal(
        occlusion.score_falls(linear, images),
        occlusion.score_falls(linear, images, target=predicted),
    )


def test_the_bar_is_asked_for(linear, images, capsys):
    occlusion.occlusion(linear, images, patch=3, stride=3)
    assert capsys.readouterr().out == ""
    occlusion.occlusion(linear, images, patch=3, stride=3, progress=True)
    assert "12/12" in capsys.readouterr().out


@pytest.mark.parametrize(("patch", "stride"), [(0, 1), (7, 1), (2, 0)])
def test_patches_that_do_not_fit_are_refused(linear, images, patch, stride):
    with pytest.raises(InputError, match=r"expected a patch of 1…6 pixels"):
        occlusion.occlusion(linear, images, patch=patch, stride=stride)


def test_a_layer_is_refused(linear, images):
    with pytest.raises(InputError, match="explains pixels, not layer 'conv'"):
        occlusion.occlusion(linear, images, layer="conv")
