"""Calibration of every class: where it got a probability of about 30 %, is it the label in 30 %?

``probabilistic`` asks this of the predicted class only. Two classes whose errors cancel, one
overrated and one underrated, show here alone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import metrics

BINS = 5  # of equal width; of 50 images a class, more would leave a handful in each


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], bins: int = BINS
) -> pd.DataFrame:
    """Return one row per class and bin that holds images: what was predicted and what is so.

    Args:
        labels: int (N,).
        probabilities: float (N, C).
        class_names: The C names, in the order of the columns.
        bins: How many bins of equal width share 0…1; the last one includes 1.

    Returns:
        Columns class, low and high (the limits of the bin), count (images that give the class a
        probability in it), predicted (their mean probability of the class) and observed (the share
        whose label it is). Two more say what chance does if each probability is true and images are
        independent: deviation, the standard deviation of ``observed``; and p_value, how likely it
        is to be as far off, two-sided, by the binomial distribution, which is exact where the
        probabilities in a bin are equal and otherwise errs towards 1.

    Raises:
        InputError: The arrays or names do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    if len(class_names) != probabilities.shape[1]:
        raise InputError(
            f"Got {len(class_names)} class names for {probabilities.shape[1]} columns of "
            "probabilities: expected one for each."
        )
    member = np.minimum((probabilities * bins).astype(int), bins - 1)  # (N, C)
    is_class = np.eye(probabilities.shape[1])[labels]
    rows = []
    for c, name in enumerate(class_names):
        own, column = probabilities[:, c], member[:, c]
        for b in np.unique(column):
            inside = column == b
            count = int(inside.sum())
            variance = float((own[inside] * (1 - own[inside]).clip(0)).sum())
            found = (own[inside].mean(), is_class[inside, c].mean(), np.sqrt(variance) / count)
            rows.append((name, b / bins, (b + 1) / bins, count, *map(float, found)))
    columns = ["class", "low", "high", "count", "predicted", "observed", "deviation"]
    cells = pd.DataFrame(rows, columns=columns)
    hits = (cells["observed"] * cells["count"]).round()
    by_chance = stats.binom(cells["count"], cells["predicted"].clip(0, 1))
    tails = np.minimum(by_chance.cdf(hits), by_chance.sf(hits - 1))
    return cells.assign(p_value=np.minimum(2 * tails, 1))


def errors(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the calibration error of every class, and what chance alone would make of it.

    The mean of ``error`` over the classes is classwise-ECE. Fewer bins see less of it, and fewer
    images leave more to chance: ``by_chance`` is about the error that true probabilities get.

    Args:
        cells: From ``reliability``.

    Returns:
        Columns class, error and by_chance, 0…1, in the order of the classes.

    Source:
        Kull et al. 2019, "Beyond temperature scaling" (arXiv 1910.12656), section 2,
        classwise-ECE; a normal deviation has the mean size √(2/π).
    """
    gaps = (cells["observed"] - cells["predicted"]).abs()
    parts = pd.DataFrame(
        {
            "class": cells["class"],
            "count": cells["count"],
            "error": cells["count"] * gaps,
            "by_chance": cells["count"] * cells["deviation"] * np.sqrt(2 / np.pi),
        }
    )
    sums = parts.groupby("class", sort=False).sum()
    return sums[["error", "by_chance"]].div(sums["count"], axis=0).reset_index()
