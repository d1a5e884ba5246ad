"""The reference CNN: four convolution blocks, one hidden dense layer, softmax."""

from cnnlab.config import child_seed
from cnnlab.engine import keras

FILTERS = (32, 64, 128, 256)
DENSE_UNITS = 512


def build(
    *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return the reference network; see ``cnnlab.models.build`` for the arguments.

    Each block is Conv2D 3×3 ("same", L2) + ReLU + BatchNormalization, then MaxPooling 2×2.
    Layers are named ``conv1``…``conv4``, ``relu1``…, ``norm1``…, ``pool1``…, ``flatten``,
    ``dense``, ``dropout``, ``probabilities``.
    """
    layers = keras.layers

    def initializer(name: str) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=child_seed(seed, name))

    inputs = keras.Input((image_size, image_size, 3), name="images")  # (B, S, S, 3), 0…255
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for block, filters in enumerate(FILTERS, start=1):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            kernel_initializer=initializer(f"conv{block}"),
            kernel_regularizer=keras.regularizers.L2(l2),
            name=f"conv{block}",
        )(x)
        x = layers.ReLU(name=f"relu{block}")(x)
        # Small data means few steps: at Keras' 0.99 the moving statistics would lag behind
        # for the first epochs and early stopping would judge the wrong network.
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{block}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)  # (B, S/2ᵏ, S/2ᵏ, filters)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        DENSE_UNITS, activation="relu", kernel_initializer=initializer("dense"), name="dense"
    )(x)
    x = layers.Dropout(dropout, seed=child_seed(seed, "dropout"), name="dropout")(x)
    outputs = layers.Dense(
        num_classes,
        activation="softmax",
        dtype="float32",  # probabilities stay float32 under mixed precision
        kernel_initializer=initializer("probabilities"),
        name="probabilities",
    )(x)
    return keras.Model(inputs, outputs, name="reference_cnn")
