"""What the layers hold: filters and activation maps, as arrays."""

from collections.abc import Callable, Sequence

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers, maps
from cnnlab.explain.layers import Call


def activations(
    model: keras.Model, images: np.ndarray, layer_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return what the named layers give for the images, exactly as the model computes it.

    The maps after rectification are those of the layers in ``rectified_layers(model)``.

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
    if not len(images):  # the engine's kernels want something to work on
        black = np.zeros((1, *images.shape[1:]), np.float32)
        return {name: of[:0] for name, of in activations(model, black, layer_names).items()}
    wanted = {name: layers.find(model, name) for name in layer_names}
    outputs: dict[int, tf.Tensor] = {}

    def seen(call: Call) -> None:
        if any(call.operation is layer for layer in wanted.values()):
            layers.require_channels_last(model, [call])
            outputs[id(call.operation)] = call.output

    layers.run(model, images, seen)
    missing = [name for name, layer in wanted.items() if id(layer) not in outputs]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: no output to show; expected layers that compute one tensor "
            "on the way to the model's output."
        )
    return {name: tf.cast(outputs[id(wanted[name])], tf.float32).numpy() for name in wanted}


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


def rectified_layers(model: keras.Model) -> list[str]:
    """Return the paths of the layers that give rectified maps, first to last.

    These are the activation layers, and the convolutions with an activation built in.
    """

    def rectifies(layer: keras.Layer) -> bool:
        if isinstance(layer, keras.layers.ReLU):
            return True
        kinds = (keras.layers.Activation, *layers.CONVOLUTIONS)
        name = getattr(getattr(layer, "activation", None), "__name__", "")
        return isinstance(layer, kinds) and name.startswith("relu")

    return [path for path, layer in layers.paths(model).items() if rectifies(layer)]


def filters(model: keras.Model, layer: str) -> np.ndarray:
    """Return a copy of a convolution's kernel.

    Args:
        model: Any Keras model.
        layer: Path of a Conv2D, Conv2DTranspose or DepthwiseConv2D layer.

    Returns:
        float32 (kernel height, kernel width, in, out), in Keras' order for that layer.

    Raises:
        InputError: There is no such convolution; the message lists them.
    """
    known = layers.paths(model)
    possible = [path for path in layers.convolutions(model) if hasattr(known[path], "kernel")]
    kernel = layers.find(model, layer, possible).kernel
    return np.array(keras.ops.convert_to_numpy(kernel), np.float32)
