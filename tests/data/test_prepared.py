"""Prepared pixels are those of the decoder, written whole or not at all, and verified."""

import hashlib
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.config import InputError
from cnnlab.data import array_entry, prepared
from cnnlab.engine import tf

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


def hashes(root, paths=PATHS):
    return [hashlib.sha256((root / path).read_bytes()).hexdigest() for path in paths]


def opened(root, cache, paths=PATHS, size=SIZE, contents=None, **options):
    contents = contents or hashes(root, paths)
    return prepared.open_pixels(paths, root, size, contents=contents, cache=cache, **options)


def test_they_are_the_decoders_pixels_in_the_order_given(root, cache):
    paths = PATHS[::-1]
    pixels = opened(root, cache, paths)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (6, SIZE, SIZE, 3))
    for i, path in enumerate(paths):
        np.testing.assert_array_equal(pixels[i], images.decode((root / path).read_bytes(), SIZE))


@pytest.mark.parametrize(("chunk", "held"), [(1, 2**20), (4, 2**20), (6, 2**20), (6, 0), (6, 3000)])
def test_they_do_not_depend_on_how_many_are_decoded_together(root, cache, monkeypatch, chunk, held):
    monkeypatch.setattr(prepared, "_CHUNK", chunk)
    monkeypatch.setattr(prepared, "_HELD", held)
    pixels = opened(root, cache)
    for i, path in enumerate(PATHS):
        np.testing.assert_array_equal(pixels[i], prepared.read_image(root, path, SIZE))


@pytest.fixture
def groups(monkeypatch):
    """The bytes of the files that were decoded together, call by call."""
    prepare_all, sizes = prepared._prepare_all, []

    def spied(size, preprocessing):
        def prepare(files):
            sizes.append([len(file) for file in files.numpy()])
            return prepare_all(size, preprocessing)(files)

        return prepare

    monkeypatch.setattr(prepared, "_prepare_all", spied)
    return sizes


@pytest.mark.slow
def test_files_that_grow_large_at_the_door_do_not_wait_for_others(tmp_path, groups):
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    names = [f"{i}.webp" for i in range(8)]
    for name in names:
        Image.fromarray(noise).save(tmp_path / name, quality=1)
    assert all((tmp_path / name).stat().st_size < 10**6 for name in names)
    prepared.read_images(tmp_path, names, SIZE)
    assert len(groups) > 1
    assert sum(map(len, groups)) == len(names)
    for sizes in groups:
        assert sum(sizes[:-1]) <= prepared._HELD


def test_small_files_are_decoded_together(root, groups):
    prepared.read_images(root, PATHS, SIZE)
    assert [len(sizes) for sizes in groups] == [len(PATHS)]


def test_threads_that_share_one_graph_are_no_retracing(root):
    prepared._prepare_all.cache_clear()
    records = []
    keep = lambda record: records.append(record.getMessage())  # noqa: E731 (None lets none through)
    tf.get_logger().addFilter(keep)
    try:
        with ThreadPoolExecutor(8) as threads:
            [*threads.map(lambda path: prepared.read_images(root, [path], SIZE), PATHS * 4)]
    finally:
        tf.get_logger().removeFilter(keep)
    assert records == []


def test_no_images_are_no_pixels(root):
    assert prepared.read_images(root, [], SIZE).shape == (0, SIZE, SIZE, 3)


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


@pytest.mark.parametrize("other", [{"size": 16}, {"paths": PATHS[:3]}, {"paths": PATHS[::-1]}])
def test_another_size_or_list_is_another_entry(root, cache, other):
    opened(root, cache)
    opened(root, cache, **other)
    assert len(list(cache.glob("*.npy"))) == 2


def test_other_content_under_the_same_names_is_another_entry(root, cache):
    first = np.array(opened(root, cache))
    Image.new("RGB", (40, 50), "red").save(root / PATHS[2])
    second = opened(root, cache)
    assert len(list(cache.glob("*.npy"))) == 2
    assert [i for i in range(6) if not np.array_equal(first[i], second[i])] == [2]


@pytest.mark.parametrize("other", [{"version": 2}, {"fit": "crop"}, {"background": "black"}])
@pytest.mark.slow
def test_another_preprocessing_is_another_entry(root, cache, other):
    standard, another = images.STANDARD, replace(images.STANDARD, **other)
    assert prepared._key(["a"], 32, standard) != prepared._key(["a"], 32, another)
    if "version" in other:  # no program makes it yet
        return
    opened(root, cache)
    found = opened(root, cache, preprocessing=another)
    assert len(list(cache.glob("*.npy"))) == 2
    for i, path in enumerate(PATHS):
        content = (root / path).read_bytes()
        np.testing.assert_array_equal(found[i], images.decode(content, SIZE, another))
        np.testing.assert_array_equal(
            found[i], prepared.read_image(root, path, SIZE, preprocessing=another)
        )


def test_the_standard_preprocessing_keeps_the_entries_of_before_there_was_a_choice():
    before = hashlib.sha256(b"32\0001\0a\0b").hexdigest()[:32]
    assert prepared._key(["a", "b"], 32, images.STANDARD) == before


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
    assert array_entry.intact(file, first.shape, prepared.DTYPE)


def no_image():
    return b"no longer an image"


def broken_inside():
    """A PNG with a sound header and no pixels behind it."""
    png = io.BytesIO()
    Image.new("RGB", (40, 50)).save(png, "PNG")
    return png.getvalue().replace(b"IDATx", b"IDAT?")


def another_image():
    png = io.BytesIO()
    Image.new("RGB", (40, 50)).save(png, "PNG")
    return png.getvalue()


@pytest.mark.parametrize("damage", [no_image, broken_inside, another_image])
def test_a_file_that_is_not_the_one_listed_is_named_and_nothing_is_left(root, cache, damage):
    contents = hashes(root)
    (root / PATHS[3]).write_bytes(damage())
    with pytest.raises(InputError) as caught:
        opened(root, cache, contents=contents)
    assert str(caught.value) == (
        f"cat/3.jpg changed since its manifest was made: its SHA-256 is {hashes(root)[3][:12]}…, "
        f"expected {contents[3][:12]}…. Put the file back, or make the manifest anew, in another "
        "run."
    )
    assert list(cache.iterdir()) == []


def test_files_read_one_by_one_after_a_failure_are_checked_too(root, cache, monkeypatch):
    def full(_):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory for so many at once")

    monkeypatch.setattr(prepared, "_HELD", 0)
    monkeypatch.setattr(prepared, "_prepare_all", lambda *_: full)
    contents = hashes(root)
    (root / PATHS[3]).write_bytes(another_image())
    with pytest.raises(InputError, match=r"cat/3\.jpg changed"):
        opened(root, cache, contents=contents)


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


KILLED = """
import os, sys
from pathlib import Path
from cnnlab.data import prepared
root, cache, *contents = sys.argv[1:]
prepared.read_images = lambda *_: os.kill(os.getpid(), 9)
paths = [f"cat/{i}.jpg" for i in range(len(contents))]
prepared.open_pixels(paths, Path(root), 24, contents=contents, cache=Path(cache))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_a_killed_build_leaves_no_entry_and_no_folder_for_ever(root, cache):
    command = [sys.executable, "-c", KILLED, str(root), str(cache), *hashes(root)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    (left,) = cache.iterdir()  # half of a file, in a folder of its own
    assert left.name.startswith(".")
    expected = prepared.read_images(root, PATHS, SIZE)
    np.testing.assert_array_equal(opened(root, cache), expected)
    assert not left.exists()  # its builder lives no more
    assert len(list(cache.iterdir())) == 2
