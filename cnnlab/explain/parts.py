"""What a model or a layer is made of."""

from collections.abc import Iterator
from typing import Any

from cnnlab.engine import keras

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def inside(layer: Any) -> list[keras.Layer]:
    """Return the layers that a model or a layer holds itself."""
    own = isinstance(layer, keras.Model)
    return layer.layers if own else layer._flatten_layers(include_self=False, recursive=False)


def walk(model: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    """Yield what is in a model or a layer, however deep, with its names so far."""
    for layer in inside(model):
        yield layer.name, layer
        if hides(layer):
            yield from ((f"{layer.name}/{path}", inner) for path, inner in walk(layer))


def leaves(layer: Any) -> list[Any]:
    """Return the operations inside a layer, down to those that hide no others."""
    operations = layer.operations if isinstance(layer, keras.Function) else inside(layer)
    return [leaf for one in operations for leaf in (leaves(one) if hides(one) else [one])]


def hides(operation: Any) -> bool:
    """Return whether this is a nested model, or a layer whose inner layers one may ask for.

    Those are the layers of people's own making. Keras' own, such as attention, are one thing,
    unless there are convolutions in them.
    """
    if not isinstance(operation, keras.Layer) or isinstance(operation, keras.Model):
        return isinstance(operation, keras.Model)
    inner = operation._flatten_layers(include_self=False)
    own = not type(operation).__module__.startswith("keras.")
    return bool(inner) and (own or any(isinstance(layer, CONVOLUTIONS) for layer in inner))


def opens(operation: Any) -> bool:
    """Return whether this is a model that does nothing but run its graph."""
    graph = isinstance(operation, keras.Sequential | keras.Function)
    return graph and type(operation).call.__module__.startswith("keras.")
