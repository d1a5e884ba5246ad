"""Random erasing: a rectangle of the image is covered by the image's mean colour.

Zhong, Zheng, Kang, Li, Yang, Random Erasing Data Augmentation, arXiv 1708.04896, algorithm 1, with
its area and aspect; Cutout (DeVries, Taylor, arXiv 1708.04552) covers a square of one size. Two
things differ. The aspect is uniform in its logarithm, so that lying and standing rectangles are
equally likely. A rectangle longer than the image is cut to it, where the paper draws again, because
a draw here takes a fixed count of numbers. Of the paper's fillings this is RE-M, with the mean
colour of the image itself: a network cannot know the rectangle by its colour.
"""

import numpy as np

from cnnlab.augment.op import Pixel, mean_colour
from cnnlab.engine import tf

AREA = (0.02, 0.4)  # shares of the image
ASPECT = (0.3, 1 / 0.3)  # height ÷ width


def _rectangles(uniform: np.ndarray, strength: float) -> np.ndarray:
    """Return left, top, width, height in image sides; of an image not erased, width is 0."""
    erased = uniform[:, 0] < strength
    area = AREA[0] + (AREA[1] - AREA[0]) * uniform[:, 1]
    aspect = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** uniform[:, 2]
    height = np.minimum(np.sqrt(area * aspect), 1)
    width = np.minimum(np.sqrt(area / aspect), 1) * erased
    left, top = uniform[:, 3] * (1 - width), uniform[:, 4] * (1 - height)
    return np.stack([left, top, width, height], axis=1)


def _erased(images: tf.Tensor, rectangles: tf.Tensor) -> tf.Tensor:
    """Cover the pixels whose centres lie in the rectangle."""
    size = images.shape[1]
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    left, top, width, height = tf.unstack(rectangles[:, :, None], axis=1)  # (B, 1) each
    across = (centres >= left) & (centres < left + width)
    down = (centres >= top) & (centres < top + height)
    inside = down[:, :, None, None] & across[:, None, :, None]
    return tf.where(inside, mean_colour(images), images)


erasing = Pixel(
    name="erasing",
    meaning="0.25 covers a rectangle in a quarter of the images",
    high=1,
    text="erasing {:.0%} of images",
    parameters=tuple(f"erased {part} (sides)" for part in ("left", "top", "width", "height")),
    draw=_rectangles,
    numbers=5,
    action=_erased,
)
