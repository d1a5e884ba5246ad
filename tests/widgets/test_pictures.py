"""Pictures inside the page: they are the photo and the heatmap that were given."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.plots import heatmap_overlay
from cnnlab.widgets import pictures


def _decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_a_photo_keeps_its_colours_and_its_shape(picture):
    photo = pictures.photo(picture("teal", size=(60, 20)))
    expected = np.broadcast_to((0, 128, 128), (2 * pictures.BOX, 2 * pictures.BOX, 3))
    np.testing.assert_allclose(_decoded(photo.url), expected, atol=6)
    assert (photo.width, photo.height) == (60, 20)
    assert photo.box == (pictures.BOX, pictures.BOX / 3)


@pytest.mark.parametrize(("orientation", "size"), [(1, (60, 20)), (3, (60, 20)), (6, (20, 60))])
def test_a_photo_stands_upright(picture, orientation, size):
    photo = pictures.photo(picture(size=(60, 20), orientation=orientation))
    assert (photo.width, photo.height) == size


def test_a_photo_is_fitted_as_the_network_sees_it(picture):
    content = picture("teal", size=(60, 20))
    padded = pictures.photo(content, images.Preprocessing(fit="pad", background="black"))
    side = 2 * pictures.BOX
    shown = _decoded(padded.url).reshape(3, side // 3, side, 3)
    assert (shown[[0, 2]] < 30).mean() > 0.9  # two borders of a third each; JPEG smears a little
    np.testing.assert_allclose(
        shown[1, 8:-8], np.broadcast_to((0, 128, 128), (side // 3 - 16, side, 3)), atol=9
    )
    cropped = pictures.photo(content, images.Preprocessing(fit="crop"))
    assert padded.box == cropped.box == (pictures.BOX, pictures.BOX)
    assert (cropped.width, cropped.height) == (60, 20)


def test_heat_over_a_photo_is_what_the_figures_show():
    """Laying colours over a photo with opacity a is (1 − a) · photo + a · colours."""
    draw = np.random.default_rng(1)
    heatmap = draw.random((6, 6), np.float32)
    photo = draw.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    colours = _decoded(pictures.heat(heatmap)).astype(np.float32)
    laid = 0.7 * photo + 0.3 * colours
    np.testing.assert_allclose(laid, heatmap_overlay(photo, heatmap, 0.3), atol=1)
