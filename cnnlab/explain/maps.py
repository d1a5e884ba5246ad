"""From weighted maps to heatmaps: batches, enlargement, scale."""

from collections.abc import Iterator

from cnnlab.engine import tf

BATCH = 32  # images, or changed copies of images, that go through the network at once


def batches(count: int, size: int | None = None) -> Iterator[slice]:
    """Yield slices that cover ``range(count)``, at most ``size`` (``BATCH``) long."""
    size = BATCH if size is None else size
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def finish(weighted: tf.Tensor, size: tuple[int, int], signed: bool) -> tf.Tensor:
    """Return weighted maps as heatmaps: ops, to be traced.

    Args:
        weighted: float32 (b, h, w), negative where something speaks against the class.
        size: Height and width of the images in pixels.
        signed: Whether negative values stay; otherwise they become zero.

    Returns:
        float32 (b, H, W), bilinearly enlarged, each divided by its own largest absolute value:
        −1…1 or 0…1. A map of zeros stays one.
    """
    kept = weighted if signed else tf.nn.relu(weighted)
    enlarged = tf.image.resize(kept[..., None], size)[..., 0]
    peaks = tf.reduce_max(tf.abs(enlarged), axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(enlarged, peaks)
