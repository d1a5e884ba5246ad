"""Where a model errs: the worst images, the pairs of classes it confuses, the kinds of image.

Whether a kind of image (dark, small, blurred) goes worse is asked within the classes: if most dark
images are of a hard class, their low accuracy is the class's doing. The adjusted difference is
the Mantel–Haenszel one, and its test compares images of the same class only. It still is an
association: dark images may share something else that makes them hard.

Source:
    Sato, Greenland and Robins, "On the variance estimator for the Mantel–Haenszel risk
    difference", Biometrics 45 (1989): the variance; Agresti and Caffo, The American Statistician
    54 (2000): two added successes and failures, for intervals that hold near 100 %; Holm,
    Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import metrics
from cnnlab.evaluation.probabilistic import log_losses

LEVEL = 0.95
SHARE = 0.2  # of the images: what "fifth" in a slice's name means

# feature → what its lowest and its highest fifth are called
SLICE_NAMES = {
    "brightness": ("darkest fifth", "brightest fifth"),
    "contrast": ("palest fifth", "fifth of most contrast"),
    "sharpness": ("blurriest fifth", "grainiest fifth"),
    "size": ("smallest fifth", "largest fifth"),
}


def highest_losses(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Return the images the model is most wrongly sure about, the worst first: int64 (≤ count,).

    Equal losses keep the order of the rows.
    """
    return np.argsort(-log_losses(labels, probabilities), kind="stable")[:count]


def confused_pairs(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """Return the pairs of classes that are taken for each other, the most errors first.

    Args:
        labels: int (N,) in 0…C-1.
        probabilities: float (N, C).
        class_names: The C names, in the order of the columns.

    Returns:
        Columns first, second (names; the first comes earlier in ``class_names``), first_as_second
        and second_as_first (images), errors (their sum), rate (errors ÷ images of both
        classes, 0…1). Pairs without an error are left out.

    Raises:
        InputError: The arrays or names do not fit together.
    """
    counts = metrics.confusion(labels, probabilities)
    if len(class_names) != len(counts):
        raise InputError(f"{len(class_names)} class names for {len(counts)} classes.")
    a, b = np.triu_indices(len(counts), k=1)
    errors, images = counts[a, b] + counts[b, a], counts.sum(axis=1)
    names = np.array(class_names, dtype=object)
    table = pd.DataFrame(
        {
            "first": names[a],
            "second": names[b],
            "first_as_second": counts[a, b],
            "second_as_first": counts[b, a],
            "errors": errors,
            "rate": errors / np.maximum(images[a] + images[b], 1),
        }
    )
    ordered = table.sort_values(["errors", "rate"], ascending=False, kind="stable")
    return ordered[ordered["errors"] > 0].reset_index(drop=True)


def confused_images(
    labels: np.ndarray, probabilities: np.ndarray, label: int, predicted: int, count: int
) -> np.ndarray:
    """Return images of one class taken for another, the most certain error first: int64."""
    labels, probabilities = metrics.checked(labels, probabilities)
    rows = np.flatnonzero((labels == label) & (probabilities.argmax(axis=1) == predicted))
    return rows[np.argsort(-probabilities[rows, predicted], kind="stable")][:count]


def quantile_slices(features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the lowest and highest fifth of the images by each feature.

    Args:
        features: Name → numbers (N,); nan is in no slice. See ``SLICE_NAMES`` for the names that
            have words of their own.

    Returns:
        Name of the slice → bool (N,). Images that equal the limit are in, so a slice may be
        larger than a fifth; one of more than twice that (a feature that hardly varies) is left out.

    Example:
        >>> list(quantile_slices({"brightness": np.arange(100)}))
        ['darkest fifth', 'brightest fifth']
    """
    found = {}
    for feature, given in features.items():
        values = np.asarray(given, float)
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        low, high = np.quantile(known, [SHARE, 1 - SHARE])
        plain = (f"lowest fifth by {feature}", f"highest fifth by {feature}")
        names = SLICE_NAMES.get(feature, plain)
        for name, mask in zip(names, (values <= low, values >= high), strict=True):
            if mask.sum() <= 2 * SHARE * len(known):
                found[name] = mask
    return found


def slice_scores(
    correct: np.ndarray, slices: Mapping[str, np.ndarray], labels: np.ndarray
) -> pd.DataFrame:
    """Compare the accuracy of each slice with that of the same classes outside it.

    Args:
        correct: bool (N,), whether the model is right.
        slices: Name → bool (N,). A slice that holds no image, or all of them, is left out.
        labels: int (N,): images are compared with those of their own class. All equal for a
            plain comparison: p is then that of Fisher's exact test.

    Returns:
        A row a slice: slice, n, accuracy, rest (accuracy of the others), difference (of these
        two), adjusted (the same within classes), low and high (its 95 % interval, each slice for
        itself), p (two-sided), p_holm (corrected for the number of slices), worse (p_holm < 0.05
        and adjusted < 0). Where no class has images on both sides, adjusted, low and high are nan
        and p is 1.

    Raises:
        InputError: The arrays do not fit together.
    """
    correct, labels = np.asarray(correct), np.asarray(labels)
    masks = {name: np.asarray(mask) for name, mask in slices.items()}
    for name, mask in {"correct": correct, **masks}.items():
        if mask.dtype != bool or mask.shape != labels.shape or labels.ndim != 1:
            raise InputError(f"{name}: {mask.dtype} {mask.shape}: expected bool {labels.shape}.")
    rows = []
    for name, mask in masks.items():
        if not 0 < mask.sum() < len(mask):
            continue
        accuracy, rest = float(correct[mask].mean()), float(correct[~mask].mean())
        counts = _counts(correct, mask, labels)
        adjusted, low, high = _adjusted(counts)
        rows.append((name, int(mask.sum()), accuracy, rest, accuracy - rest,
                     adjusted, low, high, _exact_p(counts)))  # fmt: skip
    columns = ["slice", "n", "accuracy", "rest", "difference", "adjusted", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy(float))
    table["worse"] = (table["p_holm"] < 1 - LEVEL) & (table["adjusted"] < 0)
    return table


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values corrected for their number by Holm's step-down method: float64 (K,)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _counts(correct: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (4, K) for the K classes that have images inside and outside the slice.

    The rows: right inside, images inside, right outside, images outside.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    parts = (mask & correct, mask, ~mask & correct, ~mask)
    counts = np.stack([np.bincount(classes[part], minlength=classes.max() + 1) for part in parts])
    return counts[:, (counts[1] > 0) & (counts[3] > 0)]


def _adjusted(counts: np.ndarray) -> tuple[float, float, float]:
    """Return the Mantel–Haenszel difference of accuracies and its interval."""
    if not counts.size:
        return float("nan"), float("nan"), float("nan")
    estimate, _ = _mantel_haenszel(*counts.astype(float))
    x, n, y, m = counts.astype(float)
    # One success and one failure more on each side, spread over the classes like its images.
    inside, outside = n / n.sum(), m / m.sum()
    centre, error = _mantel_haenszel(x + inside, n + 2 * inside, y + outside, m + 2 * outside)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
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
    """Return the two-sided p value of 'within each class, being in the slice changes nothing'.

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
