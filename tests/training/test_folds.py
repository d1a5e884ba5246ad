from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, make_settings
from cnnlab.data.batches import Dataset
from cnnlab.training import Fit, TrainingFailed, folds
from cnnlab.training.held_out import hold_out

SETTINGS = make_settings("smoke", ["image_size=16", "fold_epochs=1", "epochs=1", "batch_size=8"])


def hand_made(per_class: int = 12, copies: int = 1) -> Dataset:
    """Two classes, dark and bright; each picture stands ``copies`` times in a row."""
    count = 2 * per_class * copies
    labels = np.repeat(["bright", "dark"], per_class * copies)
    level = np.where(labels == "bright", 200, 40).astype(np.uint8)
    pixels = np.broadcast_to(level[:, None, None, None], (count, 16, 16, 3)).copy()
    pictures = [f"g{i // copies}" for i in range(count)]
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(count)], "label": labels})
    table = table.assign(split="train", picture=pictures, group="", reason="")
    return Dataset(pixels, table, ["bright", "dark"])


def test_hold_out_divides_by_class_and_unit():
    dataset = hand_made(per_class=10, copies=3)
    indices = np.arange(len(dataset.table))
    rest, cut = hold_out(dataset, indices, fraction=0.2, seed=0)
    assert sorted([*rest, *cut]) == list(indices)
    units = dataset.units
    assert not set(units[rest]) & set(units[cut])
    assert np.bincount(dataset.labels[cut]).tolist() == [6, 6]  # 2 of 10 pictures of 3, per class


@pytest.mark.parametrize("per_class", [2, 3, 4])
def test_hold_out_has_every_class_on_both_sides_however_small(per_class):
    dataset = hand_made(per_class)
    rest, cut = hold_out(dataset, np.arange(2 * per_class), fraction=0.2, seed=0)
    assert np.bincount(dataset.labels[cut], minlength=2).min() >= 1
    assert np.bincount(dataset.labels[rest], minlength=2).min() >= 1


def test_hold_out_refuses_a_class_of_one_picture():
    dataset = hand_made(per_class=1, copies=3)
    with pytest.raises(InputError, match=r"1 independent image \(or group\) left"):
        hold_out(dataset, np.arange(6), fraction=0.2, seed=0)


@pytest.fixture
def mapped(tmp_path):
    """The hand-made pictures, mapped from a file as those of a run are."""
    dataset = hand_made()
    np.save(tmp_path / "pixels.npy", dataset.pixels)
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    return replace(dataset, pixels=pixels)


def pairs_of(count: int, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """k folds of every k-th position."""
    positions = np.arange(count)
    return [(positions[positions % k != fold], positions[fold::k]) for fold in range(k)]


class Trained:
    """Stands for all of Keras: notes what it was called for, and fails where it is told to."""

    def __init__(self, monkeypatch, failing=()):
        self.folders, self.failing = [], failing
        monkeypatch.setattr(folds, "new_model", lambda *_, **__: None)
        monkeypatch.setattr(folds, "train", self)
        monkeypatch.setattr(folds.probe, "predict", self.predict)

    def predict(self, _, batches):
        labels = np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
        return labels / (1 + len(self.folders))  # as no other fold

    def __call__(self, model, dataset, train, validation, settings, *, folder, **_):
        self.folders.append(folder and folder.name)
        if len(self.folders) in self.failing:
            raise ValueError("no luck.")
        if folder:
            folder.mkdir(parents=True)
            (folder / "checkpoint").touch()
        return Fit(pd.DataFrame({"epoch": [1]}), 1, False, 0.1)


@pytest.mark.slow
def test_held_out_images_decide_nothing(monkeypatch):
    """The fold's network sees its training rows only, and each once."""
    dataset = hand_made()
    seen: list[int] = []
    real = folds.train

    def watched(model, data, train, validation, settings, **options):
        seen.extend([*train, *validation])
        assert options["epochs"] == settings.evaluation.fold_epochs
        return real(model, data, train, validation, settings, **options)

    monkeypatch.setattr(folds, "train", watched)
    pool = np.arange(len(dataset.table))[::-1].copy()  # positions in the pool are not row numbers
    training, held_out = pool[:20], pool[20:]
    positions = np.arange(len(pool))
    run_folds = folds.fold_runner(dataset, pool, SETTINGS)
    [(probabilities, seconds)] = run_folds([(positions[:20], positions[20:])])
    assert sorted(seen) == sorted(training)
    assert not set(seen) & set(held_out)
    assert probabilities.shape == (4, 2)
    assert seconds > 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_folds_side_by_side_give_the_same_bits_as_in_turn(mapped, tmp_path, capfd):
    pool, pairs = np.arange(24), pairs_of(24, 3)
    alone = folds.fold_runner(mapped, pool, SETTINGS)(pairs)
    capfd.readouterr()
    told = []
    options = {"folder": tmp_path / "f", "jobs": 2, "report": lambda *row: told.append(row)}
    together = folds.fold_runner(mapped, pool, SETTINGS, **options)(pairs)
    assert sorted((fold, row["epoch"], row["last"]) for fold, row in told) == [
        (fold, 1, True) for fold in (1, 2, 3)
    ]
    for (first, _), (second, _) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(alone[0][0], alone[1][0])
    captured = capfd.readouterr()
    assert sorted(line[:8] for line in captured.out.splitlines()) == [
        "fold 1/3", "fold 2/3", "fold 3/3",
    ]  # fmt: skip
    assert captured.err == ""


def test_what_is_kept_is_not_trained_again(mapped, tmp_path, monkeypatch, capsys):
    pool, pairs, folder = np.arange(24), pairs_of(24, 3), tmp_path / "training" / "folds"
    trained = Trained(monkeypatch, failing={3})
    run_folds = folds.fold_runner(mapped, pool, SETTINGS, folder=folder)
    with pytest.raises(TrainingFailed, match=r"^Fold 3 failed \(ValueError: no luck\)\.$"):
        run_folds(pairs)
    assert trained.folders == ["fold-1", "fold-2", "fold-3"]
    assert sorted(path.name for path in folder.iterdir()) == ["fold-1.npz", "fold-2.npz"]
    assert "earlier" not in capsys.readouterr().out
    results = run_folds(pairs)
    assert trained.folders[3:] == ["fold-3"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("trained earlier, from fold-1.npz")
    assert ["earlier" in line for line in lines] == [True, True, False]
    again = run_folds(pairs)
    assert len(trained.folders) == 4
    for (first, seconds), (second, same) in zip(results, again, strict=True):
        np.testing.assert_array_equal(first, second)
        assert seconds == same
    later = SETTINGS.replace(bootstrap_samples=99, strangers=20, figure_dpi=90)
    folds.fold_runner(mapped, pool, later, folder=folder)(pairs)
    assert len(trained.folders) == 4
    folds.fold_runner(mapped, pool, SETTINGS.replace(fold_epochs=2), folder=folder)(pairs)
    assert trained.folders[4:] == ["fold-1", "fold-2", "fold-3"]


def test_another_number_of_folds_leaves_only_its_own(mapped, tmp_path, monkeypatch):
    trained, pool = Trained(monkeypatch), np.arange(24)
    run_folds = folds.fold_runner(mapped, pool, SETTINGS, folder=tmp_path / "f")
    run_folds(pairs_of(24, 4))
    (tmp_path / "f" / "fold-3").mkdir()  # checkpoints of a fold that was never finished
    run_folds(pairs_of(24, 2))
    assert len(trained.folders) == 6
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["fold-1.npz", "fold-2.npz"]


@pytest.mark.parametrize("change", ["pixel", "label", "picture", "group", "setting"])
def test_what_decides_a_fold_makes_what_is_kept_of_no_use(mapped, tmp_path, monkeypatch, change):
    trained, settings = Trained(monkeypatch), SETTINGS
    pool, pairs = np.arange(24), pairs_of(24, 2)
    folds.fold_runner(mapped, pool, settings, folder=tmp_path / "f")(pairs)
    table, pixels = mapped.table.copy(), np.array(mapped.pixels)
    if change == "pixel":
        pixels[23, 15, 15, 2] ^= 1
    elif change == "label":
        table.loc[23, "label"] = "bright"
    elif change == "picture":
        table.loc[23, "picture"] = "g22"
    elif change == "group":
        table.loc[22:, "group"] = "patient"
    else:
        settings = settings.replace(dropout=0.25)
    other = replace(mapped, pixels=pixels, table=table)
    folds.fold_runner(other, pool, settings, folder=tmp_path / "f")(pairs)
    assert len(trained.folders) == 4


def test_without_a_folder_nothing_is_kept(mapped, monkeypatch):
    trained = Trained(monkeypatch)
    run_folds = folds.fold_runner(mapped, np.arange(24), SETTINGS)
    for _ in range(2):
        run_folds(pairs_of(24, 2))
    assert trained.folders == [None] * 4


def test_negative_jobs_and_pixels_in_memory_are_refused(mapped):
    with pytest.raises(InputError, match=r"jobs=-1 .* or 0 for as many as cores and memory allow"):
        folds.fold_runner(mapped, np.arange(24), SETTINGS, jobs=-1)
    for odd in ("two", "2", 2.0, None, True):  # as papermill may give them
        with pytest.raises(InputError, match=r"jobs=.* is out of range"):
            folds.fold_runner(mapped, np.arange(24), SETTINGS, jobs=odd)
    for pixels in (np.array(mapped.pixels), mapped.pixels[:12]):
        odd = replace(mapped, pixels=pixels)
        for jobs in (0, 2):
            with pytest.raises(InputError, match="mapped from a file"):
                folds.fold_runner(odd, np.arange(12), SETTINGS, jobs=jobs)


@pytest.mark.slow
def test_a_fold_that_fails_beside_others_is_named_and_they_are_kept(mapped, tmp_path, capsys):
    pairs = pairs_of(24, 3)
    dark = np.arange(12, 24)
    pairs[1] = (dark[:1], dark[1:])  # one picture cannot be divided
    with pytest.raises(InputError, match=r"^Fold 2: The smallest class"):  # it stays bad input
        folds.fold_runner(mapped, np.arange(24), SETTINGS, folder=tmp_path / "f", jobs=2)(pairs)
    assert "fold 2  failed" in capsys.readouterr().out
    assert (tmp_path / "f" / "fold-1.npz").is_file()
    assert not (tmp_path / "f" / "fold-2.npz").exists()
