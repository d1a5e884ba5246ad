"""Small networks of the registry, and pictures for them."""

from collections.abc import Callable

import numpy as np
import pytest

from cnnlab import models
from cnnlab.engine import keras


@pytest.fixture
def network() -> Callable[..., keras.Model]:
    """Return the maker of a network for 4 classes at 32 pixels; arguments change that."""

    def make(name: str = "reference_cnn", **changes: object) -> keras.Model:
        arguments = {"image_size": 32, "num_classes": 4, "seed": 0, "l2": 1e-4, "dropout": 0.5}
        return models.build(name, **(arguments | changes))

    return make


@pytest.fixture
def photographs() -> Callable[..., np.ndarray]:
    """Return the maker of random pictures, float32 (count, size, size, 3) in 0…255."""

    def make(size: int = 32, count: int = 3) -> np.ndarray:
        draw = np.random.default_rng(0).uniform
        return draw(0, 255, (count, size, size, 3)).astype(np.float32)

    return make
