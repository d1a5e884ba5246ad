"""The public datasets that ``cnnlab fetch`` knows, and where they lie once they are there."""

import os
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError, home


@dataclass(frozen=True)
class Archive:
    """A dataset that is one file of images, in class folders or in splits of them.

    Either ``sha256`` is the file's, or ``content`` is that of the images in it, for a server that
    packs them anew for everybody: SHA-256 over the lines ``<sha256>  <path>`` of all .jpg files,
    sorted by the bytes of their paths.
    """

    address: str
    file: str  # its name where it was put by hand
    size: int | None = None
    sha256: str = ""
    content: str = ""


@dataclass(frozen=True)
class Arrays:
    """A dataset that ``keras.datasets`` downloads, as arrays of pixels and class numbers."""

    address: str
    keras_file: str  # where Keras keeps it and looks for it first, below its own folder
    classes: tuple[str, ...]


COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"
DATASETS: dict[str, Archive | Arrays] = {
    # 3,781 photographs of ten kinds of clothes, in train, validation and test; CC0
    "clothing": Archive(
        "https://github.com/alexeygrigorev/clothing-dataset-small/archive/" + COMMIT + ".tar.gz",
        f"clothing-dataset-small-{COMMIT}.tar.gz",
        content="f8667cfe4a397f1be854d7d6c56118e4eaf6e9654ac37940e443dec3b4e55721",
    ),
    # photographs of five kinds of flowers, in one folder each
    "flowers": Archive(
        "http://download.tensorflow.org/example_images/flower_photos.tgz",
        "flower_photos.tgz",
        size=228_813_984,
        sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    ),
    # 60,000 pictures of 32 × 32 pixels; as PNG files in train and test
    "cifar10": Arrays(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "datasets/cifar-10-batches-py-target_archive",
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
    ),
    # 70,000 grey pictures of 28 × 28 pixels; as PNG files in train and test
    "fashion_mnist": Arrays(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
        "{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz",
        "datasets/fashion-mnist/",
        (
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle_boot",
        ),
    ),
}


def place(name: str) -> Path:
    """Return the folder of a dataset, whether it was fetched or not."""
    return home() / "data" / "raw" / name


def by_hand(name: str) -> Path:
    """Return the file that is used instead of a download; for Keras' datasets, in its folder."""
    dataset = DATASETS[name]
    if isinstance(dataset, Archive):
        return home() / "data" / "downloads" / dataset.file
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / dataset.keras_file


def fetched(name: str) -> Path:
    """Return the folder of a dataset that was fetched.

    Raises:
        InputError: It was not; the message says how.
    """
    if not complete(place(name)):
        raise InputError(
            f"The dataset {name} is not there yet: run `cnnlab fetch {name}` first "
            f"(a folder of your own with that name is ./{name})."
        )
    return place(name)


def complete(folder: Path) -> bool:
    """Return whether a folder holds anything: it is moved to its place whole or not at all."""
    return folder.is_dir() and any(folder.iterdir())
