"""Integrated gradients: the score's way from a baseline to the image, shared out to the pixels."""

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import gradients, layers, maps, targets
from cnnlab.explain.targets import Target
from cnnlab.explain.traced import trace


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: None = None,
    signed: bool = False,
    baseline: float | np.ndarray = 0.0,
    steps: int = 64,
) -> np.ndarray:
    """Return integrated gradients as heatmaps, summed over the colours.

    Arguments, result and errors are those of ``cam.grad_cam``; further ones those of
    ``attributions``. Pixels are explained, not a layer: naming one is an error.

    Source:
        Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    """
    layers.refuse(layer, "Integrated gradients")
    found = attributions(model, images, target=target, baseline=baseline, steps=steps)
    summed = tf.constant(found.sum(axis=-1))
    return maps.finish(summed, summed.shape[1:], signed).numpy()


def attributions(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    baseline: float | np.ndarray = 0.0,
    steps: int = 64,
) -> np.ndarray:
    """Return each value's share in the score's rise from the baseline to the image.

    They sum to S(image) − S(baseline), the axiom of completeness, as far as the steps resolve the
    way: more steps, a smaller difference.

    Args:
        model: As for ``cam.grad_cam``.
        images: As for ``cam.grad_cam``.
        target: As for ``cam.grad_cam``.
        baseline: The image that says nothing, 0…255: a number (0 is black) or (H, W, 3).
        steps: Gradients per image, taken in the middle of equal parts of the way.

    Returns:
        float32 (B, H, W, 3), in units of the score.

    Raises:
        InputError: The images, the target, the baseline or the steps do not fit.

    Source:
        Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017: eq. 1,
        its sum eq. 3, completeness proposition 1.
    """
    images = layers.image_batch(model, images)
    empty = np.asarray(baseline, np.float32)
    if steps < 1 or empty.shape not in ((), images.shape[1:]):
        raise InputError(
            f"Baseline {empty.shape} and {steps} steps: expected a number or {images.shape[1:]}, "
            "and 1 step or more."
        )
    empty = np.broadcast_to(empty, images.shape[1:])
    classes, function = targets.settle(model, target, images)
    inputs = targets.signature(images)
    inputs += [tf.TensorSpec(empty.shape, tf.float32), tf.TensorSpec((None,), tf.int64)]
    inputs += [tf.TensorSpec((None,), tf.float32)]
    summed = trace(model, function, ("on the way", images.shape[1:]), _summed_gradients, inputs)
    result = np.zeros_like(images)
    for rows in maps.batches(len(images)):
        pixels, chosen = tf.constant(images[rows]), tf.constant(classes[rows])
        for part in maps.batches(len(pixels) * steps):
            image, step = np.divmod(np.arange(part.start, part.stop), steps)
            way = ((step + 0.5) / steps).astype(np.float32)
            result[rows] += summed(pixels, chosen, empty, image, way)
    return (images - empty) * (result / steps)


def _summed_gradients(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    baseline: tf.Tensor,
    image: tf.Tensor,
    way: tf.Tensor,
) -> tf.Tensor:
    """Return the summed gradients (b, H, W, 3) at points of the ways: ops, to be traced.

    Args:
        model: The model.
        function: The score function, or None.
        images: float32 (b, H, W, 3).
        classes: int64 (b,).
        baseline: float32 (H, W, 3).
        image: int64 (m,), to which image the way leads.
        way: float32 (m,), how much of it is done, 0…1.
    """
    points = baseline + way[:, None, None, None] * (tf.gather(images, image) - baseline)
    scores, _ = targets.judge(model, function, points, tf.gather(classes, image))
    found = gradients.gradient(scores, points)
    if found is None:
        raise InputError(
            f"Model {model.name!r} passes no gradient from the score to the image: integrated "
            "gradients need one; use occlusion."
        )
    return tf.math.unsorted_segment_sum(found, image, tf.shape(images)[0])
