from itertools import pairwise

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.evaluation.learning_curve import learning_curve, nested_subsets

LABELS = np.repeat([0, 1, 2], [100, 50, 10])
SINGLE = np.arange(160)


def test_subsets_grow_and_keep_the_class_shares():
    parts = nested_subsets(LABELS, SINGLE, [0.1, 0.5, 1.0], seed=0)
    assert [np.bincount(LABELS[part]).tolist() for part in parts] == [
        [10, 5, 1], [50, 25, 5], [100, 50, 10],
    ]  # fmt: skip
    for smaller, larger in pairwise(parts):
        assert set(smaller) < set(larger)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_copies_come_together():
    groups = np.random.default_rng(0).permutation(np.arange(160) // 4 * 4)
    groups = np.where(np.arange(160) < 40, LABELS * 1000, groups * 10 + LABELS)  # 40 copies of one
    for part in nested_subsets(LABELS, groups, [0.05, 0.2, 0.6, 0.9], seed=3):
        assert not set(groups[part]) & set(np.delete(groups, part))
        assert set(LABELS[part]) == {0, 1, 2}


def test_the_seed_decides():
    first, same, other = (nested_subsets(LABELS, SINGLE, [0.2], seed)[0] for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()


def test_every_class_has_an_image_however_small_the_fraction():
    (part,) = nested_subsets(LABELS, SINGLE, [1e-6], seed=0)
    assert LABELS[part].tolist() == [0, 1, 2]


@pytest.mark.parametrize("fractions", [[], [0.0, 1.0], [0.5, 0.5], [0.5, 0.2], [0.5, 1.1]])
def test_fractions_have_to_rise(fractions):
    with pytest.raises(InputError, match="rising"):
        nested_subsets(LABELS, SINGLE, fractions, seed=0)


def test_lengths_have_to_agree():
    with pytest.raises(InputError, match="same N > 0 rows"):
        nested_subsets(LABELS, SINGLE[:-1], [0.5], seed=0)


def test_a_curve_has_a_row_for_each_training():
    calls = []

    def run(rows, seed):
        calls.append((len(rows), seed))
        return {"accuracy": len(rows) / 160, "macro_f1": 0.5}

    table = learning_curve(LABELS, SINGLE, [0.1, 1.0], run, seeds=[4, 5])
    assert calls == [(16, 4), (160, 4), (16, 5), (160, 5)]
    assert list(table.columns) == ["seed", "fraction", "n", "accuracy", "macro_f1"]
    assert table["accuracy"].tolist() == [0.1, 1.0, 0.1, 1.0]
    with pytest.raises(InputError, match="seed"):
        learning_curve(LABELS, SINGLE, [0.1], run, seeds=[])
