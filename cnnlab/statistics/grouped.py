"""Groups of images that belong together (a patient, a camera, a video): the unit of every variance.

Images of one group are alike, so 20 of them say less than 20 others would. Where groups are
declared, influences are summed within a group before they are squared, and quantiles are Student's:
the variance comes from so many groups, not from so many images.

Everywhere ``groups`` is optional: an array (N,) of any dtype, equal values belong together. Without
it, or where no two images share a value, every image stands by itself.

Source:
    Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73
    (1986): sums within a cluster; Bell and McCaffrey, Survey Methodology 28 (2002): the jackknife's
    form of it, right for groups of different size; Carter, Schnepel and Steigerwald, "Asymptotic
    behavior of a t-test robust to cluster heterogeneity", Review of Economics and Statistics 99
    (2017): the effective number of groups, for images of a group that are copies of each other.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import ndtri

from cnnlab.config import InputError

FEW = 20  # effective groups; with fewer some intervals hold in 85 to 92 of 100 test sets
UNSEEN_ERRORS = 0.5  # joins a variance whose errors are few, see ``design_effect``


def numbered(groups: np.ndarray | None, size: int) -> np.ndarray | None:
    """Return the group of each row as a number, in order of first appearance: int64 (N,).

    Args:
        groups: (N,) of any dtype, equal values belong together; or None.
        size: N.

    Returns:
        Numbers from 0; or None where every image stands by itself.

    Raises:
        InputError: There is not one group for each row.

    Example:
        >>> numbered(np.array(["ann", "bob", "ann"]), 3).tolist()
        [0, 1, 0]
    """
    if groups is None:
        return None
    given = np.asarray(groups)
    if given.shape != (size,):
        raise InputError(f"Groups have shape {given.shape}: expected ({size},), one for each row.")
    member, names = pd.factorize(given)
    if (member < 0).any():
        raise InputError(
            f"Row {int(np.argmin(member))} has no group: expected one for every row. An image that "
            "belongs to no other needs a name of its own."
        )
    return None if len(names) == size else member.astype(np.int64)


def influences(rows: np.ndarray, member: np.ndarray | None) -> np.ndarray:
    """Return the influence of each group, float64 (G,), from those of its rows.

    It is G - 1 times what leaving the group out takes from the figure: the sum over its rows as
    a share of the rows that are left. A group of one row among others of one has its row's.

    Args:
        rows: float (N,), by how much each row moves a figure; their mean is 0.
        member: int (N,) from ``numbered``; None gives the rows themselves.
    """
    if member is None:
        return rows
    counts = np.bincount(member)
    totals = np.bincount(member, weights=rows)
    return (len(counts) - 1) * totals / np.maximum(len(rows) - counts, 1)


def standard_error(values: np.ndarray, member: np.ndarray | None) -> float:
    """Return the standard error of the mean of ``values``, float (N,); nan with one group only."""
    if member is None:
        return float(values.std(ddof=1) / np.sqrt(len(values)))
    moves = influences(values - values.mean(), member)
    return float(np.sqrt(np.mean(moves**2) / (len(moves) - 1))) if len(moves) > 1 else float("nan")


def degrees_of_freedom(
    member: np.ndarray | None, weights: np.ndarray | None = None
) -> float | None:
    """Return the effective number of groups less one; None where rows stand by themselves.

    It is G - 1 where all groups weigh the same, and less where a few decide.

    Args:
        member: int (N,) from ``numbered``.
        weights: float (N,), how much each row counts in the figure; equal if None.
    """
    if member is None:
        return None
    squares = np.bincount(member, weights=weights).astype(float) ** 2
    return float(squares.sum() ** 2 / (squares**2).sum() - 1)


def quantile(level: float, degrees: float | None) -> float:
    """Return how many standard errors an interval reaches: normal, or Student's with groups."""
    tail = (1 + level) / 2
    return float(ndtri(tail) if degrees is None else stats.t.ppf(tail, max(degrees, 0.1)))


def effective_size(size: float, level: float, degrees: float | None) -> float:
    """Return the number of images for which a normal quantile reaches as far as Student's does.

    Source:
        Korn and Graubard, Survey Methodology 24 (1998), section 2: n (z / t)².
    """
    if degrees is None:
        return size
    return max(size * (quantile(level, None) / quantile(level, degrees)) ** 2, 1e-6)


def design_effect(rows: np.ndarray, moves: np.ndarray, member: np.ndarray) -> float:
    """Return by how much groups multiply the variance of a figure; at least 1.

    Where hardly an image is wrong, how errors cluster cannot be seen. Half an error more, shared by
    the whole group, joins the variance: nothing seen, and every group counts as one image.

    Args:
        rows: float (N,), influences of the rows; their mean is 0.
        moves: float (G,), influences of the groups.
        member: int (N,) from ``numbered``.

    Source:
        Kish, "Survey Sampling" (1965), section 8.2; as the divisor of a sample size: Rao and Scott,
        "A simple method for the analysis of clustered binary data", Biometrics 48 (1992).
    """
    size, count = len(rows), len(moves)
    alike = float((np.bincount(member) ** 2).sum() / size)  # images in the group of an image
    worst = float((rows**2).max())
    if worst < 1e-18:
        return alike
    unseen = UNSEEN_ERRORS * worst / size**2
    together = (moves**2).sum() / (count * max(count - 1, 1)) + alike * unseen
    apart = (rows**2).sum() / (size * max(size - 1, 1)) + unseen
    return float(max(together / apart, 1.0))


def described(member: np.ndarray | None, size: int) -> dict[str, Any]:
    """Return what intervals over ``size`` images take as independent, for a report.

    Args:
        member: int (N,) from ``numbered``.
        size: N.

    Returns:
        ``unit`` ("image" or "group"), ``groups`` (how many units there are) and ``warning`` (what
        to say where groups are few; None where they suffice, or where the unit is the image).
    """
    if member is None:
        return {"unit": "image", "groups": size, "warning": None}
    return {"unit": "group", "groups": int(member.max()) + 1, "warning": _warning(member)}


def _warning(member: np.ndarray) -> str | None:
    effective, count = (degrees_of_freedom(member) or 0) + 1, int(member.max()) + 1
    if effective >= FEW:
        return None
    if count == 1:
        return (
            "All images are of one group. How a figure differs between groups cannot be seen from "
            "one, so the intervals allow nearly everything. Test on images of more groups."
        )
    even = "" if effective > count - 0.5 else f", worth {effective:.1f} of equal size"
    return (
        f"The intervals rest on {count} groups{even}: too few to tell how much a figure differs "
        "between groups. They are wide, and may still be too narrow. Images of more groups would "
        "help; more images of the same groups would not."
    )
