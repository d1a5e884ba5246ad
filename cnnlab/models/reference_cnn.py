"""The reference CNN: four convolution blocks, one hidden dense layer, softmax.

It flattens its last maps, so its dense layer has weights for one image size. With ``pool=global``
it averages them over all places instead (Lin et al., "Network in Network", ICLR 2014, section 3.2)
and has the same weights at every size. Without a dense layer (``dense_units=0``) it is then a
network of the kind that the first class activation maps are of.
"""

from dataclasses import dataclass

from cnnlab.config import child_seed
from cnnlab.config.section import Section, setting
from cnnlab.engine import keras
from cnnlab.models.architecture import Architecture, ParameterCount
from cnnlab.models.options import numbers

MOST_BLOCKS = 4  # each halves the map, and an image may have 16 pixels a side


@dataclass(frozen=True)
class Options(Section):
    """What may be chosen; the defaults are the reference protocol's."""

    filters: str = setting("32-64-128-256", "channels of each block, one to four of them")
    dense_units: int = setting(512, "units of the hidden dense layer; 0: none", low=0, high=4096)
    pool: str = setting(
        "flatten",
        "what stands behind the last maps: a weight for each place, or global average pooling",
        choices=("flatten", "global"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.channels()

    def channels(self) -> tuple[int, ...]:
        """Return the channels of each block."""
        return numbers("filters", self.filters, low=1, high=1024, most=MOST_BLOCKS)


def build(
    options: Options, *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return the reference network; see ``cnnlab.models.build`` for the arguments.

    Each block is Conv2D 3×3 ("same", L2) + ReLU + BatchNormalization, then MaxPooling 2×2.
    Layers are named ``conv1``…``conv4``, ``relu1``…, ``norm1``…, ``pool1``…, ``flatten`` or
    ``global_pool``, ``dense``, ``dropout``, ``probabilities``.
    """
    layers = keras.layers

    def initializer(name: str) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=child_seed(seed, name))

    inputs = keras.Input((image_size, image_size, 3), name="images")  # (B, S, S, 3), 0…255
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for block, filters in enumerate(options.channels(), start=1):
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
    if options.pool == "global":
        x = layers.GlobalAveragePooling2D(name="global_pool")(x)  # (B, filters)
    else:
        x = layers.Flatten(name="flatten")(x)
    if options.dense_units:
        x = layers.Dense(
            options.dense_units,
            activation="relu",
            kernel_initializer=initializer("dense"),
            name="dense",
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


# 3×3 kernels and biases; scales and shifts of the normalisations.
_CONVOLUTIONS = 3 * 3 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + (32 + 64 + 128 + 256)
_SCALES = 2 * (32 + 64 + 128 + 256)

ARCHITECTURE = Architecture(
    name="reference_cnn",
    summary="Blocks of convolution, ReLU, batch normalisation and pooling; a hidden dense layer.",
    options=Options,
    build=build,
    stages=tuple(f"relu{block}" for block in range(1, MOST_BLOCKS + 1)),
    parameters=(
        ParameterCount(  # 26,086,090 in all; 224 halved four times is 14
            _CONVOLUTIONS + _SCALES + (14 * 14 * 256 * 512 + 512) + (512 * 10 + 10),
            _SCALES,  # as many moving means and variances
            num_classes=10,
            image_size=224,
        ),
        ParameterCount(  # 2,490,565 in all
            _CONVOLUTIONS + _SCALES + (4 * 4 * 256 * 512 + 512) + (512 * 5 + 5),
            _SCALES,
            num_classes=5,
            image_size=64,
        ),
        ParameterCount(
            (3 * 3 * 3 * 8 + 8) + 2 * 8 + (16 * 16 * 8 * 10 + 10) + (10 * 3 + 3),
            2 * 8,
            num_classes=3,
            image_size=32,
            options="filters=8,dense_units=10",
        ),
        ParameterCount(  # 524,485 in all, at every image size
            _CONVOLUTIONS + _SCALES + (256 * 512 + 512) + (512 * 5 + 5),
            _SCALES,
            num_classes=5,
            image_size=64,
            options="pool=global",
        ),
        ParameterCount(  # 391,621 in all
            _CONVOLUTIONS + _SCALES + (256 * 5 + 5),
            _SCALES,
            num_classes=5,
            image_size=224,
            options="pool=global,dense_units=0",
        ),
    ),
)
