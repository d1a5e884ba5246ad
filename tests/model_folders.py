"""One tiny artifact for all tests of the room; those that damage it take a copy."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.artifact import model_folder
from cnnlab.engine import keras

CLASS_NAMES = ["zebra", "ant", "mole"]  # not sorted: the order given must be the order kept
SIZE = 16


def _tiny(classes: int = 3, *, dtype: str = "float32", seed: int = 0) -> keras.Model:
    layers = keras.layers
    start = keras.initializers.GlorotUniform(seed=seed)
    inputs = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 255, dtype=dtype, name="rescale")(inputs)
    x = layers.Conv2D(4, 3, kernel_initializer=start, dtype=dtype, name="conv")(x)
    x = layers.BatchNormalization(dtype=dtype, name="norm")(x)
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    x = layers.Dropout(0.5, seed=seed, dtype=dtype, name="dropout")(x)
    outputs = layers.Dense(
        classes, activation="softmax", kernel_initializer=start, dtype="float32", name="answer"
    )(x)
    return keras.Model(inputs, outputs, name="tiny")


@pytest.fixture(scope="session")
def tiny():
    """Return the builder of tiny networks."""
    return _tiny


@pytest.fixture(scope="session")
def model() -> keras.Model:
    return _tiny()


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory) -> Path:
    """Return an artifact that no test may change."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    model_folder.save(model, folder, class_names=CLASS_NAMES, run_id="lab", card="# Card\n")
    return folder


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    """Return a copy of the artifact that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Return five different images: three JPEG, a PNG with transparency, a BMP."""
    draw = np.random.default_rng(5)
    contents = []
    for number, kind in enumerate(("JPEG", "JPEG", "JPEG", "PNG", "BMP")):
        channels = 4 if kind == "PNG" else 3
        pixels = draw.integers(0, 256, (20 + number, 30, channels), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 1 else 1  # one is stored lying on its side
        stream = io.BytesIO()
        options = {"exif": exif} if kind == "JPEG" else {}
        Image.fromarray(pixels).save(stream, kind, **options)
        contents.append(stream.getvalue())
    return contents
