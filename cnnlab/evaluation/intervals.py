"""Intervals of the headline figures: how far each could move with other images of the same kind.

Each figure has the method that held what it promises in simulation (``benchmarks/coverage.py``): of
many test sets, 93 to 97 in 100 give an interval of level 0.95 that holds the true figure.

* accuracy: Wilson's score interval;
* macro and weighted precision, recall and F1: Wilson's with the effective number of images (too
  narrow or too wide by two points for precision where a class is predicted some ten times);
* AUC, log loss: Hall's interval for the mean of skewed values. For the AUC one more row joins the
  variance, three quarters as influential as the worst, for the rare error not seen yet;
* Brier score: the mean of Hall's limits (a little wide) and Wilson's (a little narrow);
* ECE: about the figure that other test sets *of this size* give on average. That is more than the
  true calibration error, which no interval around a biased figure can be trusted to hold.

Rows are taken as independent unless ``groups`` says which belong together. Then variances are those
of groups (``grouped``), the effective number of images is divided by the design effect, and
Student's quantile, with as many degrees of freedom as there are groups less one, replaces the
normal one. Of 30 groups or more of 20 images again 93 to 97 in 100 hold; 92 for AUC and log loss
where 95 % of the answers are right and a group is of one class, 98 for ECE. Of ten groups 84 to 99.

No interval has zero width: where nothing varies, as many rows (groups) may yet be otherwise as
Wilson's interval allows after n of n. The formulas are in ``limits``.

Source:
    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24 (1998): the effective size.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.config import InputError
from cnnlab.evaluation import calibration_error, influence, metrics, probabilistic, weighted
from cnnlab.statistics import grouped
from cnnlab.statistics.limits import hall, unvaried, wilson

METHODS = {
    "accuracy": "wilson",
    **dict.fromkeys(
        [f"{kind}_{name}" for kind in ("macro", "weighted") for name in metrics.SCORES],
        "wilson with the effective number of images",
    ),
    "macro_auc": "hall on delong's components",
    "micro_auc": "hall on delong's components, by image",
    "log_loss": "hall",
    "brier": "mean of hall's and wilson's limits",
    "ece": "log-normal, of the figure expected at this number of images",
}
UNSEEN = 0.75  # influence of the row that joins an AUC's variance, in that of the worst row
UNSEEN_GROUP = 1.2  # the same for a group


@dataclass(frozen=True)
class Interval:
    """A figure and the limits of its interval; nan where the figure is undefined."""

    estimate: float
    low: float
    high: float


def proportion(
    hits: np.ndarray, *, level: float = 0.95, groups: np.ndarray | None = None
) -> Interval:
    """Return a share of images with Wilson's limits.

    Args:
        hits: bool (N,), N > 0.
        level: Coverage aimed at.
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: There are no images, or not one group for each.
    """
    share, size = float(np.mean(hits)), effective_images(hits, level=level, groups=groups)
    low, high = wilson(share, size, level)
    return Interval(share, min(float(low), share), max(float(high), share))


def effective_images(
    hits: np.ndarray, *, level: float = 0.95, groups: np.ndarray | None = None
) -> float:
    """Return how many images that stand by themselves tell as much of a share; at most N.

    Args:
        hits: bool (N,), N > 0: the images that the share counts.
        level: Coverage that an interval of it aims at.
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: There are no images, or not one group for each.
    """
    hits = np.asarray(hits)
    if hits.ndim != 1 or not len(hits):
        raise InputError(f"Hits have shape {hits.shape}: expected (N,) of N > 0 images.")
    member = grouped.numbered(groups, len(hits))
    if member is None:
        return float(len(hits))
    rows = hits - hits.mean()
    effect = grouped.design_effect(rows, grouped.influences(rows, member), member)
    degrees = grouped.degrees_of_freedom(member)
    return grouped.effective_size(len(hits) / effect, level, degrees)


def headlines(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    level: float = 0.95,
    groups: np.ndarray | None = None,
) -> dict[str, Interval]:
    """Return every headline figure with its interval, by the names of ``METHODS``.

    Args:
        labels: int (N,) in 0…C-1.
        probabilities: float (N, C).
        level: Coverage aimed at, in (0, 1).
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: The arrays do not fit, or the level is out of range.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level} is out of range: expected between 0 and 1.")
    labels, probabilities = metrics.checked(labels, probabilities)
    member = grouped.numbered(groups, len(labels))
    counts = metrics.confusion(labels, probabilities)
    degrees = grouped.degrees_of_freedom(member)
    # In a macro figure the images of a rare class, and so their groups, weigh more.
    by_class = grouped.degrees_of_freedom(member, 1 / counts.sum(axis=1)[labels])
    predicted = probabilities.argmax(axis=1)
    found = {"accuracy": proportion(predicted == labels, level=level, groups=member)}
    support = counts.sum(axis=1) / len(labels)
    scores = (weighted.precision(counts), weighted.recall(counts), weighted.f1(counts))
    sizes = influence.effective_sizes(counts)
    if member is not None:
        effects = influence.design_effects(labels, predicted, len(counts), member)
        sizes = {name: size / effects[name] for name, size in sizes.items()}
    for kind, shares, freedom in (
        ("macro", np.full(len(counts), 1 / len(counts)), by_class),
        ("weighted", support, degrees),
    ):
        for name, score in zip(metrics.SCORES, scores, strict=True):
            key = f"{kind}_{name}"
            found[key] = _share(min(float(score @ shares), 1.0), sizes[key], level, freedom)
    for average, freedom in ((influence.macro_auc, by_class), (influence.micro_auc, degrees)):
        loss, influences = average(labels, probabilities)
        moves = grouped.influences(influences, member)
        found[average.__name__] = _auc(loss, moves, level, freedom)
    losses = probabilistic.log_losses(labels, probabilities)
    found["log_loss"] = _loss(losses, -np.log(probabilistic.EPSILON), level, member)
    found["brier"] = _brier(probabilistic.brier_scores(labels, probabilities), level, member)
    found["ece"] = _ece(labels, probabilities, level, member)
    return found


def f1_per_class(
    labels: np.ndarray,
    probabilities: np.ndarray,
    level: float = 0.95,
    *,
    groups: np.ndarray | None = None,
) -> list[Interval]:
    """Return the interval of each class's F1.

    Among the images that are of the class or are called so, the share J of those that are both is
    a plain proportion; F1 is 2 J / (1 + J), so Wilson's limits of J give those of F1.

    Args:
        labels: int (N,) in 0…C-1.
        probabilities: float (N, C).
        level: Coverage aimed at.
        groups: (N,), equal values belong together; None: every image stands by itself.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    member = grouped.numbered(groups, len(labels))
    counts = metrics.confusion(labels, probabilities)
    both = np.diagonal(counts)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    sizes = np.maximum(either, 1).astype(float)
    if member is not None:
        predicted = probabilities.argmax(axis=1)
        for c in np.flatnonzero(either):
            rows = (labels == c) | (predicted == c)
            hits = predicted[rows] == labels[rows]
            sizes[c] = effective_images(hits, level=level, groups=member[rows])
    low, high = wilson(weighted.ratio(both, either), sizes, level)
    high = np.where(either > 0, high, 1)  # nothing seen, nothing known
    columns = (weighted.f1(counts), 2 * low / (1 + low), 2 * high / (1 + high))
    return [Interval(*row) for row in np.stack(columns, axis=1).tolist()]


def _share(figure: float, size: float, level: float, degrees: float | None = None) -> Interval:
    low, high = wilson(figure, grouped.effective_size(size, level, degrees), level)
    return Interval(figure, min(float(low), figure), max(float(high), figure))


def _loss(values: np.ndarray, worst: float, level: float, member: np.ndarray | None) -> Interval:
    """Return the interval of the mean of losses in 0…worst."""
    estimate = float(values.mean())
    moves = grouped.influences(values - estimate, member)
    limits = hall(estimate, moves, level, grouped.degrees_of_freedom(member))
    low, high = limits or unvaried(estimate, worst, len(moves), level)
    return Interval(estimate, max(low, 0.0), min(high, worst))


def _auc(loss: float, influences: np.ndarray, level: float, degrees: float | None) -> Interval:
    """Return the interval of 1 - loss."""
    if np.isnan(loss):
        return Interval(np.nan, np.nan, np.nan)
    unseen = (UNSEEN if degrees is None else UNSEEN_GROUP) * influences.max()
    limits = hall(loss, np.append(influences, unseen), level, degrees)
    low, high = limits or unvaried(loss, 1.0, len(influences), level)
    return Interval(1 - float(loss), 1 - min(high, 1.0), 1 - max(low, 0.0))


def _brier(values: np.ndarray, level: float, member: np.ndarray | None) -> Interval:
    found, degrees = _loss(values, 2.0, level, member), grouped.degrees_of_freedom(member)
    half = found.estimate / 2
    if member is None:
        variance = values.var() / 4 / max(len(values) - 1, 1)
    else:
        variance = grouped.standard_error(values, member) ** 2 / 4
    if not variance > 0 or not 0 < half < 1:  # nan of a single group is not above 0
        return found
    size = grouped.effective_size(half * (1 - half) / variance, level, degrees)
    low, high = wilson(half, size, level)
    return Interval(found.estimate, found.low / 2 + float(low), found.high / 2 + float(high))


def _ece(
    labels: np.ndarray, probabilities: np.ndarray, level: float, groups: np.ndarray | None
) -> Interval:
    confidence, hits, member = probabilistic.binned(labels, probabilities)
    estimate = probabilistic.ece(labels, probabilities)
    deviation = calibration_error.deviation(hits - confidence, member, groups)
    units = len(hits) if groups is None else int(groups.max()) + 1
    if estimate < 1e-9 or deviation < 1e-9 or (groups is not None and units == 1):
        return Interval(estimate, *unvaried(estimate, 1.0, units, level))
    reach = grouped.quantile(level, grouped.degrees_of_freedom(groups)) * deviation
    factor = float(np.exp(min(reach / estimate, 50)))
    high = min(estimate * factor, estimate + 4 * reach, 1.0)  # an estimate may be near 0 by luck
    return Interval(estimate, estimate / factor, high)
