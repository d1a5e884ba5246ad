"""What stands behind the feature maps of networks that pool globally."""

from typing import Any

from cnnlab.config import InputError, child_seed
from cnnlab.engine import keras
from cnnlab.models.structure import pools_globally


def pooled_softmax(maps: Any, *, num_classes: int, seed: int, dropout: float) -> Any:
    """Return float32 (B, C): global average pooling, dropout, softmax.

    The layers are named ``global_pool``, ``dropout`` and ``probabilities``.

    Args:
        maps: The last feature maps, symbolic (B, h, w, K).
        num_classes: C.
        seed: Decides the kernel and the dropout masks.
        dropout: Share of the K features left out in training.
    """
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(name="global_pool")(maps)  # (B, K)
    x = layers.Dropout(dropout, seed=child_seed(seed, "dropout"), name="dropout")(x)
    return softmax(x, num_classes, seed)


def with_hidden_layer(model: keras.Model, units: int, *, seed: int) -> keras.Model:
    """Return a pooled network with a rectified dense layer ``hidden`` before the softmax.

    Args:
        model: A network that ends in ``pooled_softmax``; its other layers are shared.
        units: Of the hidden layer.
        seed: Decides both kernels.

    Raises:
        InputError: The network does not pool globally.
    """
    last = model.layers[-1]
    if last.name != "probabilities" or not pools_globally(model):
        raise InputError(
            f"hidden_units={units} and {model.name}: expected a network that pools globally, such "
            "as resnet. This one has a head of its own: leave hidden_units=0."
        )
    x = hidden(last.input, units, seed)
    outputs = softmax(x, model.output_shape[-1], seed)
    return keras.Model(model.inputs[0], outputs, name=model.name)


def hidden(x: Any, units: int, seed: int) -> Any:
    """Return float32 (B, units): the rectified dense layer ``hidden``."""
    return keras.layers.Dense(
        units,
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(child_seed(seed, "hidden")),
        name="hidden",
    )(x)


def softmax(x: Any, num_classes: int, seed: int) -> Any:
    """Return float32 (B, num_classes): the dense layer ``probabilities``."""
    return keras.layers.Dense(
        num_classes,
        activation="softmax",
        dtype="float32",  # probabilities stay float32 under mixed precision
        kernel_initializer=keras.initializers.GlorotUniform(child_seed(seed, "probabilities")),
        name="probabilities",
    )(x)
