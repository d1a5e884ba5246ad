"""The registry of networks: a name, a builder. One file per family.

Every model takes float32 (B, S, S, 3) RGB in 0…255, begins with ``Rescaling(1/255)`` and gives
softmax probabilities float32 (B, C). So no caller ever scales pixels.
"""

from collections.abc import Callable

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.models import reference_cnn

REGISTRY: dict[str, Callable[..., keras.Model]] = {"reference_cnn": reference_cnn.build}


def build(
    name: str, *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return a new, uncompiled network.

    Args:
        name: A name in ``REGISTRY``.
        image_size: Pixels a side, at least 16.
        num_classes: Width C of the softmax, at least 2.
        seed: Decides the initial weights and the dropout masks.
        l2: Factor of the L2 penalty on the convolution kernels.
        dropout: Fraction of units dropped before the softmax.

    Raises:
        InputError: The name is not registered, or there are fewer than two classes.
    """
    make = builder(name)
    if num_classes < 2:
        raise InputError(f"A classifier needs at least two classes; got {num_classes}.")
    return make(image_size=image_size, num_classes=num_classes, seed=seed, l2=l2, dropout=dropout)


def builder(name: str) -> Callable[..., keras.Model]:
    """Return the function that builds a registered network.

    Raises:
        InputError: The name is not registered.
    """
    if name not in REGISTRY:
        raise InputError(f"Unknown architecture {name!r}: expected one of {', '.join(REGISTRY)}.")
    return REGISTRY[name]
