"""The limits of shares and of means: formulas for ``intervals`` and whoever needs one.

Source:
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927);
    Hall, "On the removal of skewness by transformation", JRSS B 54 (1992), equation 2.2.
"""

import numpy as np
from scipy.special import ndtri

from cnnlab.statistics import grouped


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


def hall(
    estimate: float, influences: np.ndarray, level: float, degrees: float | None = None
) -> tuple[float, float] | None:
    """Return Hall's limits of a mean of skewed values, or None where the values do not vary.

    Args:
        estimate: The figure.
        influences: float (N,), by how much each row, or group, moves it; their mean is 0.
        level: Coverage aimed at.
        degrees: Of freedom, for Student's quantile; None for the normal one.
    """
    size = len(influences)
    variance = np.mean(influences**2)
    if size < 2 or variance <= (1e-9 * max(abs(estimate), 1e-9)) ** 2:
        return None
    skew = np.mean(influences**3) / variance**1.5 / np.sqrt(size)
    quantiles = grouped.quantile(level, degrees) * np.array([1, -1])
    if abs(skew) > 1e-6:  # without skewness it is the normal interval
        quantiles = 3 / skew * (np.cbrt(1 + skew * (quantiles - skew / 6)) - 1)
    low, high = estimate - quantiles * np.sqrt(variance / (size - 1))
    return float(low), float(high)


def unvaried(estimate: float, worst: float, size: int, level: float) -> tuple[float, float]:
    """Return limits of a mean loss where all rows, or groups, are alike.

    As many of them as Wilson's interval allows could be otherwise: without loss, or at worst.

    Args:
        estimate: The mean loss, 0…worst.
        worst: The largest loss that one can have.
        size: Number of rows or groups.
        level: Coverage aimed at.
    """
    share = 1 - float(wilson(1.0, size, level)[0])
    return estimate * (1 - share), estimate + share * (worst - estimate)
