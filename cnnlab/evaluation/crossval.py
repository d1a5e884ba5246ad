"""k-fold cross-validation: stratified, grouped; no row is predicted by a model that saw it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab.config import InputError
from cnnlab.evaluation import metrics

Pairs = list[tuple[np.ndarray, np.ndarray]]  # (training, held-out) row indices of each fold
# the pairs → for each in order: probabilities of its held-out rows (M, C), and seconds
RunFolds = Callable[[Pairs], Iterable[tuple[np.ndarray, float]]]


def folds(labels: np.ndarray, groups: np.ndarray, k: int, seed: int) -> Pairs:
    """Return k pairs of (training, held-out) row indices.

    Every row is held out exactly once; rows of one group (copies of one image) stay on one
    side; each fold has about the class shares of the whole.

    Args:
        labels: int (N,).
        groups: (N,), any dtype; equal values stay together.
        k: Number of folds, at least 2.
        seed: Decides which groups go together.

    Returns:
        k tuples of int64 arrays, each in rising order.

    Raises:
        InputError: Lengths differ, k < 2, or a class has fewer than k groups.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    if labels.ndim != 1 or labels.shape != groups.shape or not len(labels):
        raise InputError(
            f"Labels {labels.shape} and groups {groups.shape}: expected the same N > 0 rows."
        )
    if k < 2:
        raise InputError(f"Cross-validation with k={k} folds: expected at least 2.")
    for label in np.unique(labels):
        distinct = len(np.unique(groups[labels == label]))
        if distinct < k:
            raise InputError(
                f"Class {label} has {distinct} independent images (groups) for k={k} folds: "
                f"add images, or set folds to {max(distinct, 2)} or fewer."
            )
    splitter = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    pairs = list(splitter.split(np.zeros(len(labels)), labels, groups))
    if any(not len(held_out) for _, held_out in pairs):
        raise InputError(f"The groups are too uneven for k={k} folds: one would be empty.")
    return pairs


def cross_validate(
    labels: np.ndarray,
    groups: np.ndarray,
    k: int,
    seed: int,
    run_folds: RunFolds,
    num_classes: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Train and predict k times, and pool the held-out predictions.

    Args:
        labels: int (N,) in 0…C-1.
        groups: (N,); rows of one group stay on one side.
        k: Number of folds, at least 2.
        seed: Decides the folds.
        run_folds: Called once with all pairs of (training, held-out) row indices, so that it may
            train several at a time; gives for each, in order, the probabilities (M, C) of the
            held-out rows and the seconds it took.
        num_classes: C.

    Returns:
        A table with a row per fold (fold, n_train, n_test, accuracy, macro_f1, seconds), and the
        pooled out-of-fold probabilities, float32 (N, C), row i for row i of ``labels``.

    Raises:
        InputError: No such folds can be made, or ``run_folds`` gave another shape.
    """
    labels = np.asarray(labels)
    pooled = np.zeros((len(labels), num_classes), np.float32)
    pairs = folds(labels, groups, k, seed)
    rows = []
    for fold, (pair, result) in enumerate(zip(pairs, run_folds(pairs), strict=True), start=1):
        (training, held_out), (probabilities, seconds) = pair, result
        if probabilities.shape != (len(held_out), num_classes):
            raise InputError(
                f"Fold {fold} gave probabilities {probabilities.shape}: "
                f"expected {(len(held_out), num_classes)}."
            )
        pooled[held_out] = probabilities
        rows.append(
            {
                "fold": fold,
                "n_train": len(training),
                "n_test": len(held_out),
                "accuracy": metrics.accuracy(labels[held_out], probabilities),
                "macro_f1": metrics.macro_f1(labels[held_out], probabilities),
                "seconds": seconds,
            }
        )
    return pd.DataFrame(rows), pooled


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Return a cross-validation's table as JSON-ready numbers.

    Args:
        table: What ``cross_validate`` returns.

    Returns:
        k, the folds, and mean and sample deviation (n-1) over folds of accuracy and macro F1. The
        folds share training images, so the deviation is no standard error.
    """
    over_folds = {
        name: {"mean": float(table[name].mean()), "deviation": float(table[name].std(ddof=1))}
        for name in ("accuracy", "macro_f1")
    }
    rows = table.to_dict(orient="records")
    return {"k": len(table), "folds": rows, **over_folds}
