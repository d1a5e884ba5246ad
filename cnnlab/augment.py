"""Random transforms of training images: drawing the parameters is apart from applying them.

A draw depends on (seed, epoch, image index) and on nothing else: not on the order of the images,
the batch they travel in, or the thread that runs. Rotation, flip and zoom become one affine map,
so that every pixel is interpolated once. Drawing is NumPy and resampling has few operations: each
operation of a graph is prepared anew in every epoch, which takes as long as hundreds of draws.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.config import InputError, child_seed
from cnnlab.config.augmentation import AugmentationSettings
from cnnlab.engine import tf


class Draw(NamedTuple):
    """The parameters of B transforms, one entry an image.

    Applied in this order: flip, rotation, zoom, brightness.
    """

    angle: ArrayLike  # float32 (B,), degrees, counter-clockwise
    flip: ArrayLike  # bool (B,), left and right exchanged
    zoom: ArrayLike  # float32 (B,), factor; above 1 the object grows
    brightness: ArrayLike  # float32 (B,), factor of the pixel values


def identity(count: int) -> Draw:
    """Return ``count`` transforms that change nothing; ``_replace`` one field to study it alone.

    Example:
        >>> turned = identity(1)._replace(angle=[90.0])
    """
    zeros, ones = np.zeros(count, np.float32), np.ones(count, np.float32)
    return Draw(angle=zeros, flip=np.zeros(count, bool), zoom=ones, brightness=ones)


def draw(
    indices: ArrayLike,
    *,
    seed: int,
    epoch: int,
    rotation: float,
    flip: bool,
    zoom: float,
    brightness: float,
) -> Draw:
    """Return one independent, uniform draw an image.

    Args:
        indices: int (B,), which image of the dataset each one is.
        seed: The run's root seed.
        epoch: Which pass over the data; another epoch is another draw.
        rotation: Largest angle in degrees, 0…180: drawn from -rotation…rotation.
        flip: Whether half of the images are mirrored.
        zoom: Half-width of the zoom factor around 1, in [0, 1).
        brightness: Half-width of the brightness factor around 1, in [0, 1].

    Raises:
        InputError: A range that has no meaning.
    """
    for name, value, high in (("rotation", rotation, 180), ("zoom", zoom, 0.9),
                              ("brightness", brightness, 1)):  # fmt: skip
        if not 0 <= value <= high:
            raise InputError(f"{name}={value} is out of range: expected 0 to {high}.")
    uniform = _uniform(child_seed(seed, f"augment/{epoch}"), np.asarray(indices, np.uint64))
    centred = 2 * uniform - 1  # [-1, 1)
    return Draw(
        angle=rotation * centred[:, 0],
        flip=np.logical_and(uniform[:, 1] < 0.5, flip),
        zoom=1 + zoom * centred[:, 2],
        brightness=1 + brightness * centred[:, 3],
    )


def _uniform(stream: int, indices: np.ndarray) -> np.ndarray:
    """Return four numbers in [0, 1) an image, decided by (stream, index): float32 (B, 4)."""
    # Image i takes the terms 4i + 1 to 4i + 4 of its stream's sequence. Streams are numbers below
    # 2³¹: hashed first, so that each starts anywhere among the 2⁶⁴ states.
    start = _split_mix(np.array([stream], np.uint64), np.array([1], np.uint64))
    bits = _split_mix(start, 4 * indices[:, None] + np.arange(1, 5, dtype=np.uint64))
    # The upper 24 bits, which a float32 holds exactly.
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def _split_mix(start: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return terms of a SplitMix64 sequence, each from its number alone, modulo 2⁶⁴.

    Args:
        start: uint64 (1,), the seed.
        terms: uint64, any shape; 1 is the first.

    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014; the
    mixing is number 13 of Stafford, Better Bit Mixing, 2011.
    """
    bits = start + terms * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def affine(parameters: Draw, size: int) -> np.ndarray:
    """Return the map from output to input pixels about the image centre: float32 (B, 2, 3).

    Pixel (x, y) of the result is read at ``matrix @ [x, y, 1]``. Pixel centres have whole
    coordinates, so the centre of the image is (size - 1) / 2 and a quarter turn meets pixels
    exactly.
    """
    # float64, because float32 has no quarter turn: cos(90°) would be off by 4e-8, and the
    # offset, which multiplies it by the size, would miss the pixel centres.
    radians = np.deg2rad(np.asarray(parameters.angle, np.float64))
    scale = 1 / np.asarray(parameters.zoom, np.float64)
    cosine, sine = np.cos(radians) * scale, np.sin(radians) * scale
    mirror = np.where(parameters.flip, -1.0, 1.0)
    # Backwards from the result: unzoom and turn back, then mirror x. y points down.
    linear = np.stack([mirror * cosine, -mirror * sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    centre = (size - 1) / 2
    offset = centre - centre * linear.sum(axis=2, keepdims=True)  # (B, 2, 1)
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


def resample(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Return the images read through affine maps: bilinear, reflected beyond the border.

    Args:
        images: uint8 or float32 (B, S, S, 3).
        matrices: float32 (B, 2, 3), from output to input pixels; see ``affine``.

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


@tf.function(jit_compile=True)  # compiled to one loop: several times as fast as op by op
def _rendered(images: tf.Tensor, matrices: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(resample(images, matrices) * tf.reshape(factors, (-1, 1, 1, 1)), 0, 255)


def apply(images: ArrayLike, parameters: Draw) -> tf.Tensor:
    """Return the images transformed, each by its own entry of the draw.

    Args:
        images: uint8 or float32 (B, S, S, 3), RGB, 0…255; left as they are.
        parameters: B draws.

    Returns:
        float32 (B, S, S, 3), 0…255. ``identity`` gives the pixels back exactly.

    Raises:
        InputError: The images are not a batch of squares.

    Example:
        >>> brighter = apply(images, identity(len(images))._replace(brightness=[1.2]))
    """
    batch = _squares(images)
    matrices = affine(parameters, batch.shape[1])
    with tf.device("CPU:0"):  # where tf.data runs it, so that pixels are the same everywhere
        return _rendered(batch, matrices, tf.cast(parameters.brightness, tf.float32))


def _squares(images: ArrayLike) -> tf.Tensor:
    batch = tf.convert_to_tensor(images)
    if batch.shape.rank != 4 or batch.shape[1] is None or batch.shape[1] != batch.shape[2]:
        raise InputError(f"Cannot augment images of shape {batch.shape}: expected (B, S, S, 3).")
    return batch


def transform(
    settings: AugmentationSettings, *, seed: int, epoch: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the function of (images, indices) that augments one epoch's batches.

    Args:
        settings: The ranges.
        seed: The run's root seed, or a fold's.
        epoch: Which pass over the data.

    Returns:
        A function of images uint8 (B, S, S, 3) and indices int64 (B,) to float32 images, fit
        for ``tf.data``.
    """
    ranges = asdict(settings)

    def augment(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        batch = _squares(images)
        size = batch.shape[1]

        def parameters(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            drawn = draw(rows, seed=seed, epoch=epoch, **ranges)
            return affine(drawn, size), np.asarray(drawn.brightness, np.float32)

        with tf.device("CPU:0"):
            kinds = (tf.float32, tf.float32)
            drawn = tf.numpy_function(parameters, [indices], kinds, stateful=False)
            matrices, factors = map(tf.ensure_shape, drawn, ((None, 2, 3), (None,)))
            return _rendered(batch, matrices, factors)

    return augment
