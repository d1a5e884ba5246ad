"""Networks of ``keras.applications`` made ours: seeded weights, and names and sizes that hold.

As Keras builds them, their weights and dropout masks come from the global random state, the names
of unnamed layers count all layers that the process ever made, some can only be built from 32
pixels on, and some hold what does not come back from an H5 file by Keras alone: bare operations
(an addition comes back as the layer ``Add``), layers that are not public, nested models. What is
built here has none of that.
"""

import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.config import child_seed
from cnnlab.engine import keras

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def rebuilt(
    backbone: keras.Model,
    *,
    image_size: int,
    seed: int,
    l2: float,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    normalise: keras.Layer | None = None,
) -> keras.Model:
    """Return a new network that computes what a backbone does, for one image size.

    Unnamed layers are named after the layer before them (``conv_bn`` → ``conv_activation``), and
    unnamed convolutions are counted (``conv_7``). Padding before a strided convolution becomes the
    convolution's own where that is the same, and the gate relu6(x + 3) / 6 one layer,
    ``hard_sigmoid``.

    Args:
        backbone: A Functional model with one input, built for this image size or for any
            (None, None, 3).
        image_size: Pixels a side.
        seed: Decides every kernel and dropout mask, by the layer's name.
        l2: Factor of the L2 penalty on the kernels of full convolutions. Depthwise kernels are
            left alone: they have few weights (Howard et al. 2017, arXiv 1704.04861, section 3.3).
        changes: Layer name → entries of its configuration that are to be others.
        normalise: A layer that makes of pixels in 0…255 what the backbone takes. Layers of the
            backbone that scale pixels, if it has any, are left out.

    Raises:
        NotImplementedError: The backbone has another bare operation.
    """
    maker = _Maker(backbone, seed, l2, changes or {}, normalise)
    return maker.network(image_size)


def transplant(backbone: keras.Model, network: keras.Model, *, reverse_colours: bool) -> None:
    """Give a network the weights of a backbone that it is the rebuilt form of.

    Args:
        backbone: As ``rebuilt`` takes it, built for the network's image size.
        network: What ``rebuilt`` made of such a backbone, perhaps with a head. It is changed.
        reverse_colours: The backbone takes BGR, the network RGB: so does the first kernel.

    Raises:
        ValueError: A weight has another shape in the network.
    """
    maker = _Maker(backbone, 0, 0.0, {}, keras.layers.Identity(name="images_identity"))
    with keras.StatelessScope(initialize_variables=False):  # for its names: no weights are made
        maker.network(network.input_shape[1])
    moved: list[tuple[keras.Layer, list[np.ndarray]]] = []
    for old, new in maker.made:
        if not old.weights:
            continue
        layer, values = network.get_layer(new.name), old.get_weights()
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if [_long(value.shape) for value in values] != [_long(shape) for shape in shapes]:
            raise ValueError(
                f"layer {new.name} has weights of {shapes}, and these are "
                f"{[value.shape for value in values]}"
            )
        if reverse_colours and not moved:
            values[0] = values[0][:, :, ::-1]
        moved.append((layer, [np.reshape(*each) for each in zip(values, shapes, strict=True)]))
    for layer, values in moved:
        layer.set_weights(values)


class _Maker:
    """Calls a new layer in the place of each old one.

    Attributes:
        made: Old layers and the new ones in their place, in order of execution.
    """

    def __init__(
        self,
        backbone: keras.Model,
        seed: int,
        l2: float,
        changes: Mapping[str, Mapping[str, Any]],
        normalise: keras.Layer | None,
    ) -> None:
        self.backbone, self.seed, self.l2, self.changes = backbone, seed, l2, changes
        self.normalise = normalise
        self.made: list[tuple[keras.Layer, keras.Layer]] = []
        self.names: set[str] = set()
        self.counted = 0  # convolutions without a name
        self.padding: list[keras.Layer] = []  # convolutions that are to pad by themselves
        self.gated: list[Any] = []  # tensors that a hard sigmoid is to be taken of

    def network(self, image_size: int) -> keras.Model:
        """Return the new network."""
        inputs = keras.Input((image_size, image_size, 3), name="images")
        images = self.normalise(inputs) if self.normalise else inputs
        copy = keras.models.clone_model(
            self.backbone,
            # Keras may want it in a list.
            keras.tree.map_structure(lambda _: inputs, self.backbone.input),
            clone_function=lambda layer: layer,
            call_function=lambda old, *given, **options: self(
                old,
                *keras.tree.map_structure(lambda x: images if x is inputs else x, given),
                **options,
            ),
        )
        return keras.Model(inputs, copy.output)

    def __call__(self, old: Any, *given: Any, **options: Any) -> Any:
        """Return the symbolic output of what takes the place of a layer or operation."""
        x = keras.tree.flatten(given)[0]
        before = _maker_of(x)
        if not isinstance(old, keras.Layer):
            return self._operation(old, given)
        if isinstance(old, keras.Sequential):
            for layer in old.layers:
                x = self(layer, x)
            return x
        if self._is_left_out(old, x):
            return x
        if type(old).__name__ == "CustomScaleLayer":  # of Inception-ResNet: a + scale * b
            scaled = keras.layers.Rescaling(old.scale, name=self._unique(f"{old.name}_scale"))
            return keras.layers.Add(name=self._unique(old.name))([x, scaled(given[0][1])])
        kind, config = _public(old)
        name = config["name"] = self._own_name(old, before)
        self._adjust(kind.__name__, config, name)
        if any(old is each for each in self.padding):
            config["padding"] = "same"
        new = kind.from_config(config | dict(self.changes.get(name, {})))
        self.made.append((old, new))
        return new(*given, **options)

    def _is_left_out(self, old: keras.Layer, x: Any) -> bool:
        """Return whether a layer is not needed: what is next to it does its work."""
        layers = keras.layers
        if isinstance(old, layers.ZeroPadding2D):
            users = [node.operation for node in old._outbound_nodes]
            if len(users) != 1 or not _pads_alike(old, users[0], x.shape[1:3]):
                return False
            self.padding.append(users[0])
            return True
        if isinstance(old, layers.Rescaling | layers.Normalization):
            return self.normalise is not None
        if isinstance(old, layers.ReLU):
            return _among(x, self.gated)
        return isinstance(old, layers.Activation) and old.activation is keras.activations.linear

    def _operation(self, old: Any, given: tuple[Any, ...]) -> Any:
        """Return what a layer gives in the place of a bare operation."""
        kind, x, other = type(old).__name__, given[0], given[-1]
        if kind == "Add" and isinstance(other, keras.KerasTensor):  # the residual is the second
            return keras.layers.Add(name=self._unique(f"{_maker_of(other)}_add"))([x, other])
        # A hard sigmoid stands in the place of the last of its three operations.
        if (kind, other) == ("Add", 3.0):
            self.gated.append(x)
            return x
        if (kind, other) == ("Multiply", 1 / 6) and _among(x, self.gated):
            name = self._unique(f"{_maker_of(x)}_hard_sigmoid")
            return keras.layers.Activation("hard_sigmoid", name=name)(x)
        raise NotImplementedError(f"{kind} by {other!r} behind {x.name}")

    def _adjust(self, kind: str, config: dict[str, Any], name: str) -> None:
        """Change a layer's configuration in place: seed, penalty, momentum."""
        for part in ("kernel_initializer", "depthwise_initializer", "pointwise_initializer"):
            if "seed" in config.get(part, {}).get("config", {}):
                which = f"{name}/pointwise" if part.startswith("point") else name
                config[part]["config"]["seed"] = child_seed(self.seed, which)
        if "seed" in config:  # dropout, stochastic depth
            config["seed"] = child_seed(self.seed, name)
        if kind in ("Conv2D", "Dense"):
            config["kernel_regularizer"] = keras.regularizers.L2(self.l2)
        if kind == "SeparableConv2D":
            config["pointwise_regularizer"] = keras.regularizers.L2(self.l2)
        if kind == "BatchNormalization":
            config["momentum"] = 0.9  # few steps, as in the reference network

    def _own_name(self, layer: keras.Layer, before: str) -> str:
        """Return a layer's name; where Keras made it up, one that says what it is or follows."""
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        if not re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            return self._unique(layer.name.removeprefix(f"{self.backbone.name}_"))
        if isinstance(layer, _CONVOLUTIONS):
            self.counted += 1
            return self._unique(f"conv_{self.counted}")
        kind = {"batch_normalization": "bn"}.get(kind, kind.replace("re_lu", "relu"))
        return self._unique(f"{before}_{kind}")

    def _unique(self, name: str) -> str:
        """Return a name that no layer has had so far."""
        tries = (f"{name}_{count}" if count > 1 else name for count in itertools.count(1))
        found = next(each for each in tries if each not in self.names)
        self.names.add(found)
        return found


def _public(old: keras.Layer) -> tuple[type[keras.Layer], dict[str, Any]]:
    """Return the class and configuration of the public layer that does what a layer does."""
    layers, kind = keras.layers, type(old).__name__
    if kind == "LayerScale":  # of ConvNeXt: one factor a channel
        start = keras.initializers.Constant(old.init_values)
        new = layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=start)
    elif kind == "StochasticDepth":  # of ConvNeXt: the whole residual of an image, or nothing
        new = layers.Dropout(old.drop_path_rate, noise_shape=(None, 1, 1, 1))
    elif kind == "Conv2D" and old.groups == old.filters > 1:  # gradients of groups need a GPU
        new = layers.DepthwiseConv2D(
            old.kernel_size,
            strides=old.strides,
            padding=old.padding,
            use_bias=old.use_bias,
            depthwise_initializer=old.kernel_initializer,
        )
    else:
        return type(old), old.get_config()
    return type(new), new.get_config()


def _pads_alike(padding: keras.Layer, user: Any, size: tuple[int, int]) -> bool:
    """Return whether a convolution behind zeros would add the same ones if told ``same``.

    Args:
        padding: The layer that adds zeros. One that was built for any size has what Keras adds
            at even sizes, where it means what the size asks for.
        user: The layer behind it.
        size: Height and width before padding.
    """
    if not isinstance(user, _CONVOLUTIONS) or user.padding != "valid":
        return False
    needed = []
    for kernel, stride, side in zip(user.kernel_size, user.strides, size, strict=True):
        if padding.input.shape[1] is None:
            zeros = 2 * (kernel // 2) - 1
        else:
            zeros = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        needed.append((zeros // 2, zeros - zeros // 2))
    return [tuple(each) for each in padding.padding] == needed


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without sides of 1: a factor a channel may be a (1, 1, C, 1) kernel."""
    return tuple(side for side in shape if side != 1)


def _maker_of(x: Any) -> str:
    """Return the name of the layer that a symbolic tensor comes from, without "_bn"."""
    name: str = x._keras_history.operation.name
    return name.removesuffix("_bn")


def _among(x: Any, tensors: list[Any]) -> bool:
    return any(x is each for each in tensors)
