import json

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.evaluation import crossval, metrics
from cnnlab.evaluation.records import Spread

LABELS = np.repeat([0, 1, 2], [30, 20, 10])
GROUPS = np.array([f"g{i // 2}" for i in range(60)])  # pairs of copies


@pytest.mark.parametrize("k", [2, 5])
def test_every_row_is_held_out_once_and_no_group_is_on_two_sides(k):
    pairs = crossval.folds(LABELS, GROUPS, k, seed=0)
    assert len(pairs) == k
    held_out = np.concatenate([pair[1] for pair in pairs])
    assert sorted(held_out) == list(range(60))
    for training, test in pairs:
        assert sorted([*training, *test]) == list(range(60))
        assert not set(GROUPS[training]) & set(GROUPS[test])


def test_classes_keep_their_shares():
    for _, test in crossval.folds(LABELS, GROUPS, 5, seed=1):
        assert np.bincount(LABELS[test]).tolist() == [6, 4, 2]


def test_the_seed_decides_the_folds():
    def held_out(seed):
        return [test.tolist() for _, test in crossval.folds(LABELS, GROUPS, 5, seed)]

    assert held_out(0) == held_out(0)
    assert held_out(0) != held_out(1)


def test_a_class_with_fewer_groups_than_folds_is_named():
    groups = GROUPS.copy()
    groups[LABELS == 2] = "one"  # ten copies of one image
    with pytest.raises(InputError, match=r"Class 2 has 1 independent .* k=5 .*: add images .*\.$"):
        crossval.folds(LABELS, groups, 5, seed=0)
    groups[-4:] = ["two", "two", "three", "three"]
    with pytest.raises(InputError, match=r"Class 2 has 3 .*, or set folds to 3 or fewer"):
        crossval.folds(LABELS, groups, 5, seed=0)
    assert len(crossval.folds(LABELS, groups, 3, seed=0)) == 3


@pytest.mark.parametrize("seed", [0, 1, 3, 9, 14, 48])  # the last four need dealing anew
def test_patients_with_several_classes_are_not_split_and_no_fold_lacks_a_class(seed):
    generator = np.random.default_rng(seed)
    groups = np.repeat([f"patient {i}" for i in range(16)], generator.integers(1, 30, size=16))
    shares = dict(zip(np.unique(groups), generator.dirichlet([1.2, 0.6, 0.1], 16), strict=True))
    labels = np.array([generator.choice(3, p=shares[group]) for group in groups])
    fewest = min(len(set(groups[labels == label])) for label in range(3))
    with pytest.raises(InputError, match=f"has {fewest} independent images"):
        crossval.folds(labels, groups, fewest + 1, seed)
    for training, held_out in crossval.folds(labels, groups, min(fewest, 5), seed):
        assert not set(groups[training]) & set(groups[held_out])
        assert set(labels[training]) == set(labels[held_out]) == {0, 1, 2}


def test_groups_that_cannot_be_dealt_are_refused():
    # Two groups have class 1 and two class 2, but one group has both: some fold lacks one.
    labels = np.array([0, 0, 0, 1, 2, 1, 2, 0])
    groups = np.array([0, 1, 2, 3, 3, 4, 4, 5])
    assert len(crossval.folds(labels, groups, 2, seed=0)) == 2
    labels, groups = np.array([0, 1, 0, 2, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(InputError, match=r"too uneven for k=2 folds: a fold would have no image"):
        crossval.folds(labels, groups, 2, seed=0)


@pytest.mark.parametrize(
    ("labels", "groups", "k"), [(LABELS, GROUPS[:-1], 5), (LABELS, GROUPS, 1), ([], [], 2)]
)
def test_folds_that_cannot_be_made_are_refused(labels, groups, k):
    with pytest.raises(InputError, match="expected"):
        crossval.folds(labels, groups, k, seed=0)


def test_pooled_predictions_stand_at_their_rows():
    def run_folds(pairs):
        for fold, (_, held_out) in enumerate(pairs, start=1):
            shift = 1 if fold == 2 else 0  # every answer of the second is wrong
            yield np.eye(3)[(LABELS[held_out] + shift) % 3], fold / 2

    table, pooled = crossval.cross_validate(LABELS, GROUPS, 5, 0, run_folds, 3)
    assert pooled.shape == (60, 3)
    assert pooled.dtype == np.float32
    assert table["fold"].tolist() == [1, 2, 3, 4, 5]
    assert table["n_train"].tolist() == [48] * 5
    assert table["n_test"].tolist() == [12] * 5
    assert table["accuracy"].tolist() == [1, 0, 1, 1, 1]
    assert table["macro_f1"].tolist() == [1, 0, 1, 1, 1]
    assert table["seconds"].tolist() == [0.5, 1, 1.5, 2, 2.5]
    second = crossval.folds(LABELS, GROUPS, 5, 0)[1][1]
    hits = pooled.argmax(axis=1) == LABELS
    assert np.flatnonzero(~hits).tolist() == second.tolist()
    assert metrics.accuracy(LABELS, pooled) == 1 - len(second) / 60


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"Fold 1 gave probabilities \(3, 3\)"):
        crossval.cross_validate(LABELS, GROUPS, 5, 0, lambda _: [(np.ones((3, 3)), 0)] * 5, 3)


def test_a_fold_without_an_answer_is_no_zero():
    answers = [(np.eye(3)[[0] * 12], 0.0)] * 4
    with pytest.raises(ValueError, match="shorter"):
        crossval.cross_validate(LABELS, GROUPS, 5, 0, lambda _: answers, 3)


def test_summary_of_two_folds_by_hand():
    table = pd.DataFrame(
        {
            "fold": [1, 2],
            "n_train": [5, 5],
            "n_test": [5, 5],
            "accuracy": [0.8, 1 / 3],
            "macro_f1": [0.5, 0.5],
            "seconds": 1.0,
        }
    )
    result = crossval.summary(table)
    assert result.k == 2
    accuracy = result.over_folds["accuracy"]
    assert (accuracy.mean, accuracy.deviation) == pytest.approx((17 / 30, 7 / 30 * 2**0.5))
    assert result.over_folds["macro_f1"] == Spread(0.5, 0.0)
    assert result.folds[1].scores["accuracy"] == 1 / 3  # every digit
    plain = result.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["k", "folds", "accuracy", "macro_f1", "pooled", "comparison"]
