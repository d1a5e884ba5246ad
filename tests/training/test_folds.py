import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, make_settings
from cnnlab.data.batches import Dataset
from cnnlab.training import folds

SETTINGS = make_settings("smoke", ["image_size=16", "fold_epochs=1", "epochs=1", "batch_size=8"])


def hand_made(per_class: int = 12, copies: int = 1) -> Dataset:
    """Two classes, dark and bright; each picture stands ``copies`` times in a row."""
    count = 2 * per_class * copies
    labels = np.repeat(["bright", "dark"], per_class * copies)
    level = np.where(labels == "bright", 200, 40).astype(np.uint8)
    pixels = np.broadcast_to(level[:, None, None, None], (count, 16, 16, 3)).copy()
    groups = [f"g{i // copies}" for i in range(count)]
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(count)], "label": labels})
    table = table.assign(split="train", group=groups, reason="")
    return Dataset(pixels, table, ["bright", "dark"])


def test_hold_out_divides_by_class_and_group():
    dataset = hand_made(per_class=10, copies=3)
    indices = np.arange(len(dataset.table))
    rest, cut = folds.hold_out(dataset, indices, fraction=0.2, seed=0)
    assert sorted([*rest, *cut]) == list(indices)
    groups = dataset.table["group"].to_numpy()
    assert not set(groups[rest]) & set(groups[cut])
    assert np.bincount(dataset.labels[cut]).tolist() == [6, 6]  # 2 of 10 groups of 3, per class


@pytest.mark.parametrize("per_class", [2, 3, 4])
def test_hold_out_has_every_class_on_both_sides_however_small(per_class):
    dataset = hand_made(per_class)
    rest, cut = folds.hold_out(dataset, np.arange(2 * per_class), fraction=0.2, seed=0)
    assert np.bincount(dataset.labels[cut], minlength=2).min() >= 1
    assert np.bincount(dataset.labels[rest], minlength=2).min() >= 1


def test_hold_out_refuses_a_class_of_one_picture():
    dataset = hand_made(per_class=1, copies=3)
    with pytest.raises(InputError, match="1 independent image left"):
        folds.hold_out(dataset, np.arange(6), fraction=0.2, seed=0)


@pytest.mark.slow
def test_held_out_images_decide_nothing(monkeypatch):
    """The fold's network sees its training rows only, and each once."""
    dataset = hand_made()
    seen: list[int] = []
    real = folds.train

    def watched(model, data, train, validation, settings, **options):
        seen.extend([*train, *validation])
        assert options["epochs"] == settings.fold_epochs
        return real(model, data, train, validation, settings, **options)

    monkeypatch.setattr(folds, "train", watched)
    pool = np.arange(len(dataset.table))[::-1].copy()  # positions in the pool are not row numbers
    training, held_out = pool[:20], pool[20:]
    positions = np.arange(len(pool))
    run_fold = folds.fold_runner(dataset, pool, SETTINGS)
    probabilities = run_fold(1, positions[:20], positions[20:])
    assert sorted(seen) == sorted(training)
    assert not set(seen) & set(held_out)
    assert probabilities.shape == (4, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
