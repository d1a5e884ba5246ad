"""The first class activation map, of networks that pool and then decide with one dense layer."""

from functools import partial
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, gradients, layers, maps, targets
from cnnlab.explain.execution import Call
from cnnlab.explain.targets import Target


def class_activation(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: str | None = None,
    signed: bool = False,
) -> np.ndarray:
    """Return CAM heatmaps: feature maps weighted by the dense layer's weights for the class.

    Arguments, result and errors are those of ``cam.grad_cam``, but the target must be a class, and
    the layer is the one that is pooled: naming another is an error. ``grad_cam`` gives the same
    map, up to scale, and needs no such head (Selvaraju et al. 2017, section 3).

    Raises:
        InputError: The network does not end in GlobalAveragePooling2D and one dense layer.

    Source:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: eq. 2.
    """
    if callable(target):
        raise InputError("CAM explains a class: expected target=None, an int or int (B,).")
    body = partial(_draw, layer=layer, signed=signed)
    return targets.draw(model, images, target, ("class activation", layer, signed), body)


def _draw(
    model: keras.Model,
    function: None,
    images: tf.Tensor,
    classes: tf.Tensor,
    *,
    layer: str | None,
    signed: bool,
) -> tf.Tensor:
    """Return heatmaps (b, H, W): ops, to be traced."""
    calls: list[Call] = []
    output = execution.run(model, images, calls.append)
    execution.require_channels_last(model, calls)
    features, kernel = _head(model, output, calls)
    if layer is not None:
        named = layers.find(model, layer)
        found = [i for i, call in enumerate(calls) if call.operation is named]
        if not any(gradients.rectified(calls[i:]) is features for i in found):
            raise InputError(
                f"Layer {layer!r} is not what model {model.name!r} pools: leave the layer out, or "
                "use grad_cam."
            )
    _, classes = targets.score(output, calls, classes, None)
    weights = tf.gather(tf.transpose(tf.cast(kernel, tf.float32)), classes)  # (b, K)
    weighted = tf.einsum("bhwk,bk->bhw", tf.cast(features, tf.float32), weights)
    return maps.finish(weighted, images.shape[1:3], signed)


def _head(model: keras.Model, output: tf.Tensor, calls: list[Call]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what is pooled, (b, h, w, K), and the dense layer's kernel (K, C)."""
    final = targets.deciding_call(output, calls)
    if final and _linear(final.operation):
        before = targets.last_call(final.inputs[0], calls)
        while before and isinstance(before.operation, keras.layers.Flatten | keras.layers.Reshape):
            before = targets.last_call(before.inputs[0], calls)
        if before and isinstance(before.operation, keras.layers.GlobalAveragePooling2D):
            return before.inputs[0], final.operation.kernel
    raise InputError(
        f"Model {model.name!r} has no pooled head: CAM expects GlobalAveragePooling2D, one dense "
        "layer and nothing else behind the feature maps; use grad_cam for other heads."
    )


def _linear(operation: Any) -> bool:
    """Return whether this is a dense layer whose kernel is what it decides by."""
    if getattr(type(operation), "call", None) is not keras.layers.Dense.call:
        return False
    # int8 gives each class a scale of its own, which falls out of its map; other modes do more.
    mode = operation.quantization_mode
    exact = mode is None or (mode == "int8" and not operation.lora_enabled)
    return exact and layers.activation(operation) in (None, "linear", "softmax", "sigmoid")
