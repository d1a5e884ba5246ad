"""Which explanations a network allows, each as a function of one image."""

from collections.abc import Callable
from functools import partial

import numpy as np

from cnnlab.engine import keras
from cnnlab.explain.methods.registry import Method, fitting

Explain = Callable[[np.ndarray], np.ndarray]


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
    methods, _ = fitting(model)
    return {name: partial(_one, method, model) for name, method in methods.items()}


def _one(method: Method, model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Return the heatmap of one image."""
    return method(model, pixels[None])[0]
