"""What the layers hold: filters and activation maps, as arrays."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers, maps, targets
from cnnlab.explain.execution import Call
from cnnlab.explain.traced import trace


def activations(
    model: keras.Model, images: np.ndarray, layer_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return what the named layers give for the images, exactly as the model computes it.

    ``models.stages(model)`` names layers worth a look.

    Args:
        model: Sequential, Functional or subclassed (then called on images once), also with
            nested models. It is left untouched.
        images: uint8 or float32 (B, H, W, 3), RGB, 0…255; also none of them.
        layer_names: Paths of layers (``relu1``, ``backbone/relu1``).

    Returns:
        Name → float32 (B, h, w, K), or (B, K) behind the flattening; in the order asked.

    Raises:
        InputError: The images do not fit, there is no such layer, or it gives no single tensor.

    Example:
        ``activations(model, images, ["relu1"])["relu1"][0, :, :, 5]`` is one map.
    """
    images = layers.image_batch(model, images)
    names = tuple(layer_names)
    signature = targets.signature(images)[:1]
    body = partial(_activations, layer_names=names)
    run = trace(model, None, ("activations", names, images.shape[1:]), body, signature)
    if not len(images):  # the engine's kernels want something to work on
        found = [values[:0] for values in run(np.zeros((1, *images.shape[1:]), np.float32))]
    else:
        found = run(images)
    return {name: values.numpy() for name, values in zip(names, found, strict=True)}


def _activations(
    model: keras.Model, function: None, images: tf.Tensor, *, layer_names: tuple[str, ...]
) -> list[tf.Tensor]:
    """Return what the named layers give, float32: ops, to be traced."""
    wanted = {name: layers.find(model, name) for name in layer_names}
    outputs: dict[int, tf.Tensor] = {}

    def seen(call: Call) -> None:
        if any(call.operation is layer for layer in wanted.values()):
            execution.require_channels_last(model, [call])
            outputs[id(call.operation)] = call.output

    execution.run(model, images, seen)
    missing = [name for name, layer in wanted.items() if id(layer) not in outputs]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: no output to show; expected layers that compute one tensor "
            "on the way to the model's output."
        )
    return [tf.cast(outputs[id(wanted[name])], tf.float32) for name in layer_names]


def reduced(
    model: keras.Model,
    images: np.ndarray,
    layer_names: Sequence[str],
    reduce: Callable[[np.ndarray, str], np.ndarray],
) -> dict[str, np.ndarray]:
    """Return what is made of the layers' maps, batch by batch: they never exist all at once.

    Args:
        model: As for ``activations``.
        images: As for ``activations``, any number of them.
        layer_names: As for ``activations``.
        reduce: From maps float32 (b, h, w, K) and the layer's name to an array (b, …); of no
            images, b is 0.

    Returns:
        Name → (B, …).
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in layer_names}
    for rows in list(maps.batches(len(images))) or [slice(0)]:
        for name, values in activations(model, images[rows], layer_names).items():
            parts[name].append(reduce(values, name))
    return {name: np.concatenate(found) for name, found in parts.items()}


def inner(length: int) -> slice:
    """Return a line of a map without its ends, which padding excites; all of one that has no more.

    Args:
        length: Places in the line.
    """
    return slice(1, length - 1) if length > 2 else slice(0, length)


def first_filters(model: keras.Model) -> np.ndarray:
    """Return the kernels of the first convolution, as far as they see the colours of the pixels.

    What stands before it may scale, shift and pad. Of a depthwise convolution every kernel sees
    one channel; of a separable one the two kernels are multiplied.

    Args:
        model: As for ``activations``; its image size may be open.

    Returns:
        float32 (kernel height, kernel width, 3 or 1, K).

    Raises:
        InputError: The model has no convolution, or its first one does not see the pixels.
    """
    expected = model.inputs[0].shape[1:] if model.inputs else (None, None, 3)
    calls: list[Call] = []
    black = np.zeros((1, *(side or 32 for side in expected)), np.float32)
    execution.run(model, black, calls.append)
    first = next((call for call in calls if isinstance(call.operation, layers.CONVOLUTIONS)), None)
    if first is None or first.inputs[0].shape[-1] != black.shape[-1]:
        found = "no convolution" if first is None else f"{first.operation.name!r} behind others"
        raise InputError(
            f"Model {model.name!r} has {found}: no kernels see the colours of the pixels, which "
            "could be shown as small pictures."
        )
    return _kernel(first.operation)


def _kernel(layer: keras.Layer) -> np.ndarray:
    """Return a convolution's kernel as float32 (height, width, in, out)."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        by_channel = np.asarray(layer.depthwise_kernel, np.float32)  # (h, w, in, multiplier)
        mixing = np.asarray(layer.pointwise_kernel, np.float32).reshape(*by_channel.shape[2:], -1)
        return np.einsum("hwim,imk->hwik", by_channel, mixing)
    kernel = np.array(layer.kernel, np.float32)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return kernel.swapaxes(2, 3)
    return kernel
