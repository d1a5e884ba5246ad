"""How good the probabilities are: log loss, Brier score, calibration error, reliability table.

Calibration is asked of the predicted class only: of the images answered with about 80 %, are about
80 % right? Bins hold equal numbers of images, so that none rests on a handful.
"""

import numpy as np
import pandas as pd

from cnnlab.evaluation import metrics

EPSILON = 1e-7  # float32 resolves no probability nearer to 1: the least that log loss sees
BINS = 15


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return each row's -ln of its label's probability, clipped at ``EPSILON``: float64 (N,)."""
    labels, probabilities = metrics.checked(labels, probabilities)
    return -np.log(np.clip(probabilities[np.arange(len(labels)), labels], EPSILON, 1))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean log loss, natural logarithm, in 0…16.1 (that is -ln of ``EPSILON``)."""
    return float(log_losses(labels, probabilities).mean())


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return each row's squared distance from the right answer, summed over classes: (N,)."""
    labels, probabilities = metrics.checked(labels, probabilities)
    return ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the multiclass Brier score, in 0 (certain and right) … 2 (certain and wrong).

    Source:
        Brier 1950, "Verification of forecasts expressed in terms of probability", equation 2.
    """
    return float(brier_scores(labels, probabilities).mean())


def binned(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return confidence, correctness and bin of every row.

    Equal confidences share a bin, so there may be fewer bins than asked for, and none is empty.

    Args:
        labels: int (N,).
        probabilities: float (N, C).
        bins: At most this many; each holds about N / bins rows.

    Returns:
        float64 (N,) in 0…1, bool (N,) and int64 (N,) from 0, bins in order of confidence.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    confidence = probabilities.max(axis=1)
    ordered = np.sort(confidence)
    cuts = np.rint(np.linspace(0, len(labels), min(bins, len(labels)) + 1)[1:-1]).astype(int)
    starts = np.unique(ordered[cuts])
    starts = starts[starts > ordered[0]]  # the lowest confidence of every bin but the first
    hits = probabilities.argmax(axis=1) == labels
    return confidence, hits, np.searchsorted(starts, confidence, side="right")


def ece(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: mean |accuracy - confidence| over equal-mass bins.

    It is biased upwards: chance alone opens gaps, so a perfectly calibrated network does not get
    0 but ``ece_if_calibrated``, some 0.06 at 400 images and an accuracy of 0.7. Compare figures of
    equally many images only, and read them beside that floor.

    Returns:
        A number in 0…1.

    Source:
        Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning";
        Guo et al. 2017, "On calibration of modern neural networks", equation 3; equal-mass bins:
        Nixon et al. 2019, "Measuring calibration in deep learning".
    """
    confidence, hits, member = binned(labels, probabilities, bins)
    return float(np.abs(np.bincount(member, weights=hits - confidence)).sum() / len(hits))


def ece_if_calibrated(probabilities: np.ndarray, bins: int = BINS) -> float:
    """Return about the ``ece`` that these confidences would get if each were exactly true.

    The gap of a bin is then about normal around 0, and the mean size of a normal deviation is
    √(2/π) standard deviations.
    """
    anything = np.zeros(len(probabilities), np.int64)
    confidence, _, member = binned(anything, probabilities, bins)
    variances = np.bincount(member, weights=confidence * (1 - confidence).clip(0))
    return float(np.sqrt(2 / np.pi * variances).sum() / len(confidence))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Return one row per bin: what was promised and what came true.

    Returns:
        Columns low, high (lowest and highest confidence in the bin), count, confidence (mean) and
        accuracy.
    """
    confidence, hits, member = binned(labels, probabilities, bins)
    rows = pd.DataFrame({"confidence": confidence, "hit": hits}).groupby(member)
    return pd.DataFrame(
        {
            "low": rows["confidence"].min(),
            "high": rows["confidence"].max(),
            "count": rows.size(),
            "confidence": rows["confidence"].mean(),
            "accuracy": rows["hit"].mean(),
        }
    )
