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
    stream = tf.constant(child_seed(seed, f"augment/{epoch}"), tf.int64)
    uniform = _uniform(stream, tf.cast(indices, tf.int64))  # (B, 4)
    centred = 2 * uniform - 1  # [-1, 1)
    return Draw(
        angle=rotation * centred[:, 0],
        flip=tf.logical_and(uniform[:, 1] < 0.5, flip),
        zoom=1 + zoom * centred[:, 2],
        brightness=1 + brightness * centred[:, 3],
    )


@tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64)])
def _uniform(stream: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return four numbers in [0, 1) an image, seeded by (stream, index): float32 (B, 4)."""

    def of_one_image(index: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform((4,), seed=tf.stack([stream, index]))

    return tf.map_fn(of_one_image, indices, fn_output_signature=tf.TensorSpec((4,)))


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
        images: float32 (B, S, S, 3).
        matrices: float32 (B, 2, 3), from output to input pixels; see ``affine``.

    Returns:
        float32 (B, S, S, 3).
    """
    rows = tf.reshape(matrices, (-1, 6))
    result = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(rows, [[0, 0], [0, 2]]),  # (B, 8): the last two would be perspective
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(result, images.shape)


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
    pixels = resample(tf.cast(images, tf.float32), affine(parameters, images.shape[1]))
    factors = tf.cast(parameters.brightness, tf.float32)[:, None, None, None]
    return tf.clip_by_value(pixels * factors, 0, 255)


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

    def augment(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        parameters = draw(
            indices,
            seed=seed,
            epoch=epoch,
            rotation=settings.rotation,
            flip=settings.flip,
            zoom=settings.zoom,
            brightness=settings.brightness,
        )
        return apply(images, parameters)

    return augment
