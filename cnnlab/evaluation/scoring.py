"""The evaluation of one set of predictions, as a record and as tables."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnlab.config import InputError, child_seed
from cnnlab.evaluation import intervals, metrics, probabilistic, resampling
from cnnlab.evaluation.records import ClassResult, Evaluation, IntervalBasis, ReliabilityBin
from cnnlab.evaluation.registry import METRICS
from cnnlab.statistics import grouped

LEVEL = 0.95

Curves = dict[str, tuple[np.ndarray, np.ndarray, float]]  # name → x, y and the area below


class RocCurves(NamedTuple):
    """ROC curves by name. A class may have any name, that of an average too: they stand apart."""

    classes: Curves
    averages: Curves


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    samples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Evaluation:
    """Return every figure of an evaluation, headlines with their intervals.

    Args:
        labels: int (N,) in 0…C-1.
        probabilities: float (N, C).
        class_names: The C names, in the order of the columns.
        samples: Number of bootstrap resamples, for the metrics that have no interval of their own
            in ``intervals``.
        seed: The root seed; its child "bootstrap" decides the resamples.
        groups: (N,) of any dtype, equal values belong together; None: every image stands by
            itself. The figures are the same, their intervals are not.

    Returns:
        Every metric of ``registry.METRICS`` with its interval, and more; an undefined figure (the
        AUC of an absent class) is nan. See ``metrics`` for the conventions. Its ``interval`` says
        what was taken as independent: ``unit`` ("image" or "group"), ``groups`` (how many), and
        ``warning`` (None, or what to say where groups are few).

    Raises:
        InputError: The arrays or names do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    names = _names(class_names, probabilities)
    member = grouped.numbered(groups, len(labels))
    resampling_seed = child_seed(seed, "bootstrap")
    *precisions, macro = resampling.average_precisions(
        labels, probabilities, samples=samples, seed=resampling_seed, level=LEVEL, groups=member
    )
    found = intervals.headlines(labels, probabilities, level=LEVEL, groups=member)
    found["macro_average_precision"] = macro
    for name in [name for name in METRICS if name not in found]:
        found[name] = resampling.bootstrap(
            METRICS[name].compute,
            labels,
            probabilities,
            samples=samples,
            seed=resampling_seed,
            level=LEVEL,
            groups=member,
        )
    bins = reliability(labels, probabilities, groups=member).to_dict(orient="records")
    over = "" if member is None else ", over groups"
    methods = {name: intervals.METHODS.get(name, resampling.METHOD) for name in METRICS}
    return Evaluation(
        n=len(labels),
        class_names=tuple(names),
        interval=IntervalBasis(
            level=LEVEL,
            samples=samples,
            seed=resampling_seed,
            **grouped.described(member, len(labels)),
            methods={name: f"{method}{over}" for name, method in methods.items()},
        ),
        scores={name: found[name] for name in METRICS},
        ece_if_calibrated=probabilistic.ece_if_calibrated(probabilities),
        per_class=_per_class(labels, probabilities, names, precisions, member),
        confusion=tuple(map(tuple, metrics.confusion(labels, probabilities).tolist())),
        reliability=tuple(ReliabilityBin(**each) for each in bins),
    )


def _per_class(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    precisions: Sequence[intervals.Interval],
    member: np.ndarray | None,
) -> tuple[ClassResult, ...]:
    """Return each class's support, its scores and what is known of their limits."""
    scores = metrics.precision_recall_f1(labels, probabilities)
    aucs = metrics.auc_per_class(labels, probabilities)
    f1s = intervals.f1_per_class(labels, probabilities, LEVEL, groups=member)
    return tuple(
        ClassResult(
            name=name,
            support=int(scores.support[c]),
            precision=float(scores.precision[c]),
            recall=float(scores.recall[c]),
            f1=float(scores.f1[c]),
            auc=float(aucs[c]),
            average_precision=precisions[c].estimate,
            f1_low=f1s[c].low,
            f1_high=f1s[c].high,
            average_precision_low=precisions[c].low,
            average_precision_high=precisions[c].high,
        )
        for c, name in enumerate(names)
    )


def headlines(scores: Evaluation) -> pd.DataFrame:
    """Return the metrics of an evaluation as a table: estimate and interval.

    Metrics that an older evaluation does not hold are left out.
    """
    found = {METRICS[name].label: vars(interval) for name, interval in scores.scores.items()}
    return pd.DataFrame(found).T.astype(float).round(3)


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, *, groups: np.ndarray | None = None
) -> pd.DataFrame:
    """Return ``probabilistic.reliability`` with Wilson's limits of each accuracy.

    Args:
        labels: int (N,).
        probabilities: float (N, C).
        groups: (N,), equal values belong together; None: every image stands by itself.

    Returns:
        Columns low, high, count, confidence, accuracy, accuracy_low and accuracy_high.
    """
    table = probabilistic.reliability(labels, probabilities)
    sizes = table["count"].to_numpy(float)
    member = grouped.numbered(groups, len(labels))
    if member is not None:
        _, hits, bins = probabilistic.binned(labels, probabilities)
        for place, number in enumerate(table.index):
            own = bins == number
            sizes[place] = intervals.effective_images(hits[own], level=LEVEL, groups=member[own])
    low, high = intervals.wilson(table["accuracy"].to_numpy(), sizes, LEVEL)
    return table.assign(accuracy_low=low, accuracy_high=high)


def predictions(
    table_rows: pd.DataFrame,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
) -> pd.DataFrame:
    """Return one row per image: what it is, what was predicted, with every probability.

    Args:
        table_rows: N rows with a column ``path``, row i for ``labels[i]``.
        labels: int (N,).
        probabilities: float (N, C).
        class_names: The C names, in the order of the columns.

    Returns:
        Columns path, label, predicted, probability (of the predicted class), correct, and
        p_<class> for each class.

    Raises:
        InputError: The arrays, names or rows do not fit together.
    """
    labels, _ = metrics.checked(labels, probabilities)
    probabilities = np.asarray(probabilities)
    names = np.array(_names(class_names, probabilities), dtype=object)
    if len(table_rows) != len(labels):
        raise InputError(f"{len(table_rows)} table rows for {len(labels)} labels: expected equal.")
    predicted = probabilities.argmax(axis=1)
    columns = {
        "path": table_rows["path"].to_numpy(),
        "label": names[labels],
        "predicted": names[predicted],
        "probability": probabilities.max(axis=1),
        "correct": predicted == labels,
    }
    columns |= {f"p_{name}": probabilities[:, c] for c, name in enumerate(names)}
    return pd.DataFrame(columns)


def roc_curves(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> RocCurves:
    """Return the one-vs-rest ROC curve of each class that has one, and their averages.

    Returns:
        Name → (false positive rates, true positive rates, AUC). A class without labels, or the
        only one with labels, has no curve and is left out. Of the averages, "macro average" is the
        mean true positive rate at each false positive rate, and "micro average" the curve of all
        N·C pairs.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    classes: Curves = {}
    for c, name in enumerate(_names(class_names, probabilities)):
        positive, scores = labels == c, probabilities[:, c]
        if 0 < positive.sum() < len(labels):
            classes[name] = (*metrics.roc_curve(positive, scores), metrics.auc(positive, scores))
    averages = {"macro average": _macro_roc(list(classes.values()))} if classes else {}
    pairs = np.eye(probabilities.shape[1], dtype=bool)[labels].ravel()
    scores = probabilities.ravel()
    averages["micro average"] = (*metrics.roc_curve(pairs, scores), metrics.auc(pairs, scores))
    return RocCurves(classes, averages)


def _macro_roc(
    curves: Sequence[tuple[np.ndarray, np.ndarray, float]],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the mean curve and the mean area, which is the area under it."""
    grid = np.unique(np.concatenate([false for false, _, _ in curves]))
    # Curves climb in vertical steps: each rate stands twice, with the heights below and above
    # its step. Of several points at one rate np.interp takes the last.
    below = [np.interp(-grid, -false[::-1], true[::-1]) for false, true, _ in curves]
    above = [np.interp(grid, false, true) for false, true, _ in curves]
    heights = np.stack([np.mean(below, axis=0), np.mean(above, axis=0)], axis=1).ravel()
    return np.repeat(grid, 2), heights, float(np.mean([area for _, _, area in curves]))


def precision_recall_curves(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> Curves:
    """Return the one-vs-rest precision–recall curve of each class that has labels.

    Returns:
        Class name → (recall, precision, average precision).
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    curves = {}
    for c, name in enumerate(_names(class_names, probabilities)):
        positive, scores = labels == c, probabilities[:, c]
        if positive.any():
            curve = metrics.precision_recall_curve(positive, scores)
            curves[name] = (*curve, metrics.average_precision(positive, scores))
    return curves


def _names(class_names: Sequence[str], probabilities: np.ndarray) -> list[str]:
    """Return the names as plain strings, one per column."""
    names = [str(name) for name in class_names]
    if len(names) != probabilities.shape[1] or len(set(names)) != len(names):
        raise InputError(
            f"Class names {names} for {probabilities.shape[1]} columns of probabilities: "
            "expected one distinct name per column."
        )
    return names
