"""EfficientNet-Lite0, with random weights or those that were trained on ImageNet.

EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946, table 1) for devices: without squeeze-excite
gates, and with ReLU6 in the place of swish, after Google's description of March 2020
(github.com/tensorflow/tpu, models/official/efficientnet/lite).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.config import InputError, child_seed
from cnnlab.config.section import Section, setting
from cnnlab.engine import keras, tf
from cnnlab.hashing import digest
from cnnlab.models import torch_file
from cnnlab.models.architecture import Architecture, ParameterCount, Pretrained
from cnnlab.models.efficientnet_lite0_file import PACKAGE, SHA256, assign, find, is_here
from cnnlab.models.head import pooled_softmax

# Expansion, kernel, stride of the first block, channels, blocks: a row a stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM, TOP = 32, 1280  # channels of the first and the last convolution

# Number of a feature → its value for ``answer_image``.
ANSWER = {7: 2.4451, 162: 2.0338, 334: 1.4757, 539: 1.993, 714: 4.4724, 890: 4.5793}


@dataclass(frozen=True)
class Options(Section):
    """What may be chosen."""

    stem_stride: int = setting(
        2, "step of the first convolution: 1 keeps the image's size, 2 halves it", low=1, high=2
    )


def build(
    options: Options, *, image_size: int, num_classes: int, seed: int, l2: float, dropout: float
) -> keras.Model:
    """Return EfficientNet-Lite0; see ``cnnlab.models.build`` for the arguments.

    Layers are named by stage and block: ``stage2_block1_expand_conv``, ``…_expand_norm``,
    ``…_expand_relu``, the same three of ``depthwise``, ``…_project_conv``, ``…_project_norm``, and
    ``…_add`` where the block keeps the shape; before them ``stem_conv``, ``stem_norm``,
    ``stem_relu``, behind them ``top_conv``, ``top_norm``, ``top_relu``.
    """
    network = _Layers(seed, l2)
    inputs = keras.Input((image_size, image_size, 3), name="images")  # (B, S, S, 3), 0…255
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(inputs)
    x = network.convolved(x, STEM, "stem_", size=3, stride=options.stem_stride)
    for stage, (expansion, kernel, stride, channels, blocks) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            step = stride if block == 1 else 1
            x = network.block(x, f"stage{stage}_block{block}_", expansion, kernel, step, channels)
    x = network.convolved(x, TOP, "top_")
    outputs = pooled_softmax(x, num_classes=num_classes, seed=seed, dropout=dropout)
    return keras.Model(inputs, outputs, name="efficientnet_lite0")


class _Layers:
    """Makes the layers of one network: they share the seed and the penalty."""

    def __init__(self, seed: int, l2: float) -> None:
        self.seed = seed
        self.l2 = l2

    def block(
        self, x: Any, name: str, expansion: int, kernel: int, stride: int, channels: int
    ) -> Any:
        """Return an inverted residual: widened, filtered by channel, projected without ReLU."""
        before = x
        if expansion > 1:
            x = self.convolved(x, expansion * x.shape[-1], f"{name}expand_")
        x = keras.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self.initializer(f"{name}depthwise_conv"),
            name=f"{name}depthwise_conv",
        )(x)
        x = self.rectified(self.normed(x, f"{name}depthwise_"), f"{name}depthwise_")
        x = self.normed(self.convolution(x, channels, f"{name}project_"), f"{name}project_")
        if x.shape == before.shape:
            x = keras.layers.Add(name=f"{name}add")([x, before])
        return x

    def convolved(self, x: Any, channels: int, name: str, size: int = 1, stride: int = 1) -> Any:
        """Return convolution, normalisation and rectification."""
        x = self.convolution(x, channels, name, size, stride)
        return self.rectified(self.normed(x, name), name)

    def convolution(self, x: Any, channels: int, name: str, size: int = 1, stride: int = 1) -> Any:
        """Return a convolution without bias, which the normalisation behind it would take away."""
        return keras.layers.Conv2D(
            channels,
            size,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=self.initializer(f"{name}conv"),
            kernel_regularizer=keras.regularizers.L2(self.l2),
            name=f"{name}conv",
        )(x)

    def normed(self, x: Any, name: str) -> Any:
        """Return the normalisation; few steps ask for a momentum that follows quickly."""
        layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}norm")
        return layer(x)

    def rectified(self, x: Any, name: str) -> Any:
        return keras.layers.ReLU(6, name=f"{name}relu")(x)

    def initializer(self, name: str) -> keras.initializers.Initializer:
        return keras.initializers.HeNormal(child_seed(self.seed, name))


def load(network: keras.Model, path: Path) -> None:
    """Give every layer before the head the weights of a PyTorch file; its classifier is left out.

    The file is one of the published layout, with whatever number of classes. The published file
    itself is read into a network of 64 pixels as well, once a process, which must give a known
    answer.

    Raises:
        InputError: It cannot be read, or is not of this network.
    """
    content = path.read_bytes()
    assign(network, torch_file.tensors(content, str(path)), str(path))
    if digest(content) == SHA256:
        _check_answer(path)


def answer_image() -> np.ndarray:
    """Return the image of the known answer, float32 (1, 64, 64, 3) in 0…255."""
    y, x, c = np.indices((64, 64, 3))
    return ((7 * y + 13 * x + 85 * c) % 256)[None].astype(np.float32)


@cache
def _check_answer(path: Path) -> None:
    """Raise InputError unless the published weights, read here, give the known features.

    The expected values are no output of Keras: a test computes them by a forward pass in NumPy.
    """
    with tf.device("CPU"):  # a GPU's convolutions round to ten bits (TF32)
        network = build(Options(), image_size=64, num_classes=2, seed=0, l2=0.0, dropout=0.0)
        assign(network, torch_file.tensors(path.read_bytes(), str(path)), str(path))
        body = keras.Model(network.inputs[0], network.get_layer("global_pool").output)
        found = np.asarray(body(answer_image(), training=False))[0, list(ANSWER)]
    expected = np.array([*ANSWER.values()])
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-3):
        raise InputError(
            f"{path} gives the features {found.tolist()} of a known image, expected "
            f"{expected.tolist()}: this TensorFlow does not compute what the network is. "
            "make setup installs the versions that do."
        )


def _sizes() -> tuple[int, int]:
    """Return weights of kernels and channels that are normalised, by the table above."""
    kernels, channels, before = 3 * 3 * 3 * STEM + STAGES[-1][3] * TOP, STEM + TOP, STEM
    for expansion, kernel, _, after, blocks in STAGES:
        for _ in range(blocks):
            wide = expansion * before
            kernels += wide * (kernel**2 + after) + (before * wide if expansion > 1 else 0)
            channels += wide * (2 if expansion > 1 else 1) + after
            before = after
    return kernels, channels


_KERNELS, _CHANNELS = _sizes()

ARCHITECTURE = Architecture(
    name="efficientnet_lite0",
    summary="EfficientNet-Lite0: inverted residuals with ReLU6, without squeeze-excite gates "
    "(Tan and Le 2019, arXiv 1905.11946; Google's Lite variant of 2020).",
    options=Options,
    build=build,
    stages=(
        "stage1_block1_project_norm",
        "stage2_block2_add",
        "stage3_block2_add",
        "stage5_block3_add",
        "top_relu",
    ),
    parameters=(
        ParameterCount(
            4_694_024 - 42_016,
            42_016,
            num_classes=1000,
            image_size=224,
            source=f"{PACKAGE} 0.1.0: 4,694,024 float32 values in its file, of which 2 × 21,008 "
            "are moving means and variances",
        ),
        ParameterCount(
            _KERNELS + 2 * _CHANNELS + (TOP * 5 + 5), 2 * _CHANNELS, num_classes=5, image_size=40
        ),
    ),
    pretrained=Pretrained(
        data="ImageNet-1k (ILSVRC 2012), 1,000 classes",
        licence="Apache-2.0",
        source=f"Google's EfficientNet-Lite0, converted for PyTorch; package {PACKAGE} 0.1.0",
        smallest=32,
        is_here=is_here,
        find=find,
        load=load,
    ),
)
