"""Are some of the images answered better or worse than images of the same classes outside them?

The difference of accuracies is the Mantel–Haenszel one: taken within each class, classes weighted
by how much they can tell. Its test is exact.

Where images come in groups, the interval comes from leaving out each group in turn. The test is a
t-test of the groups' parts of the Mantel–Haenszel numerator, which are 0 on average if being inside
changes nothing. Both use Student's quantile for the effective number of groups (``grouped``).

Source:
    Mantel and Haenszel, Journal of the National Cancer Institute 22 (1959); Sato, Greenland and
    Robins, "On the variance estimator for the Mantel–Haenszel risk difference", Biometrics 45
    (1989): the variance; Agresti and Caffo, The American Statistician 54 (2000): two added
    successes and failures, for intervals that hold near 100 %. Groups: Efron and Tibshirani, "An
    Introduction to the Bootstrap" (1993), eq. 11.5, the jackknife, over groups; Rao and Scott,
    "A simple method for the analysis of clustered binary data", Biometrics 48 (1992), for the idea
    of Mantel–Haenszel tests with the variance of clusters.
"""

import numpy as np
from scipy import stats

from cnnlab.statistics import grouped


def compare(
    correct: np.ndarray,
    mask: np.ndarray,
    labels: np.ndarray,
    member: np.ndarray | None,
    level: float,
) -> tuple[float, float, float, float]:
    """Return the difference of accuracies within classes, the limits of its interval, and p.

    Args:
        correct: bool (N,), whether the model is right.
        mask: bool (N,), which images are compared with the others.
        labels: int (N,), the class of each image.
        member: int (N,), the group of each image, from ``grouped.numbered``; or None.
        level: Of the interval, in (0, 1).

    Returns:
        Difference, low and high, nan where no class has images inside and outside; and the
        two-sided p value, then 1.
    """
    counts = _counts(correct, mask, labels)
    difference, low, high = _adjusted(counts, level)
    if member is None or not counts.size:
        return difference, low, high, _exact_p(counts)
    scores, weights = _scores(correct, mask, labels)
    degrees = grouped.degrees_of_freedom(member, weights)
    error = _jackknife_error(correct, mask, labels, member, level)
    reach = grouped.quantile(level, degrees) * error
    centre = (low + high) / 2
    p = _grouped_p(np.bincount(member, weights=scores), degrees)
    return difference, max(centre - reach, -1.0), min(centre + reach, 1.0), p


def _jackknife_error(
    correct: np.ndarray, mask: np.ndarray, labels: np.ndarray, member: np.ndarray, level: float
) -> float:
    """Return the standard error of the interval's centre; infinite where one group decides."""
    centres = []
    for number in range(int(member.max()) + 1):
        left = member != number
        _, low, high = _adjusted(_counts(correct[left], mask[left], labels[left]), level)
        centres.append((low + high) / 2)
    if np.isnan(centres).any():  # without this group nothing is left to compare
        return float("inf")
    return float(np.sqrt((len(centres) - 1) * np.var(centres)))


def _scores(
    correct: np.ndarray, mask: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's part of the Mantel–Haenszel numerator, and how much it could be: (N,)."""
    classes = np.unique(labels, return_inverse=True)[1]
    size = np.bincount(classes)
    inside = mask - (np.bincount(classes, weights=mask) / size)[classes]
    right = correct - (np.bincount(classes, weights=correct) / size)[classes]
    return inside * right, np.abs(inside)


def _grouped_p(parts: np.ndarray, degrees: float | None) -> float:
    """Return the two-sided p value of a t-test of 'the groups' parts are 0 on average'."""
    squares, count = float((parts**2).sum()), len(parts)
    if squares < 1e-18:
        return 1.0
    # The t statistic of the mean of G values, from their sum and their sum of squares.
    normed = float(parts.sum()) ** 2 / squares  # in 0…G
    t = np.sqrt(normed * (count - 1) / max(count - normed, 1e-12))
    return float(2 * stats.t.sf(t, max(degrees or 0.0, 0.1)))


def _counts(correct: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (4, K) for the K classes that have images inside and outside.

    The rows: right inside, images inside, right outside, images outside.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    parts = (mask & correct, mask, ~mask & correct, ~mask)
    counts = np.stack([np.bincount(classes[part], minlength=classes.max() + 1) for part in parts])
    return counts[:, (counts[1] > 0) & (counts[3] > 0)]


def _adjusted(counts: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return the Mantel–Haenszel difference of accuracies and its interval."""
    if not counts.size:
        return float("nan"), float("nan"), float("nan")
    estimate, _ = _mantel_haenszel(*counts.astype(float))
    x, n, y, m = counts.astype(float)
    # One success and one failure more on each side, spread over the classes like its images.
    inside, outside = n / n.sum(), m / m.sum()
    centre, error = _mantel_haenszel(x + inside, n + 2 * inside, y + outside, m + 2 * outside)
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    return estimate, centre - reach, centre + reach


def _mantel_haenszel(
    x: np.ndarray, n: np.ndarray, y: np.ndarray, m: np.ndarray
) -> tuple[float, float]:
    """Return the difference x/n - y/m pooled over strata, and its standard error (Sato 1989)."""
    whole = n + m
    weight = np.sum(n * m / whole)
    difference = np.sum((x * m - y * n) / whole) / weight
    p = np.sum(y * (n / whole) ** 2 - x * (m / whole) ** 2 + n * m * (m - n) / whole**2 / 2)
    q = np.sum((x * (m - y) + y * (n - x)) / whole) / 2
    return float(difference), float(np.sqrt(max(difference * p + q, 0.0))) / float(weight)


def _exact_p(counts: np.ndarray) -> float:
    """Return the two-sided p value of 'within each class, being inside changes nothing'.

    Given each class's counts, the number right inside is then hypergeometric, and the sum over
    classes has the convolution of these distributions.
    """
    total = np.ones(1)
    observed = 0
    for right_in, inside, right_out, outside in counts.T:
        right, whole = right_in + right_out, inside + outside
        lowest = max(0, inside - (whole - right))
        possible = np.arange(lowest, min(inside, right) + 1)
        total = np.convolve(total, stats.hypergeom.pmf(possible, whole, right, inside))
        observed += right_in - lowest
    likely = total[int(observed)] * (1 + 1e-7)  # what differs by rounding is as likely
    return float(min(1.0, total[total <= likely].sum()))
