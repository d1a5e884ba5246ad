"""Score-CAM: feature maps weighted by what the network makes of the image seen through them."""

import sys
from functools import partial

import numpy as np
from scipy.special import softmax
from tqdm.auto import tqdm

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import gradients, layers, maps, targets
from cnnlab.explain.targets import Target
from cnnlab.explain.traced import trace


def score_cam(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: str | None = None,
    channels: int | None = None,
    copies: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return Score-CAM heatmaps: one forward pass for each image and channel, no gradient.

    Arguments, result and errors are those of ``cam.grad_cam``. The weights are a softmax, over the
    channels, of the class's score before softmax: a sure network gives nearly all weight to a few
    channels. The authors' code weighs by probabilities instead; so does the target
    ``lambda outputs: keras.ops.log(outputs[:, c])`` of a network that ends in softmax, because
    the softmax of logarithms is proportional to what they are logarithms of.

    Args:
        model: As for ``cam.grad_cam``.
        images: As for ``cam.grad_cam``.
        target: As for ``cam.grad_cam``.
        layer: As for ``cam.grad_cam``.
        channels: How many of each image's feature maps, those that vary most over its places
            (standard deviation, the first of equals); all by default. The others get no weight.
        copies: Masked images that exist at once, which bounds the memory; ``maps.BATCH`` (32) by
            default.
        progress: Whether to print a bar over the masked images.

    Source:
        Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
        Networks", CVPR Workshops 2020: algorithm 1. The score of its empty baseline image is the
        same for all channels and falls out of the softmax. A choice of the maps that vary most:
        Shiroyanagi, "Faster Score-CAM" (tabayashi0117/Score-CAM on GitHub), 2020.

    Raises:
        InputError: Also for fewer channels than 1.
    """
    if channels is not None and channels < 1:
        raise InputError(f"channels={channels}: expected 1 or more, or None for all.")
    images = layers.image_batch(model, images)
    classes, function = targets.settle(model, target, images)
    shape, inputs = images.shape[1:], targets.signature(images)
    look = trace(
        model,
        function,
        ("activation maps", layer, shape),
        partial(_activation_maps, layer=layer),
        inputs,
    )
    some = tf.TensorSpec((None,), tf.int64)
    inputs += [tf.TensorSpec((None, None, None, None), tf.float32), some, some]
    judge = trace(model, function, ("masked", shape), _masked_scores, inputs)
    heatmaps = np.zeros(images.shape[:3], np.float32)
    with tqdm(None, "Score-CAM", None, unit="mask", file=sys.stdout, disable=not progress) as bar:
        for rows in maps.batches(len(images)):
            pixels, chosen = tf.constant(images[rows]), tf.constant(classes[rows])
            features = _liveliest(look(pixels, chosen), channels)  # (b, K, h, w)
            count, width = features.shape[:2]
            bar.total = len(images) * width
            scores = np.empty(count * width, np.float32)
            for part in maps.batches(len(scores), copies):
                image, channel = np.divmod(np.arange(part.start, part.stop), width)
                scores[part] = judge(pixels, chosen, features, image, channel)
                bar.update(len(image))
            weights = softmax(scores.reshape(count, width), axis=1)
            sums = tf.einsum("bkhw,bk->bhw", features, weights)
            heatmaps[rows] = maps.finish(sums, images.shape[1:3], signed=False)
    return heatmaps


def _liveliest(features: tf.Tensor, channels: int | None) -> tf.Tensor:
    """Return the maps of each image that vary most: (b, K, h, w) → (b, channels, h, w)."""
    if channels is None or channels >= features.shape[1]:
        return features
    spread = np.std(features, axis=(2, 3))  # (b, K)
    kept = np.sort(np.argsort(-spread, axis=1, kind="stable")[:, :channels], axis=1)
    return tf.gather(features, kept, batch_dims=1)


def _activation_maps(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    *,
    layer: str | None,
) -> tf.Tensor:
    """Return the feature maps, float32 (b, K, h, w): ops, to be traced."""
    features = gradients.view(model, function, images, classes, layer).features
    return tf.transpose(features, (0, 3, 1, 2))


def _masked_scores(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    features: tf.Tensor,
    image: tf.Tensor,
    channel: tf.Tensor,
) -> tf.Tensor:
    """Return scores (m,) of images seen through single feature maps: ops, to be traced.

    Args:
        model: The model.
        function: The score function, or None.
        images: float32 (b, H, W, 3).
        classes: int64 (b,).
        features: float32 (b, K, h, w).
        image: int64 (m,), which image it is.
        channel: int64 (m,), which of its feature maps masks it.
    """
    chosen = tf.gather_nd(features, tf.stack([image, channel], axis=1))  # (m, h, w)
    masks = tf.image.resize(chosen[..., None], images.shape[1:3])  # (m, H, W, 1)
    low = tf.reduce_min(masks, axis=(1, 2), keepdims=True)
    span = tf.reduce_max(masks, axis=(1, 2), keepdims=True) - low
    masked = tf.gather(images, image) * tf.math.divide_no_nan(masks - low, span)
    return targets.judge(model, function, masked, tf.gather(classes, image))[0]
