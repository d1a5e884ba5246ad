"""Residual networks of basic blocks: He et al., Deep Residual Learning, arXiv 1512.03385.

With ``width=64,blocks=2-2-2-2,stem=imagenet`` it is their ResNet-18 (table 1). The defaults are a
quarter as wide and keep the resolution of small images in the first stage (as their networks for
CIFAR-10 do, section 4.2), for training from scratch on a few cores.
"""

from dataclasses import dataclass
from typing import Any

from cnnlab.config import child_seed
from cnnlab.config.section import Section, setting
from cnnlab.engine import keras
from cnnlab.models.architecture import Architecture, ParameterCount
from cnnlab.models.head import pooled_softmax
from cnnlab.models.options import numbers

MOST_STAGES = 4


@dataclass(frozen=True)
class Options(Section):
    """What may be chosen."""

    width: int = setting(
        16, "channels of the first stage; each further stage has twice as many", low=1, high=512
    )
    blocks: str = setting("2-2-2-2", "residual blocks of each stage, one to four stages")
    stem: str = setting(
        "small",
        "how it begins: small keeps the image's size, imagenet divides it by four",
        choices=("small", "imagenet"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.depths()

    def depths(self) -> tuple[int, ...]:
        """Return the number of blocks of each stage."""
        return numbers("blocks", self.blocks, low=1, high=36, most=MOST_STAGES)


def build(
    options: Options, *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return a residual network; see ``cnnlab.models.build`` for the arguments.

    Layers are named by stage and block: ``stage2_block1_conv1``, ``…_norm1``, ``…_relu1``,
    ``…_conv2``, ``…_norm2``, ``…_shortcut_conv`` and ``…_shortcut_norm`` where the shape changes,
    ``…_add``, ``…_relu2``. The last rectification of a stage is named by the stage: ``stage2``.
    """
    network = _Layers(seed, l2)
    inputs = keras.Input((image_size, image_size, 3), name="images")  # (B, S, S, 3), 0…255
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(inputs)
    if options.stem == "imagenet":
        x = network.convolved(x, options.width, "stem_", size=7, stride=2)
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    else:
        x = network.convolved(x, options.width, "stem_")
    for stage, depth in enumerate(options.depths(), start=1):
        for block in range(1, depth + 1):
            x = network.block(
                x,
                options.width * 2 ** (stage - 1),
                f"stage{stage}_block{block}_",
                stride=2 if stage > 1 and block == 1 else 1,
                end=f"stage{stage}" if block == depth else "",
            )
    outputs = pooled_softmax(x, num_classes=num_classes, seed=seed, dropout=dropout)
    return keras.Model(inputs, outputs, name="resnet")


@dataclass(frozen=True)
class _Layers:
    """The parts of a residual network, with the seed of its kernels and their penalty."""

    seed: int
    l2: float

    def block(self, x: Any, filters: int, name: str, *, stride: int, end: str) -> Any:
        """Return relu(F(x) + x): two 3×3 convolutions and the way around them (figure 2).

        Where the shape changes, the shortcut is a 1×1 convolution (option B of section 3.3).
        """
        change = stride > 1 or x.shape[-1] != filters
        shortcut = self.normed(x, filters, f"{name}shortcut_", 1, stride) if change else x
        x = self.convolved(x, filters, name, number="1", stride=stride)
        x = self.normed(x, filters, name, 3, 1, number="2")
        x = keras.layers.Add(name=f"{name}add")([x, shortcut])
        return keras.layers.ReLU(name=end or f"{name}relu2")(x)

    def convolved(
        self, x: Any, filters: int, name: str, *, number: str = "", size: int = 3, stride: int = 1
    ) -> Any:
        """Return convolution, normalisation and rectification."""
        x = self.normed(x, filters, name, size, stride, number=number)
        return keras.layers.ReLU(name=f"{name}relu{number}")(x)

    def normed(
        self, x: Any, filters: int, name: str, size: int, stride: int, number: str = ""
    ) -> Any:
        """Return convolution, without the bias that the normalisation would take away, and this."""
        x = keras.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(
                child_seed(self.seed, f"{name}conv{number}")
            ),
            kernel_regularizer=keras.regularizers.L2(self.l2),
            name=f"{name}conv{number}",
        )(x)
        # Small data means few steps: at Keras' 0.99 the moving statistics would lag behind
        # for the first epochs and early stopping would judge the wrong network.
        return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}norm{number}")(x)


# Channels that are normalised, and weights of 3×3 and 1×1 kernels, at width 16: stem and stages.
_CHANNELS = 16 + 4 * 16 + 5 * (32 + 64 + 128)
_KERNELS = 9 * (3 * 16 + 4 * 16**2 + (16 * 32 + 3 * 32**2) + (32 * 64 + 3 * 64**2))
_KERNELS += 9 * (64 * 128 + 3 * 128**2) + (16 * 32 + 32 * 64 + 64 * 128)

ARCHITECTURE = Architecture(
    name="resnet",
    summary="A residual network of basic blocks (He et al. 2015, arXiv 1512.03385).",
    options=Options,
    build=build,
    stages=tuple(f"stage{stage}" for stage in range(1, MOST_STAGES + 1)),
    parameters=(
        ParameterCount(
            11_689_512,
            2 * (64 + 4 * 64 + 5 * (128 + 256 + 512)),
            num_classes=1000,
            image_size=224,
            options="width=64,stem=imagenet",
            source="torchvision, ResNet18_Weights.IMAGENET1K_V1: num_params 11689512",
        ),
        ParameterCount(
            _KERNELS + 2 * _CHANNELS + (128 * 5 + 5), 2 * _CHANNELS, num_classes=5, image_size=64
        ),
    ),
)
