"""Occlusion: how far the score falls when a patch of the image is covered."""

import sys

import numpy as np
from tqdm.auto import tqdm

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers, maps, targets
from cnnlab.explain.targets import Target
from cnnlab.explain.traced import trace

GREY = 127.5


def occlusion(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: None = None,
    signed: bool = False,
    patch: int | None = None,
    stride: int | None = None,
    fill: float = GREY,
    copies: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return occlusion heatmaps: the mean fall of the score over all patches that cover a pixel.

    Arguments, result and errors are those of ``cam.grad_cam``; further ones those of
    ``score_falls``. Pixels are explained, not a layer: naming one is an error.

    Source:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014:
        section 4.2, figure 7.
    """
    layers.refuse(layer, "Occlusion")
    falls = score_falls(
        model, images, target=target, patch=patch, stride=stride, fill=fill,
        copies=copies, progress=progress,
    )  # fmt: skip
    height, width = np.shape(images)[1:3]
    patch, stride = _steps(height, width, patch, stride)
    rows, columns = (_cover(length, patch, stride) for length in (height, width))
    means = np.einsum("yi,bij,xj->byx", rows, falls, columns, dtype=np.float64)
    covered = np.outer(rows.sum(axis=1), columns.sum(axis=1))
    means = np.divide(means, covered, out=np.zeros_like(means), where=covered > 0)
    return maps.finish(tf.constant(means, tf.float32), (height, width), signed).numpy()


def score_falls(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    patch: int | None = None,
    stride: int | None = None,
    fill: float = GREY,
    copies: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return how far the score falls when each patch is covered, in units of the score.

    Args:
        model: As for ``cam.grad_cam``.
        images: As for ``cam.grad_cam``.
        target: As for ``cam.grad_cam``.
        patch: Side of the square in pixels; an eighth of the shorter side by default.
        stride: Pixels from one patch to the next; half a patch by default. The last patch of a
            line ends with the image.
        fill: What covers the patch, 0…255; grey by default.
        copies: Covered images that exist at once, which bounds the memory; ``maps.BATCH`` (32) by
            default.
        progress: Whether to print a bar over the covered images.

    Returns:
        float32 (B, rows of patches, columns of patches).

    Raises:
        InputError: The images or the target do not fit, or no such patch does.
    """
    images = layers.image_batch(model, images)
    height, width = images.shape[1:3]
    patch, stride = _steps(height, width, patch, stride)
    classes, function = targets.settle(model, target, images)
    some = tf.TensorSpec((None,), tf.int64)
    inputs = [*targets.signature(images), *[some] * 3, tf.TensorSpec((), tf.int64)]
    inputs += [tf.TensorSpec((), tf.float32)]
    judge = trace(model, function, ("covered", images.shape[1:]), _covered_scores, inputs)
    tops, lefts = _starts(height, patch, stride), _starts(width, patch, stride)
    falls = np.zeros((len(images), len(tops) * len(lefts)), np.float32)
    total = falls.size
    with tqdm(None, "occlusion", total, unit="patch", file=sys.stdout, disable=not progress) as bar:
        for rows in maps.batches(len(images)):
            pixels, chosen = tf.constant(images[rows]), tf.constant(classes[rows])
            whole = targets.scores(model, images[rows], function or classes[rows])
            scores = np.empty(falls[rows].size, np.float32)
            for part in maps.batches(len(scores), copies):
                image, place = np.divmod(np.arange(part.start, part.stop), falls.shape[1])
                row, column = np.divmod(place, len(lefts))
                scores[part] = judge(pixels, chosen, image, tops[row], lefts[column], patch, fill)
                bar.update(len(image))
            falls[rows] = whole[:, None] - scores.reshape(len(whole), -1)
    return falls.reshape(len(images), len(tops), len(lefts))


def _covered_scores(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    image: tf.Tensor,
    top: tf.Tensor,
    left: tf.Tensor,
    patch: tf.Tensor,
    fill: tf.Tensor,
) -> tf.Tensor:
    """Return the scores (m,) of covered images: ops, to be traced."""

    def inside(length: int, start: tf.Tensor) -> tf.Tensor:
        offset = tf.range(length, dtype=tf.int64) - start[:, None]  # (m, length)
        return (offset >= 0) & (offset < patch)

    height, width = images.shape[1:3]
    square = inside(height, top)[:, :, None] & inside(width, left)[:, None, :]  # (m, H, W)
    covered = tf.where(square[..., None], fill, tf.gather(images, image))
    return targets.judge(model, function, covered, tf.gather(classes, image))[0]


def _steps(height: int, width: int, patch: int | None, stride: int | None) -> tuple[int, int]:
    """Return patch and stride, chosen where they are None."""
    shorter = min(height, width)
    patch = max(1, shorter // 8) if patch is None else patch
    stride = max(1, patch // 2) if stride is None else stride
    if not (1 <= patch <= shorter and stride >= 1):
        raise InputError(
            f"Patch {patch}, stride {stride} in images of {height}×{width} pixels: expected a "
            f"patch of 1…{shorter} pixels and a stride of 1 or more."
        )
    return patch, stride


def _starts(length: int, patch: int, stride: int) -> np.ndarray:
    """Return where patches begin on a line: int64, the last one so that it ends with the line."""
    return np.unique(np.append(np.arange(0, length - patch, stride), length - patch))


def _cover(length: int, patch: int, stride: int) -> np.ndarray:
    """Return which pixels of a line each patch covers: float64 (length, patches) of 0 and 1."""
    offset = np.arange(length)[:, None] - _starts(length, patch, stride)
    return ((offset >= 0) & (offset < patch)).astype(np.float64)
