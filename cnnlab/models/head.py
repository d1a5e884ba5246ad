"""What stands behind the feature maps of networks that pool globally."""

from typing import Any

from cnnlab.config import child_seed
from cnnlab.engine import keras


def pooled_softmax(maps: Any, *, num_classes: int, seed: int, dropout: float) -> Any:
    """Return float32 (B, C): global average pooling, dropout, softmax.

    The layers are named ``global_pool``, ``dropout`` and ``probabilities``.

    Args:
        maps: The last feature maps, symbolic (B, h, w, K).
        num_classes: C.
        seed: Decides the kernel and the dropout masks.
        dropout: Share of the K features left out in training.
    """
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(name="global_pool")(maps)  # (B, K)
    x = layers.Dropout(dropout, seed=child_seed(seed, "dropout"), name="dropout")(x)
    return layers.Dense(
        num_classes,
        activation="softmax",
        dtype="float32",  # probabilities stay float32 under mixed precision
        kernel_initializer=keras.initializers.GlorotUniform(child_seed(seed, "probabilities")),
        name="probabilities",
    )(x)
