"""Fit and background: "turn upright, lay over the background, then fit", with Pillow as oracle."""

import io
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.config import InputError
from cnnlab.config.data import BACKGROUNDS, FITS, DataSettings
from cnnlab.engine import tf
from cnnlab.images import STANDARD, Preprocessing, decode, prepare

EVERY = [Preprocessing(fit=fit, background=ground) for fit, ground in product(FITS, BACKGROUNDS)]
ORIENTATION = 0x0112
GREY = {"white": 255, "black": 0, "grey": 128}


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Smooth, and different in every corner: a shift by half a pixel shows, rounding does not."""
    rng = np.random.default_rng(width * 10_000 + height)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 4), dtype=np.uint8), "RGBA")
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, name: str = "PNG", orientation: int = 1, **options) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(file, name, exif=exif, **options)
    return file.getvalue()


def oracle(image_bytes: bytes, size: int, wanted: Preprocessing) -> np.ndarray:
    """What the settings promise, by Pillow alone: int (S, S, 3)."""
    with Image.open(io.BytesIO(image_bytes)) as stored:
        image = ImageOps.exif_transpose(stored)
    ground = (GREY[wanted.background],) * 3
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), image.convert("RGBA"))
    image = image.convert("RGB")
    width, height = image.size
    options = {"resample": Image.Resampling.BILINEAR}
    if wanted.fit == "stretch":
        return np.asarray(image.resize((size, size), **options), int)
    if wanted.fit == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        box = (left, top, left + short, top + short)
        return np.asarray(image.resize((size, size), box=box, **options), int)
    sides = [
        max(floor(Fraction(size * side, max(width, height)) + Fraction(1, 2)), 1)
        for side in (width, height)
    ]
    square = Image.new("RGB", (size, size), ground)
    square.paste(image.resize(sides, **options), [(size - side) // 2 for side in sides])
    return np.asarray(square, int)


def difference(image_bytes: bytes, size: int, wanted: Preprocessing) -> int:
    found = decode(image_bytes, size, wanted)
    assert (found.dtype, found.shape) == (np.uint8, (size, size, 3))
    return int(np.abs(found.astype(int) - oracle(image_bytes, size, wanted)).max())


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_first(orientation, fit):
    wanted = Preprocessing(fit=fit, background="grey")
    for width, height in ((61, 40), (40, 61), (33, 32), (9, 200), (57, 57)):
        content = encoded(picture(width, height), "JPEG", orientation, quality=95)
        for size in (16, 33):
            assert difference(content, size, wanted) <= 1, (width, height, size)


@pytest.mark.parametrize("wanted", EVERY, ids=lambda each: each.key)
@pytest.mark.slow
def test_transparency_is_laid_over_the_background(wanted):
    for mode in ("RGBA", "LA"):
        assert difference(encoded(picture(50, 31, mode)), 24, wanted) <= 1
    # A white drawing on nothing: it is there on black and on grey.
    drawing = np.zeros((20, 20, 4), np.uint8)
    drawing[5:15, 5:15] = 255
    found = decode(encoded(Image.fromarray(drawing)), 20, wanted)
    np.testing.assert_array_equal(found[5:15, 5:15], 255)
    assert (found[:5] == GREY[wanted.background]).all()


@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
@pytest.mark.parametrize("name", ["WEBP", "TIFF"])
def test_other_formats_are_fitted_alike(name, mode):
    for wanted in EVERY[::2]:
        content = encoded(
            picture(45, 70, mode), name, **({"lossless": True} if name == "WEBP" else {})
        )
        assert difference(content, 20, wanted) <= 1


@pytest.mark.parametrize("side", [(1, 4000), (4000, 1), (1, 1), (3, 4000), (2, 1)])
@pytest.mark.parametrize("fit", FITS)
def test_extreme_proportions(side, fit):
    """``inspect`` refuses such files; the graph must hold all the same, at its usual size."""
    wanted = Preprocessing(fit=fit, background="black")
    content = encoded(Image.new("RGB", side, "white"))
    for size in (16, 17):
        found = prepare(tf.constant(content), size, wanted).numpy()
        expected = oracle(content, size, wanted)
        np.testing.assert_array_equal(found, expected)
        assert (found == 255).any(), "nothing of the picture is left"


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_a_square_is_fitted_as_it_always_was(fit):
    content = encoded(picture(60, 60, "RGBA"))
    found = decode(content, 24, Preprocessing(fit=fit))
    np.testing.assert_array_equal(found, decode(content, 24))


def test_borders_are_in_the_background_and_the_picture_is_in_the_middle():
    content = encoded(Image.new("RGB", (40, 20), (10, 20, 30)))
    found = decode(content, 16, Preprocessing(fit="pad", background="grey"))
    np.testing.assert_array_equal(found[4:12], np.broadcast_to((10, 20, 30), (8, 16, 3)))
    np.testing.assert_array_equal(found[[*range(4), *range(12, 16)]], 128)


def test_what_crop_leaves_out_decides_nothing():
    """Away from the border, where antialiasing looks a pixel beyond it."""
    image = Image.new("RGB", (300, 100), (0, 0, 255))
    image.paste((200, 100, 50), (90, 0, 210, 100))
    found = decode(encoded(image), 10, Preprocessing(fit="crop"))
    np.testing.assert_array_equal(found, np.broadcast_to((200, 100, 50), (10, 10, 3)))


@pytest.mark.parametrize("wanted", EVERY, ids=lambda each: each.key)
@pytest.mark.slow
def test_a_graph_an_eager_call_and_decode_agree(wanted):
    content = encoded(picture(31, 50, "RGBA"))
    graph = tf.function(lambda image_bytes: prepare(image_bytes, 20, wanted)).get_concrete_function(
        tf.TensorSpec((), tf.string)
    )
    assert graph.output_shapes == (20, 20, 3)
    expected = decode(content, 20, wanted)
    np.testing.assert_array_equal(prepare(tf.constant(content), 20, wanted), expected)
    np.testing.assert_array_equal(graph(tf.constant(content)), expected)


def test_the_settings_name_it():
    wanted = Preprocessing.of(DataSettings(fit="crop", background="grey"))
    assert wanted == Preprocessing(1, "crop", "grey")
    assert Preprocessing.of(DataSettings()) == STANDARD == Preprocessing(1, "stretch", "white")
    assert len({each.key for each in EVERY}) == 9


def test_unknown_words_are_refused():
    with pytest.raises(InputError, match="Unknown fit 'letterbox': expected one of stretch, pad"):
        Preprocessing(fit="letterbox")
    with pytest.raises(InputError, match="Unknown background 'gray': expected one of white, black"):
        Preprocessing(background="gray")
