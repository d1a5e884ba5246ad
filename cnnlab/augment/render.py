"""From images and draws to images: one resampling for all affine ops, then the ops on levels.

Drawing is NumPy, and the graph of an epoch has few operations: each is prepared anew in every
epoch, which takes as long as hundreds of draws. What touches pixels is compiled: the resampling and
the ops that change each level alone are one loop, an op that reads other pixels begins another.
"""

from collections.abc import Callable, Container, Sequence
from functools import cache, reduce

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.augment.draws import Draw, draw
from cnnlab.augment.op import Affine, Pixel
from cnnlab.augment.registry import OPS, strengths
from cnnlab.config import InputError
from cnnlab.config.augmentation import AugmentationSettings
from cnnlab.engine import tf


def transform(
    settings: AugmentationSettings, *, seed: int, epoch: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the function of (images, indices) that augments one epoch's batches.

    Args:
        settings: The ops and their strengths.
        seed: The run's root seed, or a fold's.
        epoch: Which pass over the data.

    Returns:
        A function of images uint8 (B, S, S, 3) and indices int64 (B,) to float32 images, fit
        for ``tf.data``.

    Raises:
        InputError: See ``registry.strengths``.
    """
    wanted = strengths(settings)
    loops = _loops(wanted)

    @tf.autograph.experimental.do_not_convert  # there is nothing to convert, and it takes time
    def augment(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        batch = _squares(images)
        size = batch.shape[1]

        def parameters(rows: np.ndarray) -> list[np.ndarray]:
            drawn = draw(rows, wanted, seed=seed, epoch=epoch)
            return [affine_map(drawn, size), *(_packed(drawn, ops, len(rows)) for ops in loops)]

        with tf.device("CPU:0"):
            kinds = [tf.float32] * (1 + len(loops))
            matrices, *packed = tf.numpy_function(parameters, [indices], kinds, stateful=False)
            return _rendered(batch, matrices, packed, loops)

    return augment


def apply(images: ArrayLike, parameters: Draw) -> tf.Tensor:
    """Return the images transformed, each by its own row of the draw.

    Args:
        images: uint8 or float32 (B, S, S, 3), RGB, 0…255; left as they are.
        parameters: Op → (B, p); an empty draw gives the pixels back exactly.

    Returns:
        float32 (B, S, S, 3), 0…255.

    Raises:
        InputError: The images are not a batch of squares, or the draw is not theirs.

    Example:
        >>> turned = apply(images, {"rotation": np.array([[90.0]])})  # doctest: +SKIP
    """
    batch, loops = _squares(images), _loops(parameters)
    drawn = {name: np.asarray(values) for name, values in parameters.items()}
    for name, values in drawn.items():
        if name not in OPS or values.shape != (len(batch), len(OPS[name].parameters)):
            raise InputError(
                f"Cannot apply {name!r} of shape {values.shape} to {len(batch)} images: expected "
                f"one of {', '.join(OPS)}, with a row an image and a column a parameter."
            )
    matrices = np.broadcast_to(affine_map(drawn, batch.shape[1]), (len(batch), 2, 3))
    packed = [_packed(drawn, ops, len(batch)) for ops in loops]
    with tf.device("CPU:0"):  # where tf.data runs it, so that pixels are the same everywhere
        return _rendered(batch, matrices, packed, loops)


def affine_map(drawn: Draw, size: int) -> np.ndarray:
    """Return the map of all affine ops, from output to input pixels: float32 (B or 1, 2, 3).

    Pixel (x, y) of the result is read at ``matrix @ [x, y, 1]``. Pixel centres have whole
    coordinates, so the centre of the image is (size - 1) / 2 and a quarter turn meets pixels
    exactly.
    """
    ops = [(op, drawn[name]) for name, op in OPS.items() if name in drawn]
    maps = [op.backward(values) for op, values in ops if isinstance(op, Affine)]
    whole = reduce(np.matmul, maps) if maps else np.eye(3)[None]
    linear, shift = whole[:, :2, :2], whole[:, :2, 2:]
    centre = (size - 1) / 2
    offset = centre - centre * linear.sum(axis=2, keepdims=True) + size * shift
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


def resample(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Return the images read through affine maps: bilinear, reflected beyond the border.

    Args:
        images: uint8 or float32 (B, S, S, 3).
        matrices: float32 (B, 2, 3), from output to input pixels; see ``affine_map``.

    Returns:
        float32 (B, S, S, 3).
    """
    size = images.shape[1]
    steps = np.arange(size, dtype=np.float32)
    by_x, by_y, offset = tf.unstack(tf.reshape(matrices, (-1, 2, 3, 1, 1)), axis=2)
    places = _reflected(by_x * steps + by_y * steps[:, None] + offset, size)  # (B, 2, S, S)
    near = tf.cast(places, tf.int32)
    over, down = tf.unstack(tf.expand_dims(places - tf.cast(near, tf.float32), -1), axis=1)
    stride = np.array([1, size], np.int32)[:, None, None]  # from column to column, row to row
    left, above = tf.unstack(near * stride, axis=1)
    right, below = tf.unstack(tf.minimum(near + 1, size - 1) * stride, axis=1)
    pixels = tf.reshape(images, (-1, size**2, 3))

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(pixels, row + column, batch_dims=1), tf.float32)

    rest = 1 - over
    upper = read(above, left) * rest + read(above, right) * over
    lower = read(below, left) * rest + read(below, right) * over
    return upper * (1 - down) + lower * down


def _reflected(places: tf.Tensor, size: int) -> tf.Tensor:
    """Return coordinates mirrored about the borders, -0.5 and size - 0.5, into 0…size - 1."""
    period = 2 * size
    places -= period * tf.floor((places + 0.5) * (1 / period))
    # Within half a pixel of a border both neighbours are the border's own pixel.
    return tf.clip_by_value(tf.minimum(places, period - 1 - places), 0, size - 1)


def _rendered(
    images: tf.Tensor,
    matrices: ArrayLike,
    packed: Sequence[ArrayLike],
    loops: list[tuple[Pixel, ...]],
) -> tf.Tensor:
    """Return the images resampled and changed by the ops on levels, loop by loop."""
    size, pixels, maps = images.shape[1], images, [tf.ensure_shape(matrices, (None, 2, 3))]
    for ops, values in zip(loops, packed, strict=True):
        values = tf.ensure_shape(values, (None, _width(ops)))
        pixels = _compiled(ops, size, pixels.dtype, resampled=bool(maps))(pixels, values, *maps)
        maps = []  # the first loop resamples
    return pixels


@cache  # one function for all epochs and sizes of a batch: another would be traced and compiled
def _compiled(
    ops: tuple[Pixel, ...], size: int, dtype: tf.DType, *, resampled: bool
) -> Callable[..., tf.Tensor]:
    """Return (images, packed parameters[, maps of the resampling]) → images, as one loop."""

    @tf.function(jit_compile=True)  # several times as fast as op by op
    def loop(images: tf.Tensor, packed: tf.Tensor, *matrices: tf.Tensor) -> tf.Tensor:
        pixels = resample(images, matrices[0]) if matrices else images
        start = 0
        for op in ops:
            values = packed[:, start : start + len(op.parameters)]
            pixels = tf.clip_by_value(op.action(pixels, values), 0, 255)
            start += len(op.parameters)
        return pixels

    maps = [tf.TensorSpec((None, 2, 3))] if resampled else []
    images = tf.TensorSpec((None, size, size, 3), dtype)
    return loop.get_concrete_function(images, tf.TensorSpec((None, _width(ops))), *maps)


def _loops(names: Container[str]) -> list[tuple[Pixel, ...]]:
    """Return the ops on levels among these, in the order in which they act: a tuple a loop."""
    loops: list[tuple[Pixel, ...]] = [()]
    for name, op in OPS.items():
        if name in names and isinstance(op, Pixel):
            loops = [*loops[:-1], (*loops[-1], op)] if op.by_level else [*loops, (op,)]
    return loops


def _width(ops: tuple[Pixel, ...]) -> int:
    return sum(len(op.parameters) for op in ops)


def _packed(drawn: Draw, ops: tuple[Pixel, ...], count: int) -> np.ndarray:
    """Return the parameters of the ops of a loop side by side: float32 (B, all of them)."""
    columns = [drawn[op.name].astype(np.float32) for op in ops]
    return np.concatenate([np.zeros((count, 0), np.float32), *columns], axis=1)


def _squares(images: ArrayLike) -> tf.Tensor:
    batch = tf.convert_to_tensor(images)
    if batch.shape.rank != 4 or batch.shape[1] is None or batch.shape[1] != batch.shape[2]:
        raise InputError(f"Cannot augment images of shape {batch.shape}: expected (B, S, S, 3).")
    return batch
