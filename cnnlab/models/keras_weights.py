"""Weights that Keras publishes for ``keras.applications``: found, checked, and loaded into ours."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import hdf5
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.files import make_folder, remove_abandoned, replacing
from cnnlab.hashing import file_digest
from cnnlab.models.architecture import Pretrained
from cnnlab.models.backbones import transplant

SPARE = 8  # times the bytes of a network: what an optimizer or another precision may add
TIMEOUT = 60  # seconds without an answer
SITE = "https://storage.googleapis.com/"
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB in 0…1, as Keras' preprocessing "torch" has them
DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Published:
    """A file of weights without the head.

    Attributes:
        address: Where Keras fetches it, behind ``SITE``.
        digest: MD5 or SHA-256 that Keras holds it to; "" where Keras has none.
        file: Its name in Keras' cache; "" for the address's own.
    """

    address: str
    digest: str
    file: str = ""

    @property
    def name(self) -> str:
        """Return the file's name in Keras' cache."""
        return self.file or self.address.rpartition("/")[2]

    def holds(self, file: Path) -> bool:
        """Return whether a file has the digest, if there is one."""
        algorithm = "sha256" if len(self.digest) == 64 else "md5"
        return not self.digest or self.digest == file_digest(file, algorithm=algorithm)


@dataclass(frozen=True)
class KerasWeights:
    """What a family's weights are and how they come into its network.

    Attributes:
        name: The family.
        function: Of ``keras.applications``.
        files: Width (option ``alpha``; 1 where there is no such option) → its file.
        licence: Of the weights.
        smallest: Pixels a side that Keras' function takes at least.
        reverse_colours: The backbone takes BGR.
        width_layer: The layer by whose filters the width is known, and how many it has at width 1.
    """

    name: str
    function: str
    files: dict[float, Published]
    licence: str
    smallest: int = 32
    reverse_colours: bool = False
    width_layer: tuple[str, int] | None = None

    def pretrained(self) -> Pretrained:
        """Return what the registry wants to know."""
        return Pretrained(
            data="ImageNet-1k, 1,000 classes",
            licence=self.licence,
            source=f"keras.applications.{self.function}, {SITE}",
            smallest=self.smallest,
            is_here=self.is_here,
            find=self.find,
            load=self.load,
        )

    def is_here(self, options: Any) -> bool:
        """Return whether the file is in Keras' cache."""
        published = self.files.get(getattr(options, "alpha", 1.0))
        return published is not None and (_cache() / published.name).is_file()

    def find(self, options: Any) -> Path:
        """Return the file in Keras' cache (``~/.keras/models``), fetched if it is not there.

        Raises:
            InputError: There are none of this width, or the file cannot be fetched.
        """
        width = getattr(options, "alpha", 1.0)
        if width not in self.files:
            raise InputError(
                f"There are no pretrained weights of {self.name} with alpha={width:g}: expected "
                f"one of {', '.join(f'{each:g}' for each in self.files)} in network_options."
            )
        published = self.files[width]
        file = _cache() / published.name
        if not file.is_file():
            _fetch(published, file)
        elif not published.holds(file):
            raise InputError(
                f"{file} is not the file that Keras knows: its digest is not {published.digest}. "
                "Delete it to have it fetched again."
            )
        return file

    def load(self, network: keras.Model, file: Path) -> None:
        """Give every layer before the head the weights of a file without a head.

        Args:
            network: A new network of this family. Nothing is changed where the file is refused.
            file: ``.h5`` as Keras publishes them, or ``.weights.h5`` as Keras 3 saves them.

        Raises:
            InputError: The file is not one of this network's weights.
        """
        backbone = self.backbone(network.input_shape[1], self.width(network))
        try:
            # Keras reads a file before it compares.
            hdf5.check(file, most=SPARE * sum(each.nbytes for each in backbone.get_weights()))
            backbone.load_weights(file)
            _check_values(backbone)
            transplant(backbone, network, reverse_colours=self.reverse_colours)
        except Exception as error:  # each kind of damage has its own in h5py and Keras
            says = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"Cannot load {file} into {self.name}: expected an .h5 file with the weights of "
                f"keras.applications.{self.function}, include_top=False. {says}"
            ) from None

    def backbone(self, image_size: int, width: float) -> keras.Model:
        """Return Keras' own network without its head, with random weights."""
        make: Callable[..., keras.Model] = getattr(keras.applications, self.function)
        return make(
            input_tensor=keras.Input((image_size, image_size, 3), name="images"),
            include_top=False,
            weights=None,
            **({"alpha": width} if self.width_layer else {}),
        )

    def width(self, network: keras.Model) -> float:
        """Return the option ``alpha`` that a network was built with; 1 where there is none."""
        if self.width_layer is None:
            return 1.0
        layer, filters = self.width_layer
        return float(round(network.get_layer(layer).filters / filters, 3))


def _cache() -> Path:
    """Return the folder in which Keras keeps weights."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _fetch(published: Published, file: Path) -> None:
    """Download a file into Keras' cache; it appears there complete and checked, or not at all."""
    address = SITE + published.address
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # Keras sets no limit of its own
    try:
        make_folder(file.parent)
        remove_abandoned(file.parent)
        with replacing(file) as temporary:
            keras.utils.get_file(
                temporary.name,
                address,
                cache_dir=temporary.parent,
                cache_subdir="",
                file_hash=published.digest or None,
            )
    except Exception as error:  # Keras raises a bare Exception where a download fails
        says = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"Cannot fetch {address} ({says.removeprefix(f'URL fetch failure on {address}: ')}). "
            f"Fetch it on another machine and put it at {file}, or name it: weights=/path/to/"
            f"{published.name}."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def _check_values(backbone: keras.Model) -> None:
    """Raise ValueError for weights that no training leaves behind, or other colours.

    EfficientNet's file holds the mean and, as a variance, the deviation of its pixels, by which
    Keras divides another time (tensorflow#49930): together the constants that ours has.
    """
    for layer in backbone.layers:
        values = layer.get_weights()
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(f"Layer {layer.name} has values that are not finite.")
        if isinstance(layer, keras.layers.Normalization) and values:
            for value, known in zip(values[:2], (MEAN, DEVIATION), strict=True):
                if not np.allclose(np.ravel(value), known, atol=1e-3):
                    raise ValueError(
                        f"Its pixels are normalised by {np.ravel(value)}, not {known}."
                    )
