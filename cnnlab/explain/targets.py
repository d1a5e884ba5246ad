"""Which score is explained: that of a class, or what a function makes of the outputs.

The score S of a class is the one before softmax (Selvaraju et al. 2017, section 3). Probabilities
would mix in the other classes, and their gradient vanishes just where the network is sure. If the
last thing that the network computes is softmax or sigmoid, in a layer of whatever kind, the score
is what enters it; otherwise the output itself is taken for the score.
"""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers, maps
from cnnlab.explain.execution import Call
from cnnlab.explain.traced import trace

# A function takes what the model gives (a tensor, or its structure of several) and returns the
# scores (B,). It is called with batches of any size and must judge each row by itself.
Function = Callable[[Any], tf.Tensor]
Target = int | np.ndarray | Function | None

_TYPE_CHANGES = ("Cast", "Identity")


def resolve(
    model: keras.Model, target: Target, images: np.ndarray
) -> tuple[np.ndarray, Function | None]:
    """Return the classes int64 (B,), -1 for the predicted one, and the score function if any.

    Raises:
        InputError: The target does not fit, or a class is asked of a model with several outputs.
    """
    if callable(target):
        return np.full(len(images), -1), target
    shape = _output_shape(model, images)
    if not (isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[1], int)):
        raise InputError(
            f"Model {model.name!r} gives {shape}: a class can be explained where the output is "
            "(B, C); expected target=… as a function from the outputs to scores (B,)."
        )
    if target is None:
        return np.full(len(images), -1), None
    given, size, count = np.asarray(target), len(images), shape[1]
    fits = np.issubdtype(given.dtype, np.integer) and given.shape in ((), (size,))
    if not fits or (given.size and not 0 <= given.min() <= given.max() < count):
        raise InputError(
            f"Target {target!r} for {size} images: expected None, a class index or {size} of "
            f"them, in 0…{count - 1}, or a function from the outputs to scores (B,)."
        )
    return np.broadcast_to(given, (size,)).astype(np.int64), None


def settle(
    model: keras.Model, target: Target, images: np.ndarray
) -> tuple[np.ndarray, Function | None]:
    """Return ``resolve``, with the class that is predicted for each image in the place of -1.

    Methods that change the images need it: the prediction may change with them.
    """
    classes, function = resolve(model, target, images)
    if function is None and target is None and len(images):
        classes = _scored(model, images, classes, None)[1]
    return classes, function


def scores(model: keras.Model, images: np.ndarray, target: Target = None) -> np.ndarray:
    """Return the score that the maps explain, for each image: float32 (B,).

    Args:
        model: As for ``cam.grad_cam``.
        images: uint8 or float32 (B, H, W, 3), RGB, 0…255.
        target: As for ``cam.grad_cam``.

    Raises:
        InputError: The images or the target do not fit.
    """
    images = layers.image_batch(model, images)
    return _scored(model, images, *resolve(model, target, images))[0]


def draw(
    model: keras.Model, images: np.ndarray, target: Target, key: Hashable, body: Callable[..., Any]
) -> np.ndarray:
    """Return what a graph makes of the images, batch by batch: float32 (B, height, width).

    Args:
        model: As for ``cam.grad_cam``.
        images: As for ``cam.grad_cam``.
        target: As for ``cam.grad_cam``.
        key: As for ``traces.trace``; the size of the images is added to it.
        body: As for ``traces.trace``; its tensors are images (b, H, W, 3) and classes (b,).

    Raises:
        InputError: The images or the target do not fit.
    """
    images = layers.image_batch(model, images)
    classes, function = resolve(model, target, images)
    run = trace(model, function, (key, images.shape[1:]), body, signature(images))
    parts = [run(images[rows], classes[rows]) for rows in maps.batches(len(images))]
    return np.concatenate(parts) if parts else np.zeros(images.shape[:3], np.float32)


def _scored(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, function: Function | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores float32 (B,) and their classes int64 (B,)."""
    run = trace(model, function, ("scores", images.shape[1:]), judge, signature(images))
    parts = [run(images[rows], classes[rows]) for rows in maps.batches(len(images))]
    if not parts:
        return np.zeros(0, np.float32), classes
    found, settled = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(settled)


def signature(images: np.ndarray) -> list[tf.TensorSpec]:
    """Return what a traced function takes first: images (b, H, W, 3) and classes (b,)."""
    pixels = tf.TensorSpec((None, *images.shape[1:]), tf.float32)
    return [pixels, tf.TensorSpec((None,), tf.int64)]


def judge(
    model: keras.Model, function: Function | None, images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the scores float32 (b,) and their classes int64 (b,): ops, to be traced."""
    calls: list[Call] = []
    output = execution.run(model, images, calls.append)
    return score(output, calls, classes, function)


def score(
    output: Any, calls: list[Call], classes: tf.Tensor, function: Function | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the scores float32 (b,) that an output gives, and their classes int64 (b,).

    Args:
        output: What ``execution.run`` returned, having reported ``calls``.
        calls: As reported.
        classes: int64 (b,), -1 for the predicted one.
        function: The score function, or None.
    """
    if function is not None:
        chosen = tf.convert_to_tensor(function(output))
        if len(chosen.shape) != 1:
            raise InputError(
                f"The target function gives {chosen.shape} for a batch: expected one score per "
                "image, shape (B,)."
            )
        return tf.cast(chosen, tf.float32), classes
    every = before_softmax(output, calls)  # (b, C)
    classes = tf.where(classes < 0, tf.argmax(every, axis=1), classes)
    return tf.gather(every, classes, batch_dims=1), classes


def before_softmax(output: tf.Tensor, calls: list[Call]) -> tf.Tensor:
    """Return the scores before softmax or sigmoid: float32 (b, C)."""
    before, final = softened(output), last_call(output, calls)
    if before is None:
        return tf.cast(output, tf.float32)
    if final is None or not _plain_dense(final.operation):
        return tf.cast(before, tf.float32)
    # The same once more: in half precision the layer itself is too coarse for small differences.
    dense = final.operation
    result = tf.matmul(tf.cast(final.inputs[0], tf.float32), tf.cast(dense.kernel, tf.float32))
    return result if dense.bias is None else result + tf.cast(dense.bias, tf.float32)


def softened(output: tf.Tensor) -> tf.Tensor | None:
    """Return what enters the softmax or sigmoid that ends in this tensor, None without one.

    The graph is asked, not the layer: an activation that a layer names may not be all it does.
    """
    operation = output.op
    while operation.type in _TYPE_CHANGES:
        operation = operation.inputs[0].op
    return operation.inputs[0] if operation.type in ("Softmax", "Sigmoid") else None


def _plain_dense(operation: Any) -> bool:
    """Return whether this is a dense layer that softens what kernel and bias give, and no more."""
    return (
        getattr(type(operation), "call", None) is keras.layers.Dense.call
        and operation.quantization_mode is None
        and operation.activation in (keras.activations.softmax, keras.activations.sigmoid)
    )


def deciding_call(output: tf.Tensor, calls: list[Call]) -> Call | None:
    """Return the last call, or the one before it where the last only softens its result."""
    before = softened(output)
    alone = None if before is None else last_call(before, calls)
    return alone or last_call(output, calls)


def last_call(output: tf.Tensor, calls: list[Call]) -> Call | None:
    """Return the call that computed a tensor, looking through mere changes of type."""
    final = next((call for call in calls if call.output is output), None)
    if final is None and output.op.type in _TYPE_CHANGES:
        return last_call(output.op.inputs[0], calls)
    if final is not None and layers.passes(final.operation):
        return last_call(final.inputs[0], calls)
    return final


def _output_shape(model: keras.Model, images: np.ndarray) -> Any:
    """Return the shape of the output, a structure of shapes if there are several."""
    if getattr(model, "outputs", None):
        return model.output_shape
    # A subclassed model does not know: its graph does.
    run = trace(model, None, ("output", images.shape[1:]), _output, signature(images)[:1])
    given = run.get_concrete_function().structured_outputs
    return keras.tree.map_structure(lambda tensor: tuple(tensor.shape), given)


def _output(model: keras.Model, function: None, images: tf.Tensor) -> Any:
    """Return what the model gives: ops, to be traced."""
    return execution.run(model, images, lambda call: None)
