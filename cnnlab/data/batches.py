"""Batches from pixels that were decoded once: a uint8 file on disk, mapped, never loaded whole.

Any subset (a fold, a split) is a list of row numbers. An epoch is a permutation of them drawn
from (seed, epoch), so the shuffle is complete and needs no buffer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data import downscale, earlier, prepared, splits
from cnnlab.data.sources.entries import Source
from cnnlab.engine import tf
from cnnlab.images import Preprocessing

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class SealedTestSet(InputError):  # noqa: N818 - it says what happened
    """The test images were asked for before the final evaluation."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Prepared images and what is known about them; row i of ``table`` belongs to ``pixels[i]``.

    Attributes:
        pixels: uint8 (N, S, S, 3), RGB, 0–255, read-only, mapped from disk.
        table: N rows of the split (path, label, split, picture, group, reason), none excluded.
            ``open_dataset`` adds ``unit``, because an excluded row may tie two groups.
        class_names: The labels in the order of the model's outputs.
        test_open: Whether the test images may be used.
    """

    pixels: np.ndarray
    table: pd.DataFrame
    class_names: list[str]
    test_open: bool = False

    @property
    def labels(self) -> np.ndarray:
        """Positions in ``class_names``, int64 (N,)."""
        return self.table["label"].map(self.class_names.index).to_numpy(np.int64)

    @property
    def units(self) -> np.ndarray:
        """The name of each image's unit, str (N,): folds and subsets never divide one."""
        found = self.table["unit"] if "unit" in self.table else splits.units(self.table)
        return found.to_numpy()

    def groups(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what images depend on each other, for statistics; None if no group was declared.

        Args:
            rows: int (n,).

        Returns:
            str (n,), the unit of each; equal ones are resampled together.
        """
        return self.units[rows] if (self.table["group"] != "").any() else None

    def indices(self, split: str) -> np.ndarray:
        """Return the rows of one split, ascending, int64 (n,).

        Raises:
            SealedTestSet: ``split`` is "test" and the test set is not open.
            InputError: There is no such split.
        """
        if split not in ("train", "validation", "test"):
            raise InputError(f"There is no split {split!r}: expected train, validation or test.")
        rows = np.flatnonzero(self.table["split"] == split).astype(np.int64)
        self.check(rows)
        return rows

    def check(self, indices: np.ndarray) -> None:
        """Raise ``SealedTestSet`` if rows of a sealed test set are among ``indices``."""
        if self.test_open or not (self.table["split"].to_numpy()[indices] == "test").any():
            return
        raise SealedTestSet(
            "The test set is sealed: the final evaluation opens it, for one model. "
            "Use the training or validation images."
        )


def open_dataset(
    table: pd.DataFrame,
    source: Source,
    settings: Settings,
    *,
    contents: Mapping[str, str],
    cache: Path,
    class_order: Sequence[str] = (),
    progress: bool = False,
) -> Dataset:
    """Return the images of a split as prepared pixels, decoding them on first use.

    Args:
        table: From ``splits.assign``; excluded rows are dropped.
        source: Where the images lie.
        settings: ``image_size``, ``fit``, ``background``.
        contents: The SHA-256 (hex) of every file by its path, from the manifest.
        cache: Folder for prepared pixels; made if missing, may be deleted at any time.
        class_order: Labels that come first, in this order, where there are such; see
            ``earlier.ordered``. The others follow, sorted.
        progress: Show a bar on standard output while decoding.

    Returns:
        A dataset whose test set is sealed.

    Raises:
        InputError: An image is not what the manifest lists, or no image is left.
    """
    table = table.assign(unit=splits.units(table))
    usable = table[table["split"] != "excluded"].reset_index(drop=True)
    if usable.empty:
        raise InputError("The split holds no image: expected at least one that is not excluded.")
    paths = usable["path"].tolist()
    if unlisted := set(paths) - set(contents):
        raise InputError(
            f"The split names {min(unlisted)} and the manifest does not: make both anew."
        )
    pixels = prepared.open_pixels(
        paths,
        source.root,
        settings.data.image_size,
        contents=[contents[path] for path in paths],
        cache=cache,
        preprocessing=Preprocessing.of(settings.data),
        progress=progress,
    )
    return Dataset(pixels, usable, earlier.ordered(usable["label"].tolist(), class_order))


def training_batches(
    dataset: Dataset,
    indices: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    transform: Transform | None = None,
    mix: Mix | None = None,
    image_size: int | None = None,
) -> tf.data.Dataset:
    """Return one epoch of shuffled batches; every index comes exactly once.

    Args:
        dataset: From ``open_dataset``.
        indices: Rows to train on, int (n,).
        batch_size: Images per batch; the last batch holds the rest.
        seed: Root seed.
        epoch: Decides the order together with the seed, and nothing else does.
        transform: Takes images uint8 (b, S, S, 3) and their rows int64 (b,), gives images.
        mix: Takes those images as float32, targets float32 (b, C) and rows, gives images and
            targets: for what concerns several images of a batch.
        image_size: S, at most that of the prepared pixels, which are then reduced, see
            ``downscale``; None is theirs.

    Returns:
        (images float32 (b, S, S, 3) 0–255, targets float32 (b, C): one-hot labels, or what ``mix``
        made of them).

    Raises:
        InputError: No index, or one out of range; ``SealedTestSet`` for test rows.

    Example:
        >>> training_batches(data, data.indices("train"), batch_size=32, seed=0, epoch=1)
    """
    rng = np.random.default_rng(child_seed(seed, f"order/{epoch}"))
    order = rng.permutation(indices)
    return _batches(dataset, order, batch_size, transform, mix, image_size)


def evaluation_batches(
    dataset: Dataset, indices: np.ndarray, *, batch_size: int
) -> tf.data.Dataset:
    """Return batches in the order given, untransformed; see ``training_batches``."""
    return _batches(dataset, np.asarray(indices), batch_size)


def _batches(
    dataset: Dataset,
    order: np.ndarray,
    batch_size: int,
    transform: Transform | None = None,
    mix: Mix | None = None,
    image_size: int | None = None,
) -> tf.data.Dataset:
    """Return the batches of ``order``: gathered, reduced, transformed, as floats, mixed."""
    if order.size == 0 or order.min() < 0 or order.max() >= len(dataset.pixels):
        raise InputError(
            f"Cannot make batches of these {order.size} indices: expected at least one, all from "
            f"0 to {len(dataset.pixels) - 1}."
        )
    dataset.check(order)
    order = order.astype(np.int64)
    pixels, labels = dataset.pixels, dataset.labels[order]
    one_hot = np.eye(len(dataset.class_names), dtype=np.float32)
    side = image_size or pixels.shape[1]
    shape = (None, side, side, 3)

    def gathered(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part = slice(number * batch_size, (number + 1) * batch_size)
        rows = order[part]
        if side == pixels.shape[1]:
            return pixels[rows], one_hot[labels[part]], rows
        small = np.rint(downscale.shrink(pixels, rows, side)).astype(np.uint8)
        return small, one_hot[labels[part]], rows

    def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Pure, so it may run in parallel even where the engine is told to be deterministic. Few
        # operations, because they are traced and prepared anew in every epoch.
        kinds = (tf.uint8, tf.float32, tf.int64)
        images, targets, rows = tf.numpy_function(gathered, [number], kinds, stateful=False)
        images.set_shape(shape)
        targets.set_shape((None, len(one_hot)))
        rows.set_shape((None,))
        if transform is not None:
            images = tf.ensure_shape(transform(images, rows), shape)
        images = tf.cast(images, tf.float32)
        if mix is None:
            return images, targets
        images, targets = mix(images, targets, rows)
        return tf.ensure_shape(images, shape), tf.ensure_shape(targets, (None, len(one_hot)))

    numbers = tf.data.Dataset.range(-(-order.size // batch_size))
    return numbers.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
