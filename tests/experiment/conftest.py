from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cnnlab import experiment
from cnnlab.config import make_settings
from cnnlab.data.batches import Dataset

SIDES = {"train": 12, "validation": 6, "test": 6}  # images of each of two classes


@pytest.fixture(scope="session")
def settings():
    words = "image_size=16 epochs=2 batch_size=8 bootstrap_samples=20 strangers=20"
    return make_settings("smoke", words.split())


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Dataset:
    """Two classes, dark and bright with noise, on three sides; mapped from a file, sealed."""
    rng = np.random.default_rng(0)
    rows = [(label, side) for side, n in SIDES.items() for label in ("bright", "dark") * n]
    table = pd.DataFrame(rows, columns=["label", "split"])
    names = [f"{i}.png" for i in range(len(rows))]
    table = table.assign(path=names, picture=names, group="", reason="")
    level = np.where(table["label"] == "bright", 150, 90)[:, None, None, None]
    pixels = np.clip(level + rng.normal(0, 60, (len(rows), 16, 16, 3)), 0, 255).astype(np.uint8)
    file = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(file, pixels)
    return Dataset(np.load(file, mmap_mode="r"), table, ["bright", "dark"])


@pytest.fixture(scope="session")
def opened(dataset) -> Dataset:
    return replace(dataset, test_open=True)


@pytest.fixture(scope="session")
def classifier(dataset, settings) -> experiment.Classifier:
    return experiment.fit_classifier(dataset, settings)


@pytest.fixture(scope="session")
def saved(classifier, tmp_path_factory):
    """The classifier's model folder."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    classifier.save(folder, run_id="demo", card="# A card")
    return folder
