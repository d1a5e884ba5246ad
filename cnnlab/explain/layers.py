"""Opening a model: its layers by name, also inside nested models, and what each one computes.

The model is run layer by layer. No second model is built over it, because that fails for layers
inside a nested model, and because calling layers on symbolic inputs would leave traces in them
(``layer.output`` becomes ambiguous). Sequential and Functional models are walked along their graph.
A layer or model with a ``call`` of its own is run by that, and the layers inside it, as far as it
keeps them as attributes, report what they compute.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import parts
from cnnlab.explain.parts import CONVOLUTIONS

_OVERHEARING = RLock()


@dataclass(frozen=True, eq=False)
class Call:
    """One layer (or Keras operation) at work: its tensor arguments and the tensor it returned."""

    operation: Any
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


def paths(model: keras.Model, *, composite: bool = False) -> dict[str, keras.Layer]:
    """Return every layer by its path, in the order of the graph.

    A path is the layer's name, or ``backbone/name`` for a layer inside a nested model or inside a
    layer that is made of others; where several would share one, they are ``backbone/name#1`` and
    so on. A subclassed model gives its layers in the order in which it made them.

    Args:
        model: Any Keras model.
        composite: Whether to return what is made of layers too, each before what is in it.
    """
    every = dict.fromkeys(parts.walk(model))
    sharing, numbers = Counter(path for path, _ in every), Counter[str]()
    found: dict[str, keras.Layer] = {}
    for path, layer in every:
        numbers[path] += 1
        if composite or not parts.hides(layer):
            found[f"{path}#{numbers[path]}" if sharing[path] > 1 else path] = layer
    return found


def convolutions(model: keras.Model) -> list[str]:
    """Return the paths of all two-dimensional convolutions, first to last."""
    return [path for path, layer in paths(model).items() if isinstance(layer, CONVOLUTIONS)]


def find(model: keras.Model, name: str, among: list[str] | None = None) -> keras.Layer:
    """Return the layer of this path; the bare name of a nested layer will do if it is unique.

    Args:
        model: Any Keras model.
        name: A path as in ``paths``, or a layer name.
        among: The paths that are meant; all by default.

    Raises:
        InputError: There is no such layer, or several; the message lists the possible ones.
    """
    layers = paths(model)
    possible = list(layers) if among is None else among
    matches = [path for path in possible if path == name]
    matches = matches or [path for path in possible if layers[path].name == name]
    if len(matches) == 1:
        return layers[matches[0]]
    problem = f"Several layers are called {name!r}" if matches else f"No layer {name!r}"
    listed = ", ".join(matches or possible) or "none, it has no such layers"
    raise InputError(f"{problem} in model {model.name!r}: expected one of {listed}.")


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


def require_channels_last(model: keras.Model, calls: list[Call]) -> None:
    """Raise ``InputError`` if a layer has its channels first: its maps would be misread."""
    for call in calls:
        if getattr(call.operation, "data_format", None) == "channels_first":
            raise InputError(
                f"Layer {call.operation.name!r} of model {model.name!r} has its channels first: "
                'expected data_format="channels_last" everywhere; build the model so.'
            )


def run(model: keras.Model, images: np.ndarray, seen: Callable[[Call], None]) -> Any:
    """Return the model's output in inference mode, reporting every layer's work on the way.

    Nothing in the model changes: what a layer would assign to its variables, or add to its
    losses, is dropped.

    Args:
        model: What ``image_batch`` accepts; the models nested in it are opened too.
        images: float32 (B, H, W, 3), 0…255, as ``image_batch`` gives them, or such a tensor.
        seen: Called with each ``Call`` in the order of execution. Not reported is what happens in
            a graph of its own, as inside a ``call`` that is a ``tf.function``.

    Returns:
        A tensor; of a model with several outputs, the tensors in the model's own structure.
    """
    with keras.StatelessScope():
        return _run(model, (tf.convert_to_tensor(images),), {}, seen)


def _run(
    operation: Any, inputs: tuple[Any, ...], options: dict[str, Any], seen: Callable[[Call], None]
) -> Any:
    """Return what the operation gives for its inputs; a model is opened, a layer is called."""
    if not parts.opens(operation):
        if getattr(operation, "_call_has_training_arg", False):
            options = options | {"training": False}
        if parts.hides(operation):
            with _overheard(operation, seen):
                return operation(*inputs, **options)
        output = operation(*inputs, **options)
        _report(operation, (inputs, options), output, seen)
        return output
    if isinstance(operation, keras.Sequential):
        output = inputs[0]
        for layer in operation.layers:
            output = _run(layer, (output,), {}, seen)
        return output

    def opened(inner: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: _run(inner, args, kwargs, seen)

    # Keras' own walk over the graph is not public, but no public function lets one look between
    # the layers of a nested model. What Keras itself clones models with can be relied on.
    output = operation._run_through_graph(inputs[0], operation_fn=opened)
    return output[0] if isinstance(output, list | tuple) and len(output) == 1 else output


def _report(operation: Any, given: Any, output: Any, seen: Callable[[Call], None]) -> None:
    """Report the work of an operation that computes one tensor."""
    if tf.is_tensor(output):
        tensors = keras.tree.flatten(given)
        seen(Call(operation, tuple(filter(tf.is_tensor, tensors)), output))


@contextmanager
def _overheard(outer: keras.Layer, seen: Callable[[Call], None]) -> Iterator[None]:
    """Have the layers inside ``outer`` report what they compute, until the block ends.

    Keras offers no hook for it: for that long, each layer's ``call`` is covered by one that
    reports. Keras' own tracking of attributes is passed by, so that nothing of it stays.
    """
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()

    def reporting(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def report(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            if getattr(output, "graph", None) is graph:
                _report(layer, (args, kwargs), output, seen)
            return output

        return report

    leaves = {id(leaf): leaf for leaf in parts.leaves(outer)}.values()
    with _OVERHEARING:  # one at a time: the next must find the layers as they were
        before = [vars(leaf).get("call") for leaf in leaves]
        try:
            for leaf in leaves:
                object.__setattr__(leaf, "call", reporting(leaf, leaf.call))
            yield
        finally:
            for leaf, call in zip(leaves, before, strict=True):
                vars(leaf).pop("call", None)
                if call is not None:
                    object.__setattr__(leaf, "call", call)


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
