"""Classification metrics: arrays in, numbers out.

Everywhere ``labels`` are int (N,) in 0…C-1 and ``probabilities`` float (N, C); the prediction is
the class with the largest probability, the first one if several are equal. Conventions where a
number is undefined:

* precision without a prediction of the class, recall and F1 without the class: 0;
* a macro figure is the plain mean over all C classes, those absent from the labels included;
* AUC of a class that is absent, or that is the only one: nan, and left out of the macro mean.
"""

from typing import NamedTuple

import numpy as np

from cnnlab.config import InputError
from cnnlab.evaluation import weighted

SCORES = ("precision", "recall", "f1")  # what a class has, and its macro and weighted means


class ClassScores(NamedTuple):
    """Scores per class, each float64 (C,) in 0…1; ``support`` int64 (C,) counts the labels."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as int64 (N,) and probabilities as float64 (N, C), or say what is wrong.

    Raises:
        InputError: Shapes do not fit, there are no rows, a label is out of range, or a
            probability is not a finite number.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise InputError(
            f"Labels {labels.shape} and probabilities {probabilities.shape} do not fit: "
            "expected (N,) and (N, C)."
        )
    if labels.size == 0 or probabilities.shape[1] < 2:
        raise InputError(
            f"Nothing to score in probabilities {probabilities.shape}: "
            "expected at least one row and two classes."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"Labels are {labels.dtype}: expected class indices (integers).")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise InputError(
            f"Labels run from {labels.min()} to {labels.max()}: expected 0 to "
            f"{probabilities.shape[1] - 1}, one index per column of the probabilities."
        )
    if not np.isfinite(probabilities).all():
        raise InputError("Some probabilities are nan or infinite: the model has diverged.")
    return labels.astype(np.int64), probabilities.astype(np.float64)


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the confusion counts: int64 (C, C), rows are true classes, columns predicted ones.

    Example:
        >>> confusion(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])).tolist()
        [[1, 0], [1, 0]]
    """
    labels, probabilities = checked(labels, probabilities)
    count = probabilities.shape[1]
    cells = labels * count + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the share of rows whose predicted class is the label, in 0…1."""
    return float(weighted.accuracy(confusion(labels, probabilities)))


def precision_recall_f1(labels: np.ndarray, probabilities: np.ndarray) -> ClassScores:
    """Return precision, recall, F1 and support per class.

    With true positives TP, false positives FP and false negatives FN of a class:
    precision TP / (TP + FP), recall TP / (TP + FN), F1 2·TP / (2·TP + FP + FN); 0 for 0 / 0.
    """
    counts = confusion(labels, probabilities)
    return ClassScores(
        weighted.precision(counts),
        weighted.recall(counts),
        weighted.f1(counts),
        counts.sum(axis=1),
    )


def macro_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean precision over all classes, in 0…1."""
    return float(precision_recall_f1(labels, probabilities).precision.mean())


def macro_recall(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean recall over all classes, in 0…1."""
    return float(precision_recall_f1(labels, probabilities).recall.mean())


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean F1 over all classes, in 0…1."""
    return float(precision_recall_f1(labels, probabilities).f1.mean())


def weighted_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean precision over classes, each weighted by its labels, in 0…1."""
    scores = precision_recall_f1(labels, probabilities)
    return float(scores.precision @ scores.support / scores.support.sum())


def weighted_recall(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean recall over classes, each weighted by its labels: it equals accuracy."""
    scores = precision_recall_f1(labels, probabilities)
    return float(scores.recall @ scores.support / scores.support.sum())


def weighted_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean F1 over classes, each weighted by its labels, in 0…1."""
    scores = precision_recall_f1(labels, probabilities)
    return float(scores.f1 @ scores.support / scores.support.sum())


def normalised(counts: np.ndarray, by: str) -> np.ndarray:
    """Return a confusion matrix as shares: float64 (C, C) in 0…1; an empty line stays 0.

    Args:
        counts: int (C, C), rows are true classes, columns predicted ones.
        by: "rows": of the true class (recall on the diagonal); "columns": of the predicted class
            (precision on the diagonal).

    Raises:
        InputError: ``by`` is neither.
    """
    axes = {"rows": 1, "columns": 0}
    if by not in axes:
        raise InputError(f"A confusion matrix normalised by {by!r}: expected rows or columns.")
    counts = np.asarray(counts)
    return weighted.ratio(counts, counts.sum(axis=axes[by], keepdims=True))


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC curve of one class against the rest.

    Equal scores share one point, so the curve depends on the scores only, not on the row order.

    Args:
        positive: bool (N,), True where the row is of the class.
        scores: float (N,), larger means more likely positive.

    Returns:
        False and true positive rates, float64 (K + 1,) each for K distinct scores, rising from
        (0, 0) to (1, 1). A rate without any negative (positive) row is nan throughout.
    """
    positive, scores = np.asarray(positive, bool), np.asarray(scores)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # last row of each score
    true = np.concatenate([[0], np.cumsum(positive[order])[ends]]).astype(float)
    false = np.concatenate([[0], ends + 1]) - true
    return _rate(false), _rate(true)


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; nan if all rows are positive or none is.

    Source:
        Hanley and McNeil 1982: it equals the chance that a positive outranks a negative.
    """
    positive, scores = np.asarray(positive, bool), np.asarray(scores, float)
    return float(weighted.auc(positive, scores, np.ones((1, len(scores))))[0])


def auc_per_class(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the one-vs-rest AUC of each class: float64 (C,), nan where it is undefined."""
    labels, probabilities = checked(labels, probabilities)
    return weighted.auc_per_class(labels, probabilities, np.ones((1, len(labels))))[0]


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean one-vs-rest AUC of the classes that have one; nan if none has."""
    return float(weighted.defined_mean(auc_per_class(labels, probabilities)))


def micro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the AUC over all N·C (row, class) pairs taken together."""
    labels, probabilities = checked(labels, probabilities)
    return auc(np.eye(probabilities.shape[1], dtype=bool)[labels].ravel(), probabilities.ravel())


def precision_recall_curve(
    positive: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the precision–recall curve of one class against the rest.

    Equal scores share one point. No point is interpolated: between two of them the curve is a
    step, and the straight line would promise what no threshold gives.

    Args:
        positive: bool (N,), True where the row is of the class.
        scores: float (N,), larger means more likely positive.

    Returns:
        Recall and precision, float64 (K + 1,) each for K distinct scores, recall rising from 0
        (there precision is 1 by convention) to 1; recall is nan throughout without positives.

    Source:
        Davis and Goadrich 2006, "The relationship between Precision-Recall and ROC curves".
    """
    positive, scores = np.asarray(positive, bool), np.asarray(scores)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # last row of each score
    true = np.cumsum(positive[order])[ends]
    recall = _rate(np.concatenate([[0], true]).astype(float))
    return recall, np.concatenate([[1], true / (ends + 1)])


def average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the stepped precision–recall curve; nan without a positive."""
    positive, scores = np.asarray(positive, bool), np.asarray(scores, float)
    return float(weighted.average_precision(positive, scores, np.ones((1, len(scores))))[0])


def macro_average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean average precision of the classes that have one."""
    labels, probabilities = checked(labels, probabilities)
    found = [average_precision(labels == c, scores) for c, scores in enumerate(probabilities.T)]
    return float(weighted.defined_mean(np.array(found)))


def _rate(cumulated: np.ndarray) -> np.ndarray:
    """Return counts divided by their last one; nan where that is 0."""
    return cumulated / cumulated[-1] if cumulated[-1] else np.full(len(cumulated), np.nan)
