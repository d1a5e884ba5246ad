"""A linear classifier of rows of numbers: logistic regression on standardised columns.

Its penalty is chosen on rows that do not fit it, and never on those that judge it in the end.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from sklearn import metrics
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_STEPS = 5000  # of the solver, which needs some tens
HIGHER = 1.001  # times the lowest loss: it rises; less may be the solver's inaccuracy

Loss = Callable[[Pipeline, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Choice:
    """A strength and what it was chosen by.

    Attributes:
        strength: scikit-learn's C, with the lowest of the losses; the first of equals.
        losses: Strength → its mean log loss over the parts, in the order tried; empty where there
            were too few rows to choose by.
    """

    strength: float
    losses: dict[float, float] = field(default_factory=dict)


def fitted(
    rows: np.ndarray,
    labels: np.ndarray,
    strength: float,
    *,
    tolerance: float,
    weights: np.ndarray | None = None,
) -> Pipeline:
    """Return a classifier that has learnt the rows.

    Args:
        rows: float (N, F).
        labels: int (N,), of at least two classes.
        strength: scikit-learn's C: a larger one is a weaker penalty.
        tolerance: Of the solver.
        weights: float (N,), above 0: a row counts so many times in the loss. None: once.
    """
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=MAX_STEPS)
    chain = make_pipeline(StandardScaler(), model)
    with _rounding_allowed():
        return chain.fit(rows, labels, logisticregression__sample_weight=weights)


@contextmanager
def _rounding_allowed() -> Iterator[None]:
    """Let the solver end where no step lowers the loss any more by what float32 can tell."""
    ended = r"lbfgs failed to converge after \d+ iteration\(s\) \(status=2\)"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ended, ConvergenceWarning)
        yield


def as_layer(model: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return a classifier as one dense layer with softmax: the standardisation is inside.

    Returns:
        Kernel float32 (F, C) and bias float32 (C,), C in the order of the classes it has learnt:
        softmax(rows @ kernel + bias) is what it predicts, up to rounding.
    """
    scaler, linear = model.named_steps.values()
    kernel, bias = linear.coef_.T.astype(np.float64), linear.intercept_.astype(np.float64)
    if len(linear.classes_) == 2:  # one column, the logit of the second class against the first
        kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.append(-bias / 2, bias / 2)
    kernel = kernel / scaler.scale_[:, None]
    return kernel.astype(np.float32), (bias - scaler.mean_ @ kernel).astype(np.float32)


def choose_strength(
    strengths: Sequence[float],
    rows: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    parts: int,
    seed: int,
    tolerance: float,
    weights: np.ndarray | None = None,
    judging: np.ndarray | None = None,
) -> Choice:
    """Return the strength with the lowest log loss in a cross-validation of some rows.

    Parts are stratified by class and divide no group. Each strength begins where the one before
    it ended. The loss falls along them and rises again: once it does, the rest is not tried.

    Args:
        strengths: Rising, what to choose from.
        rows: float (N, F).
        labels: int (N,), of at least two classes.
        groups: (N,), equal ones stay together.
        parts: Of the cross-validation; fewer where there are fewer rows of every class.
        seed: Decides the parts.
        tolerance: As for ``fitted``.
        weights: As for ``fitted``; the loss counts rows the same way.
        judging: bool (N,), which rows may judge; None: all.

    Returns:
        The choice; the middle of the strengths where there are too few rows to divide.
    """
    counted = np.ones(len(rows)) if weights is None else weights
    judged = np.ones(len(rows), bool) if judging is None else judging
    losses: dict[float, float] = {}
    divided = list(_divided(labels, groups, parts, seed))
    fits = [_Path(rows, labels, counted, judged, *each, tolerance) for each in divided]
    fits = [each for each in fits if each.judges]
    for strength in strengths if fits else ():
        losses[strength] = float(np.mean([each.loss(strength) for each in fits]))
        if losses[strength] > HIGHER * min(losses.values()):
            break
    if not losses:
        return Choice(strengths[len(strengths) // 2])
    return Choice(min(losses, key=lambda each: losses[each]), losses)


def _divided(
    labels: np.ndarray, groups: np.ndarray, parts: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give (learned, judging) positions of each part; none where they cannot be divided."""
    parts = min(parts, len(np.unique(groups)), int(np.bincount(labels).max()))
    if parts < 2:
        return
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class with fewer rows than parts is missing in some
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield from splitter.split(labels, labels, groups)


class _Path:
    """One part of a cross-validation: fitted for one strength after another, and judged."""

    def __init__(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray,
        judged: np.ndarray,
        learned: np.ndarray,
        held: np.ndarray,
        tolerance: float,
    ) -> None:
        known = np.unique(labels[learned])
        # What was not learned has probability 0 at every strength, which says nothing about any.
        held = held[judged[held] & np.isin(labels[held], known)]
        self.judges = len(held) > 0 and len(known) > 1
        if self.judges:
            scaler = StandardScaler().fit(rows[learned])
            self._learned = (scaler.transform(rows[learned]), labels[learned], weights[learned])
            self._held = (scaler.transform(rows[held]), labels[held], weights[held])
        self._model = LogisticRegression(tol=tolerance, max_iter=MAX_STEPS, warm_start=True)

    def loss(self, strength: float) -> float:
        """Return the weighted log loss of the rows that judge."""
        with _rounding_allowed():
            self._model.set_params(C=strength).fit(*self._learned)
        rows, labels, weights = self._held
        given, known = self._model.predict_proba(rows), self._model.classes_
        return float(metrics.log_loss(labels, given, labels=known, sample_weight=weights))


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
