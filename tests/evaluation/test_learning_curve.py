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


def patients(generator, count, classes=4):
    """Patients with up to 30 images, of several classes each."""
    groups = np.repeat(np.arange(count), generator.integers(1, 30, size=count))
    shares = generator.dirichlet([2, 1, 0.5, 0.1], size=count)
    labels = np.array([generator.choice(classes, p=shares[group]) for group in groups])
    return labels, groups


@pytest.mark.parametrize("seed", range(5))
def test_patients_with_several_classes_come_whole(seed):
    labels, groups = patients(np.random.default_rng(seed), 40)
    fractions = [0.01, 0.1, 0.3, 0.6, 1.0]
    parts = nested_subsets(labels, groups, fractions, seed)
    largest = np.bincount(groups).max()
    for fraction, part in zip(fractions, parts, strict=True):
        assert not set(groups[part]) & set(np.delete(groups, part))
        assert set(labels[part]) == set(labels)
        # At most one group for each class more than the fraction, and never less.
        assert fraction * len(labels) - 1e-9 <= len(part) <= fraction * len(labels) + 4 * largest
    for smaller, larger in pairwise(parts):
        assert set(smaller) <= set(larger)
    assert len(parts[-1]) == len(labels)


def test_a_class_that_is_never_the_rarest_of_its_patients_is_there_from_the_start():
    # Patients a and b have both classes and are drawn for the rarer; c has only the rarer.
    labels = np.array([0, 0, 0, 1, 0, 0, 0, 1, 1])
    groups = np.array(["a", "a", "a", "a", "b", "b", "b", "b", "c"])
    for seed in range(20):
        (part,) = nested_subsets(labels, groups, [1e-6], seed)
        assert set(labels[part]) == {0, 1}


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
