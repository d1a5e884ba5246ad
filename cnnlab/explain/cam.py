"""Class activation maps: which places of an image speak for a class.

The feature maps A of the papers are rectified ones. A named convolution is therefore read behind
the activation that follows it (with batch normalization or a residual sum in between, if any);
any other layer is read as it stands.

The score S is the one before softmax (Selvaraju et al. 2017, section 3). Probabilities would mix
in the other classes, and their gradient vanishes just where the network is sure. If the network
ends in a dense layer with softmax or sigmoid, the score is computed from that layer's input with
its own kernel and bias; if it ends in such an activation alone, the score is what enters it;
otherwise the output itself is taken for the score.
"""

from collections.abc import Callable

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers
from cnnlab.explain.layers import Call

BATCH = 16  # images at once: at 224 pixels, all layers of the reference network take 0.5 GB

Target = int | np.ndarray | None

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


def last_convolution(model: keras.Model) -> str:
    """Return the path of the last convolution that still has a plane to show.

    It is looked for in nested models too; convolutions with 1×1 output (the dense part of some
    heads) are passed over.

    Raises:
        InputError: The model has no two-dimensional convolution.
    """
    found = layers.convolutions(model)
    if not found:
        raise InputError(f"Model {model.name!r} has no Conv2D layer: name another with layer=….")
    known = layers.paths(model)
    planes = [path for path in found if tuple(known[path].output.shape[1:3]) != (1, 1)]
    return (planes or found)[-1]


def grad_cam(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return Grad-CAM heatmaps: feature maps weighted by their mean gradient.

    Args:
        model: Sequential or Functional, also with nested models. It is left untouched.
        images: uint8 or float32 (B, H, W, 3), RGB, 0…255.
        target: The class to explain: None for the predicted one, an int for all images, or
            int (B,).
        layer: Path of the layer to read; ``last_convolution(model)`` by default.

    Returns:
        float32 (B, H, W) in 0…1, bilinearly enlarged, each divided by its own maximum; all
        zero where nothing speaks for the class.

    Raises:
        InputError: The images or the target do not fit, or there is no such layer.

    Source:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization", ICCV 2017: weights eq. 1, map eq. 2.

    Example:
        ``grad_cam(model, images)[0]`` is the heatmap of the first image.
    """
    return _heatmaps(model, images, target, layer, _mean_gradient)


def grad_cam_plus_plus(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return Grad-CAM++ heatmaps: positive gradients, weighted so that small regions count too.

    Arguments, result and errors are those of ``grad_cam``. With Y = exp(S) and piecewise linear
    layers the higher derivatives are powers of g = ∂S/∂A, so one backward pass is enough.

    Source:
        Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
        Convolutional Networks", WACV 2018: weights eq. 5 and 11, α in closed form eq. 19, map
        eq. 20.
    """
    return _heatmaps(model, images, target, layer, _positive_gradient)


def _mean_gradient(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return the Grad-CAM channel weights (B, K) of maps and gradients (B, h, w, K)."""
    return gradients.mean(axis=(1, 2))


def _positive_gradient(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return the Grad-CAM++ channel weights (B, K) of maps and gradients (B, h, w, K).

    Eq. 19 shortened by g²: α = 1 / (2 + g·ΣA); where g ≤ 0, eq. 11 gives the place no weight, so
    g⁺ stands for g and nothing is ever divided by zero. exp(S) is one factor for the whole map
    and falls out when the map is divided by its maximum. Maps that are not rectified lie outside
    the derivation: their negative values are left out of ΣA, which keeps α in (0, ½].
    """
    positive = np.maximum(gradients, 0)
    total = np.maximum(features, 0).sum(axis=(1, 2), keepdims=True)  # (B, 1, 1, K)
    return (positive / (2 + total * positive)).sum(axis=(1, 2))


def _heatmaps(
    model: keras.Model,
    images: np.ndarray,
    target: Target,
    layer: str | None,
    channel_weights: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return relu(Σ weightₖ · Aᵏ) for each image, enlarged and scaled: float32 (B, H, W)."""
    images = layers.image_batch(model, images)
    chosen = layers.find(model, last_convolution(model) if layer is None else layer)
    targets = _targets(target, len(images), model)
    heatmaps = np.zeros(images.shape[:3], np.float32)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        features, gradients = _open(model, images[rows], targets[rows], chosen)
        weights = channel_weights(features, gradients)  # (b, K)
        maps = np.maximum(np.einsum("bhwk,bk->bhw", features, weights), 0)
        heatmaps[rows] = tf.image.resize(maps[..., None], images.shape[1:3])[..., 0].numpy()
    peaks = heatmaps.max(axis=(1, 2), keepdims=True)
    return np.divide(heatmaps, peaks, out=np.zeros_like(heatmaps), where=peaks > 0)


def _targets(target: Target, size: int, model: keras.Model) -> np.ndarray:
    """Return int64 (size,); -1 stands for the predicted class."""
    if target is None:
        return np.full(size, -1)
    given, classes = np.asarray(target), model.output_shape[-1]
    fits = np.issubdtype(given.dtype, np.integer) and given.shape in ((), (size,))
    if not fits or (given.size and not 0 <= given.min() <= given.max() < classes):
        raise InputError(
            f"Target {target!r} for {size} images: expected None, a class index or {size} of "
            f"them, in 0…{classes - 1}."
        )
    return np.broadcast_to(given, (size,)).astype(np.int64)


def _open(
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
