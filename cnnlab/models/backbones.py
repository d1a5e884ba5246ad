"""Networks of ``keras.applications`` made ours: seeded weights, and names and sizes that hold.

As Keras builds them, their weights and dropout masks come from the global random state, the names
of unnamed layers count all layers that the process ever made, some can only be built from 32
pixels on, and some hold bare operations that do not come back from an H5 file (an addition comes
back as the layer ``Add``). What is built here has none of that.
"""

import re
from collections.abc import Mapping
from typing import Any

from cnnlab.config import child_seed
from cnnlab.engine import keras


def rebuilt(
    backbone: keras.Model,
    *,
    image_size: int,
    seed: int,
    l2: float,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> keras.Model:
    """Return a new network that computes what a backbone does, for one image size.

    Unnamed layers are named after the layer before them (``conv_bn`` → ``conv_activation``).
    Padding before a strided convolution becomes the convolution's own, and the gate
    relu6(x + 3) / 6 one layer, ``hard_sigmoid``.

    Args:
        backbone: A Functional model with one input, built for any image size (None, None, 3).
        image_size: Pixels a side.
        seed: Decides every kernel and dropout mask, by the layer's name.
        l2: Factor of the L2 penalty on the kernels of full convolutions. Depthwise kernels are
            left alone: they have few weights (Howard et al. 2017, arXiv 1704.04861, section 3.3).
        changes: Layer name → entries of its configuration that are to be others.

    Raises:
        NotImplementedError: The backbone has another bare operation.
    """
    inputs = keras.Input((image_size, image_size, 3), name="images")
    copy = keras.models.clone_model(
        backbone,
        keras.tree.map_structure(lambda _: inputs, backbone.input),  # Keras may want it in a list
        clone_function=lambda layer: layer,
        call_function=_Maker(seed, l2, changes or {}),
    )
    return keras.Model(inputs, copy.output)


class _Maker:
    """Calls a new layer in the place of each old one."""

    def __init__(self, seed: int, l2: float, changes: Mapping[str, Mapping[str, Any]]) -> None:
        self.seed, self.l2, self.changes = seed, l2, changes
        self.padded: list[Any] = []  # tensors whose padding the next convolution does itself
        self.gated: list[Any] = []  # tensors that a hard sigmoid is to be taken of

    def __call__(self, old: Any, *given: Any, **options: Any) -> Any:
        """Return the symbolic output of what takes the place of a layer or operation."""
        x = keras.tree.flatten(given)[0]
        before = x._keras_history.operation.name.removesuffix("_bn")
        if isinstance(old, keras.layers.ZeroPadding2D):
            self.padded.append(x)
            return x
        if not isinstance(old, keras.Layer):
            return self._gate(old, x, given[1], f"{before}_hard_sigmoid")
        if isinstance(old, keras.layers.ReLU) and _among(x, self.gated):
            return x
        config = old.get_config()
        name = config["name"] = _own_name(old, before)
        self._adjust(type(old).__name__, config, name)
        if _among(x, self.padded) and config.get("padding") == "valid":
            # Padded was k // 2 on each side, one less on the first where the size is even.
            config["padding"] = "same"
        return type(old).from_config(config | dict(self.changes.get(name, {})))(*given, **options)

    def _gate(self, old: Any, x: Any, number: Any, name: str) -> Any:
        """Return the hard sigmoid in the place of the last of its three operations."""
        kind = type(old).__name__
        if (kind, number) == ("Add", 3.0):
            self.gated.append(x)
            return x
        if (kind, number) == ("Multiply", 1 / 6) and _among(x, self.gated):
            return keras.layers.Activation("hard_sigmoid", name=name)(x)
        raise NotImplementedError(f"{kind} by {number!r} behind {x.name}")

    def _adjust(self, kind: str, config: dict[str, Any], name: str) -> None:
        """Change a layer's configuration in place: seed, penalty, momentum."""
        for part in ("kernel_initializer", "depthwise_initializer"):
            if part in config:
                config[part]["config"]["seed"] = child_seed(self.seed, name)
        if "seed" in config:  # dropout, stochastic depth
            config["seed"] = child_seed(self.seed, name)
        if kind == "Conv2D":
            config["kernel_regularizer"] = keras.regularizers.L2(self.l2)
        if kind == "BatchNormalization":
            config["momentum"] = 0.9  # few steps, as in the reference network


def _among(x: Any, tensors: list[Any]) -> bool:
    return any(x is each for each in tensors)


def _own_name(layer: keras.Layer, before: str) -> str:
    """Return a layer's name; where Keras made it up, one that says what it stands behind."""
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    kind = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
    if not re.fullmatch(rf"{kind}(_\d+)?", layer.name):
        return layer.name
    return f"{before}_{kind.replace('re_lu', 'relu')}"
