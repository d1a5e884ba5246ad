"""Ops on the levels of every pixel: brightness, contrast, saturation.

Each interpolates, or extrapolates, between the image and one without the quality in question:
black, its mean grey, its grey pixels. Haeberli and Voorhies, Image Processing by Interpolation and
Extrapolation, IRIS Universe 28, 1994. A factor of 1 gives the levels back exactly.
"""

import numpy as np

from cnnlab.augment.op import Pixel, factor, mean_colour
from cnnlab.engine import tf

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G and B: ITU-R BT.601


def _brightened(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return images * _each(factors)


def _contrasted(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return _between(_grey(mean_colour(images)), images, factors)


def _saturated(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return _between(_grey(images), images, factors)


def _between(empty: tf.Tensor, images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    share = _each(factors)
    return images * share + empty * (1 - share)


def _grey(images: tf.Tensor) -> tf.Tensor:
    """Return the luma of each pixel, one channel."""
    return tf.reduce_sum(images * LUMA, axis=3, keepdims=True)


def _each(factors: tf.Tensor) -> tf.Tensor:
    return tf.reshape(factors, (-1, 1, 1, 1))


brightness = Pixel(
    name="brightness",
    meaning="0.2 multiplies pixels by 0.8 to 1.2",
    high=1,
    text="brightness ±{:.0%}",
    parameters=("brightness (factor)",),
    draw=factor,
    shared=3,
    action=_brightened,
    by_level=True,
)
contrast = Pixel(
    name="contrast",
    meaning="0.2 multiplies the distance from the image's mean grey by 0.8 to 1.2",
    high=1,
    text="contrast ±{:.0%}",
    parameters=("contrast (factor)",),
    draw=factor,
    action=_contrasted,
)
saturation = Pixel(
    name="saturation",
    meaning="0.2 multiplies each pixel's distance from its own grey by 0.8 to 1.2",
    high=1,
    text="saturation ±{:.0%}",
    parameters=("saturation (factor)",),
    draw=factor,
    action=_saturated,
)
