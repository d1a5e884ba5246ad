import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.data.synthetic import faults


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A smooth 96×64 picture that differs under every turn and flip."""
    y, x = np.mgrid[0:64, 0:96].astype(float)
    channels = [40 + 2 * x, 30 + 3 * y, 120 + 60 * np.sin(x / 15) * np.cos(y / 9)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


@pytest.fixture(scope="module")
def visible() -> np.ndarray:
    mask = np.zeros((64, 96), bool)
    mask[:20, :30] = True  # reaches the corner that fades out
    return mask


def opened(encoded: tuple[bytes, str]) -> Image.Image:
    return Image.open(io.BytesIO(encoded[0]))


def difference(first: Image.Image, second: Image.Image) -> float:
    a, b = (np.asarray(image.convert("RGB"), float) for image in (first, second))
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize("turn", range(3))
def test_exif_rotated_is_upright_only_for_a_reader_of_the_tag(picture, visible, turn):
    image = opened(faults.odd(picture, visible, "exif_rotated", turn))
    assert image.getexif()[0x0112] in (3, 6, 8)
    assert image.size != picture.size or difference(image, picture) > 20
    assert difference(ImageOps.exif_transpose(image), picture) < 4


def test_exif_rotated_comes_with_three_orientations(picture, visible):
    images = [opened(faults.odd(picture, visible, "exif_rotated", turn)) for turn in range(3)]
    assert {image.getexif()[0x0112] for image in images} == {3, 6, 8}


def test_cmyk_and_grey_show_the_picture(picture, visible):
    cmyk = opened(faults.odd(picture, visible, "cmyk", 0))
    assert (cmyk.format, cmyk.mode) == ("JPEG", "CMYK")
    assert difference(cmyk, picture) < 4
    for turn, name in ((0, "JPEG"), (1, "PNG")):
        grey = opened(faults.odd(picture, visible, "grey", turn))
        assert (grey.format, grey.mode) == (name, "L")
        assert difference(grey, picture.convert("L")) < 4


def test_transparent_fades_to_white_but_never_over_the_target(picture, visible):
    image = opened(faults.odd(picture, visible, "transparent", 0))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    alpha = np.asarray(image.getchannel("A"))
    assert alpha[visible].min() == 255
    assert alpha[-1, -1] == 0  # the corner opposite the target
    assert np.asarray(image)[-1, -1, :3].tolist() != [255, 255, 255]  # the colour is still there
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    shown = np.asarray(white.convert("RGB"))
    assert np.array_equal(shown[visible], np.asarray(picture)[visible])
    assert shown[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("turn", range(3))
def test_near_copies_have_other_bytes_and_the_same_perceptual_hash(turn):
    blocks = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((128, 96), Image.Resampling.BICUBIC)
    data, suffix = faults.near_copy(picture, turn)
    assert data != faults.encoded(picture, suffix)[0]
    copy = Image.open(io.BytesIO(data))
    assert copy.size == picture.size
    assert imagehash.phash(copy) - imagehash.phash(picture) <= 4
    assert 0 < difference(copy, picture) < 20


@pytest.mark.parametrize("turn", range(3))
def test_corrupt_keeps_its_header_and_loses_its_end(picture, turn):
    picture = picture.resize((384, 256))
    data, suffix = faults.damaged(picture, "corrupt", turn)
    image = Image.open(io.BytesIO(data))
    assert suffix == ".jpg"
    assert image.size == picture.size
    with pytest.raises(OSError, match="truncated"):
        image.load()


def test_the_other_damaged_files_are_what_they_say(picture):
    assert faults.damaged(picture, "empty", 0)[0] == b""
    assert opened(faults.damaged(picture, "tiny", 0)).size == (5, 5)
    for turn, suffix in ((0, ".jpg"), (1, ".png")):
        data, found = faults.damaged(picture, "not_an_image", turn)
        assert found == suffix
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))
