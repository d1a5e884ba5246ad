"""Traced functions of models, each made once and forgotten with its model."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any

from cnnlab.engine import keras, tf

# Model → score function (the model itself, where a class is explained) → key → traced function.
_TRACES: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def trace(
    model: keras.Model,
    function: Callable | None,
    key: Hashable,
    body: Callable[..., Any],
    signature: list[tf.TensorSpec],
) -> tf.types.experimental.PolymorphicFunction:
    """Return ``body(model, function, *tensors)`` as a function of the tensors alone, traced once.

    Neither the model nor the score function is kept alive: the graph needs only their variables.
    As with Keras' own ``predict``, new weights count at once, while an activation that is
    exchanged afterwards goes unnoticed. A score function that cannot be remembered, like one made
    anew for each call, costs a new trace each time.

    Args:
        model: Any Keras model.
        function: The score function, or None.
        key: What tells this trace from the model's others.
        body: Builds the graph. It must hold neither model nor function.
        signature: One entry per tensor; the batch is None, so no batch is too large or small.
    """
    owner = model if function is None else function
    try:
        known = _TRACES.setdefault(model, weakref.WeakKeyDictionary()).setdefault(owner, {})
    except TypeError:  # neither hashable nor open to weak references
        return _traced(lambda: model, lambda: function, body, signature)
    if key not in known:
        nothing = function is None
        held = (lambda: None) if nothing else weakref.ref(function)
        known[key] = _traced(weakref.ref(model), held, body, signature)
    return known[key]


def _traced(
    model: Callable[[], Any],
    function: Callable[[], Any],
    body: Callable[..., Any],
    signature: list[tf.TensorSpec],
) -> tf.types.experimental.PolymorphicFunction:
    """Return the traced function of a model and a score function that are asked for when needed."""

    def graph(*tensors: tf.Tensor) -> Any:
        return body(model(), function(), *tensors)

    traced = tf.function(graph, input_signature=signature, autograph=False)
    # A trace made by a call would count as one more of this same closure, and TensorFlow warns
    # of the fifth; one that is asked for does not.
    traced.get_concrete_function()
    return traced
