"""Temperature scaling: one number that makes probabilities mean what they say.

The network gives softmax probabilities p; served is softmax(log p / T). T above one takes
certainty away, T below one adds some; the order of the classes never changes, so neither does
the accuracy.

Source:
    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 9: log p is the logits up
    to a constant per row, which the softmax ignores.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from cnnlab.config import InputError
from cnnlab.evaluation import metrics

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


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature to serve with, fitted on validation; 1 unless another is safe.

    No fit on a sample can promise a lower log loss elsewhere. T = 1 is left only on evidence
    from rows that T was not fitted on: the gain in log loss, cross-fitted over five folds, must
    exceed its standard error. And without a single error among the rows T does not go below 1:
    nothing then says how far certainty may grow, and the loss of the first error would be huge.

    Args:
        labels: int (N,), of images the network was not trained on.
        probabilities: float (N, C), the network's own: no temperature applied.

    Returns:
        T in 0.05…20. On the given rows its log loss is never above that of T = 1.

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    temperature = optimal_temperature(labels, probabilities)
    flawless = bool((probabilities.argmax(axis=1) == labels).all())
    if len(labels) < 2 or (flawless and temperature < 1):
        return 1.0
    gains = _cross_fitted_gains(labels, probabilities)
    standard_error = gains.std(ddof=1) / np.sqrt(len(gains))
    return temperature if gains.mean() > standard_error else 1.0


def optimal_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the T in 0.05…20 with the lowest log loss on these rows; 1 if none is lower.

    The loss is convex in 1/T, so the minimum is the only one. A row whose label has probability 0
    keeps it at every temperature, and so has no say.

    Args:
        labels: int (N,).
        probabilities: float (N, C), no temperature applied.

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)

    def loss(log_temperature: float) -> float:
        return float(_losses(labels, probabilities, np.exp(log_temperature)).mean())

    found = minimize_scalar(
        loss,
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _losses(labels: np.ndarray, probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return -log of the label's tempered probability, float64 (N,); 0 where it stays 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities) / temperature
    own = logs[np.arange(len(labels)), labels]
    return np.where(np.isinf(own), 0.0, logsumexp(logs, axis=1) - own)


def _cross_fitted_gains(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return by how much each row's loss falls, T being fitted on the other folds; float64 (N,)."""
    fold = np.empty(len(labels), int)
    # Dealt out class by class: every fold has its share of each, whatever the order of the rows.
    fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    gains = np.zeros(len(labels))
    for number in range(min(FOLDS, len(labels))):
        held = fold == number
        temperature = optimal_temperature(labels[~held], probabilities[~held])
        plain = _losses(labels[held], probabilities[held], 1.0)
        gains[held] = plain - _losses(labels[held], probabilities[held], temperature)
    return gains
