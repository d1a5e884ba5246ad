"""Features of images: a frozen body looks at each image once, and the answers are kept.

They are an entry of ``data.array_entry``, as prepared pixels are. While it is built, those of each
whole batch stand in ``<key>.part``, each behind its own SHA-256, so that a build that was killed
goes on after the last of them. Batches always have the same size, because the bits of a feature
may depend on how many images are computed together.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm.auto import tqdm

from cnnlab import augment, files, hashing, images, locks, models, places
from cnnlab.config import InputError
from cnnlab.config.augmentation import AugmentationSettings
from cnnlab.data import array_entry
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras, make_deterministic, new_traces_expected, tf

BATCH = 32  # images computed together, and the features written together
DTYPE = "float32"
FLOAT = 4  # bytes
_SEAL = 32  # bytes of a SHA-256
_VERSION = 1  # of how features are computed


def open_features(
    body: keras.Model,
    dataset: Dataset,
    rows: np.ndarray,
    *,
    cache: Path,
    view: int = 0,
    augmentation: AugmentationSettings | None = None,
    seed: int = 0,
    origin: Any = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the features of some images, from the cache or computed now.

    The memory that it takes does not grow with the number of images. Of two processes that want
    the same entry one computes it, the other waits.

    Args:
        body: images float32 (B, S, S, 3) in 0…255 → features (B, K), see ``models.body``.
        dataset: Prepared pixels.
        rows: int64 (N,); those of a sealed test set are refused.
        cache: Folder of the cache; made if missing, may be deleted at any time.
        view: 0: the images as they are. Any other: as the augmentation's epoch of this number
            varies them.
        augmentation: Of the view.
        seed: Of the view.
        origin: What else decides the bits, such as versions and devices, as JSON values.
        progress: Show a bar on standard output while computing.

    Returns:
        float32 (N, K): a read-only memory map.

    Raises:
        SealedTestSet: Test images are among the rows, and the test set is not open.
        InputError: They cannot be written: the disk is full, or read-only.
    """
    rows = np.asarray(rows, np.int64)
    dataset.check(rows)
    transform = None
    varied = None
    if view:
        chosen = augmentation or AugmentationSettings()
        transform = augment.transform(chosen, seed=seed, epoch=view)
        varied = [augment.strengths(chosen), seed, view]
    named = {
        "body": models.answers_digest(body),
        "images": _content(dataset, rows.tobytes()),
        "preprocessing": images.PREPROCESSING_VERSION,
        "view": varied,
        "batch": BATCH,
        "origin": origin,
        "version": _VERSION,
    }
    file = cache / f"{hashing.json_digest(named)[:32]}.npy"
    shape = (len(rows), body.output_shape[-1])
    if not array_entry.intact(file, shape, DTYPE):
        part = file.with_suffix(".part")
        size = FLOAT * math.prod(shape)
        try:
            files.make_folder(cache)
            files.remove_abandoned(cache)
            with places.explained(file, part), _locked(part) as found:
                # It may have come while this process waited.
                if not array_entry.intact(file, shape, DTYPE):
                    places.check_room(file, 2 * size - os.fstat(found.fileno()).st_size)
                    _compute(found, body, dataset, rows, transform, progress)
                    _assemble(found, file, shape)
                part.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"Cannot write features in {cache}: {places.reason(error)}. They take "
                f"{2e-6 * size:.0f} MB, half of it until they are complete. What was "
                "computed before is kept."
            ) from error
    return np.load(file, mmap_mode="r", allow_pickle=False)


@lru_cache(maxsize=4)
def _content(dataset: Dataset, rows: bytes) -> str:
    """Return the SHA-256 over which rows these are and their pixels: reading them takes time."""
    numbers = np.frombuffer(rows, np.int64)
    starts = range(0, len(numbers), BATCH)
    pixels = (dataset.pixels[numbers[start : start + BATCH]].tobytes() for start in starts)
    head = f"{len(numbers)} {dataset.pixels.shape[1:]} {dataset.pixels.dtype}|".encode()
    return hashing.stream_digest(chain([head, rows], pixels))


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Give a file that no other process has at the same time; one that died holds it no more."""
    with open(path, "a+b") as file:
        locks.wait(file)
        yield file


def _compute(
    part: BinaryIO,
    body: keras.Model,
    dataset: Dataset,
    rows: np.ndarray,
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
    progress: bool,
) -> None:
    """Append the features of every batch that is not yet there."""
    width, side = body.output_shape[-1], dataset.pixels.shape[1]
    run = _runner(body, side, transform)
    done = sum(1 for _ in _batches(part, width, len(rows)))
    size = BATCH * width * FLOAT + _SEAL
    os.ftruncate(part.fileno(), done * size)
    with (
        new_traces_expected(),  # every body is traced anew
        tqdm(None, "features", len(rows), initial=min(done * BATCH, len(rows)), unit="image",
             file=sys.stdout, disable=not progress) as bar,
    ):  # fmt: skip
        for start in range(done * BATCH, len(rows), BATCH):
            some = rows[start : start + BATCH]
            full = np.pad(some, (0, BATCH - len(some)), mode="edge")
            found = run(tf.constant(dataset.pixels[full]), tf.constant(full)).numpy().tobytes()
            part.write(bytes.fromhex(hashing.digest(found)) + found)
            part.flush()
            bar.update(len(some))


def _runner(
    body: keras.Model,
    side: int,
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return (pixels uint8 (BATCH, S, S, 3), rows (BATCH,)) → features float32, as a graph."""
    make_deterministic()
    spec = [tf.TensorSpec((BATCH, side, side, 3), tf.uint8), tf.TensorSpec((BATCH,), tf.int64)]

    @tf.function(input_signature=spec, autograph=False)
    def run(pixels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        seen = transform(pixels, rows) if transform else pixels
        return tf.cast(body(tf.cast(seen, tf.float32), training=False), tf.float32)

    return run


def _batches(part: BinaryIO, width: int, count: int) -> Iterator[np.ndarray]:
    """Give the features of each batch that is there whole, float32 (BATCH, K), in order."""
    part.seek(0)
    for _ in range(0, count, BATCH):
        seal, found = part.read(_SEAL), part.read(BATCH * width * FLOAT)
        if len(found) < BATCH * width * FLOAT or bytes.fromhex(hashing.digest(found)) != seal:
            return
        yield np.frombuffer(found, np.float32).reshape(BATCH, width)


def _assemble(part: BinaryIO, file: Path, shape: tuple[int, int]) -> None:
    """Put an entry and its record in place."""
    count, width = shape
    with array_entry.writing(file, shape, DTYPE) as put:
        starts = range(0, count, BATCH)
        for start, batch in zip(starts, _batches(part, width, count), strict=True):
            put(start, batch[: count - start])
