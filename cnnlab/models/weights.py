"""Weights that a network begins with: random ones, those that its family publishes, or a file's."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.config.choices import did_you_mean
from cnnlab.config.model import PRETRAINED, RANDOM
from cnnlab.engine import keras
from cnnlab.hashing import file_digest
from cnnlab.models.architecture import Architecture, Pretrained, architecture
from cnnlab.models.options import parsed_options
from cnnlab.records import Record

UNKNOWN = "unknown"


@dataclass(frozen=True)
class WeightsOrigin(Record):
    """Where a network's first weights come from.

    Attributes:
        architecture: Whose they are, a name of the registry.
        data: What they were trained on; ``UNKNOWN`` for a file that the user names, like the next.
        licence: Of the weights.
        source: Who published them, and where.
        file: The file's name, without its folder, which says nothing on another machine.
        sha256: Of the file.
    """

    architecture: str
    data: str
    licence: str
    source: str
    file: str
    sha256: str


def provenance(name: str, options: str, weights: str) -> WeightsOrigin | None:
    """Return where a network's first weights come from; None for random ones.

    Args:
        name: A name of the registry.
        options: As in the setting ``network_options``.
        weights: As in the setting ``weights``.

    Raises:
        InputError: As ``find``, whatever the image size.
    """
    family = architecture(name)
    path = find(family, options, weights)
    if path is None:
        return None
    known = _published(family)
    own = weights == PRETRAINED
    return WeightsOrigin(
        architecture=name,
        data=known.data if own else UNKNOWN,
        licence=known.licence if own else UNKNOWN,
        source=known.source if own else UNKNOWN,
        file=path.name,
        sha256=file_digest(path),
    )


def find(
    family: Architecture, options: str, weights: str, *, image_size: int | None = None
) -> Path | None:
    """Return the file that weights are to be read from; None for random ones.

    Args:
        family: Whose network is to begin with them.
        options: As in the setting ``network_options``.
        weights: As in the setting ``weights``.
        image_size: Pixels a side that the network is to see; None if that does not matter here.

    Raises:
        InputError: The family takes no weights, there is no such file, it is not the published
            one, or the images are too small. What is in a user's file is not looked at.
    """
    if weights == RANDOM:
        return None
    known = _published(family)
    if image_size is not None and image_size < known.smallest:
        raise InputError(
            f"{family.name} with weights={weights} takes images of at least {known.smallest} "
            f"pixels a side; got {image_size}. Expected image_size={known.smallest} or more, in "
            "every stage."
        )
    if weights == PRETRAINED:
        return known.find(parsed_options(family, options))
    path = Path(os.path.expanduser(weights))  # where nobody has that name, as it is
    if not os.path.isfile(path):
        raise InputError(
            f"There is no weights file {weights!r}: expected {RANDOM}, {PRETRAINED}, or the path "
            f"of a file.{did_you_mean(path.name, (RANDOM, PRETRAINED))}"
        )
    return path


def load(network: keras.Model, family: Architecture, path: Path) -> None:
    """Give every layer before the head the weights of a file.

    Args:
        network: A new one of the family, as the family builds it.
        family: Whose it is.
        path: See ``find``.

    Raises:
        InputError: The file cannot be read or is not of this network.
    """
    try:
        # Of layers that a file does not fill Keras only warns, a line for each.
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            _published(family).load(network, path)
    except OSError as error:
        raise InputError(f"Cannot read the weights file {path}: {error.strerror}.") from None
    doubts = [str(each.message) for each in said if issubclass(each.category, UserWarning)]
    if doubts:
        raise InputError(
            f"The weights file {path} does not fill {family.name}: expected a file of this very "
            f"network. Keras says: {doubts[0].splitlines()[0]}"
        )


def penalise_head(network: keras.Model, l2: float) -> None:
    """Give the dense layers behind global pooling an L2 penalty.

    The kernels before them, built with ``l2=0``, have none: to pull weights to zero that were
    trained elsewhere would undo that.
    """
    names = [layer.name for layer in network.layers]
    for layer in network.layers[names.index("global_pool") :]:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2(l2)


def _published(family: Architecture) -> Pretrained:
    if family.pretrained is None:
        raise InputError(
            f"There are no weights for {family.name} to begin with: expected weights={RANDOM}, or "
            "an architecture that has some (cnnlab settings --networks lists them)."
        )
    return family.pretrained
