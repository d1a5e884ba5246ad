"""Which explanations a network allows, each as a function of one image."""

from collections.abc import Callable
from functools import partial

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.methods.registry import METHODS

Explain = Callable[[np.ndarray], np.ndarray]
Method = Callable[..., np.ndarray]

_NEEDS_A_HEAD = "CAM"  # of all methods the only one that asks for a kind of network


def explainers(model: keras.Model) -> dict[str, Explain]:
    """Return every method that fits a network: uint8 (S, S, 3) → heatmap float32 (S, S), 0–1.

    The class explained is the predicted one. Nothing is traced before its first use, but for CAM,
    which is tried on an empty image.

    Args:
        model: A classifier, (B, S, S, 3) in 0…255 → softmax (B, C).

    Example:
        >>> list(explainers(model))[:2]                                    # doctest: +SKIP
        ['Grad-CAM', 'Grad-CAM++']
    """
    fitting: dict[str, Explain] = {
        name: partial(_one, method, model) for name, method in METHODS.items()
    }
    try:
        fitting[_NEEDS_A_HEAD](np.zeros(model.input_shape[1:], np.uint8))
    except InputError:
        del fitting[_NEEDS_A_HEAD]
    return fitting


def _one(method: Method, model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Return the heatmap of one image."""
    return method(model, pixels[None])[0]
