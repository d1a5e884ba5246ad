from dataclasses import replace

import numpy as np
import pytest

from cnnlab.config import make_settings, parsed
from cnnlab.training import fold_results

RESULT = fold_results.Result(np.array([[0.25, 0.75]], np.float32), 1.5, 7)
SETTINGS = make_settings("smoke")
POOL, TRAINING, HELD_OUT = np.arange(4), np.array([0, 1]), np.array([2, 3])


def test_a_result_reads_back_under_its_fingerprint_only(tmp_path):
    path = tmp_path / "folds" / "fold-1.npz"
    fold_results.save(path, RESULT, "abc")
    found = fold_results.load(path, "abc")
    np.testing.assert_array_equal(found.probabilities, RESULT.probabilities)
    assert found.probabilities.dtype == np.float32
    assert (found.seconds, found.epochs) == (1.5, 7)
    assert fold_results.load(path, "abd") is None
    assert [entry.name for entry in path.parent.iterdir()] == ["fold-1.npz"]


def test_what_is_absent_cut_or_changed_is_nothing(tmp_path):
    path = tmp_path / "fold-1.npz"
    assert fold_results.load(path, "abc") is None
    fold_results.save(path, RESULT, "abc")
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert fold_results.load(path, "abc") is None
    flipped = bytearray(whole)
    flipped[whole.index(RESULT.probabilities.tobytes())] ^= 1
    path.write_bytes(flipped)
    assert fold_results.load(path, "abc") is None


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "fold-1.npz"
    odd = np.array([{"a": 1}], dtype=object)
    np.savez(path, fingerprint="abc", probabilities=odd, seconds=1.0, epochs=1)
    assert fold_results.load(path, "abc") is None


def test_everything_that_decides_a_fold_is_in_its_fingerprint():
    def of(settings=SETTINGS, content="c", pool=POOL, training=TRAINING, held_out=HELD_OUT):
        return fold_results.fingerprint(settings, content, pool, training, held_out)

    others = [
        of(settings=replace(SETTINGS, seed=1)),
        of(content="d"),
        of(pool=POOL[::-1]),
        of(training=HELD_OUT, held_out=TRAINING),
        of(training=np.array([0, 1, 2]), held_out=np.array([3])),
    ]
    assert of() == of(training=TRAINING.astype(np.int32))
    assert len({of(), *others}) == 6


@pytest.mark.parametrize(
    "override",
    ["l2=0.01", "dropout=0.1", "image_size=48", "rotation=5", "flip=false",
     "more_augmentation=shear=0.1", "batch_size=8",
     "learning_rate=0.1", "patience=7", "class_weight=balanced", "fold_epochs=9",
     "validation_fraction=0.3"],
)  # fmt: skip
def test_settings_that_decide_a_fold_are_in_its_fingerprint(override):
    changed = SETTINGS.replace(**parsed([override]))
    assert fold_results.fingerprint(changed, "c", POOL) != fold_results.fingerprint(
        SETTINGS, "c", POOL
    )


@pytest.mark.parametrize(
    "override",
    ["bootstrap_samples=99", "strangers=50", "explained_images=5", "figure_dpi=90", "epochs=9",
     "example_images=3", "folds=3", "source=elsewhere", "shapes_train=9", "test_fraction=0.3"],
)  # fmt: skip
def test_settings_that_decide_no_fold_are_not(override):
    changed = replace(SETTINGS.replace(**parsed([override])), profile="quick")
    assert fold_results.fingerprint(changed, "c", POOL) == fold_results.fingerprint(
        SETTINGS, "c", POOL
    )


def test_other_code_is_another_fingerprint(monkeypatch):
    before = fold_results.fingerprint(SETTINGS, "c", POOL)
    monkeypatch.setattr(fold_results, "origin", lambda: {"code": "another"})
    assert fold_results.fingerprint(SETTINGS, "c", POOL) != before
