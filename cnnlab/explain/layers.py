"""Opening a model: its layers by name, also inside nested models, and what each one computes.

The model is run layer by layer on real arrays. No second model is built over it, because that
fails for layers inside a nested model, and because calling layers on symbolic inputs would leave
traces in them (``layer.output`` becomes ambiguous).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


@dataclass(frozen=True, eq=False)
class Call:
    """One layer (or Keras operation) at work: its tensor arguments and the tensor it returned."""

    operation: Any
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


def paths(model: keras.Model) -> dict[str, keras.Layer]:
    """Return every layer by its path, in the order of the graph.

    A path is the layer's name, or ``backbone/name`` for a layer inside a nested model.
    """
    found: dict[str, keras.Layer] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{path}": inner for path, inner in paths(layer).items()}
        else:
            found[layer.name] = layer
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
    matches = matches or [path for path in possible if path.split("/")[-1] == name]
    if len(matches) == 1:
        return layers[matches[0]]
    problem = f"Several layers are called {name!r}" if matches else f"No layer {name!r}"
    listed = ", ".join(matches or possible) or "none, it has no such layers"
    raise InputError(f"{problem} in model {model.name!r}: expected one of {listed}.")


def image_batch(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return images as float32 (B, H, W, 3), or say why the model cannot take them.

    Raises:
        InputError: The model is not built, or of a kind that cannot be opened, or has several
            inputs or outputs, or takes images of another shape.
    """
    if not (_opens(model) and model.built and len(model.inputs) == len(model.outputs) == 1):
        raise InputError(
            f"Model {model.name!r} ({type(model).__name__}) cannot be opened: expected a built "
            "Sequential or Functional model with one input and one output."
        )
    images = np.asarray(images)
    expected = model.inputs[0].shape  # (None, H, W, 3), None where anything goes
    sizes_fit = images.ndim == len(expected) == 4 and all(
        wanted in (None, size) for size, wanted in zip(images.shape, expected, strict=True)
    )
    if not sizes_fit or not (images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)):
        raise InputError(
            f"Images are {images.dtype} {images.shape}: expected uint8 or float in 0…255, "
            f"of shape {expected}."
        )
    return images.astype(np.float32)


def run(model: keras.Model, images: np.ndarray, seen: Callable[[Call], None]) -> tf.Tensor:
    """Return the model's output in inference mode, reporting every layer's work on the way.

    Args:
        model: What ``image_batch`` accepts; its nested models are opened too.
        images: float32 (B, H, W, 3), 0…255, as ``image_batch`` gives them.
        seen: Called with each ``Call`` in the order of execution.
    """
    return keras.tree.flatten(_run(model, (tf.constant(images),), {}, seen))[0]


def _run(
    operation: Any, inputs: tuple[Any, ...], options: dict[str, Any], seen: Callable[[Call], None]
) -> Any:
    """Return what the operation gives for its inputs; a model is opened, a layer is called."""
    if not _opens(operation):
        output = operation(*inputs, **options)
        if tf.is_tensor(output):
            tensors = keras.tree.flatten((inputs, options))
            seen(Call(operation, tuple(filter(tf.is_tensor, tensors)), output))
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


def _opens(operation: Any) -> bool:
    """Return whether this is a model that does nothing but run its graph."""
    graph = isinstance(operation, keras.Sequential | keras.Function)
    return graph and type(operation).call.__module__.startswith("keras.")
