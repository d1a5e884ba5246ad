"""k-fold cross-validation: stratified, grouped; no row is predicted by a model that saw it."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab.config import InputError, child_seed
from cnnlab.evaluation import registry
from cnnlab.evaluation.records import Comparison, CrossValidation, Evaluation, FoldResult, Spread

Pairs = list[tuple[np.ndarray, np.ndarray]]  # (training, held-out) row indices of each fold
# the pairs → for each in order: probabilities of its held-out rows (M, C), and seconds
RunFolds = Callable[[Pairs], Iterable[tuple[np.ndarray, float]]]


def folds(labels: np.ndarray, groups: np.ndarray, k: int, seed: int) -> Pairs:
    """Return k pairs of (training, held-out) row indices.

    Every row is held out exactly once; rows of one group (copies of one image, the images of a
    patient) stay on one side, whatever their classes; each fold has about the class shares of the
    whole, and images of every class.

    Args:
        labels: int (N,).
        groups: (N,), any dtype; equal values stay together.
        k: Number of folds, at least 2.
        seed: Decides which groups go together.

    Returns:
        k tuples of int64 arrays, each in rising order.

    Raises:
        InputError: Lengths differ, k < 2, a class has fewer than k groups, or groups of several
            classes cannot be dealt so that each fold has every class.
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
            fewer = f", or set folds to {distinct} or fewer" if distinct > 1 else ""
            raise InputError(
                f"Class {label} has {distinct} independent images (groups) for k={k} folds, and "
                "each fold needs one: add images of the class that belong to other groups"
                f"{fewer}."
            )
    splitter = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    pairs = list(splitter.split(np.zeros(len(labels)), labels, groups))
    if _missing(labels, pairs) is None:
        return pairs
    # It evens out shares, and may leave a fold without a rare class of groups of several classes.
    pairs = _dealt(labels, groups, k, seed)
    missing = _missing(labels, pairs)
    if missing is None:
        return pairs
    raise InputError(
        f"The groups are too uneven for k={k} folds: a fold would have no image of class {missing}."
        " Set folds to fewer, or divide large groups if they need not stay together."
    )


def _dealt(labels: np.ndarray, groups: np.ndarray, k: int, seed: int) -> Pairs:
    """Return folds that hold out every class where possible, with about even class shares.

    Each fold that lacks a class gets a group of it, the class of fewest groups first. Then the
    largest group left goes where it makes the folds least uneven.
    """
    member = np.unique(groups, return_inverse=True)[1]
    codes = np.unique(labels, return_inverse=True)[1]
    counts = np.zeros((member.max() + 1, codes.max() + 1))
    np.add.at(counts, (member, codes), 1)
    shares = counts / counts.sum(axis=0)
    order = np.random.default_rng(child_seed(seed, "folds")).permutation(len(counts))
    fold, held = np.full(len(counts), -1), np.zeros((k, counts.shape[1]))
    for code in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for number in np.flatnonzero(held[:, code] == 0):
            free = order[(fold[order] < 0) & (counts[order, code] > 0)]
            fold[free[:1]] = number
            held[number] += shares[free[:1]].sum(axis=0)
    left = order[fold[order] < 0]
    for group in left[np.argsort(-counts[left].sum(axis=1), kind="stable")]:
        spread = [(held + shares[group] * row[:, None]).std(axis=0).sum() for row in np.eye(k)]
        fold[group] = np.argmin(spread)
        held[fold[group]] += shares[group]
    inside = fold[member]
    return [(np.flatnonzero(inside != f), np.flatnonzero(inside == f)) for f in range(k)]


def _missing(labels: np.ndarray, pairs: Pairs) -> int | None:
    """Return a class that some fold does not hold out, or None if every fold has every class."""
    for _, held_out in pairs:
        absent = np.setdiff1d(labels, labels[held_out])
        if len(absent):
            return int(absent[0])
    return None


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
        A table with a row per fold (fold, n_train, n_test, the metrics that ``registry.FOLDS``
        shows, seconds), and the pooled out-of-fold probabilities, float32 (N, C), row i for row i
        of ``labels``.

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
                **{
                    name: metric.compute(labels[held_out], probabilities)
                    for name, metric in registry.shown(registry.FOLDS).items()
                },
                "seconds": seconds,
            }
        )
    return pd.DataFrame(rows), pooled


def summary(
    table: pd.DataFrame,
    *,
    pooled: Evaluation | None = None,
    comparison: Comparison | None = None,
) -> CrossValidation:
    """Return a cross-validation as a record.

    Args:
        table: What ``cross_validate`` returns.
        pooled: The evaluation of the pooled probabilities.
        comparison: With a rival on the same folds.

    Returns:
        The folds, and mean and sample deviation (n-1) over them of each metric. The folds share
        training images, so the deviation is no standard error.
    """
    names = [name for name in registry.shown(registry.FOLDS) if name in table]
    folds = tuple(
        FoldResult(
            fold=int(row["fold"]),
            n_train=int(row["n_train"]),
            n_test=int(row["n_test"]),
            scores={name: float(row[name]) for name in names},
            seconds=float(row["seconds"]),
        )
        for row in table.to_dict(orient="records")
    )
    over_folds = {
        name: Spread(float(table[name].mean()), float(table[name].std(ddof=1))) for name in names
    }
    return CrossValidation(len(table), folds, over_folds, pooled, comparison)
