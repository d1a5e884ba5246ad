"""The evaluation of one set of predictions, as JSON and as tables."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.evaluation import intervals, metrics

LEVEL = 0.95


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """Return every figure of an evaluation, headlines with their bootstrap intervals.

    Args:
        labels: int (N,) in 0…C-1.
        probabilities: float (N, C).
        class_names: The C names, in the order of the columns.
        samples: Number of bootstrap resamples.
        seed: Decides the resamples.

    Returns:
        A dict of plain Python values, ready for JSON; an undefined figure (the AUC of an
        absent class) is None. See ``metrics`` for the conventions.

    Raises:
        InputError: The arrays or names do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    names = _names(class_names, probabilities)
    scores = metrics.precision_recall_f1(labels, probabilities)
    aucs = metrics.auc_per_class(labels, probabilities)
    headlines, f1s = intervals.headlines(
        labels, probabilities, samples=samples, seed=seed, level=LEVEL
    )
    per_class = [
        {
            "class": name,
            "support": int(scores.support[c]),
            "precision": float(scores.precision[c]),
            "recall": float(scores.recall[c]),
            "f1": float(scores.f1[c]),
            "auc": _known(aucs[c]),
            "f1_low": _known(f1s[c].low),
            "f1_high": _known(f1s[c].high),
        }
        for c, name in enumerate(names)
    ]
    method = {"method": intervals.METHOD, "level": LEVEL, "samples": samples, "seed": seed}
    return {
        "n": len(labels),
        "class_names": names,
        "interval": method,
        **{
            name: {part: _known(value) for part, value in asdict(interval).items()}
            for name, interval in headlines.items()
        },
        "micro_auc": _known(metrics.micro_auc(labels, probabilities)),
        "per_class": per_class,
        "confusion": metrics.confusion(labels, probabilities).tolist(),
    }


def headlines(scores: dict[str, Any]) -> pd.DataFrame:
    """Return the headline figures of ``evaluate`` as a table: estimate and interval."""
    names = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auc")
    table = pd.DataFrame({name.replace("_", " "): scores[name] for name in names}).T
    return table.astype(float).round(3)


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
) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Return the one-vs-rest ROC curve of each class that has one.

    Returns:
        Class name → (false positive rates, true positive rates, AUC). A class without labels,
        or the only one with labels, has no curve and is left out.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    curves = {}
    for c, name in enumerate(_names(class_names, probabilities)):
        positive, scores = labels == c, probabilities[:, c]
        if 0 < positive.sum() < len(labels):
            curves[name] = (*metrics.roc_curve(positive, scores), metrics.auc(positive, scores))
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


def _known(value: float) -> float | None:
    """Return a plain float, or None for nan, which JSON does not know."""
    return None if math.isnan(value) else float(value)
