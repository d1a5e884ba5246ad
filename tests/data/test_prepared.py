"""Prepared pixels are those of the decoder, written whole or not at all, and verified."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.config import InputError
from cnnlab.data import prepared

SIZE = 24
PATHS = [f"cat/{i}.jpg" for i in range(6)]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "pictures"
    (root / "cat").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for path in PATHS:
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(root / path)
    return root


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "deep" / "cache"


def opened(root, cache, paths=PATHS, size=SIZE, name="digest"):
    return prepared.open_pixels(paths, root, size, name=name, cache=cache)


def test_they_are_the_decoders_pixels_in_the_order_given(root, cache):
    paths = PATHS[::-1]
    pixels = opened(root, cache, paths)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (6, SIZE, SIZE, 3))
    for i, path in enumerate(paths):
        np.testing.assert_array_equal(pixels[i], images.decode((root / path).read_bytes(), SIZE))


@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_they_do_not_depend_on_how_many_are_decoded_together(root, cache, monkeypatch, chunk):
    monkeypatch.setattr(prepared, "_CHUNK", chunk)
    pixels = opened(root, cache)
    for i, path in enumerate(PATHS):
        np.testing.assert_array_equal(pixels[i], prepared.read_image(root, path, SIZE))


def test_they_are_mapped_and_cannot_be_written(root, cache):
    pixels = opened(root, cache)
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_a_second_opening_decodes_nothing(root, cache, monkeypatch):
    first = np.array(opened(root, cache))

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(prepared, "read_images", never)
    np.testing.assert_array_equal(opened(root, cache), first)


@pytest.mark.parametrize("other", [{"size": 16}, {"name": "other"}, {"paths": PATHS[:3]}])
def test_another_size_dataset_or_list_is_another_entry(root, cache, other):
    opened(root, cache)
    opened(root, cache, **other)
    assert len(list(cache.glob("*.npy"))) == 2


def test_another_preprocessing_version_is_another_entry(root, cache, monkeypatch):
    opened(root, cache)
    monkeypatch.setattr(images, "PREPROCESSING_VERSION", images.PREPROCESSING_VERSION + 1)
    opened(root, cache)
    assert len(list(cache.glob("*.npy"))) == 2


def flip_a_bit(file, record):
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def cut(file, record):
    file.write_bytes(file.read_bytes()[:-100])


def forget(file, record):
    record.unlink()


def lose(file, record):
    file.unlink()


def scribble(file, record):
    record.write_text("{")


def of_another_shape(file, record):
    record.write_text(json.dumps(json.loads(record.read_text()) | {"shape": [1, 1, 1, 3]}))


@pytest.mark.parametrize("damage", [flip_a_bit, cut, forget, lose, scribble, of_another_shape])
def test_a_damaged_entry_is_built_anew(root, cache, damage):
    first = np.array(opened(root, cache))
    (file,) = cache.glob("*.npy")
    damage(file, file.with_suffix(".json"))
    np.testing.assert_array_equal(opened(root, cache), first)
    assert prepared._intact(file, first.shape)


def no_image():
    return b"no longer an image"


def broken_inside():
    """A PNG with a sound header and no pixels behind it."""
    png = io.BytesIO()
    Image.new("RGB", (40, 50)).save(png, "PNG")
    return png.getvalue().replace(b"IDATx", b"IDAT?")


@pytest.mark.parametrize("damage", [no_image, broken_inside])
def test_a_failed_build_leaves_nothing_and_names_the_file(root, cache, damage):
    (root / PATHS[3]).write_bytes(damage())
    with pytest.raises(InputError, match=r"cat/3\.jpg"):
        opened(root, cache)
    assert list(cache.iterdir()) == []


def test_builders_at_once_agree(root, cache):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: np.array(opened(root, cache)), range(8)))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]
