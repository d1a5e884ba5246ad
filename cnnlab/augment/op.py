"""What an augmentation op is: a name, a range, one draw and one action.

An op's strength is one number, 0…``high``. At 0 it changes no bit of any image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnlab.engine import tf


@dataclass(frozen=True, kw_only=True)
class Op:
    """What every op has; an op is an ``Affine`` or a ``Pixel``.

    Attributes:
        name: Its name in the settings, and of its stream of random numbers.
        meaning: What its strength means, in one line.
        high: The largest strength.
        text: How a strength is described, a format string: "rotation ±{:g}°".
        parameters: What one image is given, with units, as labels of axes: "angle (degrees)".
        draw: Uniform numbers float32 (B, n) in [0, 1) and the strength → parameters (B, p), one
            column for each of ``parameters``, numbers or bool.
        numbers: n, how many uniform numbers an image takes.
        shared: Column of the numbers of ``draws.SHARED``; None for a stream of its own.
    """

    name: str
    meaning: str
    high: float
    text: str
    parameters: tuple[str, ...]
    draw: Callable[[np.ndarray, float], np.ndarray]
    numbers: int = 1
    shared: int | None = None

    def described(self, strength: float) -> str:
        """Return the op at a strength in words: "rotation ±20°", "flip off"."""
        return self.text.format(strength) if strength else f"{self.name} off"


@dataclass(frozen=True, kw_only=True)
class Affine(Op):
    """An op that moves pixels; all of them together are one map, and one resampling.

    Attributes:
        backward: Parameters (B, p) → float64 (B, 3, 3): where each pixel of the result is read.
            Homogeneous coordinates (x, y, 1) about the image centre, in image sides, y down.
    """

    backward: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Pixel(Op):
    """An op on the levels, after the resampling.

    Attributes:
        action: Images float32 (B, S, S, 3), 0…255, and parameters float32 (B, p) → images of the
            same shape, which are clipped to 0…255. Traced by TensorFlow and compiled by XLA. Each
            image's result may depend on that image alone.
        by_level: Whether each level depends on itself alone, and not on other pixels or channels.
            Such an op is compiled into the loop before it; another one needs that loop's result
            in memory, or XLA would compute it anew for every level that reads it.
    """

    action: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    by_level: bool = False


def centred(uniform: np.ndarray, strength: float) -> np.ndarray:
    """Return numbers between -strength and strength: a ``draw``."""
    return strength * (2 * uniform - 1)


def factor(uniform: np.ndarray, strength: float) -> np.ndarray:
    """Return factors between 1 - strength and 1 + strength: a ``draw``."""
    return 1 + strength * (2 * uniform - 1)


def mean_colour(images: tf.Tensor) -> tf.Tensor:
    """Return the mean of the levels, rounded to whole ones: float32 (B, 1, 1, 3).

    Integers have the same sum in any order. XLA adds floats in an order that depends on the number
    of images, and an image must not depend on its batch.
    """
    levels = tf.cast(tf.round(images), tf.int32)
    total = tf.reduce_sum(levels, axis=(1, 2), keepdims=True)
    return tf.cast(total, tf.float32) / (images.shape[1] * images.shape[2])
