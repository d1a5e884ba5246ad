"""A linear classifier of rows of numbers: logistic regression on standardised columns.

Its penalty is chosen on rows that do not fit it, and never on those that judge it in the end.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_STEPS = 5000  # of the solver, which needs some tens

Loss = Callable[[Pipeline, np.ndarray, np.ndarray], float]


def fitted(rows: np.ndarray, labels: np.ndarray, strength: float, *, tolerance: float) -> Pipeline:
    """Return a classifier that has learnt the rows.

    Args:
        rows: float (N, F).
        labels: int (N,), of at least two classes.
        strength: scikit-learn's C: a larger one is a weaker penalty.
        tolerance: Of the solver.
    """
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=MAX_STEPS)
    return make_pipeline(StandardScaler(), model).fit(rows, labels)


def best_strength(
    strengths: Sequence[float],
    learned: tuple[np.ndarray, np.ndarray],
    judging: tuple[np.ndarray, np.ndarray],
    loss: Loss,
    *,
    tolerance: float,
) -> float:
    """Return the strength whose fit has the lowest loss; the first of equals.

    Args:
        strengths: What to choose from.
        learned: Rows and labels that fit.
        judging: Rows and labels that judge.
        loss: ``error_rate`` or ``log_loss``.
        tolerance: As for ``fitted``.
    """
    losses = [
        loss(fitted(*learned, strength, tolerance=tolerance), *judging) for strength in strengths
    ]
    return strengths[int(np.argmin(losses))]


def error_rate(model: Pipeline, rows: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows that a classifier gets wrong."""
    return 1 - float(model.score(rows, labels))


def log_loss(model: Pipeline, rows: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative logarithm of the probability that a classifier gives the label."""
    return float(metrics.log_loss(labels, model.predict_proba(rows), labels=model.classes_))
