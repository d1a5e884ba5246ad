import numpy as np
import pandas as pd
import pytest

from cnnlab.config import make_settings
from cnnlab.data.batches import Dataset, SealedTestSet
from cnnlab.evaluation.crossval import cross_validate
from cnnlab.training import linear_baseline

SETTINGS = make_settings("smoke")


@pytest.fixture
def tiny(monkeypatch):
    """Thumbnails of 48 numbers, which are fitted at once."""
    monkeypatch.setattr(linear_baseline, "SIDE", 4)


def coloured(per_class: int = 30, split: str = "train") -> Dataset:
    """Three classes of noise, each with more of one colour."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], per_class)
    pixels = generator.integers(0, 200, (len(labels), 16, 16, 3), np.uint8)
    for row, label in enumerate(labels):
        pixels[row, ..., label] += 40
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(len(labels))]})
    table["label"] = np.array(["red", "green", "blue"])[labels]
    table = table.assign(split=split, picture=[f"g{i}" for i in range(len(labels))], group="")
    return Dataset(pixels, table, ["red", "green", "blue"])


def test_it_learns_colours_on_the_folds_of_a_cross_validation(tiny):
    dataset = coloured()
    pool = np.random.default_rng(1).permutation(90)[:84]  # positions are not row numbers
    labels, units = dataset.labels[pool], dataset.units[pool]
    run_folds = linear_baseline.linear_runner(dataset, pool, SETTINGS)
    table, pooled = cross_validate(labels, units, 2, 0, run_folds, 3)
    assert (pooled.shape, pooled.dtype) == ((84, 3), np.float32)
    np.testing.assert_allclose(pooled.sum(axis=1), 1, atol=1e-5)
    assert table["accuracy"].min() > 0.8  # guessing gives a third
    _, again = cross_validate(labels, units, 2, 0, run_folds, 3)
    np.testing.assert_array_equal(again, pooled)


def test_held_out_images_decide_nothing(tiny):
    """The prediction of one held-out image is the same whatever the others show."""
    dataset, pool = coloured(), np.arange(90)
    held_out = np.arange(0, 90, 5)
    pair = (np.setdiff1d(pool, held_out), held_out)
    ((before, _),) = linear_baseline.linear_runner(dataset, pool, SETTINGS)([pair])
    changed = dataset.pixels.copy()
    changed[held_out[1:]] = 0
    other = Dataset(changed, dataset.table, dataset.class_names)
    ((after, _),) = linear_baseline.linear_runner(other, pool, SETTINGS)([pair])
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    assert not np.allclose(after[1:], before[1:])


def test_constant_pixels_do_no_harm(tiny):
    dataset = coloured()
    dataset.pixels[:, :8] = 7
    pair = (np.arange(0, 90, 2), np.arange(1, 90, 2))
    ((probabilities, _),) = linear_baseline.linear_runner(dataset, np.arange(90), SETTINGS)([pair])
    assert np.isfinite(probabilities).all()


def test_the_test_set_stays_sealed():
    with pytest.raises(SealedTestSet):
        linear_baseline.linear_runner(coloured(split="test"), np.arange(90), SETTINGS)
