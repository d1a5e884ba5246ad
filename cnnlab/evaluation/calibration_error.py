"""How much the expected calibration error moves between test sets of one size.

Around a true gap the observed gap of a bin is normal, and its absolute value folded normal. The
true gaps are the observed ones shrunk by as much as these do not exceed chance, judged by all bins
together and by the mean gap, whichever shrinks less.

Where images come in groups, a group moves several bins at once: the gaps then have a covariance.

Source:
    Leone, Nelson and Nottingham, "The folded normal distribution", Technometrics 3 (1961); the
    covariance of functions of normal variables by Hermite's series (Mehler's formula), two terms.
"""

import numpy as np
from scipy.special import ndtr

from cnnlab.evaluation import weighted


def deviation(gaps: np.ndarray, member: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Return the standard deviation of the calibration error over test sets of this size.

    Args:
        gaps: float (N,), correctness (0 or 1) minus confidence.
        member: int (N,), the bin of each row; no bin is empty.
        groups: int (N,), the group of each row, from ``grouped.numbered``; or None.
    """
    count = np.bincount(member)
    share = count / len(gaps)
    mean = np.bincount(member, weights=gaps) / count
    if groups is None:
        squares = np.bincount(member, weights=gaps**2) / count
        variance = np.maximum(squares - mean**2, 0) / np.maximum(count - 1, 1)
        of_mean = share**2 @ variance
    else:
        covariance = _covariance(gaps - mean[member], member, groups)
        variance, of_mean = np.diagonal(covariance), share @ covariance @ share
    by_bins = 1 - 2 * weighted.ratio(share @ variance, share @ mean**2)
    by_mean = 1 - weighted.ratio(of_mean, gaps.mean() ** 2)
    true = np.abs(mean) * np.sqrt(np.clip(max(by_bins, by_mean), 0, 1))
    spread = np.maximum(np.sqrt(variance), 1e-12)
    distance = true / spread
    folded = spread * np.sqrt(2 / np.pi) * np.exp(-(distance**2) / 2)
    folded += true * (1 - 2 * ndtr(-distance))
    within = share**2 @ np.maximum(true**2 + variance - folded**2, 0)
    if groups is not None:
        within = within + _between_bins(share * spread, distance, covariance)
    between = (share @ true**2 - (share @ true) ** 2) / len(gaps)
    return float(np.sqrt(within + max(between, 0)))


def _covariance(residuals: np.ndarray, member: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the covariance of the bins' mean gaps, float64 (B, B): rows summed within groups."""
    bins, number = int(member.max()) + 1, int(groups.max()) + 1
    sums = np.bincount(groups * bins + member, weights=residuals, minlength=number * bins)
    moves = sums.reshape(number, bins) / np.bincount(member)
    return moves.T @ moves * (number / max(number - 1, 1))


def _between_bins(scale: np.ndarray, distance: np.ndarray, covariance: np.ndarray) -> float:
    """Return what the covariances of bins add to the variance of Σ ``scale`` |X|.

    Args:
        scale: float (B,), factor of each absolute gap times its standard deviation.
        distance: float (B,), true gap in standard deviations.
        covariance: float (B, B), of the gaps.
    """
    spread = np.maximum(np.sqrt(np.diagonal(covariance)), 1e-12)
    correlation = covariance / np.outer(spread, spread)
    np.fill_diagonal(correlation, 0)
    first = scale * (1 - 2 * ndtr(-distance))
    second = scale * 2 * np.exp(-(distance**2) / 2) / np.sqrt(2 * np.pi)
    return float(first @ correlation @ first + second @ correlation**2 @ second / 2)
