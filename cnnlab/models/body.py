"""A network that pools globally, as its two parts: the body and the head.

The body turns images into features; the head, one or more dense layers, turns these into
probabilities. A body whose weights do not change needs to look at an image once.
"""

from itertools import chain
from typing import Any

import numpy as np

from cnnlab import hashing
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.models.structure import pools_globally

_HEAD = (keras.layers.Dense, keras.layers.Dropout, keras.layers.Activation, keras.layers.Softmax)


def body(model: keras.Model) -> keras.Model:
    """Return the part of a network that turns images into features.

    Args:
        model: A built network that pools globally; the body shares its layers.

    Returns:
        images float32 (B, S, S, 3) in 0…255 → what enters the head, before dropout: (B, K).

    Raises:
        InputError: The network does not pool globally, or no dense layer follows.
    """
    features, _ = _parts(model)
    return keras.Model(model.inputs[0], features, name="body")


def head_layers(model: keras.Model) -> list[keras.layers.Dense]:
    """Return the dense layers behind the features, first to last; see ``body``."""
    return _parts(model)[1]


def _parts(model: keras.Model) -> tuple[Any, list[keras.layers.Dense]]:
    """Return the symbolic features and the dense layers behind them."""
    dense: list[keras.layers.Dense] = []
    if pools_globally(model):
        tensor = model.outputs[0]
        while isinstance(tensor._keras_history.operation, _HEAD):
            operation, node, _ = tensor._keras_history
            if isinstance(operation, keras.layers.Dense):
                dense.insert(0, operation)
            (tensor,) = operation._inbound_nodes[node].input_tensors
        if dense and len(tensor.shape) == 2:
            return tensor, dense
    raise InputError(
        f"The network {model.name} has no features to fit a head on: it does not pool its maps "
        "globally before its dense layers. Expected a network that does, such as resnet."
    )


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 over all weights, in order: equal if and only if every bit is.

    Example:
        >>> weights_digest(new_model(data, settings)) == weights_digest(new_model(data, settings))
        True
    """
    weights = ((f"{each.dtype.str}{each.shape}".encode(), each) for each in model.get_weights())
    parts = ((head, np.ascontiguousarray(each).data) for head, each in weights)
    return hashing.stream_digest(chain.from_iterable(parts))


def answers_digest(model: keras.Model) -> str:
    """Return the SHA-256 over all that decides what a network answers: its layers and weights.

    What only training goes by (seeds, initializers, penalties) is left out: networks that began
    with the same weights of others and with different seeds have the same digest.
    """
    return hashing.json_digest([_answering(model.get_config()), weights_digest(model)])


def _answering(config: Any) -> Any:
    """Return a Keras configuration without what only training goes by."""
    if isinstance(config, list | tuple):
        return [_answering(each) for each in config]
    if not isinstance(config, dict):
        return config
    return {
        key: _answering(value)
        for key, value in config.items()
        if key not in ("seed", "trainable")
        and not key.endswith(("_initializer", "_regularizer", "_constraint"))
    }
