"""The feature maps of a layer and the gradient of a class score with respect to them.

The feature maps A of the papers are rectified ones. A named convolution is therefore read behind
the activation that follows it (with batch normalization or a residual sum in between, if any);
any other layer is read as it stands.

The score S is the one before softmax (Selvaraju et al. 2017, section 3). Probabilities would mix
in the other classes, and their gradient vanishes just where the network is sure. If the network
ends in a dense layer with softmax or sigmoid, the score is computed from that layer's input with
its own kernel and bias; if it ends in such an activation alone, the score is what enters it;
otherwise the output itself is taken for the score.
"""

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers
from cnnlab.explain.layers import Call

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


def of_score(
    model: keras.Model, images: np.ndarray, targets: np.ndarray, layer: keras.Layer
) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature maps and the gradients of the target scores: float32 (b, h, w, K) each."""
    calls: list[Call] = []  # from the layer's own (last) call on

    # Without the variables the tape holds only what lies behind the layer.
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def seen(call: Call) -> None:
            if call.operation is layer:
                calls.clear()
                tape.watch(call.output)
            if calls or call.operation is layer:
                calls.append(call)

        output = layers.run(model, images, seen)
        scores = _scores(output, calls)  # (b, C)
        targets = np.where(targets < 0, np.argmax(scores, axis=1), targets)
        chosen = tf.gather(scores, targets, batch_dims=1)  # (b,)
    features = _rectified(calls, isinstance(layer, layers.CONVOLUTIONS))
    gradients = None if features is None else tape.gradient(chosen, features)
    if features is None or gradients is None or len(features.shape) != 4:
        raise InputError(
            f"Layer {layer.name!r} has no feature maps (B, h, w, K) that lead to the scores: "
            f"expected for example one of {', '.join(layers.convolutions(model))}."
        )
    return tf.cast(features, tf.float32).numpy(), tf.cast(gradients, tf.float32).numpy()


def _scores(output: tf.Tensor, calls: list[Call]) -> tf.Tensor:
    """Return the scores before softmax or sigmoid: float32 (b, C)."""
    final = next((call for call in calls if call.output is output), None)
    if final is None:
        return output
    last, kind = final.operation, _activation(final.operation)
    if _passes(last):
        return _scores(final.inputs[0], calls)  # only a change of type, as in mixed precision
    if kind not in ("softmax", "sigmoid"):
        return tf.cast(output, tf.float32)
    before = tf.cast(final.inputs[0], tf.float32)
    if not isinstance(last, keras.layers.Dense):
        return before
    scores = tf.matmul(before, tf.cast(last.kernel, tf.float32))
    return scores if last.bias is None else scores + tf.cast(last.bias, tf.float32)


def _rectified(calls: list[Call], convolution: bool) -> tf.Tensor | None:
    """Return the output of ``calls[0]``; of a convolution, behind the activation that follows.

    None stands for a layer that was never called.
    """
    if not calls:
        return None
    output = calls[0].output
    if not convolution or _activation(calls[0].operation) not in (None, "linear"):
        return output
    while True:
        # Dropout and the like return the very tensor they got, at inference: no users of it.
        changing = [call for call in calls if call.output is not output]
        users = [call for call in changing if any(item is output for item in call.inputs)]
        if len(users) != 1:
            return calls[0].output
        user, output = users[0].operation, users[0].output
        if _passes(user) or isinstance(user, _NORMALIZATIONS):
            continue
        softens = _activation(user) in ("softmax", "sigmoid")
        rectifies = isinstance(user, _ACTIVATIONS) or type(user).__name__ in _OPERATIONS
        return output if rectifies and not softens else calls[0].output


def _passes(operation: object) -> bool:
    """Return whether the operation hands on what it gets (perhaps as another type)."""
    identity = isinstance(operation, keras.layers.Identity)
    activation = isinstance(operation, keras.layers.Activation)
    return identity or (activation and _activation(operation) == "linear")


def _activation(operation: object) -> str | None:
    """Return the name of the activation a layer ends in, None if it has none."""
    if type(operation).__name__ in ("Softmax", "Sigmoid"):  # layer or operation
        return type(operation).__name__.lower()
    return getattr(getattr(operation, "activation", None), "__name__", None)
