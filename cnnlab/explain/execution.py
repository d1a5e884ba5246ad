"""A model at work, layer by layer.

No second model is built over it, because that fails for layers inside a nested model, and because
calling layers on symbolic inputs would leave traces in them (``layer.output`` becomes ambiguous).
Sequential and Functional models are walked along their graph. A layer or model with a ``call`` of
its own is run by that, and the layers inside it, as far as it keeps them as attributes, report what
they compute.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers
from cnnlab.models import structure

_OVERHEARING = RLock()


@dataclass(frozen=True, eq=False)
class Call:
    """One layer (or Keras operation) at work: its tensor arguments and the tensor it returned."""

    operation: Any
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


def run(model: keras.Model, images: np.ndarray, seen: Callable[[Call], None]) -> Any:
    """Return the model's output in inference mode, reporting every layer's work on the way.

    Nothing in the model changes: what a layer would assign to its variables, or add to its
    losses, is dropped.

    Args:
        model: What ``layers.image_batch`` accepts; the models nested in it are opened too.
        images: float32 (B, H, W, 3), 0…255, as ``layers.image_batch`` gives them, or such a tensor.
        seen: Called with each ``Call`` in the order of execution; a layer made of others follows
            those in it. Not reported is what happens in a graph of its own, as inside a ``call``
            that is a ``tf.function``.

    Returns:
        A tensor; of a model with several outputs, the tensors in the model's own structure.
    """

    def visit(_: str, operation: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if getattr(operation, "_call_has_training_arg", False):
            options = options | {"training": False}
        with _overheard(operation, seen) if layers.hides(operation) else nullcontext():
            output = operation(*inputs, **options)
        _report(operation, (inputs, options), output, seen)
        return output

    with keras.StatelessScope():
        return structure.walk(model, (tf.convert_to_tensor(images),), visit)


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

    leaves = {id(leaf): leaf for leaf in layers.leaves(outer)}.values()
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


def require_channels_last(model: keras.Model, calls: list[Call]) -> None:
    """Raise ``InputError`` if a layer has its channels first: its maps would be misread."""
    for call in calls:
        if getattr(call.operation, "data_format", None) == "channels_first":
            raise InputError(
                f"Layer {call.operation.name!r} of model {model.name!r} has its channels first: "
                'expected data_format="channels_last" everywhere; build the model so.'
            )
