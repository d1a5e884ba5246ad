"""Percentile intervals of means: how far they could move with other rows of the same kind.

Source:
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3.
"""

import numpy as np


def percentile_intervals(
    values: np.ndarray, *, seed: int, samples: int = 2000, level: float = 0.95
) -> np.ndarray:
    """Return the mean of each line and its percentile limits; all lines are resampled alike.

    Args:
        values: float (K, N): K lines of N values.
        seed: Decides the resamples.
        samples: Number of resamples.
        level: Coverage aimed at, in (0, 1).

    Returns:
        float64 (K, 3): mean, low, high; nan where there is no value.

    Example:
        >>> percentile_intervals(np.array([[1.0, 1.0]]), seed=0)
        array([[1., 1., 1.]])
    """
    size = values.shape[1]
    if not size:
        return np.full((len(values), 3), np.nan)
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), samples)
    means = values @ drawn.T / size  # (K, samples)
    tails = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return np.column_stack([values.mean(axis=1), *tails])
