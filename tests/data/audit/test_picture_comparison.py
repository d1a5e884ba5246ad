"""Only copies of one picture are confirmed, however they were changed."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from cnnlab import images
from cnnlab.data.audit import comparison, duplicates


def scene(seed, side=256):
    """A picture with coarse and fine structure, as RGB image."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize((side, side)),
            np.float32,
        )
        for n in (4, 16)
    ]
    return Image.fromarray((0.7 * layers[0] + 0.3 * layers[1]).astype(np.uint8))


def stored(image, kind="JPEG", **options):
    """What the comparison sees of an image once it was saved."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return images.decode(buffer.getvalue(), comparison.SIDE)


def same_picture(first, second):
    return bool(comparison.same_pictures(first[None], second[None])[0])


def window(image, right=0, down=0, side=240):
    """A part of the image, in the middle unless moved: pixels of 256."""
    left, top = (256 - side) // 2 + right, (256 - side) // 2 + down
    return image.crop((left, top, left + side, top + side))


COPIES = {
    "compressed": lambda image: stored(image, quality=40),
    "half the size": lambda image: stored(image.resize((128, 128))),
    "stretched": lambda image: stored(image.resize((300, 200))),
    "brighter": lambda image: stored(ImageEnhance.Brightness(image).enhance(1.15)),
    "bright until clipped": lambda image: stored(clipped(image)),
    "darker": lambda image: stored(ImageEnhance.Brightness(image).enhance(0.8)),
    "less contrast": lambda image: stored(ImageEnhance.Contrast(image).enhance(0.8)),
    "another format": lambda image: stored(image, "PNG"),
    "marked in a corner": lambda image: stored(marked(image)),
    "blurred": lambda image: stored(image.filter(ImageFilter.GaussianBlur(4))),
    "noisy": lambda image: stored(noisy(image)),
    "cropped": lambda image: stored(window(image, side=244)),
    "turned": lambda image: stored(window(image.rotate(1.5, Image.Resampling.BICUBIC), side=244)),
}


def marked(image):
    """The image with a small line of text's worth of white at its edge."""
    copy = image.copy()
    copy.paste((255, 255, 255), (220, 248, 250, 252))
    return copy


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 25, (256, 256, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def clipped(image):
    """The image so bright that a tenth or more of its values end at white."""
    bright = ImageEnhance.Brightness(image).enhance(1.4)
    assert (np.asarray(bright) == 255).mean() > 0.1
    return bright


def other_object(image):
    """The same background, with another thing in the middle."""
    copy = image.copy()
    copy.paste(scene(77).resize((64, 64)), (96, 96))
    return copy


OTHERS = {
    "another picture": lambda image: stored(scene(99)),
    "other colours": lambda image: stored(Image.merge("RGB", image.split()[::-1])),
    "mirrored": lambda image: stored(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "negative": lambda image: stored(Image.eval(image, lambda v: 255 - v)),
    "another object": lambda image: stored(other_object(image)),
    "another object, clipped": lambda image: stored(clipped(other_object(image))),
    "another picture, clipped": lambda image: stored(clipped(scene(99))),
    "all but white": lambda image: stored(ImageEnhance.Brightness(image).enhance(6)),
    "flat": lambda image: stored(Image.new("RGB", (256, 256), (120, 120, 120))),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_proposed_and_confirmed(name, seed):
    first, second = stored(scene(seed), quality=95), COPIES[name](scene(seed))
    assert same_picture(first, second)
    assert same_picture(second, first)
    hashes = [int(duplicates.perceptual_hash(pixels), 16) for pixels in (first, second)]
    assert (hashes[0] ^ hashes[1]).bit_count() <= duplicates.DISTANCES[-1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", OTHERS)
def test_another_picture_is_not_confirmed(name, seed):
    first, second = stored(scene(seed), quality=95), OTHERS[name](scene(seed))
    assert not same_picture(first, second)
    assert not same_picture(second, first)


def test_two_flat_pictures_cannot_be_told_apart_and_stay_apart():
    flat = np.full((comparison.SIDE, comparison.SIDE, 3), 90, np.uint8)
    assert not same_picture(flat, flat)
    assert duplicates.perceptual_hash(flat) == ""


def test_a_white_ground_does_not_hide_another_object():
    """What one picture lost to white, the other must show as nearly white."""
    texture = np.asarray(scene(3))[:32, :64] // 2
    first = np.full((comparison.SIDE, comparison.SIDE, 3), 255, np.uint8)
    second = first.copy()
    first[:32] = second[:32] = texture  # enough to be fitted
    first[32:48, 32:48] = 90
    second[48:64, 32:48] = 90
    assert not same_picture(first, second)
    second[48:64, 32:48] = 255
    second[32:48, 32:48] = 90
    assert same_picture(first, second)


def test_the_difference_of_a_cell_is_its_mean():
    first = np.zeros((64, 64, 3), np.float32)
    second = first.copy()
    for column, value in enumerate((90.0, 80.0, -30.0)):
        second[8:16, 8 * column : 8 * column + 8] = value
    second[0:4, 0:8] = 40.0  # half a cell
    expected = np.zeros((8, 8))
    expected[1, :3], expected[0, 0] = (90, 80, 30), 20
    found = comparison.cell_differences(first[None], second[None])
    assert found.reshape(8, 8).tolist() == expected.tolist()


def test_a_cell_is_compared_where_both_pictures_show_it():
    first = np.zeros((1, 32, 32, 3), np.float32)
    inside = np.zeros((1, 32, 32), np.float32)
    inside[:, 4:8, 4:6] = inside[:, 8:9, 0:3] = 1  # half of one cell, three of 16 pixels of another
    found = comparison.cell_differences(first, first + 12, inside).reshape(8, 8)
    assert found[1, 1] == 12
    assert np.count_nonzero(found) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("right", "down"), [(8, 0), (0, -8), (5, 5), (-6, 3)])
def test_a_shift_of_two_pixels_of_64_makes_no_other_picture(right, down, seed):
    first = stored(window(scene(seed)), quality=95)
    second = stored(window(scene(seed), right, down), quality=95)
    assert same_picture(first, second)
    assert same_picture(second, first)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", [50, 64, 100])  # of 240
@pytest.mark.parametrize("moved", [0, 6])
def test_another_object_is_seen_before_a_background_that_moved(seed, side, moved):
    first, second = scene(seed), scene(seed)
    first.paste(scene(50 + seed).resize((side, side)), (90, 100))
    second.paste(scene(70 + seed).resize((side, side)), (90, 100))
    pair = stored(window(first)), stored(window(second, moved, moved))
    assert not same_picture(*pair)
    assert not same_picture(*pair[::-1])


def test_distinct_pictures_of_one_palette_are_told_apart():
    """1000 pairs of pictures that share their coarse layout in light, and nothing else."""
    coarse = np.random.default_rng(0).integers(60, 200, (3, 3, 3), dtype=np.uint8)
    layout = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC), float)

    def draw(seed):
        cells = np.random.default_rng(seed).integers(-60, 61, (16, 16, 3))
        fine = np.repeat(np.repeat(cells, 4, axis=0), 4, axis=1)
        return (layout + fine).clip(0, 255).astype(np.uint8)

    pictures = np.stack([draw(seed) for seed in range(1, 201)])
    for shift in range(1, 6):
        assert not comparison.same_pictures(pictures, np.roll(pictures, shift, axis=0)).any()


def test_pairs_are_judged_one_by_one(monkeypatch):
    monkeypatch.setattr(comparison, "CHUNK", 3)
    first = [stored(scene(seed), quality=95) for seed in range(8)]
    second = [stored(scene(seed if seed % 2 else 90 + seed), quality=40) for seed in range(8)]
    expected = [same_picture(*pair) for pair in zip(first, second, strict=True)]
    found = comparison.same_pictures(np.stack(first), np.stack(second))
    assert found.tolist() == expected == [False, True] * 4
    assert comparison.same_pictures(np.stack(first)[:0], np.stack(second)[:0]).shape == (0,)
