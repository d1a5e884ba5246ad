"""Bootstrap intervals of any figure: how far it could move with another test set of this size.

Rows, or whole groups of rows that belong together, are drawn with replacement; the limits are the
bias-corrected and accelerated (BCa) ones. Over G groups they are taken further out, by Student's
quantile and √(G / (G - 1)): a resample of few groups varies less than new groups would. Of ten
groups they still are too narrow (80 % instead of 95 % for a macro average precision), of 30 hardly.
For figures near their bound they are too narrow (a macro AUC: 92 % instead of 95 % at 100 images),
and where every resample gives the same figure they have no width: ``intervals`` has better ones
for the headlines. This is for figures that have no limits of their own.

Source:
    Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987), section 3;
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), eq. 14.9–14.15;
    groups: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8;
    the expanded percentiles: Hesterberg, "What Teachers Should Know About the Bootstrap", The
    American Statistician 69 (2015).
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import ndtr, ndtri

from cnnlab.config import InputError
from cnnlab.evaluation import metrics, weighted
from cnnlab.evaluation.intervals import Interval
from cnnlab.statistics import grouped

METHOD = "bca bootstrap"
MAX_CELLS = 2_000_000  # of one block of resamples: bounds the memory to some tens of MB
MAX_LEFT_OUT = 500  # jackknife groups: enough for the acceleration, which shrinks as 1/√N

Statistic = Callable[[np.ndarray, np.ndarray], float]
# (labels (N,), probabilities (N, C), weights (R, N)) → the figures of R resamples (R, K)
Replicates = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def bootstrap(
    statistic: Statistic,
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    samples: int,
    seed: int,
    level: float = 0.95,
    groups: np.ndarray | None = None,
) -> Interval:
    """Return a figure with its bootstrap interval.

    Args:
        statistic: Any function of (labels, probabilities), such as ``metrics.macro_f1``.
        labels: int (N,).
        probabilities: float (N, C).
        samples: Number of resamples; 1,000 or more for stable limits.
        seed: Decides the resamples: the same seed gives the same interval.
        level: Coverage aimed at, in (0, 1).
        groups: (N,), equal values are drawn together; None: every row by itself.

    Raises:
        InputError: The arrays do not fit, or samples or level are out of range.

    Example:
        >>> labels, probabilities = np.array([0, 1] * 50), np.tile([[0.9, 0.1]], (100, 1))
        >>> bootstrap(metrics.accuracy, labels, probabilities, samples=500, seed=0).estimate
        0.5
    """

    def replicates(labels: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        drawn = (np.repeat(np.arange(len(labels)), count) for count in weights.astype(int))
        return np.array([[statistic(labels[index], rows[index])] for index in drawn])

    return _intervals(replicates, labels, probabilities, samples, seed, level, groups)[0]


def average_precisions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    samples: int,
    seed: int,
    level: float = 0.95,
    groups: np.ndarray | None = None,
) -> list[Interval]:
    """Return the intervals of average precision: one for each class, the macro mean last.

    The same limits as ``bootstrap`` gives, some twenty times faster.

    Raises:
        InputError: The arrays do not fit, or samples or level are out of range.
    """

    def replicates(labels: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        columns = [
            weighted.average_precision(labels == c, scores, weights)
            for c, scores in enumerate(rows.T)
        ]
        found = np.stack(columns, axis=1)  # (R, C)
        return np.column_stack([found, weighted.defined_mean(found)])

    return _intervals(replicates, labels, probabilities, samples, seed, level, groups)


def _intervals(
    replicates: Replicates,
    labels: np.ndarray,
    probabilities: np.ndarray,
    samples: int,
    seed: int,
    level: float,
    groups: np.ndarray | None,
) -> list[Interval]:
    """Return one interval for each of the K figures that ``replicates`` computes."""
    if samples < 2 or not 0 < level < 1:
        raise InputError(
            f"samples={samples}, level={level}: expected at least 2 and between 0 and 1."
        )
    labels, probabilities = metrics.checked(labels, probabilities)
    size = len(labels)
    member = grouped.numbered(groups, size)
    units = size if member is None else int(member.max()) + 1
    rows_at_once = max(1, MAX_CELLS // size)

    def figures(blocks: Iterator[np.ndarray]) -> np.ndarray:
        rows = blocks if member is None else (block[:, member] for block in blocks)
        return np.concatenate([replicates(labels, probabilities, block) for block in rows])

    estimates = figures(iter([np.ones((1, units))]))[0]  # (K,)
    resampled = figures(_drawn(units, samples, seed, rows_at_once))  # (samples, K)
    if units == 1:  # nothing can be left out, and nothing is known of other groups
        left_out = np.empty((0, len(estimates)))
    else:
        left_out = figures(_left_out(units, rows_at_once))  # (units or parts of them, K)
    if member is not None and units == 1:
        return [Interval(float(estimate), np.nan, np.nan) for estimate in estimates]
    tails = _tails(level, member)
    return [
        _limits(float(estimate), resampled[:, k], left_out[:, k], tails)
        for k, estimate in enumerate(estimates)
    ]


def _tails(level: float, member: np.ndarray | None) -> np.ndarray:
    """Return the two normal quantiles to aim at: further out where few groups are drawn."""
    if member is None:
        return ndtri([(1 - level) / 2, (1 + level) / 2])
    units = int(member.max()) + 1
    reach = grouped.quantile(level, grouped.degrees_of_freedom(member))
    return reach * np.sqrt(units / max(units - 1, 1)) * np.array([-1, 1])


def _drawn(units: int, samples: int, seed: int, step: int) -> Iterator[np.ndarray]:
    """Yield blocks of up to ``step`` resamples as multiplicities, float64 (R, units)."""
    generator = np.random.default_rng(seed)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = generator.integers(units, size=(rows, units))
        drawn += units * np.arange(rows)[:, None]  # so that one bincount counts all resamples
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(float)


def _left_out(units: int, step: int) -> Iterator[np.ndarray]:
    """Yield blocks in which each row leaves out one unit, or one part of the units."""
    parts = min(units, MAX_LEFT_OUT)
    part = np.arange(units) % parts
    for start in range(0, parts, step):
        block = np.arange(start, min(start + step, parts))
        yield (part != block[:, None]).astype(float)


def _limits(
    estimate: float, resampled: np.ndarray, left_out: np.ndarray, tails: np.ndarray
) -> Interval:
    """Return the BCa limits; plain percentiles where the corrections are not defined."""
    # A resample may lack what the figure needs (a class, for its AUC): it says nothing then.
    resampled, left_out = resampled[~np.isnan(resampled)], left_out[~np.isnan(left_out)]
    if np.isnan(estimate) or not len(resampled):
        return Interval(estimate, float("nan"), float("nan"))
    below = np.mean(resampled < estimate) + np.mean(resampled == estimate) / 2
    bias = ndtri(below)  # z₀, infinite if no resample lies on one side
    gaps = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    spread = np.sum(gaps**2) ** 1.5
    acceleration = np.sum(gaps**3) / (6 * spread) if spread > 0 else 0.0
    if not np.isfinite(bias):
        bias = acceleration = 0.0
    shifted = bias + tails
    low, high = np.quantile(resampled, ndtr(bias + shifted / (1 - acceleration * shifted)))
    return Interval(estimate, float(low), float(high))
