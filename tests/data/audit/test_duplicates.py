"""Candidates are complete, and only copies of one picture are confirmed."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cnnlab import images
from cnnlab.data.audit import duplicates


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
    return images.decode(buffer.getvalue(), duplicates.SIDE)


def test_candidates_are_those_of_an_exhaustive_search(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 7)  # several blocks, the last ones incomplete
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 2**64, 40, dtype=np.uint64)
    flips = [np.uint64(sum(1 << int(b) for b in rng.permutation(64)[:k])) for k in range(20)]
    numbers = np.concatenate([numbers, numbers[:20] ^ np.array(flips)])
    values = [int(n) for n in numbers]
    for distance in (0, 5, 10):
        expected = {
            (i, j)
            for i in range(len(values))
            for j in range(i + 1, len(values))
            if (values[i] ^ values[j]).bit_count() <= distance
        }
        found = np.concatenate(list(duplicates.candidate_pairs(numbers, distance))).tolist()
        assert len(found) == len(expected) > 0
        assert {tuple(pair) for pair in found} == expected


def test_no_hash_no_candidate():
    assert list(duplicates.candidate_pairs(np.array([], np.uint64))) == []


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
}


def marked(image):
    """The image with a small line of text's worth of white at its edge."""
    copy = image.copy()
    copy.paste((255, 255, 255), (220, 248, 250, 252))
    return copy


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
    assert duplicates.same_picture(first, second)
    assert duplicates.same_picture(second, first)
    hashes = [int(duplicates.perceptual_hash(pixels), 16) for pixels in (first, second)]
    assert (hashes[0] ^ hashes[1]).bit_count() <= duplicates.MAX_DISTANCE


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", OTHERS)
def test_another_picture_is_not_confirmed(name, seed):
    first, second = stored(scene(seed), quality=95), OTHERS[name](scene(seed))
    assert not duplicates.same_picture(first, second)
    assert not duplicates.same_picture(second, first)


def test_two_flat_pictures_cannot_be_told_apart_and_stay_apart():
    flat = np.full((duplicates.SIDE, duplicates.SIDE, 3), 90, np.uint8)
    assert not duplicates.same_picture(flat, flat)
    assert duplicates.perceptual_hash(flat) == ""


def test_a_white_ground_does_not_hide_another_object():
    """What one picture lost to white, the other must show as nearly white."""
    texture = np.asarray(scene(3))[:32, :64] // 2
    first = np.full((duplicates.SIDE, duplicates.SIDE, 3), 255, np.uint8)
    second = first.copy()
    first[:32] = second[:32] = texture  # enough to be fitted
    first[32:48, 32:48] = 90
    second[48:64, 32:48] = 90
    assert not duplicates.same_picture(first, second)
    second[48:64, 32:48] = 255
    second[32:48, 32:48] = 90
    assert duplicates.same_picture(first, second)


def test_the_cell_difference_is_that_of_the_worst_cell_but_two():
    first = np.zeros((64, 64, 3), np.float32)
    second = first.copy()
    for column, value in enumerate((90.0, 80.0, -30.0)):
        second[8:16, 8 * column : 8 * column + 8] = value
    second[0:4, 0:8] = 40.0  # half a cell
    assert duplicates.cell_difference(first, second) == 30.0


def flipped(text, *bits):
    return f"{int(text, 16) ^ sum(1 << bit for bit in bits):016x}"


def test_clusters_are_transitive_and_named_by_their_first(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 2)
    monkeypatch.setattr(duplicates, "KEPT", 4)
    same, other = stored(scene(0), quality=95), stored(scene(1), quality=95)
    a, far = "0123456789abcdef", "fedcba9876543210"
    b = flipped(a, *range(8))
    c = flipped(b, *range(20, 28))  # 16 bits from a: joined through b only
    hashes = [far, a, "", b, flipped(a, 63), c, ""]
    pictures = [same, same, same, same, other, same, same]
    loaded = []

    def load(i):
        loaded.append(i)
        return pictures[i]

    assert duplicates.clusters(hashes, load) == [0, 1, 2, 1, 4, 1, 6]
    assert set(loaded) == {1, 3, 4, 5}  # candidates only


def test_many_copies_fit_in_a_small_memory(monkeypatch):
    monkeypatch.setattr(duplicates, "KEPT", 4)
    pixels = stored(scene(0), quality=95)
    assert duplicates.clusters(["0123456789abcdef"] * 30, lambda i: pixels) == [0] * 30
