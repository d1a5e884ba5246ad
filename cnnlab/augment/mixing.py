"""Mixing of pairs: batch transforms (images, targets, rows) → (images, targets).

Each image is mixed with another of its batch: its partner is the next one in the order of a hash of
their rows, the last one's is the first. So every image is one other's partner, and what an image
becomes depends on (seed, epoch, the rows of its batch) and on nothing else. A batch of one image is
mixed with itself, which changes nothing but rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import betaincinv

from cnnlab.augment.streams import bits, uniform
from cnnlab.config import InputError, child_seed
from cnnlab.engine import tf

Mixed = tuple[tf.Tensor, tf.Tensor]
Mixer = Callable[..., Mixed]


def mixup(
    images: tf.Tensor,
    targets: tf.Tensor,
    rows: tf.Tensor,
    *,
    seed: int,
    epoch: int,
    strength: float,
) -> Mixed:
    """Return λ · image + (1 - λ) · partner, and targets in the same proportion.

    Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization, arXiv 1710.09412,
    equation (1) of the introduction: λ ~ Beta(α, α), one for each pair.

    Args:
        images: float32 (B, S, S, 3), 0…255.
        targets: float32 (B, C), a distribution over the classes.
        rows: int64 (B,), which image of the dataset each one is.
        seed: The run's root seed, or a fold's.
        epoch: Which pass over the data; another epoch is another draw.
        strength: α, at least 0; at 0 nothing is mixed, near 0 nearly nothing, at 1 λ is uniform.

    Returns:
        Images and targets, float32, of the same shapes.

    Raises:
        InputError: ``strength`` is negative or not a number.
    """
    _check("mixup", strength)

    def drawn(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return partners("mixup", rows, seed, epoch), proportions(
            "mixup", rows, seed, epoch, strength
        )

    partner, share = _numbers(drawn, rows, [(tf.int32, (None,)), (tf.float32, (None,))])
    with tf.device("CPU:0"):  # where tf.data runs it, so that pixels are the same everywhere
        return _blended(images, targets, partner, share)


def cutmix(
    images: tf.Tensor,
    targets: tf.Tensor,
    rows: tf.Tensor,
    *,
    seed: int,
    epoch: int,
    strength: float,
) -> Mixed:
    """Return images with a rectangle of their partners', and targets in proportion of the areas.

    Yun, Han, Oh, Chun, Choe, Yoo, CutMix, arXiv 1905.04899, equations (1) and (2): λ ~ Beta(α, α);
    the rectangle has the image's aspect, sides of √(1 - λ), its centre anywhere in the image, and
    is cut at the borders. The targets' λ is the share of pixels that are not in it.

    Arguments, returns and raises as for ``mixup``.
    """
    _check("cutmix", strength)
    size = images.shape[1]

    def drawn(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = proportions("cutmix", rows, seed, epoch, strength)
        centres = uniform(child_seed(seed, f"cutmix/{epoch}/centre"), rows, 2)
        return partners("cutmix", rows, seed, epoch), rectangles(share, centres, size)

    partner, corners = _numbers(drawn, rows, [(tf.int32, (None,)), (tf.int32, (None, 4))])
    with tf.device("CPU:0"):
        return _pasted(images, targets, partner, corners)


# Mixer by name: mixer(images, targets, rows, *, seed, epoch, strength) → (images, targets).
MIXERS: dict[str, Mixer] = {"mixup": mixup, "cutmix": cutmix}


def partners(mixer: str, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return each image's partner as a position in the batch: int32 (B,)."""
    hashes = bits(child_seed(seed, f"{mixer}/{epoch}/partner"), rows, 1)[:, 0]
    order = np.argsort(hashes, kind="stable")
    found = np.empty(len(order), np.int32)
    found[order] = np.roll(order, -1)
    return found


def proportions(mixer: str, rows: np.ndarray, seed: int, epoch: int, strength: float) -> np.ndarray:
    """Return each image's λ ~ Beta(strength, strength): float32 (B,), its own share."""
    if strength == 0:
        return np.ones(len(rows), np.float32)
    numbers = uniform(child_seed(seed, f"{mixer}/{epoch}/share"), rows, 1)[:, 0]
    # The inverse of the distribution function makes one uniform number one of the distribution.
    return betaincinv(strength, strength, numbers.astype(np.float64)).astype(np.float32)


def rectangles(share: np.ndarray, centres: np.ndarray, size: int) -> np.ndarray:
    """Return left, top, right and bottom in pixels, ends not included: int32 (B, 4).

    Args:
        share: float32 (B,), what is to be left of the image, before the borders cut the rectangle.
        centres: float32 (B, 2), across and down, in [0, 1).
        size: Pixels a side.
    """
    side = np.rint(size * np.sqrt(1 - share.astype(np.float64)))[:, None]
    start = np.floor(size * centres.astype(np.float64)) - side // 2
    ends = np.concatenate([start, start + side], axis=1)
    return ends.clip(0, size).astype(np.int32)


@tf.function(jit_compile=True)
def _blended(images: tf.Tensor, targets: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> Mixed:
    def mixed(values: tf.Tensor) -> tf.Tensor:
        own = tf.reshape(share, (-1, *[1] * (values.shape.rank - 1)))
        return values * own + tf.gather(values, partner) * (1 - own)

    return mixed(images), mixed(targets)


@tf.function(jit_compile=True)
def _pasted(images: tf.Tensor, targets: tf.Tensor, partner: tf.Tensor, corners: tf.Tensor) -> Mixed:
    size = images.shape[1]
    steps = np.arange(size, dtype=np.int32)
    left, top, right, bottom = tf.unstack(corners[:, :, None], axis=1)  # (B, 1) each
    across, down = (steps >= left) & (steps < right), (steps >= top) & (steps < bottom)
    inside = down[:, :, None, None] & across[:, None, :, None]
    area = tf.cast((right - left) * (bottom - top), tf.float32)
    share = 1 - area / size**2  # (B, 1)
    return (
        tf.where(inside, tf.gather(images, partner), images),
        targets * share + tf.gather(targets, partner) * (1 - share),
    )


def _numbers(
    drawn: Callable[[np.ndarray], tuple[np.ndarray, ...]],
    rows: tf.Tensor,
    kinds: list[tuple[Any, tuple[int | None, ...]]],
) -> list[tf.Tensor]:
    """Return what NumPy draws for the rows, as tensors of these types and shapes."""
    with tf.device("CPU:0"):
        found = tf.numpy_function(drawn, [rows], [kind for kind, _ in kinds], stateful=False)
        return [tf.ensure_shape(each, shape) for each, (_, shape) in zip(found, kinds, strict=True)]


def _check(mixer: str, strength: float) -> None:
    if not 0 <= strength < np.inf:
        raise InputError(
            f"{mixer}={strength:g} is out of range: expected 0 or more (the α of Beta)."
        )
