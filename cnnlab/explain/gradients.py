"""The feature maps of a layer and the gradient of a score with respect to them.

The feature maps A of the papers are rectified ones. A named convolution is therefore read behind
the activation that follows it (with batch normalization or a residual sum in between, if any);
any other layer is read as it stands. ``targets`` says which score it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers, targets
from cnnlab.explain.execution import Call

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Add,
)
_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)
_OPERATIONS = ("Relu", "Relu6", "LeakyRelu", "Elu", "Gelu", "Silu", "HardSilu")
_SCALE = 2.0**12  # of gradients in half precision: a mean over 224×224 places makes them 2⁻¹⁶


@dataclass(frozen=True, eq=False)
class View:
    """A model at work on a batch: a layer's feature maps and the score's gradient there.

    Both are float32 (b, h, w, K).
    """

    features: tf.Tensor
    gradients: tf.Tensor


def view(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    layer: str | None,
) -> View:
    """Return what the model does at a layer: ops, to be traced.

    Args:
        model: What ``layers.image_batch`` accepts.
        function: The score function, or None.
        images: float32 (b, H, W, 3).
        classes: int64 (b,), -1 for the predicted one.
        layer: The path; None for the end of the last stage that leads to the score and has more
            than one place. In a model whose stages are unknown, as in a subclassed one, the last
            convolution stands for it.

    Raises:
        InputError: There is no such layer, or it has no feature maps that lead to the score.
    """
    chosen = None if layer is None else layers.find(model, layer)
    calls: list[Call] = []
    output = execution.run(model, images, calls.append)
    execution.require_channels_last(model, calls)
    score, _ = targets.score(output, calls, classes, function)
    for features in _candidates(model, calls, chosen):
        found = gradient(score, features)
        if found is not None:
            return View(tf.cast(features, tf.float32), found)
    possible = ", ".join(layers.convolutions(model))
    if chosen is None and not possible:
        raise InputError(f"Model {model.name!r} has no Conv2D layer: name another with layer=….")
    name = "that was found" if chosen is None else repr(chosen.name)
    raise InputError(
        f"Layer {name} has no feature maps (B, h, w, K) that lead to the score: expected for "
        f"example one of {possible}."
    )


def gradient(score: tf.Tensor, place: tf.Tensor) -> tf.Tensor | None:
    """Return ∂score/∂place as float32, None where the place does not lead to the score: ops.

    Half precision has nothing below 2⁻²⁴, so there the score is scaled first, by a power of two,
    which changes no digit; whatever then becomes too large is taken from the score as it is.

    Args:
        score: float32 (b,).
        place: A tensor that the score was computed from.
    """
    plain = tf.gradients(score, place)[0]
    if plain is None:
        return None
    plain, operations = tf.cast(plain, tf.float32), score.graph.get_operations()
    if not any(output.dtype == tf.float16 for one in operations for output in one.outputs):
        return plain
    scaled = tf.cast(tf.gradients(score * _SCALE, place)[0], tf.float32) / _SCALE
    return tf.where(tf.math.is_finite(scaled), scaled, plain)


def _candidates(
    model: keras.Model, calls: list[Call], layer: keras.Layer | None
) -> Iterator[tf.Tensor]:
    """Yield the feature maps (b, h, w, K) to try, best first; of a layer its last call counts."""
    ends = [layer]
    if layer is None:
        ends = [layers.find(model, name) for name in reversed(models.stages(model))]
    last = {id(call.operation): i for i, call in enumerate(calls)}
    found = [last[id(end)] for end in ends if id(end) in last]
    if layer is None:
        found += [i for i, call in enumerate(calls) if _convolves(call.operation)][::-1]
    found = [i for i in found if len(calls[i].output.shape) == 4]
    # Stable: what has a single place is tried after all others.
    found.sort(key=lambda i: tuple(calls[i].output.shape[1:3]) == (1, 1))
    for i in found:
        yield rectified(calls[i:])


def _convolves(operation: Any) -> bool:
    return isinstance(operation, layers.CONVOLUTIONS)


def rectified(calls: list[Call]) -> tf.Tensor:
    """Return the output of ``calls[0]``; of a convolution, behind the activation that follows."""
    first, output = calls[0].operation, calls[0].output
    if not _convolves(first) or layers.activation(first) not in (None, "linear"):
        return output
    while True:
        # Dropout and the like return the very tensor they got, at inference: no users of it.
        changing = [
            call for call in calls if call.output is not output and not layers.hides(call.operation)
        ]
        users = [call for call in changing if any(item is output for item in call.inputs)]
        if len(users) != 1:
            return calls[0].output
        user, output = users[0].operation, users[0].output
        if layers.passes(user) or isinstance(user, _NORMALIZATIONS):
            continue
        softens = layers.activation(user) in ("softmax", "sigmoid")
        rectifies = isinstance(user, _ACTIVATIONS) or type(user).__name__ in _OPERATIONS
        return output if rectifies and not softens else calls[0].output
