"""Where a model errs: the worst images, the pairs of classes it confuses, the kinds of image.

Whether a kind of image (dark, small, blurred) goes worse is asked within the classes: if most dark
images are of a hard class, their low accuracy is the class's doing. The adjusted difference is
the Mantel–Haenszel one, and its test compares images of the same class only. It still is an
association: dark images may share something else that makes them hard.

Where images come in groups (of a patient, a camera), what is compared is groups: twenty dark
frames of one video are one dark video. See ``mantel_haenszel`` for both tests.

Source:
    Holm, Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.evaluation import metrics
from cnnlab.evaluation.probabilistic import log_losses
from cnnlab.statistics import grouped, mantel_haenszel

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
    correct: np.ndarray,
    slices: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Compare the accuracy of each slice with that of the same classes outside it.

    Args:
        correct: bool (N,), whether the model is right.
        slices: Name → bool (N,). A slice that holds no image, or all of them, is left out.
        labels: int (N,): images are compared with those of their own class. All equal for a
            plain comparison: p is then that of Fisher's exact test.
        groups: (N,), equal values belong together; None: every image stands by itself. Then p is
            that of a t-test over groups.

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
    member = grouped.numbered(groups, len(labels))
    rows = []
    for name, mask in masks.items():
        if not 0 < mask.sum() < len(mask):
            continue
        accuracy, rest = float(correct[mask].mean()), float(correct[~mask].mean())
        tested = mantel_haenszel.compare(correct, mask, labels, member, LEVEL)
        rows.append((name, int(mask.sum()), accuracy, rest, accuracy - rest, *tested))
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
