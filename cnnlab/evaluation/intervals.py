"""Intervals of the headline figures: how far each could move with other images of the same kind.

Each figure has the method that held what it promises in simulation (``benchmarks/coverage.py``): of
many test sets, 93 to 97 in 100 give an interval of level 0.95 that holds the true figure.

* accuracy: Wilson's score interval;
* macro and weighted precision, recall and F1: Wilson's with the effective number of images (too
  narrow or too wide by two points for precision where a class is predicted some ten times);
* AUC, log loss: Hall's interval for the mean of skewed values. For the AUC one more row joins the
  variance, three quarters as influential as the worst, for the rare error not seen yet;
* Brier score: the mean of Hall's limits (a little wide) and Wilson's (a little narrow);
* ECE: about the figure that other test sets *of this size* give on average. That is more than the
  true calibration error, which no interval around a biased figure can be trusted to hold.

Rows are taken as independent. None has zero width: where nothing varies, as many rows may yet be
otherwise as Wilson's interval allows after n of n.

Source:
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927);
    Hall, "On the removal of skewness by transformation", JRSS B 54 (1992), equation 2.2;
    effective size: Korn and Graubard, Survey Methodology 24 (1998).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from cnnlab.config import InputError
from cnnlab.evaluation import influence, metrics, probabilistic, weighted

METHODS = {
    "accuracy": "wilson",
    **dict.fromkeys(
        [f"{kind}_{name}" for kind in ("macro", "weighted") for name in metrics.SCORES],
        "wilson with the effective number of images",
    ),
    "macro_auc": "hall on delong's components",
    "micro_auc": "hall on delong's components, by image",
    "log_loss": "hall",
    "brier": "mean of hall's and wilson's limits",
    "ece": "log-normal, of the figure expected at this number of images",
}
UNSEEN = 0.75  # influence of the row that joins an AUC's variance, in that of the worst row


@dataclass(frozen=True)
class Interval:
    """A figure and the limits of its interval; nan where the figure is undefined."""

    estimate: float
    low: float
    high: float


def wilson(
    share: np.ndarray | float, size: np.ndarray | float, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's limits for a share seen among ``size`` images, both in 0…1.

    Example:
        >>> low, high = wilson(1.0, 100)  # flawless, yet not proven to be
        >>> f"{low:.3f} {high:.3f}"
        '0.963 1.000'
    """
    share, size = np.asarray(share, float), np.asarray(size, float)
    z2 = ndtri((1 + level) / 2) ** 2
    centre = share + z2 / (2 * size)
    half = np.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2)))
    scale = 1 + z2 / size
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def headlines(
    labels: np.ndarray, probabilities: np.ndarray, *, level: float = 0.95
) -> dict[str, Interval]:
    """Return every headline figure with its interval, by the names of ``METHODS``.

    Raises:
        InputError: The arrays do not fit, or the level is out of range.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level} is out of range: expected between 0 and 1.")
    labels, probabilities = metrics.checked(labels, probabilities)
    counts = metrics.confusion(labels, probabilities)
    accuracy = float(weighted.accuracy(counts))
    found = {"accuracy": _share(accuracy, len(labels), level)}
    support = counts.sum(axis=1) / len(labels)
    scores = (weighted.precision(counts), weighted.recall(counts), weighted.f1(counts))
    sizes = influence.effective_sizes(counts)
    for kind, shares in (("macro", np.full(len(counts), 1 / len(counts))), ("weighted", support)):
        for name, score in zip(metrics.SCORES, scores, strict=True):
            key = f"{kind}_{name}"
            found[key] = _share(min(float(score @ shares), 1.0), sizes[key], level)
    for average in (influence.macro_auc, influence.micro_auc):
        loss, influences = average(labels, probabilities)
        found[average.__name__] = _auc(loss, influences, level)
    losses = probabilistic.log_losses(labels, probabilities)
    found["log_loss"] = _loss(losses, -np.log(probabilistic.EPSILON), level)
    found["brier"] = _brier(probabilistic.brier_scores(labels, probabilities), level)
    found["ece"] = _ece(labels, probabilities, level)
    return found


def f1_per_class(counts: np.ndarray, level: float = 0.95) -> list[Interval]:
    """Return the interval of each class's F1.

    Among the images that are of the class or are called so, the share J of those that are both is
    a plain proportion; F1 is 2 J / (1 + J), so Wilson's limits of J give those of F1.

    Args:
        counts: int (C, C) confusion counts, rows are true classes.
        level: Coverage aimed at.
    """
    both = np.diagonal(counts)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    low, high = wilson(weighted.ratio(both, either), np.maximum(either, 1), level)
    high = np.where(either > 0, high, 1)  # nothing seen, nothing known
    columns = (weighted.f1(counts), 2 * low / (1 + low), 2 * high / (1 + high))
    return [Interval(*row) for row in np.stack(columns, axis=1).tolist()]


def _share(figure: float, size: float, level: float) -> Interval:
    low, high = wilson(figure, size, level)
    return Interval(figure, min(float(low), figure), max(float(high), figure))


def hall(estimate: float, influences: np.ndarray, level: float) -> tuple[float, float] | None:
    """Return Hall's limits of a mean of skewed values, or None where the values do not vary.

    Args:
        estimate: The figure.
        influences: float (N,), by how much each row moves it; their mean is 0.
        level: Coverage aimed at.
    """
    size = len(influences)
    variance = np.mean(influences**2)
    if size < 2 or variance <= (1e-9 * max(abs(estimate), 1e-9)) ** 2:
        return None
    skew = np.mean(influences**3) / variance**1.5 / np.sqrt(size)
    quantiles = ndtri((1 + level) / 2) * np.array([1, -1])
    if abs(skew) > 1e-6:  # without skewness it is the normal interval
        quantiles = 3 / skew * (np.cbrt(1 + skew * (quantiles - skew / 6)) - 1)
    low, high = estimate - quantiles * np.sqrt(variance / (size - 1))
    return float(low), float(high)


def _loss(values: np.ndarray, worst: float, level: float) -> Interval:
    """Return the interval of the mean of losses in 0…worst."""
    estimate = float(values.mean())
    limits = hall(estimate, values - estimate, level)
    low, high = limits or _unvaried(estimate, worst, len(values), level)
    return Interval(estimate, max(low, 0.0), min(high, worst))


def _unvaried(estimate: float, worst: float, size: int, level: float) -> tuple[float, float]:
    """Return limits where all rows are alike: a few could be otherwise, without or at worst."""
    share = 1 - float(wilson(1.0, size, level)[0])
    return estimate * (1 - share), estimate + share * (worst - estimate)


def _auc(loss: float, influences: np.ndarray, level: float) -> Interval:
    """Return the interval of 1 - loss."""
    if np.isnan(loss):
        return Interval(np.nan, np.nan, np.nan)
    unseen = UNSEEN * influences.max()
    limits = hall(loss, np.append(influences, unseen), level)
    low, high = limits or _unvaried(loss, 1.0, len(influences), level)
    return Interval(1 - float(loss), 1 - min(high, 1.0), 1 - max(low, 0.0))


def _brier(values: np.ndarray, level: float) -> Interval:
    found = _loss(values, 2.0, level)
    half, variance = found.estimate / 2, values.var() / 4 / max(len(values) - 1, 1)
    if variance == 0 or not 0 < half < 1:
        return found
    low, high = wilson(half, half * (1 - half) / variance, level)
    return Interval(found.estimate, found.low / 2 + float(low), found.high / 2 + float(high))


def _ece(labels: np.ndarray, probabilities: np.ndarray, level: float) -> Interval:
    confidence, hits, member = probabilistic.binned(labels, probabilities)
    estimate = probabilistic.ece(labels, probabilities)
    deviation = influence.ece_deviation(hits - confidence, member)
    if estimate < 1e-9 or deviation < 1e-9:
        return Interval(estimate, *_unvaried(estimate, 1.0, len(hits), level))
    reach = float(ndtri((1 + level) / 2)) * deviation
    factor = float(np.exp(min(reach / estimate, 50)))
    high = min(estimate * factor, estimate + 4 * reach, 1.0)  # an estimate may be near 0 by luck
    return Interval(estimate, estimate / factor, high)
