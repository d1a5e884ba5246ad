"""MobileNetV3-Small of Keras: Howard et al. 2019, arXiv 1905.02244.

Inverted residuals with depthwise convolutions, squeeze-excite gates and hard-swish. Behind the
last feature maps (576 channels) stand global pooling and a softmax; their wide classifier
(table 2, 1024 units) is left out. The first convolution keeps the size of the image by default,
because five halvings would leave 2 × 2 maps of a 64-pixel image; ``stem_stride=2`` is the paper's.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.config.section import Section, setting
from cnnlab.engine import keras
from cnnlab.models.architecture import Architecture, ParameterCount
from cnnlab.models.backbones import rebuilt
from cnnlab.models.head import pooled_softmax
from cnnlab.models.keras_weights import KerasWeights, Published


@dataclass(frozen=True)
class Options(Section):
    """What may be chosen."""

    alpha: float = setting(1.0, "width of all layers, as a share of the paper's", low=0.25, high=2)
    stem_stride: int = setting(
        1, "step of the first convolution: 1 keeps the image's size, 2 halves it", low=1, high=2
    )


def build(
    options: Options, *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return MobileNetV3-Small; see ``cnnlab.models.build`` for the arguments.

    Layers are named as Keras names them (``expanded_conv_3_depthwise``); the first is ``images``,
    and those of the head are ``global_pool``, ``dropout`` and ``probabilities``.
    """
    backbone = rebuilt(
        keras.applications.MobileNetV3Small(
            input_tensor=keras.Input((None, None, 3), name="images"),
            alpha=options.alpha,
            include_top=False,
            weights=None,
        ),
        image_size=image_size,
        seed=seed,
        l2=l2,
        changes={"conv": {"strides": options.stem_stride}},
    )
    outputs = pooled_softmax(backbone.output, num_classes=num_classes, seed=seed, dropout=dropout)
    return keras.Model(backbone.input, outputs, name="mobilenet_v3_small")


_WEIGHTS = KerasWeights(
    name="mobilenet_v3_small",
    function="MobileNetV3Small",
    files={
        alpha: Published(
            "tensorflow/keras-applications/mobilenet_v3/"
            f"weights_mobilenet_v3_small_224_{alpha}_float_no_top_v2.h5",
            digest,
        )
        for alpha, digest in (
            (0.75, "ebdb5cc8e0b497cd13a7c275d475c819"),
            (1.0, "d3e8ec802a04aa4fc771ee12a9a9b836"),
        )
    },
    licence="Apache-2.0",
    width_layer=("conv_1", 576),
)


def _find(options: Options) -> Path:
    if options.stem_stride != 2:
        raise InputError(
            "The pretrained weights of mobilenet_v3_small belong to a first convolution that "
            f"halves the image; got stem_stride={options.stem_stride}. Set "
            "network_options=stem_stride=2."
        )
    return _WEIGHTS.find(options)


# torchvision counts its own classifier (1024 units, 1000 classes), which is not ours.
_PUBLISHED = 2_542_856 - (576 * 1024 + 1024) - (1024 * 1000 + 1000)
# Channels that are normalised: the stem; expansions, depthwise and projections (table 2); the last.
_CHANNELS = (
    16
    + (16 + 16)
    + (2 * 72 + 24)
    + (2 * 88 + 24)
    + (2 * 96 + 40)
    + 2 * (2 * 240 + 40)
    + (2 * 120 + 48)
    + (2 * 144 + 48)
    + (2 * 288 + 96)
    + 2 * (2 * 576 + 96)
    + 576
)

ARCHITECTURE = Architecture(
    name="mobilenet_v3_small",
    summary="MobileNetV3-Small (Howard et al. 2019, arXiv 1905.02244).",
    options=Options,
    build=build,
    stages=(
        "conv_activation",
        "expanded_conv_project_bn",
        "expanded_conv_2_add",
        "expanded_conv_7_add",
        "conv_1_activation",
    ),
    parameters=(
        ParameterCount(
            _PUBLISHED + (576 * 1000 + 1000),
            2 * _CHANNELS,
            num_classes=1000,
            image_size=224,
            options="stem_stride=2",
            source="torchvision, MobileNet_V3_Small_Weights.IMAGENET1K_V1: num_params 2542856",
        ),
        ParameterCount(_PUBLISHED + (576 * 5 + 5), 2 * _CHANNELS, num_classes=5, image_size=40),
    ),
    pretrained=replace(_WEIGHTS.pretrained(), find=_find),
)
