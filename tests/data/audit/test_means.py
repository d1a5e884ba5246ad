"""Means of classes against sums done by hand, and never of test images."""

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.data.audit import means
from cnnlab.data.batches import Dataset, SealedTestSet

CLASSES = ["cat", "dog"]


def dataset(pixels, labels, splits):
    table = pd.DataFrame({"path": [str(i) for i in range(len(labels))], "label": labels})
    return Dataset(pixels, table.assign(split=splits), CLASSES)


def test_means_of_a_handful_of_pixels():
    pixels = np.zeros((5, 2, 2, 3), np.uint8)
    pixels[0] = 255  # dog
    pixels[1, 0, 0] = (200, 100, 10)  # cat
    pixels[3, 0, 0] = (201, 100, 10)
    pixels[3, 1, 1] = (0, 0, 40)
    pixels[4] = 77  # cat, of the test set
    data = dataset(pixels, ["dog", "cat", "cat", "cat", "cat"], ["train"] * 4 + ["test"])
    images, colours = means.class_means(data, data.indices("train"))
    assert images.dtype == colours.dtype == np.uint8
    assert images[0, 0, 0].tolist() == [134, 67, 7]  # 401 / 3, 200 / 3, 20 / 3
    assert images[0, 1, 1].tolist() == [0, 0, 13]
    assert (images[1] == 255).all()
    assert colours.tolist() == [[33, 17, 5], [255, 255, 255]]  # of the exact means, not of theirs


def test_blocks_change_nothing(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    data = dataset(pixels, CLASSES * 25, "train")
    rows = np.random.default_rng(1).permutation(50)[:41]
    monkeypatch.setattr(means, "BLOCK", 7)
    images, _ = means.class_means(data, rows)
    for position in range(2):
        expected = pixels[rows[rows % 2 == position]].mean(axis=0)
        np.testing.assert_array_equal(images[position], np.rint(expected))


def test_test_images_and_empty_classes_are_refused():
    data = dataset(
        np.zeros((3, 2, 2, 3), np.uint8), ["cat", "dog", "dog"], ["train"] * 2 + ["test"]
    )
    with pytest.raises(SealedTestSet):
        means.class_means(data, np.array([0, 1, 2]))
    with pytest.raises(InputError, match="'dog' has no image"):
        means.class_means(data, np.array([0]))
