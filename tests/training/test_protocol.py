import numpy as np
import pandas as pd

from cnnlab.config import make_settings
from cnnlab.data.batches import Dataset
from cnnlab.training import protocol

SETTINGS = make_settings("smoke", ["image_size=16", "fold_epochs=1", "epochs=1", "batch_size=8"])


def hand_made() -> Dataset:
    """Two classes of twelve pictures, dark and bright."""
    labels = np.repeat(["bright", "dark"], 12)
    level = np.where(labels == "bright", 200, 40).astype(np.uint8)
    pixels = np.broadcast_to(level[:, None, None, None], (24, 16, 16, 3)).copy()
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(24)], "label": labels})
    table = table.assign(split="train", group=[f"g{i}" for i in range(24)], reason="")
    return Dataset(pixels, table, ["bright", "dark"])


def test_a_model_follows_settings_and_seed():
    dataset = hand_made()
    first, same = (protocol.new_model(dataset, SETTINGS) for _ in range(2))
    other = protocol.new_model(dataset, SETTINGS, seed=1)
    assert first.input_shape == (None, 16, 16, 3)
    assert first.output_shape == (None, 2)
    kernels = [model.get_layer("conv1").kernel.numpy() for model in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])
