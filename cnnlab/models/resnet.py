"""Residual networks: He et al., Deep Residual Learning, arXiv 1512.03385, and what came after.

With ``width=64,stem=imagenet`` it is their ResNet-18, with ``blocks=3-4-6-3`` too their ResNet-34
(table 1), and with ``bottleneck=true`` too the ResNet-50 of today, v1.5: the 3×3 convolution of a
block halves the map, not the 1×1 before it, which would leave three places of four unseen. The
defaults are a quarter as wide and keep the resolution of small images in the first stage (as their
networks for CIFAR-10 do, section 4.2), for training from scratch on a few cores. At any image size
``blocks=1-1-1-1`` takes 1.04 times the multiply-adds of the reference network, the default 2.25.

``stem=deep,shortcut=average`` makes ResNet-D, and ``zero_gamma`` goes with it: He et al. 2018, Bag
of Tricks for Image Classification, arXiv 1812.01187, sections 4.2 and 3.1. ``blur`` is Zhang 2019,
Making Convolutional Networks Shift-Invariant Again, arXiv 1904.11486.
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
FEWEST_STRIDED = 16  # channels that a strided 1×1 convolution must be given; see ``shortcut``
EXPANSION = 4  # channels of a bottleneck block's end, per channel of its middle


@dataclass(frozen=True)
class Options(Section):
    """What may be chosen."""

    width: int = setting(
        16, "channels of the first stage; each further stage has twice as many", low=1, high=512
    )
    blocks: str = setting("2-2-2-2", "residual blocks of each stage, one to four stages")
    stem: str = setting(
        "small",
        "how it begins: small keeps the image's size; imagenet (7×7) and deep (three 3×3) divide "
        "it by four",
        choices=("small", "imagenet", "deep"),
    )
    bottleneck: bool = setting(
        False,
        "blocks of 1×1, 3×3 and 1×1 convolutions, which end with four times the channels, instead "
        "of two 3×3",
    )
    shortcut: str = setting(
        "strided",
        "how the way around a block halves the map: strided takes one place of four, average "
        "their mean",
        choices=("strided", "average"),
    )
    zero_gamma: bool = setting(
        False, "each block begins as its shortcut alone: the last scale inside it is 0"
    )
    blur: bool = setting(
        False, "a low-pass filter (1-2-1) goes before each halving but that of the first layer"
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
    ``…_add``, ``…_relu2``; of a bottleneck also ``…_conv3``, ``…_norm3``, ``…_relu3``. The last
    rectification of a stage is named by the stage: ``stage2``. A blur is ``…_blur1``, ``…_blur2``.
    """
    network = _Layers(options, seed, l2)
    inputs = keras.Input((image_size, image_size, 3), name="images")  # (B, S, S, 3), 0…255
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(inputs)
    x = network.stem(x)
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

    options: Options
    seed: int
    l2: float

    def stem(self, x: Any) -> Any:
        """Return the maps that enter the first stage: ``width`` channels."""
        width = self.options.width
        if self.options.stem == "small":
            return self.convolved(x, width, "stem_")
        if self.options.stem == "imagenet":
            x = self.convolved(x, width, "stem_", size=7, stride=2)
        else:
            half = max(width // 2, 1)
            x = self.convolved(x, half, "stem_", number="1", stride=2)
            x = self.convolved(x, half, "stem_", number="2")
            x = self.convolved(x, width, "stem_", number="3")
        stride = 1 if self.options.blur else 2
        x = keras.layers.MaxPooling2D(3, strides=stride, padding="same", name="stem_pool")(x)
        return self.blurred(x, "stem_") if self.options.blur else x

    def block(self, x: Any, filters: int, name: str, *, stride: int, end: str) -> Any:
        """Return relu(F(x) + x): two or three convolutions and the way around them (figure 5).

        Args:
            x: Maps, symbolic (B, h, w, K).
            filters: Channels of the 3×3 convolutions.
            name: What the names of its layers begin with.
            stride: 2 halves the maps.
            end: Name of its last layer; "" if it does not end a stage.
        """
        if self.options.bottleneck:
            shortcut = self.shortcut(x, EXPANSION * filters, name, stride)
            x = self.convolved(x, filters, name, number="1", size=1)
            x = self.halving(x, filters, name, number="2", stride=stride)
            x = self.normed(x, EXPANSION * filters, name, 1, 1, number="3", last=True)
        else:
            shortcut = self.shortcut(x, filters, name, stride)
            x = self.halving(x, filters, name, number="1", stride=stride)
            x = self.normed(x, filters, name, 3, 1, number="2", last=True)
        x = keras.layers.Add(name=f"{name}add")([x, shortcut])
        number = 3 if self.options.bottleneck else 2
        return keras.layers.ReLU(name=end or f"{name}relu{number}")(x)

    def shortcut(self, x: Any, channels: int, name: str, stride: int) -> Any:
        """Return the way around a block: a 1×1 convolution where the shape changes, or x itself.

        This is option B of section 3.3. Given fewer than 16 channels and an odd number of images,
        the gradient of a strided 1×1 kernel writes past its memory in TensorFlow 2.21 with oneDNN,
        and the process ends sooner or later. So one place of four is taken before, not by it.
        """
        if stride == 1 and x.shape[-1] == channels:
            return x
        name = f"{name}shortcut_"
        pool = keras.layers.AveragePooling2D
        if stride > 1 and self.options.shortcut == "average":
            x, stride = pool(2, strides=stride, padding="same", name=f"{name}pool")(x), 1
        elif stride > 1 and self.options.blur:
            x, stride = self.blurred(x, name), 1
        elif stride > 1 and x.shape[-1] < FEWEST_STRIDED:
            x, stride = pool(1, strides=stride, padding="same", name=f"{name}pick")(x), 1
        return self.normed(x, channels, name, 1, stride)

    def halving(self, x: Any, filters: int, name: str, *, number: str, stride: int) -> Any:
        """Return a 3×3 convolution that may halve the maps, or that is followed by a blur."""
        if stride == 1 or not self.options.blur:
            return self.convolved(x, filters, name, number=number, stride=stride)
        return self.blurred(self.convolved(x, filters, name, number=number), name)

    def blurred(self, x: Any, name: str) -> Any:
        """Return every second place of the maps behind a low-pass filter: Zhang's Triangle-3.

        The filter, 1-2-1 in both directions, over 16, is made of two averages of 2×2, so it has no
        weights and is of Keras' own layers. The places are those on which a strided 3×3
        convolution is centred where the side is even: the second, the fourth, … Beyond the border
        the last value is repeated, where Zhang mirrors.
        """
        pool = keras.layers.AveragePooling2D
        x = pool(2, strides=1, padding="same", name=f"{name}blur1")(x)
        return pool(2, strides=2, padding="same", name=f"{name}blur2")(x)

    def convolved(
        self, x: Any, filters: int, name: str, *, number: str = "", size: int = 3, stride: int = 1
    ) -> Any:
        """Return convolution, normalisation and rectification."""
        x = self.normed(x, filters, name, size, stride, number=number)
        return keras.layers.ReLU(name=f"{name}relu{number}")(x)

    def normed(
        self,
        x: Any,
        filters: int,
        name: str,
        size: int,
        stride: int,
        *,
        number: str = "",
        last: bool = False,
    ) -> Any:
        """Return convolution, without the bias that the normalisation would take away, and this.

        Where it is the last of a block, its scale may begin at zero.
        """
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
        return keras.layers.BatchNormalization(
            momentum=0.9,
            gamma_initializer="zeros" if last and self.options.zero_gamma else "ones",
            name=f"{name}norm{number}",
        )(x)


# Channels that are normalised, and weights of 3×3 and 1×1 kernels, at width 16: stem and stages.
_CHANNELS = 16 + 4 * 16 + 5 * (32 + 64 + 128)
_KERNELS = 9 * (3 * 16 + 4 * 16**2 + (16 * 32 + 3 * 32**2) + (32 * 64 + 3 * 64**2))
_KERNELS += 9 * (64 * 128 + 3 * 128**2) + (16 * 32 + 32 * 64 + 64 * 128)

_DEEPER = "blocks=3-4-6-3"
# ResNet-50: the stem; of each block twice its width and four times; of each stage a shortcut.
_NORMED_50 = 64 + 64 * (3 * 6 + 4) + 128 * (4 * 6 + 4) + 256 * (6 * 6 + 4) + 512 * (3 * 6 + 4)

ARCHITECTURE = Architecture(
    name="resnet",
    summary="A residual network of basic or bottleneck blocks (He et al. 2015, arXiv 1512.03385).",
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
            21_797_672,
            2 * (64 + 6 * 64 + 9 * 128 + 13 * 256 + 7 * 512),
            num_classes=1000,
            image_size=224,
            options=f"width=64,{_DEEPER},stem=imagenet",
            source="torchvision, ResNet34_Weights.IMAGENET1K_V1: num_params 21797672",
        ),
        ParameterCount(
            25_557_032,
            2 * _NORMED_50,
            num_classes=1000,
            image_size=224,
            options=f"width=64,{_DEEPER},stem=imagenet,bottleneck=true",
            source="torchvision, ResNet50_Weights.IMAGENET1K_V1: num_params 25557032",
        ),
        ParameterCount(
            25_576_264,  # three 3×3, of 32, 32 and 64 channels, have 19,232 more than one 7×7
            2 * (_NORMED_50 + 32 + 32),
            num_classes=1000,
            image_size=224,
            options=f"width=64,{_DEEPER},stem=deep,bottleneck=true,shortcut=average",
            source="pytorchcv, resneta50b (ResNet-50-D): weight_count 25576264",
        ),
        ParameterCount(
            _KERNELS + 2 * _CHANNELS + (128 * 5 + 5), 2 * _CHANNELS, num_classes=5, image_size=64
        ),
    ),
)
