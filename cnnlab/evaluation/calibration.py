"""Temperature scaling: one number that makes probabilities mean what they say.

The network gives softmax probabilities p; served is softmax(log p / T). T above one takes
certainty away, T below one adds some; the order of the classes never changes, so neither does
the accuracy.

Source:
    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 9: log p is the logits up
    to a constant per row, which the softmax ignores; Platt 1999, "Probabilistic Outputs for
    Support Vector Machines", section 2.2, for the targets that no finite sample may call certain.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from cnnlab.config import InputError
from cnnlab.evaluation import metrics
from cnnlab.statistics import grouped

COLDEST, HOTTEST = 0.05, 20.0  # where separable or worthless answers would drive T to 0 or ∞
FOLDS = 5


def apply(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log p / T), as the SavedModel does: the input itself at T = 1.

    Args:
        probabilities: float (N, C), rows sum to one; a 0 stays 0.
        temperature: T > 0.

    Returns:
        float (N, C) of the same dtype.

    Raises:
        InputError: The temperature is not a finite number above 0.

    Example:
        >>> apply(np.array([[0.2, 0.8]]), 0.5).round(3).tolist()
        [[0.059, 0.941]]
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"temperature={temperature} is out of range: expected above 0.")
    if temperature == 1:
        return probabilities
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(probabilities, np.float64))
    return softmax(logs / temperature, axis=1).astype(probabilities.dtype)


def fit_temperature(
    labels: np.ndarray, probabilities: np.ndarray, *, groups: np.ndarray | None = None
) -> float:
    """Return the temperature to serve with, fitted on validation; 1 unless another is safe.

    No fit on a sample can promise a lower log loss elsewhere, and these rows flatter: they chose
    the epoch. So T is fitted as though one image more had been answered wrongly, which keeps a
    handful of errors from allowing any certainty (Platt's smoothed targets do the same). And T = 1
    is left only on evidence from rows that T was not fitted on: the gain in log loss, cross-fitted
    over five folds, must exceed its standard error. No group of images is split between folds, and
    the standard error is that of groups.

    Args:
        labels: int (N,), of images the network was not trained on.
        probabilities: float (N, C), the network's own: no temperature applied.
        groups: (N,), equal values belong together; None: every image stands by itself.

    Returns:
        T in 0.05…20.

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    member = grouped.numbered(groups, len(labels))
    if len(labels) < 2 or (member is not None and not member.any()):
        return 1.0  # a single image, or a single group, has nothing to prove it on
    temperature = optimal_temperature(labels, probabilities, errors=1)
    gains = _cross_fitted_gains(labels, probabilities, member)
    return temperature if gains.mean() > grouped.standard_error(gains, member) else 1.0


def optimal_temperature(
    labels: np.ndarray, probabilities: np.ndarray, *, errors: float = 0
) -> float:
    """Return the T in 0.05…20 with the lowest log loss on these rows; 1 if none is lower.

    The loss is convex in 1/T, so the minimum is the only one. A row whose label has probability 0
    keeps it at every temperature, and so has no say.

    Args:
        labels: int (N,).
        probabilities: float (N, C), no temperature applied.
        errors: So many wrong answers are added, spread evenly over the rows and over the classes
            that are not the label's; 0…N.

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    share = min(errors / len(labels), 1)

    def loss(log_temperature: float) -> float:
        own, others = _losses(labels, probabilities, np.exp(log_temperature))
        return float(((1 - share) * own + share * others).mean())

    found = minimize_scalar(
        loss,
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _losses(
    labels: np.ndarray, probabilities: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return -log of the tempered probability of the label, and the mean over other classes.

    Both float64 (N,). A probability of 0 keeps its loss at every temperature: it counts as 0.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities) / temperature
    losses = np.where(np.isinf(logs), 0.0, logsumexp(logs, axis=1, keepdims=True) - logs)
    own = losses[np.arange(len(labels)), labels]
    return own, (losses.sum(axis=1) - own) / (losses.shape[1] - 1)


def _cross_fitted_gains(
    labels: np.ndarray, probabilities: np.ndarray, member: np.ndarray | None
) -> np.ndarray:
    """Return by how much each row's loss falls, T being fitted on the other folds; float64 (N,)."""
    unit = np.arange(len(labels)) if member is None else member
    first = labels[np.unique(unit, return_index=True)[1]]  # the label of each unit's first row
    fold = np.empty(len(first), int)
    # Dealt out class by class: every fold has its share of each, whatever the order of the rows.
    fold[np.argsort(first, kind="stable")] = np.arange(len(first)) % FOLDS
    gains = np.zeros(len(labels))
    for number in range(min(FOLDS, len(first))):
        held = fold[unit] == number
        temperature = optimal_temperature(labels[~held], probabilities[~held], errors=1)
        plain, _ = _losses(labels[held], probabilities[held], 1.0)
        tempered, _ = _losses(labels[held], probabilities[held], temperature)
        gains[held] = plain - tempered
    return gains
