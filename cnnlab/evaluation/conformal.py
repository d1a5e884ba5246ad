"""Prediction sets: the classes that an image may well show, right in a promised share of cases.

Split conformal prediction with the score 1 - p of the true class: a set holds every class whose
probability reaches one threshold. Among all sets of the same coverage these are the smallest on
average, and whoever serves the model needs one comparison only, without sums and random draws.
The price: the promise holds over all images, not within each class; see ``coverage_per_class``.

The promise needs images that the network was not trained on, drawn as the later ones are. Where
images come in groups (of a patient, a camera), it is about the images of a new group, and groups
are what was drawn: each weighs the same, however many images it has.

The comparison, for any language: the probability as float32, widened to float64, is at least the
threshold, a float64. The most probable class, the first if several are equal, is always a member.

Source:
    Sadinle, Lei and Wasserman 2019, "Least Ambiguous Set-Valued Classifiers with Bounded Error
    Levels"; Angelopoulos and Bates 2021, "A Gentle Introduction to Conformal Prediction",
    section 1 and theorem D.1 (the quantile ⌈(n+1)(1-α)⌉/n); groups: Lee, Barber and Willett 2023,
    "Distribution-free inference with hierarchical data", hierarchical conformal
    prediction: the quantile of Σ δ(score) / ((K+1) N_k) + δ(∞) / (K+1) over K groups of N_k images.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.config import InputError
from cnnlab.evaluation import metrics
from cnnlab.statistics import grouped

SCORE = "lac"  # of least ambiguous classifiers: 1 - p of the true class


@dataclass(frozen=True)
class SetRule:
    """What turns probabilities into prediction sets.

    Attributes:
        coverage: Share of the sets that shall hold the true class, in (0, 1).
        threshold: Probability from which on a class belongs to the set, 0…1.
        calibrated_on: Number of images the threshold comes from.
        score: Always "lac".

    Raises:
        InputError: One of them is out of range, or the score is another.
    """

    coverage: float
    threshold: float
    calibrated_on: int
    score: str = SCORE

    def __post_init__(self) -> None:
        check_rule(coverage=self.coverage, threshold=self.threshold, rows=self.calibrated_on)
        if self.score != SCORE:
            raise InputError(f"The conformal score is {self.score!r}: expected {SCORE!r}.")


def fit(
    labels: np.ndarray,
    probabilities: np.ndarray,
    coverage: float = 0.9,
    *,
    groups: np.ndarray | None = None,
) -> SetRule:
    """Return the rule whose sets hold the true class of a new image in ``coverage`` of all cases.

    Args:
        labels: int (N,), of images the network was not trained on.
        probabilities: float (N, C) as they are served: temperature applied.
        coverage: In (0, 1). Fewer than coverage / (1 - coverage) rows (9 for 0.9), or groups,
            cannot promise it: every set then holds all classes.
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: The arrays do not fit together, or the coverage is out of range.

    Example:
        >>> fit(np.zeros(9, int), np.linspace([0.1, 0.9], [0.9, 0.1], 9)).threshold  # of float32
        0.10000000149011612
    """
    labels, _ = metrics.checked(labels, probabilities)
    own = as_served(probabilities)[np.arange(len(labels)), labels]
    return SetRule(coverage, lower_bound(own, coverage, groups=groups), len(labels))


def sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Return which classes are in the set of each image: bool (N, C), at least one a row.

    Args:
        probabilities: float (N, C) as they are served: temperature applied.
        threshold: Of a ``SetRule``.
    """
    rows = as_served(probabilities)
    members = rows >= threshold
    members[np.arange(len(rows)), rows.argmax(axis=1)] = True
    return members


def set_sizes(members: np.ndarray) -> np.ndarray:
    """Return how many classes each set of bool (N, C) holds: int64 (N,)."""
    return np.asarray(members, bool).sum(axis=1)


def coverage(labels: np.ndarray, members: np.ndarray) -> float:
    """Return the share of the sets, bool (N, C), that hold the label, in 0…1."""
    return float(_covered(labels, members).mean())


def coverage_per_class(labels: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the same for the images of each class: float64 (C,), nan for one without images."""
    covered = _covered(labels, members)
    classes = np.asarray(members).shape[1]
    counts = np.bincount(labels, minlength=classes)
    held = np.bincount(labels, covered, minlength=classes)
    return np.where(counts > 0, held / np.maximum(counts, 1), np.nan)


def lower_bound(scores: np.ndarray, share: float, *, groups: np.ndarray | None = None) -> float:
    """Return the largest of the scores that ``share`` of new ones is sure to reach; 0 if none is.

    It is the k-th smallest of n, k = n + 1 - ⌈(n + 1)·share⌉: a new score, drawn as these were,
    falls below it with probability k / (n + 1) at most. In K groups a score weighs 1 / (K + 1),
    divided by the number of its group, and the new one's group 1 / (K + 1) below all.

    Args:
        scores: float (N,), not negative.
        share: In (0, 1).
        groups: (N,), equal values belong together; None: every score stands by itself.

    Raises:
        InputError: There are no scores, not one group for each, or the share is out of range.
    """
    if len(scores) == 0 or not 0 < share < 1:
        raise InputError(
            f"Got {len(scores)} images and a share of {share}: expected at least one image and a "
            "share between 0 and 1."
        )
    member = grouped.numbered(groups, len(scores))
    if member is not None:
        order, counts = np.argsort(scores, kind="stable"), np.bincount(member)
        weights = (1 / counts[member] / (len(counts) + 1))[order]
        below = 1 / (len(counts) + 1) + np.cumsum(weights) - weights
        safe = np.flatnonzero(below <= 1 - share + 1e-9)
        return float(scores[order][safe[-1]]) if len(safe) else 0.0
    count = len(scores) + 1
    smallest = count - int(np.ceil(count * share - 1e-9))  # 10 · 0.9 may come out above 9
    return float(np.sort(scores)[smallest - 1]) if smallest else 0.0


def as_served(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities rounded to float32, as the model gives them, in float64 (N, C).

    Raises:
        InputError: They are not (N, C), or not finite.
    """
    rows = np.asarray(probabilities, np.float32).astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] < 2 or not np.isfinite(rows).all():
        raise InputError(
            f"Probabilities have shape {rows.shape} or are not finite: expected finite numbers of "
            "shape (N, C), two classes or more."
        )
    return rows


def check_rule(*, coverage: float, threshold: float, rows: int) -> None:
    """Raise InputError unless the three numbers of a rule are in range."""
    if not (0 < coverage < 1 and 0 <= threshold <= 1 and rows >= 1):
        raise InputError(
            f"A rule of share {coverage}, threshold {threshold}, from {rows} images: expected a "
            "share between 0 and 1, a threshold from 0 to 1, and at least one image."
        )


def _covered(labels: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return whether each set holds its label: bool (N,)."""
    labels, _ = metrics.checked(labels, members)
    return np.asarray(members, bool)[np.arange(len(labels)), labels]
