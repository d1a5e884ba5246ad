"""Metrics of many confusion matrices, or of many resamples, at once.

A resample of N rows is fully described by how often each row was drawn. With these counts as
``weights`` (R, N), R resamples are scored by one sort instead of R passes over copied rows.
``metrics`` scores the data itself as the resample in which every row stands once.
"""

import numpy as np


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Return the share of the diagonal: (…,) from confusion counts (…, C, C)."""
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def precision(counts: np.ndarray) -> np.ndarray:
    """Return precision per class: (…, C) from (…, C, C); 0 where nothing was predicted."""
    return ratio(_diagonal(counts), counts.sum(axis=-2))


def recall(counts: np.ndarray) -> np.ndarray:
    """Return recall per class: (…, C) from (…, C, C); 0 where the class does not occur."""
    return ratio(_diagonal(counts), counts.sum(axis=-1))


def f1(counts: np.ndarray) -> np.ndarray:
    """Return F1 per class: (…, C) from (…, C, C); 0 where neither label nor prediction occurs."""
    return ratio(2 * _diagonal(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of every resample; ties count half.

    It is the probability that a random positive scores above a random negative
    (Mann–Whitney), so it needs one sort and no curve.

    Args:
        positive: bool (N,).
        scores: float (N,).
        weights: float (R, N), how often each row was drawn.

    Returns:
        float64 (R,); nan where a resample holds only positives or only negatives.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # first row of each score
    drawn = weights[:, order]  # (R, N) by rising score
    positives = np.add.reduceat(drawn * positive[order], starts, axis=1)  # (R, distinct scores)
    negatives = np.add.reduceat(drawn * ~positive[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives
    won = (positives * (below + negatives / 2)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan)


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision of every resample: Σ (rise of recall) · precision.

    Args:
        positive: bool (N,).
        scores: float (N,). Equal scores are accepted together.
        weights: float (R, N), how often each row was drawn.

    Returns:
        float64 (R,); nan where a resample holds no positive.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf))  # first row of each score
    drawn = weights[:, order]  # (R, N) by falling score
    found = np.add.reduceat(drawn * positive[order], starts, axis=1)  # (R, distinct scores)
    accepted = np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1)
    precisions = ratio(np.cumsum(found, axis=1), accepted)
    total = found.sum(axis=1)
    return np.where(total > 0, (found * precisions).sum(axis=1) / np.maximum(total, 1), np.nan)


def auc_per_class(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the one-vs-rest AUC of every resample and class: float64 (R, C), nan if undefined."""
    columns = [auc(labels == c, scores, weights) for c, scores in enumerate(probabilities.T)]
    return np.stack(columns, axis=1)


def defined_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not nan: (…,); nan where nothing is left."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.nan)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole`` in float64, and 0 where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _diagonal(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)
