"""Class activation maps: which places of an image speak for a class.

The methods differ only in how they weigh the feature maps A of a layer, which ``gradients`` reads
together with the gradients g = ∂S/∂A of the score S. ``methods`` lists them all.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from cnnlab.engine import keras, tf
from cnnlab.explain import maps, targets
from cnnlab.explain.gradients import view
from cnnlab.explain.targets import Target

Weigh = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # features, gradients (b, h, w, K) → (b, h, w)


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: str | None = None,
    signed: bool = False,
) -> np.ndarray:
    """Return Grad-CAM heatmaps: feature maps weighted by their mean gradient.

    Args:
        model: Any built Keras model with one image input: Sequential, Functional, with nested
            models, of mixed precision; subclassed, if it keeps its layers as attributes and its
            ``call`` is no ``tf.function``. It is left untouched.
        images: uint8 or float32 (B, H, W, 3), RGB, 0…255.
        target: The score to explain. A class: None for the predicted one, an int for all images,
            or int (B,). Or a function from the model's outputs, as it gives them, to scores (B,);
            keep and reuse it, because every new one is traced. Several outputs need a function.
        layer: Path of the layer to read; by default the end of the last stage that leads to the
            score and has more than one place (``models.stages``, also in nested models).
        signed: Keep what speaks against the class, as negative values (eq. 2 without ReLU).

    Returns:
        float32 (B, H, W) in 0…1 (signed: −1…1), bilinearly enlarged, each divided by its own
        largest absolute value; all zero where nothing speaks for the class.

    Raises:
        InputError: The images or the target do not fit, or there is no such layer.

    Source:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization", ICCV 2017: weights eq. 1, map eq. 2.

    Example:
        ``grad_cam(model, images)[0]`` is the heatmap of the first image.
    """
    return _maps(model, images, target, layer, _by_mean_gradient, signed)


def grad_cam_plus_plus(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return Grad-CAM++ heatmaps: positive gradients, weighted so that small regions count too.

    Arguments, result and errors are those of ``grad_cam``. With Y = exp(S) and piecewise linear
    layers the higher derivatives are powers of g = ∂S/∂A, so one backward pass is enough. Some
    programs also divide each channel's α by its sum over the map, which the equations do not.

    Source:
        Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
        Convolutional Networks", WACV 2018: weights eq. 5 and 11, α in closed form eq. 19, map
        eq. 20.
    """
    return _maps(model, images, target, layer, _by_positive_gradient, False)


def hires_cam(
    model: keras.Model,
    images: np.ndarray,
    *,
    target: Target = None,
    layer: str | None = None,
    signed: bool = False,
) -> np.ndarray:
    """Return HiResCAM heatmaps: feature maps times their gradient, place by place.

    Arguments, result and errors are those of ``grad_cam``. Where the head keeps places apart, as
    behind ``Flatten``, one channel can speak for the class here and against it there; averaging
    the gradient over the map, as Grad-CAM does, then erases what the network uses.

    Source:
        Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
        convolutional neural networks", 2020 (arXiv:2011.08891): the map is Σₖ ∂S/∂Aᵏ ⊙ Aᵏ, as
        ``proposed_hirescam`` has it in the authors' program (rachellea/hirescam on GitHub,
        attn_analysis/cams.py).
    """
    return _maps(model, images, target, layer, _by_gradient, signed)


def contributions(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return HiResCAM's maps in units of the score, neither enlarged nor scaled nor cut off.

    Arguments and errors are those of ``grad_cam``. Behind a linear head (one dense layer, with or
    without pooling or flattening before it) a map and the class's bias sum to the score: the
    decomposition is exact.

    Returns:
        float32 (B, h, w), in the resolution of the layer.

    Source:
        Draelos and Carin 2020 (see ``hires_cam``).
    """
    return _maps(model, images, target, layer, _by_gradient, None)


def layer_cam(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return LayerCAM heatmaps: feature maps times their positive gradient, place by place.

    Arguments, result and errors are those of ``grad_cam``. Made for early layers too, where the
    mean gradient of a channel says little about a place.

    Source:
        Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
        IEEE Transactions on Image Processing 30, 2021: weights, the ReLU of the gradient at each
        place, eq. 6; map, the ReLU of the weighted sum, eq. 7 and 8.
    """
    return _maps(model, images, target, layer, _by_positive_gradient_in_place, False)


def eigen_cam(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return Eigen-CAM heatmaps: the feature maps' projection on their first singular vector.

    Arguments, result and errors are those of ``grad_cam``. The map shows what the layer is most
    active on, whatever the class: the target chooses among the outputs at most.

    Source:
        Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components",
        IJCNN 2020: A = UΣVᵀ with a row per place and a column per channel, the map is A·v₁. The
        sign of v₁ is arbitrary: it is chosen such that the map's sum is positive.
    """
    return _maps(model, images, target, layer, _by_singular_vector, False)


def _by_mean_gradient(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    weights = tf.reduce_mean(gradients, axis=(1, 2))  # (b, K)
    return tf.einsum("bhwk,bk->bhw", features, weights)


def _by_gradient(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(features * gradients, axis=-1)


def _by_positive_gradient_in_place(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(features * tf.nn.relu(gradients), axis=-1)


def _by_positive_gradient(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return the sum weighted as in Grad-CAM++.

    Eq. 19 shortened by g²: α = 1 / (2 + g·ΣA); where g ≤ 0, eq. 11 gives the place no weight, so
    g⁺ stands for g and nothing is ever divided by zero. exp(S) is one factor for the whole map
    and falls out when the map is divided by its maximum. Maps that are not rectified lie outside
    the derivation: their negative values are left out of ΣA, which keeps α in (0, ½].
    """
    positive = tf.nn.relu(gradients)
    total = tf.reduce_sum(tf.nn.relu(features), axis=(1, 2), keepdims=True)  # (b, 1, 1, K)
    weights = tf.reduce_sum(positive / (2 + total * positive), axis=(1, 2))  # (b, K)
    return tf.einsum("bhwk,bk->bhw", features, weights)


def _by_singular_vector(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return A·v₁, from the smaller of the Gram matrices AᵀA and AAᵀ (its top one is u₁·σ₁)."""
    height, width, channels = features.shape[1:]
    rows = tf.reshape(features, (-1, height * width, channels))  # (b, places, K)
    if channels < height * width:
        first = tf.linalg.eigh(tf.matmul(rows, rows, transpose_a=True))[1][..., -1:]
        projected = tf.matmul(rows, first)  # (b, places, 1)
    else:
        values, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_b=True))
        projected = vectors[..., -1:] * tf.sqrt(tf.nn.relu(values[..., -1]))[:, None, None]
    sign = tf.where(tf.reduce_sum(projected, axis=(1, 2), keepdims=True) < 0, -1.0, 1.0)
    return tf.reshape(sign * projected, (-1, height, width))


def _maps(
    model: keras.Model,
    images: np.ndarray,
    target: Target,
    layer: str | None,
    weigh: Weigh,
    signed: bool | None,
) -> np.ndarray:
    """Return the weighted map of each image, float32; raw ones where ``signed`` is None."""
    body = partial(_draw, layer=layer, weigh=weigh, signed=signed)
    return targets.draw(model, images, target, (weigh, layer, signed), body)


def _draw(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    *,
    layer: str | None,
    weigh: Weigh,
    signed: bool | None,
) -> tf.Tensor:
    """Return maps (b, h, w), or heatmaps (b, H, W): ops, to be traced."""
    seen = view(model, function, images, classes, layer)
    found = weigh(seen.features, seen.gradients)
    return found if signed is None else maps.finish(found, images.shape[1:3], signed)
