"""Networks of ``keras.applications``: one table, a row a network.

Each is Keras' own without its head, rebuilt flat (see ``backbones``), with global pooling and a
softmax behind it. Each takes pixels in 0…255 as every network here does: what Keras leaves to
``preprocess_input`` stands in front of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cnnlab.config import InputError
from cnnlab.config.section import Section, setting
from cnnlab.engine import keras
from cnnlab.models.architecture import Architecture
from cnnlab.models.backbones import rebuilt
from cnnlab.models.head import pooled_softmax
from cnnlab.models.keras_weights import DEVIATION, MEAN, KerasWeights, Published

APACHE, MIT = "Apache-2.0", "MIT"

# The parameters of each network with its head for 1,000 classes, in millions, are those of the
# table on https://keras.io/api/applications, or of the paper where that has none.
KERAS_IO = "the table on https://keras.io/api/applications"


@dataclass(frozen=True)
class NoOptions(Section):
    """Nothing may be chosen."""


@dataclass(frozen=True)
class Width(Section):
    """What may be chosen of a MobileNet."""

    alpha: float = setting(1.0, "width of all layers, as a share of the paper's", low=0.25, high=2)


@dataclass(frozen=True)
class Application:
    """A row of the table.

    Attributes:
        function: Its name in ``keras.applications``.
        paper: Authors, year, arXiv number.
        normalisation: How Keras' network takes its pixels: ``tf`` in -1…1, ``torch`` by
            ImageNet's mean and deviation, ``caffe`` as BGR less ImageNet's mean, ``own`` in 0…255.
        millions: Parameters with Keras' head for 1,000 classes.
        files: Width → the weights' file; width 1 where there is no option ``alpha``.
        stages: The last layer of each resolution, before the next stage's first expansion.
        licence: Of the weights.
        smallest: Pixels a side that Keras' function takes at least.
        dense: Parameters of Keras' head, where it is not one dense layer behind global pooling.
        width_layer: See ``KerasWeights``; the family then has the option ``alpha``.
    """

    function: str
    paper: str
    normalisation: str
    millions: float
    files: Mapping[float, Published]
    stages: tuple[str, ...]
    licence: str = APACHE
    smallest: int = 32
    dense: int | None = None
    width_layer: tuple[str, int] | None = None


def _one(address: str, digest: str, file: str = "") -> dict[float, Published]:
    return {1.0: Published(address, digest, file)}


def _tf_kernels(name: str, digest: str, folder: str = "") -> dict[float, Published]:
    return _one(
        f"tensorflow/keras-applications/{folder or name}/"
        f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest,
    )


_FOLDER = "tensorflow/keras-applications"
_MOBILENET = "Howard et al. 2017, arXiv 1704.04861"
_MOBILENET_V2 = "Sandler et al. 2018, arXiv 1801.04381"
_MOBILENET_V3 = "Howard et al. 2019, arXiv 1905.02244"
_EFFICIENT = "Tan and Le 2019, arXiv 1905.11946"
_EFFICIENT_V2 = "Tan and Le 2021, arXiv 2104.00298"
_RESNET = "He et al. 2015, arXiv 1512.03385"
_RESNET_V2 = "He et al. 2016, arXiv 1603.05027"
_CONVNEXT = "Liu et al. 2022, arXiv 2201.03545"
_DENSENET = "Huang et al. 2016, arXiv 1608.06993"
_VGG = "Simonyan and Zisserman 2014, arXiv 1409.1556"
_VGG_HEAD = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000


def _last_blocks(blocks: str, of_one: str) -> tuple[str, ...]:
    """Return where stages of an EfficientNet end: ``1a 2b`` are stage and letter of their blocks.

    Block 1a, where it is the only one of its stage, adds nothing to its input.
    """
    ends = (f"block{block}_{of_one if block == '1a' else 'add'}" for block in blocks.split())
    return (*ends, "top_activation")


def _efficientnet(size: str, millions: float, blocks: str, digest: str) -> Application:
    file = f"keras-applications/efficientnet{size.lower()}_notop.h5"
    return Application(
        f"EfficientNet{size}",
        _EFFICIENT,
        "torch",
        millions,
        _one(file, digest),
        _last_blocks(blocks, "project_bn"),
    )


def _efficientnet_v2(size: str, millions: float, blocks: str, digest: str) -> Application:
    file = f"{_FOLDER}/efficientnet_v2/efficientnetv2-{size.lower()}_notop.h5"
    return Application(
        f"EfficientNetV2{size}",
        _EFFICIENT_V2,
        "own",
        millions,
        _one(file, digest),
        _last_blocks(blocks, "project_activation"),
    )


def _counts(blocks: str) -> list[int]:
    return [int(count) for count in blocks.split("-")]


def _resnet(depth: int, millions: float, blocks: str, digest: str) -> Application:
    return Application(
        f"ResNet{depth}",
        _RESNET,
        "caffe",
        millions,
        _tf_kernels(f"resnet{depth}", digest, "resnet"),
        (
            "conv1_relu",
            *(f"conv{stage}_block{count}_out" for stage, count in enumerate(_counts(blocks), 2)),
        ),
        MIT,
    )


def _resnet_v2(depth: int, millions: float, blocks: str, digest: str) -> Application:
    # The last block of a stage halves the maps, except in the last stage.
    inner = list(enumerate(_counts(blocks)[:-1], 2))
    return Application(
        f"ResNet{depth}V2",
        _RESNET_V2,
        "tf",
        millions,
        _tf_kernels(f"resnet{depth}v2", digest, "resnet"),
        (
            "conv1_conv",
            *(f"conv{stage}_block{count - 1}_out" for stage, count in inner),
            "post_relu",
        ),
    )


def _convnext(size: str, millions: float, blocks: str, digest: str) -> Application:
    *inner, _ = enumerate(_counts(blocks))
    last = "stage_3_block_2_layer_scale_add_layer_normalization"
    return Application(
        f"ConvNeXt{size}",
        _CONVNEXT,
        "own",
        millions,
        _one(f"{_FOLDER}/convnext/convnext_{size.lower()}_notop.h5", digest),
        (*(f"stage_{stage}_block_{count - 1}_layer_scale_add" for stage, count in inner), last),
        MIT,
    )


def _densenet(depth: int, millions: float, digest: str) -> Application:
    return Application(
        f"DenseNet{depth}",
        _DENSENET,
        "torch",
        millions,
        _tf_kernels(f"densenet{depth}", digest, "densenet"),
        ("conv1_relu", "pool2_conv", "pool3_conv", "pool4_conv", "relu"),
        "BSD-3-Clause",
    )


def _vgg(depth: int, millions: float, digest: str) -> Application:
    last = 3 if depth == 16 else 4
    return Application(
        f"VGG{depth}",
        _VGG,
        "caffe",
        millions,
        _tf_kernels(f"vgg{depth}", digest),
        tuple(f"block{stage}_conv{2 if stage < 3 else last}" for stage in range(1, 6)),
        "CC-BY-4.0",
        dense=_VGG_HEAD,
    )


ROWS: dict[str, Application] = {
    "mobilenet": Application(
        "MobileNet",
        _MOBILENET,
        "tf",
        4.3,
        {
            alpha: Published(f"{_FOLDER}/mobilenet/mobilenet_{text}_224_tf_no_top.h5", "")
            for alpha, text in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))
        },
        tuple(f"conv_pw_{block}_relu" for block in (1, 3, 5, 11, 13)),
        width_layer=("conv_pw_13", 1024),
    ),
    "mobilenet_v2": Application(
        "MobileNetV2",
        _MOBILENET_V2,
        "tf",
        3.5,
        {
            alpha: Published(
                f"{_FOLDER}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"
                f"{alpha}_224_no_top.h5",
                "",
            )
            for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
        },
        ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "out_relu"),
        width_layer=("block_16_project", 320),
    ),
    "mobilenet_v3_large": Application(
        "MobileNetV3Large",
        _MOBILENET_V3,
        "own",
        5.5,
        {
            alpha: Published(
                f"{_FOLDER}/mobilenet_v3/weights_mobilenet_v3_large_224_{alpha}_float_no_top_v2.h5",
                digest,
            )
            for alpha, digest in (
                (0.75, "40af19a13ebea4e2ee0c676887f69a2e"),
                (1.0, "07fb09a5933dd0c8eaafa16978110389"),
            )
        },
        (
            "expanded_conv_add",
            "expanded_conv_2_add",
            "expanded_conv_5_add",
            "expanded_conv_11_add",
            "conv_1_activation",
        ),
        dense=(960 + 1) * 1280 + (1280 + 1) * 1000,
        width_layer=("conv_1", 960),
    ),
    "efficientnet_b0": _efficientnet("B0", 5.3, "1a 2b 3b 5c", "50bc09e76180e00e4465e1a485ddc09d"),
    "efficientnet_b1": _efficientnet("B1", 7.9, "1b 2c 3c 5d", "74c4e6b3e1f6a1eea24c589628592432"),
    "efficientnet_b2": _efficientnet("B2", 9.2, "1b 2c 3c 5d", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "efficientnet_b3": _efficientnet("B3", 12.3, "1b 2c 3c 5e", "af6d107764bb5b1abb91932881670226"),
    "efficientnet_b4": _efficientnet("B4", 19.5, "1b 2d 3d 5f", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "efficientnet_b5": _efficientnet("B5", 30.6, "1c 2e 3e 5g", "38879255a25d3c92d5e44e04ae6cec6f"),
    "efficientnet_b6": _efficientnet("B6", 43.3, "1c 2f 3f 5h", "9ecce42647a20130c1f39a5d4cb75743"),
    "efficientnet_b7": _efficientnet("B7", 66.7, "1d 2g 3g 5j", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "efficientnet_v2_b0": _efficientnet_v2(
        "B0", 7.2, "1a 2b 3b 5e", "893217f2bb855e2983157299931e43ff"
    ),
    "efficientnet_v2_b1": _efficientnet_v2(
        "B1", 8.2, "1b 2c 3c 5f", "0e80663031ca32d657f9caa404b6ec37"
    ),
    "efficientnet_v2_b2": _efficientnet_v2(
        "B2", 10.2, "1b 2c 3c 5f", "1dfe2e7a5d45b6632553a8961ea609eb"
    ),
    "efficientnet_v2_b3": _efficientnet_v2(
        "B3", 14.5, "1b 2c 3c 5g", "f6abf7b5849ac99a89b50dd3fd532856"
    ),
    "efficientnet_v2_s": _efficientnet_v2(
        "S", 21.6, "1b 2d 3d 5i", "af0682fb74e8c54910f2d4393339c070"
    ),
    "efficientnet_v2_m": _efficientnet_v2(
        "M", 54.4, "1c 2e 3e 5n", "1b8dc055df72dde80d614482840fe342"
    ),
    "efficientnet_v2_l": _efficientnet_v2(
        "L", 119.0, "1d 2g 3g 5s", "b0b66b5c863aef5b46e8608fe1711615"
    ),
    "resnet50": _resnet(50, 25.6, "3-4-6-3", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": _resnet(101, 44.7, "3-4-23-3", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": _resnet(152, 60.4, "3-8-36-3", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50_v2": _resnet_v2(50, 25.6, "3-4-6-3", "fac2f116257151a9d068a22e544a4917"),
    "resnet101_v2": _resnet_v2(101, 44.7, "3-4-23-3", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152_v2": _resnet_v2(152, 60.4, "3-8-36-3", "ed17cf2e0169df9d443503ef94b23b33"),
    "convnext_tiny": _convnext(
        "Tiny", 28.6, "3-3-9-3", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"
    ),
    "convnext_small": _convnext(
        "Small",
        50.2,
        "3-3-27-3",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "convnext_base": _convnext(
        "Base", 88.5, "3-3-27-3", "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"
    ),
    "densenet121": _densenet(121, 8.1, "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": _densenet(169, 14.3, "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": _densenet(201, 20.2, "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "nasnet_mobile": Application(
        "NASNetMobile",
        "Zoph et al. 2017, arXiv 1707.07012",
        "tf",
        5.3,
        _one(
            f"{_FOLDER}/nasnet/NASNet-mobile-no-top.h5",
            "1ed92395b5b598bdda52abe5c0dbfd63",
            "nasnet_mobile_no_top.h5",
        ),
        (
            "stem_bn1",
            "reduction_concat_stem_1",
            "normal_concat_3",
            "normal_concat_8",
            "normal_concat_12_activation",
        ),
    ),
    "xception": Application(
        "Xception",
        "Chollet 2016, arXiv 1610.02357",
        "tf",
        22.9,
        _tf_kernels("xception", "b0042744bf5b25fce3cb969f33bebb97"),
        (
            "block1_conv2_act",
            "block2_pool_add",
            "block3_pool_add",
            "block12_sepconv3_add",
            "block14_sepconv2_act",
        ),
        MIT,
        smallest=71,
    ),
    "inception_v3": Application(
        "InceptionV3",
        "Szegedy et al. 2015, arXiv 1512.00567",
        "tf",
        23.9,
        _tf_kernels("inception_v3", "bcbd6486424b2319ff4ef7d526e38f63"),
        ("conv_3_activation", "conv_5_activation", "mixed2", "mixed7", "mixed10"),
        smallest=75,
    ),
    "inception_resnet_v2": Application(
        "InceptionResNetV2",
        "Szegedy et al. 2016, arXiv 1602.07261",
        "tf",
        55.9,
        _tf_kernels("inception_resnet_v2", "d19885ff4a710c122648d3b5c3b684e4"),
        ("conv_3_activation", "conv_5_activation", "block35_10_ac", "block17_20_ac", "conv_7b_ac"),
        smallest=75,
    ),
    "vgg16": _vgg(16, 138.4, "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": _vgg(19, 143.7, "253f8cb515780f3b799900260a226db6"),
}


def application(name: str) -> Architecture:
    """Return the family of a row."""
    row = ROWS[name]
    weights = _weights(name)
    return Architecture(
        name=name,
        summary=f"{row.function} of Keras ({row.paper}).",
        options=Width if row.width_layer else NoOptions,
        build=partial(_build, name),
        stages=row.stages,
        parameters=(),  # published in millions: see the table
        pretrained=weights.pretrained(),
    )


def _weights(name: str) -> KerasWeights:
    row = ROWS[name]
    return KerasWeights(
        name=name,
        function=row.function,
        files=dict(row.files),
        licence=row.licence,
        smallest=row.smallest,
        reverse_colours=row.normalisation == "caffe",
        width_layer=row.width_layer,
    )


def _build(
    name: str,
    options: Any,
    *,
    image_size: int,
    num_classes: int,
    seed: int,
    l2: float,
    dropout: float,
) -> keras.Model:
    """Return the network of a row; see ``cnnlab.models.build`` for the arguments."""
    row = ROWS[name]
    if image_size < row.smallest:
        raise InputError(
            f"{name} takes images of at least {row.smallest} pixels a side; got {image_size}. "
            f"Set image_size={row.smallest} or more."
        )
    with keras.StatelessScope(initialize_variables=False):  # only its graph is wanted
        backbone = _weights(name).backbone(image_size, getattr(options, "alpha", 1.0))
    make = NORMALISATIONS[row.normalisation]
    body = rebuilt(
        backbone, image_size=image_size, seed=seed, l2=l2, normalise=make() if make else None
    )
    outputs = pooled_softmax(body.output, num_classes=num_classes, seed=seed, dropout=dropout)
    return keras.Model(body.input, outputs, name=name)


def _in_unit_range() -> keras.Layer:
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="images_rescaling")


def _standardised() -> keras.Layer:
    return keras.layers.Normalization(
        mean=[255 * value for value in MEAN],
        variance=[(255 * value) ** 2 for value in DEVIATION],
        name="images_normalization",
    )


def _centred() -> keras.Layer:
    # Of caffe's mean image, in RGB: the first kernel is turned to RGB where weights are loaded.
    return keras.layers.Normalization(
        mean=[123.68, 116.779, 103.939], variance=[1.0, 1.0, 1.0], name="images_normalization"
    )


# What stands in front of a network, by how Keras' takes its pixels; None: it does so itself.
NORMALISATIONS: dict[str, Callable[[], keras.Layer] | None] = {
    "tf": _in_unit_range,
    "torch": _standardised,
    "caffe": _centred,
    "own": None,
}
