"""Prepared pixels: every image decoded once, as uint8 rows of one file that is mapped, not read.

They are an entry of ``array_entry``: a reader never sees half a file, and two processes that build
the same one at once write the same bytes. It is made of the very files that the manifest lists:
what is decoded is hashed first.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from cnnlab import files, hashing, images
from cnnlab.config import InputError
from cnnlab.data import array_entry
from cnnlab.engine import tf
from cnnlab.images import STANDARD, Preprocessing

DTYPE = "uint8"
_CHUNK = 16  # images that a thread takes at once
_HELD = 8 * 2**20  # bytes: beyond, files wait no longer for others; one, as PNG, may have 50 MB


def open_pixels(
    paths: Sequence[str],
    root: Path,
    size: int,
    *,
    contents: Sequence[str],
    cache: Path,
    preprocessing: Preprocessing = STANDARD,
    progress: bool = False,
) -> np.ndarray:
    """Return the prepared pixels of ``paths``, from the cache or decoded now.

    Args:
        paths: N POSIX paths relative to ``root``.
        root: The source's root.
        size: Pixels a side.
        contents: The SHA-256 (hex) of each file, from the manifest; with the size and the
            preprocessing they name the entry.
        cache: Folder of the cache; made if missing.
        preprocessing: Version, fit and background.
        progress: Show a bar on standard output while decoding.

    Returns:
        uint8 (N, size, size, 3), RGB, 0–255: a read-only memory map.

    Raises:
        InputError: An image cannot be read or decoded, or is not what the manifest lists.
        CannotWrite: The disk has no room for them; or the cache cannot be written to.
    """
    file = cache / f"{_key(contents, size, preprocessing)}.npy"
    shape = (len(paths), size, size, 3)
    if not array_entry.intact(file, shape, DTYPE):
        files.make_folder(cache)
        files.remove_abandoned(cache)
        _build(file, paths, contents, root, shape, preprocessing, progress)
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _key(contents: Sequence[str], size: int, preprocessing: Preprocessing) -> str:
    """Return what decides the pixels, as a file name."""
    parts = [str(size), preprocessing.key, *contents]
    return hashing.digest("\0".join(parts).encode())[:32]


def _build(
    file: Path,
    paths: Sequence[str],
    contents: Sequence[str],
    root: Path,
    shape: tuple[int, ...],
    preprocessing: Preprocessing,
    progress: bool,
) -> None:
    """Decode every image into an entry of the cache."""
    with (
        array_entry.writing(file, shape, DTYPE) as put,
        ThreadPoolExecutor(os.cpu_count()) as pool,  # decoding runs outside Python's lock
        tqdm(None, "pixels", len(paths), unit="image", file=sys.stdout,
             disable=not progress) as bar,
    ):  # fmt: skip

        def fill(start: int) -> int:
            some = slice(start, start + _CHUNK)
            put(start, read_images(root, paths[some], shape[1], contents[some], preprocessing))
            return len(paths[some])

        try:
            for count in pool.map(fill, range(0, len(paths), _CHUNK)):
                bar.update(count)
        except BaseException:  # a full disk or a spoilt image: no other is decoded
            pool.shutdown(cancel_futures=True)
            raise


def read_images(
    root: Path,
    paths: Iterable[str],
    size: int,
    contents: Sequence[str] | None = None,
    preprocessing: Preprocessing = STANDARD,
) -> np.ndarray:
    """Return a few images, decoded now and not cached: uint8 (N, size, size, 3), RGB, 0–255.

    Args:
        root: The source's root.
        paths: N POSIX paths relative to it.
        size: Pixels a side.
        contents: The SHA-256 (hex) that each file must have; None for any.
        preprocessing: Fit and background.

    Raises:
        InputError: One cannot be decoded or has another SHA-256; it is named.
    """
    paths = list(paths)
    contents = [""] * len(paths) if contents is None else contents
    wanted = list(zip(paths, contents, strict=True))
    prepare_all = _prepare_all(size, preprocessing)
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    held: list[bytes] = []
    try:
        for end, (path, content) in enumerate(wanted, 1):
            held.append(images.transcode(_read(root, path, content)))
            if end == len(paths) or sum(map(len, held)) > _HELD:
                pixels[end - len(held) : end] = prepare_all(tf.constant(held)).numpy()
                held.clear()
    except (images.ImageRejected, tf.errors.OpError):  # which one is it?
        return np.stack(
            [read_image(root, path, size, content, preprocessing) for path, content in wanted]
        )
    return pixels


@functools.lru_cache(maxsize=16)
def _prepare_all(size: int, preprocessing: Preprocessing) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return ``images.prepare`` for N files as one graph: a call costs 0.5 ms.

    One image after the other, because the callers are threads and a large image takes memory. It is
    traced here: TensorFlow takes threads that wait for one trace of a function for many traces, and
    warns of them.
    """
    pixels = tf.TensorSpec((size, size, 3), tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def prepare_all(files: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            return tf.map_fn(
                lambda file: images.prepare(file, size, preprocessing), files,
                fn_output_signature=pixels, parallel_iterations=1,
            )  # fmt: skip

    return prepare_all.get_concrete_function()


def read_image(
    root: Path, path: str, size: int, content: str = "", preprocessing: Preprocessing = STANDARD
) -> np.ndarray:
    """Return one image of a manifest, decoded now: uint8 (size, size, 3), RGB, 0–255.

    Raises:
        InputError: It cannot be read or decoded any more, or its SHA-256 is not ``content``.
    """
    try:
        return images.decode(_read(root, path, content), size, preprocessing)
    except images.ImageRejected as rejection:
        raise InputError(
            f"{path} was accepted when the manifest was made and is refused now "
            f"({rejection.code}): make the manifest anew."
        ) from None


def _read(root: Path, path: str, content: str) -> bytes:
    """Return the bytes of a file, which must have this SHA-256; "" stands for any."""
    data = images.read_file(root / path)
    if content and (found := hashing.digest(data)) != content:
        raise InputError(
            f"{path} changed since its manifest was made: its SHA-256 is {found[:12]}…, expected "
            f"{content[:12]}…. Put the file back, or make the manifest anew, in another run."
        )
    return data
