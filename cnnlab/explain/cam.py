"""Class activation maps: which places of an image speak for a class.

The methods differ only in how they weigh the feature maps; ``gradients`` says which maps and which
score they work on.
"""

from collections.abc import Callable

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import gradients, layers

BATCH = 16  # images at once: at 224 pixels, all layers of the reference network take 0.5 GB

Target = int | np.ndarray | None


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


def hires_cam(
    model: keras.Model, images: np.ndarray, *, target: Target = None, layer: str | None = None
) -> np.ndarray:
    """Return HiResCAM heatmaps: feature maps times their gradient, place by place.

    Arguments, result and errors are those of ``grad_cam``. Where the head keeps places apart, as
    behind ``Flatten``, one channel can speak for the class here and against it there; averaging
    the gradient over the plane, as Grad-CAM does, then erases what the network uses.

    Source:
        Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
        convolutional neural networks", 2020 (arXiv:2011.08891).
    """
    return _heatmaps(model, images, target, layer, _gradient)


def _mean_gradient(features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the Grad-CAM weights (B, 1, 1, K) of maps and gradients (B, h, w, K)."""
    return slopes.mean(axis=(1, 2), keepdims=True)


def _gradient(features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the HiResCAM weights (B, h, w, K): the gradients themselves."""
    return slopes


def _positive_gradient(features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the Grad-CAM++ weights (B, 1, 1, K) of maps and gradients (B, h, w, K).

    Eq. 19 shortened by g²: α = 1 / (2 + g·ΣA); where g ≤ 0, eq. 11 gives the place no weight, so
    g⁺ stands for g and nothing is ever divided by zero. exp(S) is one factor for the whole map
    and falls out when the map is divided by its maximum. Maps that are not rectified lie outside
    the derivation: their negative values are left out of ΣA, which keeps α in (0, ½].
    """
    positive = np.maximum(slopes, 0)
    total = np.maximum(features, 0).sum(axis=(1, 2), keepdims=True)  # (B, 1, 1, K)
    return (positive / (2 + total * positive)).sum(axis=(1, 2), keepdims=True)


def _heatmaps(
    model: keras.Model,
    images: np.ndarray,
    target: Target,
    layer: str | None,
    weigh: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return relu(Σ weightₖ · Aᵏ) for each image, enlarged and scaled: float32 (B, H, W)."""
    images = layers.image_batch(model, images)
    chosen = layers.find(model, last_convolution(model) if layer is None else layer)
    targets = _targets(target, len(images), model)
    heatmaps = np.zeros(images.shape[:3], np.float32)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        features, slopes = gradients.of_score(model, images[rows], targets[rows], chosen)
        weights = weigh(features, slopes)  # (b, h or 1, w or 1, K)
        maps = np.maximum((features * weights).sum(axis=-1, keepdims=True), 0)
        heatmaps[rows] = tf.image.resize(maps, images.shape[1:3])[..., 0].numpy()
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
