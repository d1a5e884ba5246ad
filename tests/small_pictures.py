"""Small pictures of three classes, and networks with random weights to look at them."""

import numpy as np
import pandas as pd

from cnnlab import models
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras

SIZE = 16
COUNT = 90


def pictures(count: int = COUNT) -> Dataset:
    """Noise that is brighter from class to class; the last sixth is the test set."""
    rng = np.random.default_rng(0)
    classes = rng.permutation(np.arange(count) % 3)
    pixels = rng.integers(0, 130, (count, SIZE, SIZE, 3)) + 40 * classes[:, None, None, None]
    splits = np.array(["train", "train", "train", "train", "validation", "test"])
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(count)]})
    table = table.assign(
        label=np.array(["a", "b", "c"])[classes],
        split=splits[np.arange(count) * 6 // count],
        picture=[f"p{i // 2}" for i in range(count)],
        group="",
        reason="",
    )
    return Dataset(pixels.astype(np.uint8), table, ["a", "b", "c"])


def network(seed: int = 0, **options: int) -> keras.Model:
    """A network with random weights, of eight features."""
    return models.build(
        "resnet", image_size=SIZE, num_classes=3, seed=seed, l2=0.0, dropout=0.3,
        options="width=4,blocks=1-1", **options,
    )  # fmt: skip
