"""A family of networks as the registry knows it, and the registry."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cnnlab.config import InputError
from cnnlab.config.choices import one_of
from cnnlab.config.model import APPLICATIONS, ARCHITECTURES
from cnnlab.config.section import Section
from cnnlab.engine import keras


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters a network must have, known from elsewhere.

    Attributes:
        trainable: Weights, biases, and the scales and shifts of normalisations.
        fixed: What no gradient changes: moving means and variances.
        num_classes: Width of the softmax.
        image_size: Pixels a side.
        options: As in the setting ``network_options``.
        source: Who says so: a paper, another library, or the sum written out.
    """

    trainable: int
    fixed: int
    num_classes: int
    image_size: int
    options: str = ""
    source: str = "each layer's weights, written out"


@dataclass(frozen=True)
class Pretrained:
    """Weights that others trained, for a family's network without its head.

    Attributes:
        data: What they were trained on, for cards: "ImageNet-1k, 1,000 classes".
        licence: Of the weights: "Apache-2.0".
        source: Who published them, and where.
        smallest: Pixels a side that the network takes at least.
        is_here: (options) → whether ``find`` has the file without fetching it.
        find: (options) → the file on this machine, fetched if need be and checked. Raises
            InputError, which says where it is to be had and where to put it.
        load: (network, file) → None: gives every layer before the head the weights of a file,
            also of one that the user names. Raises InputError if it is not this network's.
    """

    data: str
    licence: str
    source: str
    smallest: int
    is_here: Callable[[Any], bool]
    find: Callable[[Any], Path]
    load: Callable[[keras.Model, Path], None]


@dataclass(frozen=True)
class Architecture:
    """A family of networks.

    Attributes:
        name: Its name in the registry, that of its module and of every network it builds.
        summary: What it is and where it comes from, in a sentence.
        options: The frozen section of what one may choose; its defaults are the family's.
        build: (options, *, image_size, num_classes, seed, l2, dropout) → the network.
        stages: Names of the layers that can end a stage, first to last. Those that a network has
            are its stages; at most six.
        parameters: Counts that a test holds the family to.
        pretrained: Weights of others that it can begin with; None where there are none.
    """

    name: str
    summary: str
    options: type[Section]
    build: Callable[..., keras.Model]
    stages: tuple[str, ...]
    parameters: tuple[ParameterCount, ...]
    pretrained: Pretrained | None = None


def architecture(name: str) -> Architecture:
    """Return a registered family; its module is imported now.

    Raises:
        InputError: The name is not registered.
    """
    if name not in ARCHITECTURES:
        raise InputError(
            f"Unknown architecture {name!r}: "
            f"{one_of(name, ARCHITECTURES, 'cnnlab settings --networks')}"
        )
    if name in APPLICATIONS:
        rebuilt: Architecture = import_module("cnnlab.models.applications").application(name)
        return rebuilt
    found: Architecture = import_module(f"cnnlab.models.{name}").ARCHITECTURE
    return found
