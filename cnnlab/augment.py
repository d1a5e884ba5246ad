"""Random transforms of training images: drawing the parameters is apart from applying them.

A draw depends on (seed, epoch, image index) and on nothing else: not on the order of the images,
the batch they travel in, or the thread that runs. Rotation, flip and zoom become one affine map,
so that every pixel is interpolated once.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.engine import tf


class Draw(NamedTuple):
    """The parameters of B transforms, one entry an image.

    Applied in this order: flip, rotation, zoom, brightness.
    """

    angle: tf.Tensor  # float32 (B,), degrees, counter-clockwise
    flip: tf.Tensor  # bool (B,), left and right exchanged
    zoom: tf.Tensor  # float32 (B,), factor; above 1 the object grows
    brightness: tf.Tensor  # float32 (B,), factor of the pixel values


def identity(count: int) -> Draw:
    """Return ``count`` transforms that change nothing; ``_replace`` one field to study it alone.

    Example:
        >>> turned = identity(1)._replace(angle=[90.0])
    """
    return Draw(
        angle=tf.zeros(count), flip=tf.zeros(count, bool), zoom=tf.ones(count),
        brightness=tf.ones(count),
    )  # fmt: skip


def draw(
    indices: tf.Tensor,
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
    return _drawn(_stream(seed, epoch), indices, rotation, flip, zoom, brightness)


def _stream(seed: int, epoch: int) -> tf.Tensor:
    return tf.constant(child_seed(seed, f"augment/{epoch}"), tf.uint64)


def _drawn(
    stream: tf.Tensor,
    indices: tf.Tensor,
    rotation: float,
    flip: bool,
    zoom: float,
    brightness: float,
) -> Draw:
    uniform = _uniform(stream, tf.cast(indices, tf.uint64))  # (B, 4)
    centred = 2 * uniform - 1  # [-1, 1)
    return Draw(
        angle=rotation * centred[:, 0],
        flip=tf.logical_and(uniform[:, 1] < 0.5, flip),
        zoom=1 + zoom * centred[:, 2],
        brightness=1 + brightness * centred[:, 3],
    )


def _uniform(stream: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return four numbers in [0, 1) an image, decided by (stream, index): float32 (B, 4)."""
    # Image i takes the terms 4i + 1 to 4i + 4 of its stream's sequence. Streams are numbers below
    # 2³¹: hashed first, so that each starts anywhere among the 2⁶⁴ states.
    terms = 4 * indices[:, None] + tf.constant([[1, 2, 3, 4]], tf.uint64)
    bits = _split_mix(_split_mix(stream, tf.constant(1, tf.uint64)), terms)
    # The upper 24 bits, which a float32 holds exactly.
    return tf.cast(tf.bitwise.right_shift(bits, _unsigned(40)), tf.float32) * 2**-24


def _split_mix(start: tf.Tensor, terms: tf.Tensor) -> tf.Tensor:
    """Return terms of a SplitMix64 sequence, each from its number alone, modulo 2⁶⁴.

    Args:
        start: uint64 (), the seed.
        terms: uint64, any shape; 1 is the first.

    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014; the
    mixing is number 13 of Stafford, Better Bit Mixing, 2011.
    """
    bits = start + terms * _unsigned(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _unsigned(shift)))
        bits *= _unsigned(factor)
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _unsigned(31)))


def _unsigned(number: int) -> tf.Tensor:
    return tf.constant(number, tf.uint64)


def affine(parameters: Draw, size: int) -> tf.Tensor:
    """Return the map from output to input pixels about the image centre: float32 (B, 2, 3).

    Pixel (x, y) of the result is read at ``matrix @ [x, y, 1]``. Pixel centres have whole
    coordinates, so the centre of the image is (size - 1) / 2 and a quarter turn meets pixels
    exactly.
    """
    # float64, because float32 has no quarter turn: cos(90°) would be off by 4e-8, and the
    # offset, which multiplies it by the size, would miss the pixel centres.
    radians = tf.cast(parameters.angle, tf.float64) * (math.pi / 180)
    scale = 1 / tf.cast(parameters.zoom, tf.float64)
    cosine, sine = tf.cos(radians) * scale, tf.sin(radians) * scale
    mirror = tf.where(tf.cast(parameters.flip, tf.bool), -1.0, 1.0)
    mirror = tf.cast(mirror, tf.float64)
    # Backwards from the result: unzoom and turn back, then mirror x. y points down.
    linear = tf.stack(
        [tf.stack([mirror * cosine, -mirror * sine], axis=1), tf.stack([sine, cosine], axis=1)],
        axis=1,
    )  # (B, 2, 2)
    centre = tf.constant([(size - 1) / 2] * 2, tf.float64)
    offset = centre - tf.linalg.matvec(linear, centre)  # (B, 2)
    return tf.cast(tf.concat([linear, offset[:, :, None]], axis=2), tf.float32)


def resample(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Return the images read through affine maps: bilinear, reflected beyond the border.

    Args:
        images: uint8 or float32 (B, S, S, 3).
        matrices: float32 (B, 2, 3), from output to input pixels; see ``affine``.

    Returns:
        float32 (B, S, S, 3).
    """
    size = images.shape[1]
    steps = tf.range(size, dtype=tf.float32)
    rows = matrices[:, :, :, None, None]  # (B, 2, 3, 1, 1)
    places = rows[:, :, 0] * steps + rows[:, :, 1] * steps[:, None] + rows[:, :, 2]
    x, y = tf.unstack(_reflected(places, size), axis=1)  # (B, S, S) each
    left, above = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
    right, below = tf.minimum(left + 1, size - 1), tf.minimum(above + 1, size - 1)
    over = (x - tf.cast(left, tf.float32))[..., None]
    down = (y - tf.cast(above, tf.float32))[..., None]
    pixels = tf.reshape(images, (-1, 3))
    first = tf.range(tf.shape(images)[0])[:, None, None] * size**2  # of each image

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(pixels, first + row * size + column), tf.float32)

    upper = read(above, left) * (1 - over) + read(above, right) * over
    lower = read(below, left) * (1 - over) + read(below, right) * over
    return upper * (1 - down) + lower * down


def _reflected(places: tf.Tensor, size: int) -> tf.Tensor:
    """Return coordinates mirrored about the borders, -0.5 and size - 0.5, into 0…size - 1."""
    period = 2 * size
    places -= period * tf.floor((places + 0.5) * (1 / period))
    # Within half a pixel of a border both neighbours are the border's own pixel.
    return tf.clip_by_value(tf.minimum(places, period - 1 - places), 0, size - 1)


@tf.function(jit_compile=True)  # compiled to one loop: several times as fast as op by op
def _rendered(images: tf.Tensor, matrices: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(resample(images, matrices) * factors[:, None, None, None], 0, 255)


def apply(images: tf.Tensor, parameters: Draw) -> tf.Tensor:
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
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[1] is None or images.shape[1] != images.shape[2]:
        raise InputError(f"Cannot augment images of shape {images.shape}: expected (B, S, S, 3).")
    matrices = affine(parameters, images.shape[1])
    with tf.device("CPU:0"):  # where tf.data runs it, so that pixels are the same everywhere
        return _rendered(images, matrices, tf.cast(parameters.brightness, tf.float32))


def transform(
    settings: Settings, *, seed: int, epoch: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the function of (images, indices) that augments one epoch's batches.

    Args:
        settings: Gives the ranges ``rotation``, ``flip``, ``zoom`` and ``brightness``.
        seed: The run's root seed, or a fold's.
        epoch: Which pass over the data.

    Returns:
        A function of images uint8 (B, S, S, 3) and indices int64 (B,) to float32 images, fit
        for ``tf.data``.
    """
    stream = _stream(seed, epoch)
    ranges = (settings.rotation, settings.flip, settings.zoom, settings.brightness)

    def augment(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        images, indices = tf.convert_to_tensor(images), tf.convert_to_tensor(indices)
        return _augmented(images, indices, stream, ranges)

    return augment


@tf.function  # its graph is made once, not anew in every epoch
def _augmented(
    images: tf.Tensor,
    indices: tf.Tensor,
    stream: tf.Tensor,
    ranges: tuple[float, bool, float, float],
) -> tf.Tensor:
    return apply(images, _drawn(stream, indices, *ranges))
