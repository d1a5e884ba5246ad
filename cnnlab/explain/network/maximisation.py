"""Activation maximisation: the picture that a channel would like best."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, gradients, layers
from cnnlab.explain.execution import Call
from cnnlab.explain.network import features
from cnnlab.explain.traced import trace

GREY = 127.5


def maximised(
    model: keras.Model,
    layer: str,
    channels: Sequence[int],
    *,
    size: int,
    seed: int,
    steps: int = 40,
    rate: float = 12.0,
) -> np.ndarray:
    """Return, for each channel, a picture climbed towards its highest mean activation.

    Places at the rim of the map do not count: the padding excites them, not the picture. Of a
    layer that only rectifies, a hundredth of what it cuts off counts as well: a channel that is
    silent at the start would have no gradient.

    From faint noise around grey, each step adds the gradient, smoothed a little against single
    pixels and scaled to the same length, and stays within 0…255. Where one climbs to depends on
    where one starts: it is one such picture, not the only one.

    Args:
        model: As for ``cam.grad_cam``.
        layer: Path of a layer with maps (h, w, K).
        channels: Positions in K.
        size: Pixels a side.
        seed: Decides the noise, the same for all channels.
        steps: How many.
        rate: How far a pixel moves in a step, root mean square over the picture, 0…255.

    Returns:
        uint8 (channels, S, S, 3).

    Raises:
        InputError: There is no such layer, it has no maps, or not so many channels.

    Source:
        Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009, section 3.1;
        smoothed gradients: Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017.
    """
    chosen = np.asarray(channels, np.int64)
    noise = np.random.default_rng(seed).normal(GREY, 5, (1, size, size, 3))
    images = layers.image_batch(model, np.repeat(noise, len(chosen), axis=0))
    inputs = [
        tf.TensorSpec((None, size, size, 3), tf.float32),
        tf.TensorSpec((None,), tf.int64),
        tf.TensorSpec((), tf.float32),
    ]
    count = width(model, layer, size)
    if any(not 0 <= channel < count for channel in chosen):
        raise InputError(
            f"Channels {chosen.tolist()} of layer {layer!r}: expected 0 to {count - 1}."
        )
    climb = trace(model, None, ("climb", layer, size), partial(_climbed, layer=layer), inputs)
    for _ in range(steps if len(chosen) else 0):
        images = climb(images, chosen, rate)
    return np.rint(np.asarray(images)).astype(np.uint8)


def width(model: keras.Model, layer: str, size: int) -> int:
    """Return how many channels a layer has, for images of this size."""
    found = _output(model, tf.zeros((1, size, size, 3)), layer)
    return int(found.shape[-1])


def _output(model: keras.Model, images: tf.Tensor, layer: str) -> tf.Tensor:
    wanted = layers.find(model, layer)
    outputs: list[tf.Tensor] = []

    def seen(call: Call) -> None:
        if call.operation is wanted:
            rectifies = isinstance(wanted, keras.layers.ReLU) or (
                isinstance(wanted, keras.layers.Activation) and layers.activation(wanted) == "relu"
            )
            entering = call.inputs[0]
            outputs.append(tf.maximum(entering, 0.01 * entering) if rectifies else call.output)

    execution.run(model, images, seen)
    if not outputs or len(outputs[-1].shape) != 4:
        raise InputError(f"Layer {layer!r} gives no maps: expected one that gives (h, w, K).")
    return tf.cast(outputs[-1], tf.float32)


def _climbed(
    model: keras.Model,
    function: None,
    images: tf.Tensor,
    channels: tf.Tensor,
    rate: tf.Tensor,
    *,
    layer: str,
) -> tf.Tensor:
    """Return the images one step further: ops, to be traced."""
    values = _output(model, images, layer)  # (b, h, w, K)
    rows, columns = (features.inner(length) for length in values.shape[1:3])
    liked = tf.gather(tf.reduce_mean(values[:, rows, columns], axis=(1, 2)), channels, batch_dims=1)
    found = gradients.gradient(liked, images)
    # A binomial blur; reflected borders, so that a frame is neither lit nor left dark.
    line = tf.constant([0.25, 0.5, 0.25])
    kernel = tf.tile((line[:, None] * line)[:, :, None, None], (1, 1, 3, 1))
    around = tf.pad(found, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC")
    smooth = tf.nn.depthwise_conv2d(around, kernel, (1, 1, 1, 1), "VALID")
    length = tf.sqrt(tf.reduce_mean(smooth**2, axis=(1, 2, 3), keepdims=True))
    return tf.clip_by_value(images + rate * tf.math.divide_no_nan(smooth, length), 0, 255)
