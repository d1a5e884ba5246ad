"""The layers of a model by name, also inside nested models, and what each of them is."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.config.choices import one_of
from cnnlab.engine import keras
from cnnlab.models.structure import CONVOLUTIONS, has_graph


def paths(model: keras.Model, *, composite: bool = False) -> dict[str, keras.Layer]:
    """Return every layer by its path, in the order of the graph.

    A path is the layer's name, or ``backbone/name`` for a layer inside a nested model or inside a
    layer that is made of others; where several would share one, they are ``backbone/name#1`` and
    so on. A subclassed model gives its layers in the order in which it made them.

    Args:
        model: Any Keras model.
        composite: Whether to return what is made of layers too, each before what is in it.
    """
    every = dict.fromkeys(walk(model))
    sharing, numbers = Counter(path for path, _ in every), Counter[str]()
    found: dict[str, keras.Layer] = {}
    for path, layer in every:
        numbers[path] += 1
        if composite or not hides(layer):
            found[f"{path}#{numbers[path]}" if sharing[path] > 1 else path] = layer
    return found


def convolutions(model: keras.Model) -> list[str]:
    """Return the paths of all two-dimensional convolutions, first to last."""
    return [path for path, layer in paths(model).items() if isinstance(layer, CONVOLUTIONS)]


def find(model: keras.Model, name: str, among: list[str] | None = None) -> keras.Layer:
    """Return the layer of this path; the bare name of a nested layer will do if it is unique.

    Args:
        model: Any Keras model.
        name: A path as in ``paths``, or a layer name; also of a layer that is made of others.
        among: The paths that are meant; all by default.

    Raises:
        InputError: There is no such layer, or several; the message lists the possible ones.
    """
    every = paths(model, composite=True).items()
    layers = {path: layer for path, layer in every if not has_graph(layer)}
    possible = list(layers) if among is None else among
    matches = [path for path in possible if path == name]
    matches = matches or [path for path in possible if layers[path].name == name]
    if len(matches) == 1:
        return layers[matches[0]]
    problem = f"Several layers are called {name!r}" if matches else f"No layer {name!r}"
    listed = one_of(name, matches or possible or ["none, it has no such layers"])
    raise InputError(f"{problem} in model {model.name!r}: {listed}")


def image_batch(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return images as float32 (B, H, W, 3), or say why the model cannot take them.

    Grey images (B, H, W, 1) will do where the model takes them.

    Raises:
        InputError: The model is not built or has several inputs; the images have another shape,
            their channels are not last, or they are not finite.
    """
    inputs = getattr(model, "inputs", None) or ()  # a subclassed model does not know its own
    if not (isinstance(model, keras.Model) and model.built) or len(inputs) > 1:
        raise InputError(
            f"Model {getattr(model, 'name', model)!r} ({type(model).__name__}) cannot be opened: "
            "expected a Keras model with one input that is built (call it on images once)."
        )
    images = np.asarray(images)
    expected = inputs[0].shape if inputs else (None, None, None, 3)  # None where anything goes
    sizes_fit = images.ndim == len(expected) == 4 and all(
        wanted in (None, size) for size, wanted in zip(images.shape, expected, strict=True)
    )
    floating = np.issubdtype(images.dtype, np.floating)
    if not sizes_fit or not (images.dtype == np.uint8 or floating):
        raise InputError(
            f"Images are {images.dtype} {images.shape}: expected uint8 or float in 0…255, "
            f"of shape {expected}."
        )
    if images.shape[3] not in (1, 3):
        raise InputError(
            f"Images are {images.shape}: expected colours last, (B, H, W, 3), or grey, "
            "(B, H, W, 1), and a model that takes them so."
        )
    if floating and not np.isfinite(images).all():
        raise InputError(
            f"{np.sum(~np.isfinite(images))} values of the images are not finite: expected 0…255."
        )
    return images.astype(np.float32)


def refuse(layer: str | None, method: str) -> None:
    """Raise ``InputError`` if a layer is named for a method that explains pixels."""
    if layer is not None:
        raise InputError(f"{method} explains pixels, not layer {layer!r}: leave the layer out.")


def passes(operation: Any) -> bool:
    """Return whether the operation hands on what it gets (perhaps as another type)."""
    call = getattr(type(operation), "call", None)  # a subclass may have its own
    linear = call is keras.layers.Activation.call and activation(operation) == "linear"
    return linear or call is keras.layers.Identity.call


def activation(operation: Any) -> str | None:
    """Return the name of the activation a layer ends in, None if it has none."""
    if type(operation).__name__ in ("Softmax", "Sigmoid"):  # layer or operation
        return type(operation).__name__.lower()
    return getattr(getattr(operation, "activation", None), "__name__", None)


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
