from itertools import product

import numpy as np
import pytest
from sklearn import metrics as oracle

from cnnlab.config import InputError
from cnnlab.evaluation import metrics

# Six rows, three classes. Predicted: 0 1 1 2 0 2 (the last row by the first of two equal ones).
LABELS = np.array([0, 0, 1, 2, 2, 2])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.8, 0.1],
        [0.2, 0.2, 0.6],
        [0.5, 0.3, 0.2],
        [0.1, 0.0, 0.9],
    ]
)


def random_case(seed, rows=60, classes=4, rounded=1):
    """Random labels and probabilities; rounding the latter makes many ties."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=rows)
    scores = generator.random((rows, classes)) + 0.6 * np.eye(classes)[labels]
    return labels, np.round(scores / scores.sum(axis=1, keepdims=True), rounded)


def test_hand_worked_confusion_and_scores():
    counts = metrics.confusion(LABELS, PROBABILITIES)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    assert counts.dtype == np.int64
    scores = metrics.precision_recall_f1(LABELS, PROBABILITIES)
    np.testing.assert_allclose(scores.precision, [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(scores.recall, [1 / 2, 1, 2 / 3])
    np.testing.assert_allclose(scores.f1, [1 / 2, 2 / 3, 4 / 5])
    assert scores.support.tolist() == [2, 1, 3]
    assert metrics.accuracy(LABELS, PROBABILITIES) == 4 / 6
    assert metrics.macro_f1(LABELS, PROBABILITIES) == pytest.approx((1 / 2 + 2 / 3 + 4 / 5) / 3)


def test_equal_probabilities_predict_the_first_class():
    counts = metrics.confusion(np.array([1, 2]), np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]))
    assert counts.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_scores_agree_with_scikit_learn(seed):
    labels, probabilities = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    expected = oracle.precision_recall_fscore_support(labels, predicted, labels=range(4))
    for ours, theirs in zip(
        metrics.precision_recall_f1(labels, probabilities), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    np.testing.assert_array_equal(
        metrics.confusion(labels, probabilities), oracle.confusion_matrix(labels, predicted)
    )
    assert metrics.accuracy(labels, probabilities) == oracle.accuracy_score(labels, predicted)
    for name, average in product(metrics.SCORES, ("macro", "weighted")):
        ours = getattr(metrics, f"{average}_{name}")(labels, probabilities)
        theirs = getattr(oracle, f"{name}_score")(labels, predicted, average=average)
        assert ours == pytest.approx(theirs)
    for by, theirs in (("rows", "true"), ("columns", "pred")):
        np.testing.assert_allclose(
            metrics.normalised(metrics.confusion(labels, probabilities), by),
            oracle.confusion_matrix(labels, predicted, normalize=theirs),
        )


def test_absent_and_never_predicted_classes_count_as_zero():
    # Class 2 is absent and predicted once; class 3 is present and never predicted.
    labels = np.array([0, 1, 3, 3])
    probabilities = np.eye(5)[[0, 2, 0, 1]]
    predicted = [0, 2, 0, 1]
    scores = metrics.precision_recall_f1(labels, probabilities)
    np.testing.assert_allclose(scores.precision, [1 / 2, 0, 0, 0, 0])
    np.testing.assert_allclose(scores.recall, [1, 0, 0, 0, 0])
    for name in ("precision", "recall", "f1"):
        theirs = getattr(oracle, f"{name}_score")(
            labels, predicted, labels=range(5), average="macro", zero_division=0
        )
        assert getattr(metrics, f"macro_{name}")(labels, probabilities) == pytest.approx(theirs)


def test_hand_worked_auc_with_a_tie():
    positive = np.array([True, True, False, False])
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    # Four pairs: three won, one tied.
    assert metrics.auc(positive, scores) == 3.5 / 4
    false, true = metrics.roc_curve(positive, scores)
    assert false.tolist() == [0, 0, 0.5, 1]
    assert true.tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_auc_and_curve_agree_with_scikit_learn(seed):
    labels, probabilities = random_case(seed)
    aucs = metrics.auc_per_class(labels, probabilities)
    for c in range(4):
        positive, scores = labels == c, probabilities[:, c]
        assert aucs[c] == pytest.approx(oracle.roc_auc_score(positive, scores))
        expected = oracle.roc_curve(positive, scores, drop_intermediate=False)
        for ours, theirs in zip(metrics.roc_curve(positive, scores), expected, strict=False):
            np.testing.assert_allclose(ours, theirs)
    one_hot = np.eye(4)[labels]
    for average in ("macro", "micro"):
        ours = getattr(metrics, f"{average}_auc")(labels, probabilities)
        assert ours == pytest.approx(oracle.roc_auc_score(one_hot, probabilities, average=average))


@pytest.mark.parametrize("seed", range(4))
def test_precision_and_recall_curve_agree_with_scikit_learn(seed):
    labels, probabilities = random_case(seed)
    for c in range(4):
        positive, scores = labels == c, probabilities[:, c]
        recall, precision = metrics.precision_recall_curve(positive, scores)
        expected = oracle.precision_recall_curve(positive, scores)
        np.testing.assert_allclose(precision, expected[0][::-1])
        np.testing.assert_allclose(recall, expected[1][::-1])
        ours = metrics.average_precision(positive, scores)
        assert ours == pytest.approx(oracle.average_precision_score(positive, scores))


def test_hand_worked_average_precision():
    positive, scores = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
    recall, precision = metrics.precision_recall_curve(positive, scores)
    assert recall.tolist() == [0, 0.5, 0.5, 1, 1]
    np.testing.assert_allclose(precision, [1, 1, 1 / 2, 2 / 3, 1 / 2])
    assert metrics.average_precision(positive, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(metrics.average_precision(np.zeros(2, bool), np.array([0.1, 0.2])))


def test_an_empty_line_of_the_confusion_matrix_stays_zero():
    counts = np.array([[3, 1], [0, 0]])
    assert metrics.normalised(counts, "rows").tolist() == [[0.75, 0.25], [0, 0]]
    assert metrics.normalised(counts, "columns").tolist() == [[1, 1], [0, 0]]
    with pytest.raises(InputError, match="expected rows or columns"):
        metrics.normalised(counts, "all")


def test_auc_does_not_depend_on_row_order_or_on_a_rising_transform():
    labels, probabilities = random_case(7)
    order = np.random.default_rng(0).permutation(len(labels))
    expected = metrics.macro_auc(labels, probabilities)
    assert metrics.macro_auc(labels[order], probabilities[order]) == expected
    assert metrics.macro_auc(labels, probabilities**3) == expected


def test_auc_of_an_absent_class_is_nan_and_left_out_of_the_macro():
    labels, probabilities = random_case(3, classes=3)
    wider = np.column_stack([probabilities, np.zeros(len(labels))])
    aucs = metrics.auc_per_class(labels, wider)
    assert np.isnan(aucs).tolist() == [False, False, False, True]
    assert metrics.macro_auc(labels, wider) == pytest.approx(aucs[:3].mean())


def test_one_class_alone_has_no_auc():
    labels, probabilities = np.zeros(3, int), np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    assert np.isnan(metrics.macro_auc(labels, probabilities))
    assert np.isnan(metrics.auc(np.array([True, True]), np.array([0.1, 0.2])))
    false, true = metrics.roc_curve(np.array([True, True]), np.array([0.1, 0.2]))
    assert np.isnan(false).all()
    assert true.tolist() == [0, 0.5, 1]
    assert metrics.micro_auc(labels, probabilities) == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        ([0, 1], [[0.5, 0.5]], "do not fit"),
        ([0, 1], [0.5, 0.5], "do not fit"),
        ([], np.zeros((0, 3)), "at least one row"),
        ([0], [[1.0]], "two classes"),
        ([0.0], [[0.5, 0.5]], "integers"),
        ([2], [[0.5, 0.5]], "0 to 1"),
        ([-1], [[0.5, 0.5]], "0 to 1"),
        ([0], [[np.nan, 0.5]], "nan"),
    ],
)
def test_input_that_does_not_fit_is_refused(labels, probabilities, words):
    with pytest.raises(InputError, match=words):
        metrics.accuracy(np.array(labels), np.array(probabilities))
